//! A grid of runs to records, each kept in a file as soon as its run is finished.
//!
//! A killed sweep loses at most the runs in flight; started again with `resume` it reads the records that stand and
//! goes on. A run that fails is reported and the sweep goes on.

use crate::{
    Error, Result, atomic,
    data::Dataset,
    metrics::{Quality, ssim_mean},
    nn::{Autoencoder, Init},
    train::{Evaluation, Event, History, TrainConfig, Trainer},
};
use ndarray::Array2;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{fs, ops::ControlFlow, path::Path, time::Instant};

/// Weights of at most this magnitude count as zero: the Lasso's gradient drives weights near 0, not to it.
pub const NEAR_ZERO: f32 = 1e-3;

/// One run: a mirrored model, how it is trained, and on what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The name of the data set.
    pub dataset: String,
    /// Widths of the encoder's hidden layers.
    pub hidden: Vec<usize>,
    /// Width of the code.
    pub code: usize,
    /// Rate of dropout in the hidden layers.
    pub dropout: f32,
    /// How weights and biases start.
    pub init: Init,
    /// How the model is trained. The seed is that of the first weights too.
    pub train: TrainConfig,
}

impl Run {
    /// The untrained model for images of `inputs` pixels.
    ///
    /// # Errors
    /// As [`Builder::build`](crate::nn::Builder::build).
    pub fn model(&self, inputs: usize) -> Result<Autoencoder> {
        let builder = Autoencoder::builder(inputs).hidden(&self.hidden).code(self.code);
        builder.dropout(self.dropout).init(self.init).seed(self.train.seed).build()
    }

    /// What tells the run from every other: a digest of all that decides its result. The number of threads does
    /// not.
    pub fn id(&self) -> String {
        let mut run = self.clone();
        run.train.threads = None;
        let json = serde_json::to_vec(&run).unwrap_or_default();
        Sha256::digest(json).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What a run reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The run.
    pub run: Run,
    /// How many images it was trained on.
    pub train_images: usize,
    /// All widths of the model.
    pub widths: Vec<usize>,
    /// Its epochs.
    pub history: History,
    /// The test images, noisy if the run has noise, against the clean ones.
    pub test: Evaluation,
    /// The mean structural similarity of the same; `None` where images are too small for its window.
    pub test_ssim: Option<f64>,
    /// The share of the encoder's weights of at most [`NEAR_ZERO`].
    pub sparsity: f64,
    /// Seconds of training and validation.
    pub seconds: f64,
}

/// A run's record, or why it has none.
#[derive(Debug)]
pub struct Outcome {
    /// The run.
    pub run: Run,
    /// What it reached.
    pub record: Result<Record>,
    /// Whether the record was there already.
    pub resumed: bool,
}

/// What a data set is trained on and measured on.
#[derive(Debug, Clone, Copy)]
pub struct Images<'a> {
    /// For training.
    pub train: &'a Dataset,
    /// For validation after each epoch, and for the record.
    pub test: &'a Dataset,
}

/// Does one run.
///
/// # Errors
/// As [`Trainer::fit`].
pub fn run_one(
    run: &Run,
    images: Images,
    callback: impl FnMut(Event) -> ControlFlow<()> + Send,
) -> Result<(Autoencoder, Record)> {
    let Images { train, test } = images;
    let mut model = run.model(train.features())?;
    let start = Instant::now();
    let trainer = Trainer::new(run.train.clone()).validate(test).callback(callback);
    let history = trainer.fit(&mut model, train)?;
    let seconds = start.elapsed().as_secs_f64();

    let clean = test.to_array();
    let noisy = run.train.noise.map(|noise| noise.corrupt(clean.view(), run.train.seed));
    let output = model.reconstruct(noisy.as_ref().unwrap_or(&clean).view())?;
    let quality = |images: &Array2<f32>| Quality::of(images.view(), clean.view(), 1.0);
    let record = Record {
        run: run.clone(),
        train_images: train.len(),
        widths: model.widths(),
        history,
        test: Evaluation { output: quality(&output)?, noisy_input: noisy.as_ref().map(quality).transpose()? },
        test_ssim: ssim_mean(output.view(), clean.view(), test.image_shape(), 1.0).ok(),
        sparsity: model.encoder_sparsity(NEAR_ZERO),
        seconds,
    };
    Ok((model, record))
}

/// Does all runs, one after the other, and gives their outcomes in order. Records and models stand under `folder` as
/// `<id>.json` and `<id>.safetensors`.
///
/// `images` finds a data set by its name; `callback` hears of the run's number (from 0) and its events. A callback
/// that breaks ends the sweep: the run in flight is not kept, and the outcomes are those before it. With `resume`,
/// runs whose record stands are not done again.
///
/// # Errors
/// [`Error::Io`] if the folder cannot be made. What goes wrong with a run, or with its files, is in its outcome.
pub fn run<'a>(
    runs: &[Run],
    folder: &Path,
    resume: bool,
    images: impl Fn(&str) -> Result<Images<'a>>,
    mut callback: impl FnMut(usize, Event) -> ControlFlow<()> + Send,
) -> Result<Vec<Outcome>> {
    fs::create_dir_all(folder).map_err(Error::io(folder))?;
    let mut outcomes = Vec::with_capacity(runs.len());
    for (number, run) in runs.iter().enumerate() {
        let path = folder.join(run.id()).with_extension("json");
        let (mut resumed, mut stopped) = (false, false);
        let record = images(&run.dataset).and_then(|images| {
            if let Some(record) = stored(&path, run, images).filter(|_| resume) {
                resumed = true;
                return Ok(record);
            }
            let (model, record) = run_one(run, images, |event| {
                let flow = callback(number, event);
                stopped |= flow.is_break();
                flow
            })?;
            if stopped { Ok(record) } else { keep(&path, &model, record) }
        });
        if stopped {
            break;
        }
        outcomes.push(Outcome { run: run.clone(), record, resumed });
    }
    Ok(outcomes)
}

/// The record of exactly this run on as many images, if it stands there whole.
fn stored(path: &Path, run: &Run, images: Images) -> Option<Record> {
    let record: Record = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    (record.run.id() == run.id() && record.train_images == images.train.len()).then_some(record)
}

/// Keeps the model, then the record, which stands for both.
fn keep(path: &Path, model: &Autoencoder, record: Record) -> Result<Record> {
    model.save(path.with_extension("safetensors"))?;
    let json = serde_json::to_vec_pretty(&record).map_err(std::io::Error::from).map_err(Error::io(path))?;
    atomic::write(path, |file| file.write_all(&json))?;
    Ok(record)
}
