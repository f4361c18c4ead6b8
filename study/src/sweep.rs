//! Trains a grid of models and writes a record of each as soon as it is finished.
//!
//! A killed sweep loses at most the runs in flight. Restarted with `resume`, it reuses finished records and continues.
//! A run that fails is reported, and the sweep continues.

use crate::errors;
use autoencoder::{
    Autoencoder, Dataset, Error, ImageSet, Init, Result, TrainConfig, Trainer,
    files::{sha256_hex, write_atomic},
    metrics::{Evaluation, evaluate, ssim_mean},
    train::{History, Objective, Step, TrainEvent},
};
use ndarray::s;
use serde::{Deserialize, Serialize};
use std::{
    fs, iter,
    ops::ControlFlow,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Instant,
};

/// Weights of at most this magnitude count as zero: the Lasso's gradient makes weights small but rarely exactly 0.
pub const NEAR_ZERO: f32 = 1e-3;

/// Number of test images whose structural similarity is computed after each epoch. Computing it for all of them would
/// take longer than validation.
pub const SSIM_IMAGES: usize = 1_000;

/// One run: a mirrored model, its data set and its training settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Name of the data set.
    pub dataset: String,
    /// Widths of the encoder's hidden layers.
    pub hidden: Vec<usize>,
    /// Width of the code.
    pub code: usize,
    /// Dropout rate of the hidden layers.
    pub dropout: f32,
    /// Initialization of weights and biases.
    pub init: Init,
    /// Training settings. Their seed also determines the initial weights.
    pub train: TrainConfig,
}

impl Run {
    /// Returns the untrained model for images of `inputs` pixels.
    ///
    /// # Errors
    /// As [`Builder::build`](autoencoder::nn::AutoencoderBuilder::build).
    pub fn model(&self, inputs: usize) -> Result<Autoencoder> {
        let builder = Autoencoder::builder(inputs).hidden(&self.hidden).code(self.code);
        builder.dropout(self.dropout).init(self.init).seed(self.train.seed).build()
    }

    /// Checks every setting for images of `inputs` pixels, as a run does before it starts.
    ///
    /// # Errors
    /// If a setting is invalid; the error names the first one.
    pub fn check(&self, inputs: usize) -> Result<()> {
        let model = self.model(inputs)?;
        let objective = Objective { loss: self.train.loss, penalties: self.train.penalties.clone() };
        Step::new(&model, objective, 1)?;
        self.train.check()
    }

    /// Returns a digest of everything that determines the result, which identifies the run. The number of threads is
    /// not part of it.
    pub fn id(&self) -> String {
        let mut run = self.clone();
        run.train.threads = None;
        let json = serde_json::to_vec(&run).unwrap_or_default();
        sha256_hex(&json)[..16].to_owned()
    }
}

/// The result of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Settings of the run.
    pub run: Run,
    /// Digests of the training and the test images.
    pub data: [String; 2],
    /// All widths of the model.
    pub widths: Vec<usize>,
    /// History of the training.
    pub history: History,
    /// Evaluation on the test images, which are noisy if the run has noise.
    pub test: Evaluation,
    /// Mean structural similarity of the same reconstructions; `None` if images are smaller than its window.
    pub test_ssim: Option<f64>,
    /// Mean structural similarity of the first [`SSIM_IMAGES`] test images after each epoch; empty if images are
    /// smaller than its window.
    pub epoch_ssim: Vec<f64>,
    /// Fraction of the encoder's weights whose magnitude is at most [`NEAR_ZERO`].
    pub sparsity: f64,
    /// Seconds from the first step to the end of the last validation.
    pub seconds: f64,
}

/// A run's record, or the error that prevented it.
#[derive(Debug)]
pub struct Outcome {
    /// Settings of the run.
    pub run: Run,
    /// The record or the error.
    pub record: Result<Record>,
    /// True if the record existed before the sweep.
    pub resumed: bool,
}

/// The images of a data set.
#[derive(Debug, Clone, Copy)]
pub struct Images<'a> {
    /// Training images.
    pub train: &'a ImageSet,
    /// Test images, for validation after each epoch and for the record.
    pub test: &'a ImageSet,
}

impl Images<'_> {
    fn fingerprints(&self) -> [String; 2] {
        [self.train.fingerprint(), self.test.fingerprint()]
    }
}

/// Returns the fraction of the encoder's weights, without biases, whose magnitude is at most `threshold`.
pub fn encoder_sparsity(model: &Autoencoder, threshold: f32) -> f64 {
    let weights = || model.layers()[..model.encoder_depth()].iter().flat_map(|layer| layer.dense.weight());
    weights().filter(|w| w.abs() <= threshold).count() as f64 / weights().count() as f64
}

