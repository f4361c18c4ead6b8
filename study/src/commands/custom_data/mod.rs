//! Trains on your own images, of any size, gray or in color, from a folder of PNG files, an IDX file, a NumPy file or a table.
//! Writes the model, pictures, the history, and the codes and reconstructions of all images.

mod inputs;
mod load;
mod order;
mod results;

use crate::cli::{
    self, Failure, OutputFlags, TrainingFlags, checkpoints::CheckpointFlags, files, progress::Progress, say,
};
use autoencoder::{
    Autoencoder, Dataset, Error, Loss, Noise, TrainConfig, Trainer,
    data::{NoiseKind, Pairs, Subset},
    metrics::{Evaluation, evaluate},
    ndarray::Array2,
};
use clap::Parser;
use inputs::{InputFlags, Inputs};
use std::path::PathBuf;

const PICTURES: usize = 10;
/// Variance of the noise if no flag is about the corruption of the inputs.
const DEFAULT_VARIANCE: f32 = 0.1;

/// Trains a denoising autoencoder on your own images.
#[derive(Debug, Parser)]
#[command(allow_negative_numbers = true)]
pub(super) struct Flags {
    #[command(flatten)]
    inputs: InputFlags,
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
    #[arg(long, value_parser = cli::loss(), default_value = "mse")]
    loss: Loss,
    #[command(flatten)]
    training: TrainingFlags,
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
        let is_default =
            self.inputs.targets.is_none() && self.salt_and_pepper.is_none() && self.masking.is_none();
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
        Ok(TrainConfig {
            epochs: self.epochs,
            batch_size: self.batch_size,
            loss: self.loss,
            noise: self.noise()?,
            ..self.training.config()
        })
    }
}

pub(super) fn run(flags: &Flags) -> Result<(), Failure> {
    flags.output.apply();
    let threads = flags.training.set_threads()?;
    let config = flags.config()?;
    config.check()?;
    let noise = config.noise.clone();
    flags.inputs.check_results(&flags.out)?;
    let Inputs { loaded, targets } = flags.inputs.load()?;
    files::create_folder(&flags.out)?;
    let images = &loaded.images;
    let pairs = targets.as_ref().map(|targets| Pairs::new(images, targets)).transpose()?;
    let rows: &dyn Dataset = pairs.as_ref().map_or(images, |pairs| pairs);
    let holdout =
        images.holdout(flags.test_share, flags.training.seed).map_err(cli::of_flag("test_share"))?;
    let (train, test) = (Subset::new(rows, &holdout.train)?, Subset::new(rows, &holdout.test)?);
    let widths = Autoencoder::builder(rows.features()).hidden(&flags.hidden).code(flags.code);
    let mut model = flags.training.model(widths)?;
    let (height, width) = images.image_shape();
    let in_color = if images.channels() == 1 { "" } else { " in color" };
    say(&format!(
        "{}: {} training and {} test images of {height} x {width}{in_color}; widths {:?}, {threads} threads",
        flags.inputs.images.display(),
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
    say(&verdict(&evaluate(&model, &test, noise.as_ref(), flags.training.seed)?, noise.as_ref()))?;

    let shown: Vec<_> = holdout.test.iter().copied().take(PICTURES).collect();
    let inputs = images.select(&shown)?.to_array()?;
    let corrupted =
        noise.as_ref().map_or_else(|| inputs.clone(), |noise| noise.corrupt(&inputs, flags.training.seed));
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
