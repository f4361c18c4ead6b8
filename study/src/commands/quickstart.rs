//! Trains a denoising autoencoder, prints its test metrics and writes pictures.

use crate::cli::{
    self, DataFlags, Failure, Images, OutputFlags, TrainingFlags, WidthFlags, checkpoints::CheckpointFlags,
    decibels, files, progress::Progress, say,
};
use autoencoder::{
    Init, Loss, Noise, TrainConfig, Trainer,
    data::png,
    metrics::{ImageQuality, evaluate},
    ndarray::ArrayView2,
};
use clap::Parser;
use serde::Serialize;
use std::{path::PathBuf, time::Instant};

/// Trains a denoising autoencoder, prints its test metrics and writes pictures.
#[derive(Debug, Parser)]
#[command(allow_negative_numbers = true)]
pub(super) struct Flags {
    #[command(flatten)]
    data: DataFlags,
    #[command(flatten)]
    widths: WidthFlags,
    /// Variance of the Gaussian noise on the inputs; 0 trains a plain autoencoder
    #[arg(long, default_value_t = 0.25)]
    noise_variance: f32,
    #[arg(long, default_value_t = 10)]
    epochs: usize,
    #[arg(long, default_value_t = 128)]
    batch_size: usize,
    #[arg(long, value_parser = cli::loss(), default_value = "bce")]
    loss: Loss,
    #[command(flatten)]
    training: TrainingFlags,
    #[command(flatten)]
    checkpoints: CheckpointFlags,
    /// Folder for the results
    #[arg(long, default_value = "out/quickstart")]
    out: PathBuf,
    #[command(flatten)]
    output: OutputFlags,
}

impl Flags {
    fn noise(&self) -> Result<Option<Noise>, autoencoder::Error> {
        let noise = Noise::gaussian(self.noise_variance)?;
        Ok((self.noise_variance > 0.0).then_some(noise))
    }

    fn config(&self) -> Result<TrainConfig, autoencoder::Error> {
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
    let noise = flags.noise()?;
    let config = flags.config()?;
    config.check()?;
    files::create_folder(&flags.out)?;

    let Images { train, test, notice } = flags.data.load()?;
    let mut model = flags.training.model(flags.widths.builder(train.features()))?;
    if let Some(notice) = notice {
        say(&notice)?;
    }
    say(&format!(
        "{}: {} training and {} test images; widths {:?}, {} parameters, {threads} threads",
        train.name(),
        train.len(),
        test.len(),
        model.widths(),
        model.parameter_count()
    ))?;

    let checkpoints = flags.checkpoints.load(&flags.out)?;
    let start = Instant::now();
    let mut progress = Progress::new(flags.epochs, noise.is_some());
    let trainer = checkpoints.apply(Trainer::new(config).validation(&test));
    let history = trainer.callback(|event| progress.show(event)).fit(&mut model, &train)?;
    drop(progress);
    let seconds = start.elapsed().as_secs_f64();

    let plain = evaluate(&model, &test, None, flags.training.seed)?.output;
    say(&format!("reconstruction of clean test images: {}", text(plain)))?;
    let validation = history.epochs.last().and_then(|epoch| epoch.validation);
    let denoising = validation.and_then(|found| Some((found.output, found.noisy_input?)));
    if let Some((denoised, noisy)) = denoising {
        let clamped = if noise.as_ref().is_some_and(Noise::is_clamped) { "clamped" } else { "not clamped" };
        say(&format!("noisy test images (variance {}, {clamped}): {}", flags.noise_variance, text(noisy)))?;
        say(&format!("denoised: {}", text(denoised)))?;
    }

    let (height, width) = test.image_shape();
    let clean = files::one_a_class(&test)?;
    let picture = |name: &str, rows: &[ArrayView2<f32>]| {
        let path = flags.out.join(name);
        png::save_grid(&path, (height, width), rows, 3)
    };
    files::remove(&flags.out.join("denoised.png"))?;
    if let Some(noise) = &noise {
        let noisy = noise.corrupt(&clean, flags.training.seed);
        let output = model.reconstruct(&noisy)?;
        picture("denoised.png", &[clean.view(), noisy.view(), output.view()])?;
    }
    picture("reconstructed.png", &[clean.view(), model.reconstruct(&clean)?.view()])?;
    model.save(flags.out.join("model.safetensors"))?;
    files::write_history(&flags.out, &history)?;
    let summary = Summary {
        dataset: train.name(),
        train_images: train.len(),
        test_images: test.len(),
        widths: model.widths(),
        loss: flags.loss,
        init: flags.training.init,
        dropout: flags.training.dropout,
        lasso: flags.training.lasso,
        epochs: flags.epochs,
        batch_size: flags.batch_size,
        learning_rate: flags.training.learning_rate,
        seed: flags.training.seed,
        noise_variance: flags.noise_variance,
        clamped: noise.as_ref().is_some_and(Noise::is_clamped),
        test_mse: plain.mse,
        test_psnr_mean_db: plain.psnr_mean_db,
        test_psnr_pooled_db: plain.psnr_pooled_db,
        denoising: denoising.map(|(denoised, noisy)| Denoising {
            denoised_psnr_mean_db: denoised.psnr_mean_db,
            denoised_psnr_pooled_db: denoised.psnr_pooled_db,
            noisy_psnr_mean_db: noisy.psnr_mean_db,
            noisy_psnr_pooled_db: noisy.psnr_pooled_db,
        }),
        train_images_per_second: history.rows_per_second(),
        threads,
        seconds,
    };
    files::write_json(&flags.out.join("summary.json"), &summary)?;
    say(&format!("{seconds:.1} s; pictures, model and metrics are in {}", flags.out.display()))
}

fn text(quality: ImageQuality) -> String {
    format!(
        "PSNR {:.2} dB (mean over images), {:.2} dB (pooled error)",
        quality.psnr_mean_db, quality.psnr_pooled_db
    )
}

/// Content of `summary.json`.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    dataset: &'a str,
    train_images: usize,
    test_images: usize,
    widths: Vec<usize>,
    loss: Loss,
    init: Init,
    dropout: f32,
    lasso: f32,
    epochs: usize,
    batch_size: usize,
    learning_rate: f32,
    seed: u64,
    noise_variance: f32,
    clamped: bool,
    test_mse: f64,
    #[serde(serialize_with = "decibels")]
    test_psnr_mean_db: f64,
    #[serde(serialize_with = "decibels")]
    test_psnr_pooled_db: f64,
    #[serde(flatten)]
    denoising: Option<Denoising>,
    train_images_per_second: Option<f64>,
    threads: usize,
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct Denoising {
    #[serde(serialize_with = "decibels")]
    denoised_psnr_mean_db: f64,
    #[serde(serialize_with = "decibels")]
    denoised_psnr_pooled_db: f64,
    #[serde(serialize_with = "decibels")]
    noisy_psnr_mean_db: f64,
    #[serde(serialize_with = "decibels")]
    noisy_psnr_pooled_db: f64,
}