/// Trains and evaluates one run.
///
/// # Errors
/// As [`Trainer::fit`].
pub fn run_one(
    run: &Run,
    images: Images,
    mut callback: impl FnMut(TrainEvent) -> ControlFlow<()> + Send,
) -> Result<(Autoencoder, Record)> {
    let Images { train, test } = images;
    let config = &run.train;
    let mut model = run.model(train.features())?;
    let clean = test.to_array();
    let noisy = config.noise.as_ref().map(|noise| noise.corrupt(&clean, config.seed));
    let input = noisy.as_ref().unwrap_or(&clean);
    // Uses the first `count` test images; `None` if images are too small.
    let ssim = |model: &Autoencoder, count: usize| -> Option<f64> {
        let first = s![..count, ..];
        let output = model.reconstruct(&input.slice(first)).ok()?;
        ssim_mean(&output, &clean.slice(first), test.image_shape(), 1.0).ok()
    };

    let start = Instant::now();
    let mut epoch_ssim = Vec::new();
    let trainer = Trainer::new(config.clone()).validation(test).callback(|event| {
        if let TrainEvent::Epoch { model, .. } = event {
            epoch_ssim.extend(ssim(model, SSIM_IMAGES.min(test.len())));
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
        _ => ssim(&model, test.len()),
    };
    let record = Record {
        run: run.clone(),
        data: images.fingerprints(),
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

/// A sweep over a grid of runs.
///
/// Records and models are stored in its folder as `<id>.json` and `<id>.safetensors`.
#[derive(Debug, Clone)]
#[must_use]
pub struct Sweep<'a> {
    folder: &'a Path,
    resume: bool,
    jobs: usize,
}

impl<'a> Sweep<'a> {
    /// Creates a sweep that stores its records in `folder`, trains one model at a time, and repeats finished runs.
    pub fn new(folder: &'a Path) -> Self {
        Self { folder, resume: false, jobs: 1 }
    }

    /// Sets whether to skip runs that have a record. Default: false.
    pub fn resume(mut self, resume: bool) -> Self {
        self.resume = resume;
        self
    }

    /// Sets the number of concurrent runs. Default: 1.
    ///
    /// Each uses an equal fraction of the threads of the `rayon` pool that calls [`run`](Self::run), whatever its own
    /// settings say. The results do not depend on it. Several runs at once use many cores better than one.
    pub fn jobs(mut self, jobs: usize) -> Self {
        self.jobs = jobs;
        self
    }

    /// Trains the models and returns the outcomes in the order of `runs`.
    ///
    /// `images` finds a data set by its name. `callback` receives the index of a run and its events. If it breaks, the
    /// sweep ends: runs in flight are discarded, and only outcomes of finished runs are returned.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be created, [`Error::Threads`] if threads cannot be started. Errors of a
    /// single run, or of its files, are in its outcome.
    pub fn run<'d>(
        &self,
        runs: &[Run],
        images: impl Fn(&str) -> Result<Images<'d>> + Sync,
        callback: impl FnMut(usize, TrainEvent) -> ControlFlow<()> + Send,
    ) -> Result<Vec<Outcome>> {
        fs::create_dir_all(self.folder).map_err(errors::io(self.folder))?;
        let jobs = self.jobs.clamp(1, runs.len().max(1));
        let threads = rayon::current_num_threads();
        let share = |job: usize| (threads / jobs + usize::from(job < threads % jobs)).max(1);
        let pools = (0..jobs).map(|job| pool(share(job))).collect::<Result<Vec<_>>>()?;

        let waiting = Mutex::new(runs.iter().enumerate());
        let callback = Mutex::new(callback);
        let stopped = AtomicBool::new(false);
        let next = || waiting.lock().ok()?.next().filter(|_| !stopped.load(Relaxed));
        let tell = |number, event: TrainEvent| {
            // Another run's callback may have asked to stop, or panicked.
            let told = callback.lock().ok().filter(|_| !stopped.load(Relaxed));
            let flow = told.map_or(ControlFlow::Break(()), |mut callback| callback(number, event));
            stopped.fetch_or(flow.is_break(), Relaxed);
            flow
        };
        // Not a parallel iterator: a thread that waits for a run's pool would start another run in the meantime.
        let outcomes = pool(jobs)?.broadcast(|job| {
            let outcome = |(number, run)| {
                let tell = |event: TrainEvent| tell(number, event);
                let outcome = pools[job.index()].install(|| self.outcome(run, &images, tell));
                outcome.map(|outcome| (number, outcome))
            };
            iter::from_fn(next).filter_map(outcome).collect::<Vec<_>>()
        });
        let mut outcomes: Vec<_> = outcomes.into_iter().flatten().collect();
        outcomes.sort_by_key(|(number, _)| *number);
        Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
    }

    /// Returns the outcome of one run, or `None` if the callback stopped it.
    fn outcome<'d>(
        &self,
        run: &Run,
        images: impl Fn(&str) -> Result<Images<'d>>,
        mut callback: impl FnMut(TrainEvent) -> ControlFlow<()> + Send,
    ) -> Option<Outcome> {
        let path = self.folder.join(run.id()).with_extension("json");
        let (mut resumed, mut stopped) = (false, false);
        let record = images(&run.dataset).and_then(|images| {
            if let Some(record) = self.resume.then(|| stored(&path, run, images)).flatten() {
                resumed = true;
                return Ok(record);
            }
            let mut shared = run.clone();
            shared.train.threads = None;
            let (model, record) = run_one(&shared, images, |event| {
                let flow = callback(event);
                stopped |= flow.is_break();
                flow
            })?;
            if stopped { Ok(record) } else { keep(&path, &model, record) }
        });
        (!stopped).then(|| Outcome { run: run.clone(), record, resumed })
    }
}

fn pool(threads: usize) -> Result<rayon::ThreadPool> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|error| Error::Threads { threads, reason: error.to_string() })
}

/// Returns the stored record if it is of exactly this run and these images, and its model is complete, too.
fn stored(path: &Path, run: &Run, images: Images) -> Option<Record> {
    let record: Record = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    let same = record.run.id() == run.id() && record.data == images.fingerprints();
    let model = Autoencoder::load(path.with_extension("safetensors")).ok().filter(|_| same)?;
    (model.widths() == record.widths).then_some(record)
}

/// Stores the model, then the record: a record implies that its model is complete.
fn keep(path: &Path, model: &Autoencoder, record: Record) -> Result<Record> {
    model.save(path.with_extension("safetensors"))?;
    let json = serde_json::to_vec_pretty(&record).map_err(std::io::Error::from).map_err(errors::io(path))?;
    write_atomic(path, |file| file.write_all(&json))?;
    Ok(record)
}
