//! Trains on your own images, of any size, gray or in color, from a folder of PNG files, an IDX file or a NumPy file. Writes
//! the model, pictures, the history, and the codes and reconstructions of all images.

mod load;
mod order;
mod results;

use crate::cli::{self, Failure, OutputFlags, checkpoints::CheckpointFlags, files, progress::Progress, say};
use autoencoder::{
    Autoencoder, Dataset, Error, ImageSet, Init, Loss, Noise, Penalty, TrainConfig, Trainer,
    data::{Holdout, NoiseKind, Pairs, Subset},
    metrics::{Evaluation, evaluate},
    ndarray::Array2,
};
use clap::Parser;
use load::{LoadFlags, Loaded};
use std::path::PathBuf;

const PICTURES: usize = 10;
/// Variance of the noise if no flag is about the corruption of the inputs.
const DEFAULT_VARIANCE: f32 = 0.1;

/// Trains a denoising autoencoder on your own images.
#[derive(Debug, Parser)]
#[command(allow_negative_numbers = true)]
pub(super) struct Flags {
    /// Folder of PNG files or of one folder per class; or an IDX file (plain or gzip), a NumPy file (.npy), an archive
    /// (.npz), or a table with one image per line (CSV)
    #[arg(long)]
    images: PathBuf,
    /// Target of each image, such as the clean image of a noisy one: a folder or file like --images
    #[arg(long)]
    targets: Option<PathBuf>,
    /// File with one label per image (NumPy, IDX or CSV), in place of those from folders or tables
    #[arg(long)]
    labels: Option<PathBuf>,
    #[command(flatten)]
    load: LoadFlags,
    /// Fraction of the images that is held out for testing
    #[arg(long, default_value_t = 0.1)]
    test_share: f64,
    /// Variance of Gaussian noise on the inputs [default: 0.1, or 0 with --targets or another kind of noise]
    #[arg(long)]
    noise_variance: Option<f32>,
    /// Fraction of the input pixels that become black or white. Of several kinds of noise, each image gets one
    #[arg(long)]
    salt_and_pepper: Option<f32>,
    /// Fraction of the input pixels that become black
    #[arg(long)]
    masking: Option<f32>,
    /// Widths of the encoder's hidden layers, such as 512,256; the decoder mirrors them
    #[arg(long, value_delimiter = ',', num_args = 1, default_value = "256")]
    hidden: Vec<usize>,
    /// Width of the code; 2 suits a scatter plot of codes.npy
    #[arg(long, default_value_t = 32)]
    code: usize,
    #[arg(long, default_value_t = 30)]
    epochs: usize,
    #[arg(long, default_value_t = 32)]
    batch_size: usize,
    #[arg(long, default_value_t = 0.001)]
    learning_rate: f32,
    #[arg(long, value_parser = cli::loss(), default_value = "mse")]
    loss: Loss,
    #[arg(long, value_parser = cli::init(), default_value = "he")]
    init: Init,
    /// Dropout rate of the hidden layers
    #[arg(long, default_value_t = 0.0)]
    dropout: f32,
    /// Strength of the L1 penalty on the encoder's weights
    #[arg(long, default_value_t = 0.0)]
    lasso: f32,
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Worker threads [default: one per core]
    #[arg(long)]
    threads: Option<usize>,
    #[command(flatten)]
    checkpoints: CheckpointFlags,
    /// Folder for the results. rows.csv has one line per image: row, label, class, file, held_out, mse
    #[arg(long, default_value = "out/custom_data")]
    out: PathBuf,
    #[command(flatten)]
    output: OutputFlags,
}

