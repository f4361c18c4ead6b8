//! Measures the speed of training, evaluation and single images, and prints one line of JSON.

use crate::cli::{self, DataFlags, Failure, Images, WidthFlags};
use autoencoder::{
    Autoencoder, Error, Noise, TrainConfig, Trainer, bench,
    data::Augmentation,
    ndarray::{Array2, Axis, s},
    nn::Layer,
};
use clap::Parser;
use serde_json::json;
use std::{hint::black_box, time::Instant};

/// Measures the speed of training, evaluation and single images, and prints one line of JSON. Noise and dropout
/// apply to training only.
#[derive(Debug, Parser)]
#[command(allow_negative_numbers = true)]
pub(super) struct Flags {
    #[command(flatten)]
    data: DataFlags,
    #[command(flatten)]
    widths: WidthFlags,
    #[arg(long, default_value_t = 128)]
    batch_size: usize,
    /// Worker threads [default: one per core]
    #[arg(long)]
    threads: Option<usize>,
    /// Epochs; each is measured
    #[arg(long, default_value_t = 4)]
    epochs: usize,
    /// Variance of Gaussian noise on the inputs
    #[arg(long, default_value_t = 0.0)]
    noise_variance: f32,
    /// Trains on mildly changed images
    #[arg(long, hide = true)]
    augmented: bool,
    /// Dropout rate of the hidden layers
    #[arg(long, default_value_t = 0.0)]
    dropout: f32,
}

pub(super) fn run(flags: &Flags) -> Result<(), Failure> {
    let threads = cli::set_threads(flags.threads)?;
    let mut config = TrainConfig::new().epochs(flags.epochs).batch_size(flags.batch_size);
    if flags.noise_variance != 0.0 {
        config = config.noise(Noise::gaussian(flags.noise_variance)?);
    }
    config.check()?;
    let Images { train, test, .. } = flags.data.load()?;
    if flags.augmented {
        let mild = Augmentation::new(train.image_shape()).shift(0.5).rotation(0.08).scale(0.05).shear(0.08);
        config = config.augmentation(mild.unchanged(0.3));
    }
    let builder = flags.widths.builder(train.features());
    let mut model = builder.dropout(flags.dropout).build()?;
    let history = Trainer::new(config).fit(&mut model, &train)?;

    let images = test.to_array()?;
    let evaluate = || -> Result<f64, Error> {
        let start = Instant::now();
        for block in images.axis_chunks_iter(Axis(0), 1_000) {
            black_box(model.reconstruct(&block)?);
        }
        Ok(images.nrows() as f64 / start.elapsed().as_secs_f64())
    };
    let mut eval = (0..6).map(|_| evaluate()).collect::<Result<Vec<_>, _>>()?;
    eval.remove(0);
    let mut sorted = eval.clone();
    sorted.sort_by(f64::total_cmp);

    let mut micros = Vec::new();
    let mut output = Array2::zeros((1, images.ncols()));
    for index in 0..2_000 {
        let row = index % images.nrows();
        let image = images.slice(s![row..=row, ..]);
        let start = Instant::now();
        model.reconstruct_into(&image, &mut output)?;
        black_box(&output);
        micros.push(start.elapsed().as_secs_f64() * 1e6);
    }
    let mut micros = micros.split_off(200);
    micros.sort_by(f64::total_cmp);

    let peak = peak_gflops();
    let work = operations(&model);
    let line = json!({
        "precision": "f32",
        "peak_gflops": peak,
        "share_of_peak": history.rows_per_second().unwrap_or(f64::NAN) * work.training / 1e9 / peak,
        "eval_share_of_peak": sorted[sorted.len() / 2] * work.forward / 1e9 / peak,
        "train_images_per_second": history.epochs.iter().map(|e| e.rows_per_second).collect::<Vec<_>>(),
        "losses": history.epochs.iter().map(|e| e.loss).collect::<Vec<_>>(),
        "eval_images_per_second": eval,
        "latency_us": micros[micros.len() / 2],
        "peak_rss_mb": peak_rss_mb(),
        "dataset": train.name(),
        "widths": model.widths(),
        "batch": flags.batch_size,
        "threads": threads,
        "noise_variance": flags.noise_variance,
        "dropout": flags.dropout,
    });
    cli::say(&line.to_string())
}

/// Floating-point operations of the matrix products per image.
struct Operations {
    forward: f64,
    training: f64,
}

/// Per layer: one product forward, one for the gradient with respect to the weights and, except for the first layer, one
/// for the gradient with respect to the input. Operations with zeros count, although products may skip them.
fn operations(model: &Autoencoder) -> Operations {
    let products = |layers: &[Layer]| layers.iter().map(|l| 2.0 * l.dense.weight().len() as f64).sum::<f64>();
    let (all, first) = (products(model.layers()), products(&model.layers()[..1]));
    Operations { forward: all, training: 3.0 * all - first }
}

/// Returns the peak speed of multiply-adds on all threads at once.
fn peak_gflops() -> f64 {
    rayon::broadcast(|_| bench::peak_gflops()).into_iter().sum()
}

/// Returns the peak resident memory of the process, if the system reports it.
fn peak_rss_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024.0)
}
