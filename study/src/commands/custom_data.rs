//! Trains on your own images, of any size, from a folder of PNG files, an IDX file or a NumPy file. Writes the model,
//! denoised pictures, and the codes and reconstructions of all images.

use crate::cli::{self, Failure, OutputFlags, files, progress::Progress, say};
use autoencoder::{
    Autoencoder, Error, ImageSet, Noise, TrainConfig, Trainer,
    data::{idx, npy, png},
    metrics::evaluate,
    train::shuffled,
};
use clap::Parser;
use std::path::PathBuf;

const PICTURES: usize = 10;

/// Trains a denoising autoencoder on your own images.
#[derive(Debug, Parser)]
#[command(allow_negative_numbers = true)]
pub(super) struct Flags {
    /// Folder of PNG files (or of one folder per class), IDX file [images, height, width], plain or gzip, or NumPy file
    /// of uint8 or of floats in [0, 1]
    #[arg(long)]
    images: PathBuf,
    /// Height and width, such as 32x24, of the images in a NumPy file [images, features]
    #[arg(long, value_parser = shape)]
    shape: Option<(usize, usize)>,
    /// Fraction of the images that is held out for testing
    #[arg(long, default_value_t = 0.1)]
    test_share: f64,
    /// Variance of the Gaussian noise on the inputs
    #[arg(long, default_value_t = 0.1)]
    noise_variance: f32,
    /// Widths of the encoder's hidden layers
    #[arg(long, value_delimiter = ',', num_args = 1, default_value = "256")]
    hidden: Vec<usize>,
    /// Width of the code
    #[arg(long, default_value_t = 32)]
    code: usize,
    #[arg(long, default_value_t = 30)]
    epochs: usize,
    #[arg(long, default_value_t = 32)]
    batch_size: usize,
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Worker threads [default: one per core]
    #[arg(long)]
    threads: Option<usize>,
    /// Folder for the results
    #[arg(long, default_value = "out/custom_data")]
    out: PathBuf,
    #[command(flatten)]
    output: OutputFlags,
}

fn shape(text: &str) -> Result<(usize, usize), String> {
    let sides = text.split_once('x').ok_or("expected HEIGHTxWIDTH, such as 32x24")?;
    let side = |text: &str| text.parse().map_err(|error| format!("`{text}`: {error}"));
    Ok((side(sides.0)?, side(sides.1)?))
}

pub(super) fn run(flags: &Flags) -> Result<(), Failure> {
    flags.output.apply();
    cli::set_threads(flags.threads)?;
    let noise = Noise::gaussian(flags.noise_variance)?;
    let config = TrainConfig::new()
        .epochs(flags.epochs)
        .batch_size(flags.batch_size)
        .seed(flags.seed)
        .noise(noise.clone());
    config.check()?;

    files::create_folder(&flags.out)?;
    let images = load(flags)?;
    let (train, test) = split(flags, &images)?;
    let mut model = Autoencoder::builder(train.features())
        .hidden(&flags.hidden)
        .code(flags.code)
        .seed(flags.seed)
        .build()?;
    let (height, width) = train.image_shape();
    say(&format!(
        "{}: {} training and {} test images of {height} x {width}; widths {:?}",
        flags.images.display(),
        train.len(),
        test.len(),
        model.widths()
    ))?;
    let mut progress = Progress::new(flags.epochs, true);
    Trainer::new(config).validation(&test).callback(|event| progress.show(event)).fit(&mut model, &train)?;
    drop(progress);

    let file = flags.out.join("model.safetensors");
    model.save(&file)?;
    // From here on, a program that only applies the model would do the same.
    let model = Autoencoder::load(&file)?;
    let found = evaluate(&model, &test, Some(&noise), flags.seed)?;
    let noisy_db = found.noisy_input.map_or(f64::NAN, |input| input.psnr_pooled_db);
    say(&format!(
        "test images: noisy {noisy_db:.2} dB (not clamped), denoised {:.2} dB",
        found.output.psnr_pooled_db
    ))?;
    let clean = test.head(PICTURES)?.to_array();
    let noisy = noise.corrupt(&clean, flags.seed);
    let denoised = model.reconstruct(&noisy)?;
    let rows = [clean.view(), noisy.view(), denoised.view()];
    png::save_grid(flags.out.join("denoised.png"), (height, width), &rows, 2)?;
    let codes = model.encode(&images.to_array())?;
    npy::save_rows(flags.out.join("codes.npy"), &codes)?;
    npy::save_rows(flags.out.join("reconstructions.npy"), &model.decode(&codes)?)?;
    let written = "model.safetensors, denoised.png, codes.npy and reconstructions.npy (of all images)";
    say(&format!("{written} are in {}", flags.out.display()))
}

/// Loads the images. A NumPy file is recognized by its first bytes.
fn load(flags: &Flags) -> Result<ImageSet, Failure> {
    let no_shape = |expected| match flags.shape {
        Some(shape) => Err(Error::Setting { name: "shape", value: format!("{shape:?}"), expected }),
        None => Ok(()),
    };
    if flags.images.is_dir() {
        no_shape("no shape: PNG files state their own")?;
        let png::Folder { images, classes, .. } = png::load_folder(&flags.images, Default::default())?;
        if !classes.is_empty() {
            say(&format!("{} classes", classes.len()))?;
        }
        return Ok(images);
    }
    let bytes = files::read(&flags.images)?;
    let name = flags.images.display().to_string();
    if bytes.starts_with(b"\x93NUMPY") {
        return Ok(npy::read(bytes.as_slice(), &name, flags.shape)?);
    }
    no_shape("no shape: IDX files state their own")?;
    Ok(idx::image_set("own images", idx::read_array(bytes.as_slice(), &name)?, None)?)
}

/// Files are often sorted by class, so the test images are chosen at random.
fn split(flags: &Flags, images: &ImageSet) -> Result<(ImageSet, ImageSet), Error> {
    let test = (images.len() as f64 * flags.test_share).ceil();
    if !(test >= 1.0 && test < images.len() as f64) {
        let value = format!("{} of {} images", flags.test_share, images.len());
        let expected = "at least 1 image to test on and 1 to train on";
        return Err(Error::Setting { name: "test_share", value, expected });
    }
    let order = shuffled(images.len(), flags.seed, 0);
    let (test, train) = order.split_at(test as usize);
    Ok((images.select(train)?, images.select(test)?))
}