impl Flags {
    fn noise(&self) -> Result<Option<Noise>, Error> {
        let is_default = self.targets.is_none() && self.salt_and_pepper.is_none() && self.masking.is_none();
        let variance = self.noise_variance.or(is_default.then_some(DEFAULT_VARIANCE));
        let kinds = [
            variance.map(|variance| NoiseKind::Gaussian { variance }),
            self.salt_and_pepper.map(|probability| NoiseKind::SaltAndPepper { probability }),
            self.masking.map(|probability| NoiseKind::Masking { probability }),
        ];
        let kinds: Vec<_> = kinds.into_iter().flatten().collect();
        if kinds.is_empty() {
            return Ok(None);
        }
        for (name, value) in [("salt_and_pepper", self.salt_and_pepper), ("masking", self.masking)] {
            if let Some(value) = value {
                Noise::masking(value).map_err(cli::of_flag(name))?;
            }
        }
        let noise = Noise::mixture(&kinds).map_err(cli::of_flag("noise_variance"))?;
        Ok((kinds != [NoiseKind::Gaussian { variance: 0.0 }]).then_some(noise))
    }

    fn config(&self) -> Result<TrainConfig, Error> {
        let mut config = TrainConfig::new()
            .epochs(self.epochs)
            .batch_size(self.batch_size)
            .learning_rate(self.learning_rate)
            .loss(self.loss)
            .seed(self.seed);
        config.noise = self.noise()?;
        if self.lasso != 0.0 {
            config = config.add_penalty(Penalty::lasso(self.lasso));
        }
        Ok(config)
    }

    /// Returns the untrained model for rows of `inputs` features.
    fn model(&self, inputs: usize) -> Result<Autoencoder, Error> {
        let builder = Autoencoder::builder(inputs).hidden(&self.hidden).code(self.code);
        builder.dropout(self.dropout).init(self.init).seed(self.seed).build()
    }

    fn load(&self) -> Result<(Loaded, Option<ImageSet>), Failure> {
        let mut loaded = self.load.load(&self.images)?;
        if let Some(path) = &self.labels {
            self.load.check_order(&self.images, &loaded)?;
            let labels = self.load.labels(path)?;
            if labels.len() != loaded.images.len() {
                let (file, expected) =
                    (path.display().to_string(), format!("{}, one per image", loaded.images.len()));
                let found = labels.len().to_string();
                return Err(Error::Format { file, field: "number of labels", expected, found }.into());
            }
            if !loaded.classes.is_empty() {
                say(&format!("{}: these labels replace the names of the folders", path.display()))?;
                loaded.classes.clear();
            }
            loaded.images = loaded.images.with_labels(labels)?;
        }
        let Some(path) = &self.targets else { return Ok((loaded, None)) };
        let targets = self.load.load(path)?;
        if targets.files.is_empty() {
            self.load.check_order(&self.images, &loaded)?;
        } else if loaded.files.is_empty() {
            self.load.check_order(path, &targets)?;
        }
        let shape = |images: &ImageSet| (images.len(), images.image_shape(), images.channels());
        let found = (shape(&loaded.images), shape(&targets.images));
        if found.0 != found.1 {
            let text = |(count, (height, width), channels): (usize, (usize, usize), usize)| {
                let color = if channels == 1 { "gray" } else { "color" };
                format!("{count} {color} images of {height} x {width}")
            };
            let (expected, found) = (text(found.0), text(found.1));
            let file = path.display().to_string();
            return Err(Error::Format { file, field: "targets", expected, found }.into());
        }
        let mut names = loaded.files.iter().zip(&targets.files);
        if let Some((input, target)) = names.find(|(input, target)| input != target) {
            let expected = format!("{}, the same names as in {}", input.display(), self.images.display());
            let (file, found) = (path.display().to_string(), target.display().to_string());
            return Err(Error::Format { file, field: "names of files", expected, found }.into());
        }
        Ok((loaded, Some(targets.images)))
    }

    fn holdout(&self, images: &ImageSet) -> Result<Holdout, Error> {
        let holdout = match images.labels() {
            Some(labels) => Holdout::by_class(labels, self.test_share, self.seed),
            None => Holdout::new(images.len(), self.test_share, self.seed),
        };
        holdout.map_err(cli::of_flag("test_share"))
    }
}

