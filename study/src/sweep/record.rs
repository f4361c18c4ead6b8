use super::{Rows, Run};
use autoencoder::{
    Autoencoder, Result, TrainConfig, Trainer,
    metrics::{Evaluation, evaluate, ssim_mean},
    ndarray::{Array2, s},
    train::{History, TrainEvent},
};
use serde::{Deserialize, Serialize};
use std::{ops::ControlFlow, time::Instant};

/// Weights of at most this magnitude count as zero: the Lasso's gradient makes weights small but rarely exactly 0.
pub const NEAR_ZERO: f32 = 1e-3;

/// Number of test images whose structural similarity is computed after each epoch. Computing it for all of them would
/// take longer than validation.
pub const SSIM_IMAGES: usize = 1_000;

/// The result of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Settings of the run.
    pub run: Run,
    /// Digests of the training and the test rows.
    pub data: [String; 2],
    /// All widths of the model.
    pub widths: Vec<usize>,
    /// History of the training.
    pub history: History,
    /// Evaluation on the test rows, which are noisy if the run has noise.
    pub test: Evaluation,
    /// Mean structural similarity of the same reconstructions; `None` if rows are no images, or
    /// images are smaller than its window.
    pub test_ssim: Option<f64>,
    /// Mean structural similarity of the first [`SSIM_IMAGES`] test images after each epoch; empty if images are
    /// smaller than its window.
    pub epoch_ssim: Vec<f64>,
    /// Fraction of the encoder's weights whose magnitude is at most [`NEAR_ZERO`].
    pub sparsity: f64,
    /// Seconds from the first step to the end of the last validation.
    pub seconds: f64,
}

/// Returns the fraction of the encoder's weights, without biases, whose magnitude is at most `threshold`.
pub fn encoder_sparsity(model: &Autoencoder, threshold: f32) -> f64 {
    let weights = || model.layers()[..model.encoder_depth()].iter().flat_map(|layer| layer.dense.weight());
    weights().filter(|w| w.abs() <= threshold).count() as f64 / weights().count() as f64
}

/// Trains and evaluates one run.
///
/// # Errors
/// As [`Trainer::fit`], and [`Error::Shape`](autoencoder::Error::Shape) if rows are no images of the given shape.
pub fn run_one(
    run: &Run,
    rows: Rows,
    mut callback: impl FnMut(TrainEvent) -> ControlFlow<()> + Send,
) -> Result<(Autoencoder, Record)> {
    rows.check()?;
    let Rows { train, test, .. } = rows;
    let config = &run.train;
    let mut model = run.model(train.features())?;
    let similarity = Similarity::new(rows, config);

    let start = Instant::now();
    let mut epoch_ssim = Vec::new();
    let trainer = Trainer::new(config.clone()).validation(test).callback(|event| {
        if let TrainEvent::Epoch { model, .. } = event {
            epoch_ssim.extend(similarity.mean(model, SSIM_IMAGES.min(test.len())));
        }
        callback(event)
    });
    let history = trainer.fit(&mut model, train)?;
    let seconds = start.elapsed().as_secs_f64();

    // After early stopping, or a stop within an epoch, the model differs from the one validated last.
    let is_last = config.early_stopping.is_none() && history.epochs.len() == config.epochs;
    let validation = history.epochs.last().filter(|_| is_last).and_then(|epoch| epoch.validation);
    let evaluation = match validation {
        Some(found) => found,
        None => evaluate(&model, test, config.noise.as_ref(), config.seed)?,
    };
    let test_ssim = match epoch_ssim.last() {
        Some(&last) if is_last && test.len() <= SSIM_IMAGES => Some(last),
        _ => similarity.mean(&model, test.len()),
    };
    let record = Record {
        run: run.clone(),
        data: rows.fingerprints(),
        widths: model.widths(),
        history,
        test: evaluation,
        test_ssim,
        epoch_ssim,
        sparsity: encoder_sparsity(&model, NEAR_ZERO),
        seconds,
    };
    Ok((model, record))
}

/// The structural similarity of a model's output for the test images.
struct Similarity {
    shape: Option<(usize, usize)>,
    inputs: Array2<f32>,
    targets: Array2<f32>,
}

impl Similarity {
    fn new(rows: Rows, config: &TrainConfig) -> Self {
        let count = if rows.image_shape.is_some() { rows.test.len() } else { 0 };
        let (clean, targets) = (rows.test.block(0..count), rows.test.target_block(0..count));
        let inputs =
            config.noise.as_ref().map_or_else(|| clean.clone(), |noise| noise.corrupt(&clean, config.seed));
        Self { shape: rows.image_shape, inputs, targets }
    }

    /// Returns the mean over the first `count` images; `None` if rows are no images, or images are too small.
    fn mean(&self, model: &Autoencoder, count: usize) -> Option<f64> {
        let shape = self.shape?;
        let first = s![..count, ..];
        let output = model.reconstruct(&self.inputs.slice(first)).ok()?;
        ssim_mean(&output, &self.targets.slice(first), shape, 1.0).ok()
    }
}