pub(super) fn run(flags: &Flags) -> Result<(), Failure> {
    flags.output.apply();
    let threads = cli::set_threads(flags.threads)?;
    let config = flags.config()?;
    config.check()?;
    let noise = config.noise.clone();
    for input in flags.targets.iter().chain([&flags.images]) {
        if input.is_dir() && files::is_inside(&flags.out, input) {
            let value = flags.out.display().to_string();
            let expected = "a folder outside that of the images, where pictures would become images";
            return Err(Error::Setting { name: "out", value, expected }.into());
        }
    }
    let (loaded, targets) = flags.load()?;
    files::create_folder(&flags.out)?;
    let images = &loaded.images;
    let pairs = targets.as_ref().map(|targets| Pairs::new(images, targets)).transpose()?;
    let rows: &dyn Dataset = pairs.as_ref().map_or(images, |pairs| pairs);
    let holdout = flags.holdout(images)?;
    let (train, test) = (Subset::new(rows, &holdout.train)?, Subset::new(rows, &holdout.test)?);
    let mut model = flags.model(rows.features())?;
    let (height, width) = images.image_shape();
    let in_color = if images.channels() == 1 { "" } else { " in color" };
    say(&format!(
        "{}: {} training and {} test images of {height} x {width}{in_color}; widths {:?}, {threads} threads",
        flags.images.display(),
        train.len(),
        test.len(),
        model.widths()
    ))?;

    let checkpoints = flags.checkpoints.load(&flags.out)?;
    let mut progress = Progress::new(flags.epochs, noise.is_some() || pairs.is_some());
    let trainer = checkpoints.apply(Trainer::new(config).validation(&test));
    let history = trainer.callback(|event| progress.show(event)).fit(&mut model, &train)?;
    drop(progress);

    let file = flags.out.join("model.safetensors");
    model.save(&file)?;
    // From here on, a program that only applies the model would do the same.
    let model = Autoencoder::load(&file)?;
    say(&verdict(&evaluate(&model, &test, noise.as_ref(), flags.seed)?, noise.as_ref()))?;

    let shown: Vec<_> = holdout.test.iter().copied().take(PICTURES).collect();
    let inputs = images.select(&shown)?.to_array()?;
    let corrupted = noise.as_ref().map_or_else(|| inputs.clone(), |noise| noise.corrupt(&inputs, flags.seed));
    let clean = match &targets {
        Some(targets) => targets.select(&shown)?.to_array()?,
        None => inputs,
    };
    let output = model.reconstruct(&corrupted)?;
    let is_denoised = noise.is_some() || targets.is_some();
    let pictures: Vec<&Array2<f32>> =
        if is_denoised { vec![&clean, &corrupted, &output] } else { vec![&clean, &output] };
    let views: Vec<_> = pictures.iter().map(|picture| picture.view()).collect();
    let picture = results::write_picture(&flags.out, (height, width), &views)?;
    results::write_history(&flags.out, &history)?;
    results::write_arrays(&flags.out, &model, images)?;
    results::write_rows(&flags.out, &loaded, &holdout, &model.reconstruction_errors(rows)?)?;
    say(&format!(
        "model.safetensors, {picture}, history.csv and .svg, codes.npy, reconstructions.npy and rows.csv (of all images) \
         are in {}",
        flags.out.display()
    ))
}

/// Says how good the output for the test images is.
fn verdict(found: &Evaluation, noise: Option<&Noise>) -> String {
    let output = found.output.psnr_pooled_db;
    let Some(input) = found.noisy_input.map(|input| input.psnr_pooled_db) else {
        return format!("test images: reconstructed {output:.2} dB");
    };
    let clamped = match noise {
        Some(noise) if noise.is_clamped() => " (clamped)",
        Some(_) => " (not clamped to [0, 1])",
        None => "",
    };
    format!("test images: noisy {input:.2} dB{clamped}, denoised {output:.2} dB")
}
