use crate::{
    data::{Noise, Samples},
    error::{Error, Quantity, Result},
    metrics,
    nn::{Autoencoder, Loss, Penalty},
    random,
    train::{Batch, BatchLoss, EpochRecord, History, Objective, Optimizer, OptimizerState, Step, evaluate},
};
use serde::{Deserialize, Serialize};
use std::{fmt, ops::ControlFlow, time::Instant};

const MAX_THREADS: usize = 1024;

/// The settings of a training run. Set through the methods, read through the fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct TrainConfig {
    /// Passes over the training rows; 10.
    pub epochs: usize,
    /// Rows of a step; 128.
    pub batch_size: usize,
    /// The optimiser's learning rate; 0.001.
    pub learning_rate: f32,
    /// The loss; MSE.
    pub loss: Loss,
    /// Terms added to the loss; none.
    pub penalties: Vec<Penalty>,
    /// The optimiser; Adam.
    pub optimizer: Optimizer,
    /// What corrupts the inputs, in training and validation; nothing.
    pub noise: Option<Noise>,
    /// The seed of order, noise and dropout; 0.
    pub seed: u64,
    /// Worker threads of a pool of the run's own; `None` runs on the pool that training is called in.
    pub threads: Option<usize>,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 10,
            batch_size: 128,
            learning_rate: 0.001,
            loss: Loss::default(),
            penalties: Vec::new(),
            optimizer: Optimizer::default(),
            noise: None,
            seed: 0,
            threads: None,
        }
    }
}

impl TrainConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the number of epochs.
    pub fn epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
        self
    }

    /// Sets the rows of a step.
    pub fn batch_size(mut self, rows: usize) -> Self {
        self.batch_size = rows;
        self
    }

    /// Sets the learning rate.
    pub fn learning_rate(mut self, rate: f32) -> Self {
        self.learning_rate = rate;
        self
    }

    /// Sets the loss.
    pub fn loss(mut self, loss: Loss) -> Self {
        self.loss = loss;
        self
    }

    /// Adds a penalty.
    pub fn penalty(mut self, penalty: Penalty) -> Self {
        self.penalties.push(penalty);
        self
    }

    /// Sets the optimiser.
    pub fn optimizer(mut self, optimizer: Optimizer) -> Self {
        self.optimizer = optimizer;
        self
    }

    /// Sets the noise: a denoising autoencoder.
    pub fn noise(mut self, noise: Noise) -> Self {
        self.noise = Some(noise);
        self
    }

    /// Sets the seed of order, noise and dropout. The first weights have the builder's.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the number of worker threads.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Checks every setting; training does so before it starts.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first one outside its range.
    pub fn check(&self) -> Result<()> {
        if self.epochs == 0 {
            return Err(Error::setting("epochs", self.epochs, "at least 1"));
        }
        if self.batch_size == 0 {
            return Err(Error::setting("batch size", self.batch_size, "at least 1"));
        }
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return Err(Error::setting("learning rate", self.learning_rate, "a finite number above 0"));
        }
        if let Some(threads) = self.threads.filter(|threads| !(1..=MAX_THREADS).contains(threads)) {
            return Err(Error::setting("threads", threads, "1 to 1024"));
        }
        self.penalties.iter().try_for_each(|penalty| penalty.check())?;
        self.optimizer.check()
    }
}

/// What a callback is told.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A batch is done.
    Batch {
        /// The epoch, from 1.
        epoch: usize,
        /// The batch in the epoch, from 1.
        batch: usize,
        /// Batches of an epoch.
        batches: usize,
        /// What the batch's step found.
        loss: BatchLoss,
    },
    /// An epoch is done and validated.
    Epoch {
        /// What it reached.
        record: &'a EpochRecord,
        /// The model as it is now, to be kept if it is the best so far.
        model: &'a Autoencoder,
    },
}

type Callback<'a> = Box<dyn FnMut(Event) -> ControlFlow<()> + Send + 'a>;

/// Trains a model over epochs.
///
/// ```
/// use autoencoder::{Autoencoder, data::digits, train::{Event, TrainConfig, Trainer}};
/// use std::ops::ControlFlow;
/// let (train, test) = (digits::generate(500, 0)?, digits::generate(50, 1)?);
/// let mut model = Autoencoder::builder(784).hidden(&[64]).code(16).build()?;
/// let history = Trainer::new(TrainConfig::new().epochs(20).batch_size(32))
///     .validate(&test)
///     .callback(|event| match event {
///         Event::Epoch { record, .. } if record.mse < 0.065 => ControlFlow::Break(()),
///         _ => ControlFlow::Continue(()),
///     })
///     .fit(&mut model, &train)?;
/// assert!(history.epochs.len() < 20);
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[must_use]
pub struct Trainer<'a> {
    config: TrainConfig,
    validation: Option<&'a dyn Samples>,
    callback: Option<Callback<'a>>,
}

impl fmt::Debug for Trainer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trainer").field("config", &self.config).finish_non_exhaustive()
    }
}

impl<'a> Trainer<'a> {
    /// A trainer with settings.
    pub fn new(config: TrainConfig) -> Self {
        Self { config, validation: None, callback: None }
    }

    /// Evaluates the model on these rows after each epoch, with the run's noise if it has any. Validation changes
    /// nothing in training.
    pub fn validate(mut self, samples: &'a dyn Samples) -> Self {
        self.validation = Some(samples);
        self
    }

    /// Calls back after each batch and each epoch, from a worker thread; a callback that breaks stops training.
    pub fn callback(mut self, callback: impl FnMut(Event) -> ControlFlow<()> + Send + 'a) -> Self {
        self.callback = Some(Box::new(callback));
        self
    }

    /// Trains `model` on rows of its width, from the first epoch on: a second call starts order, noise, dropout and
    /// the optimiser's memory anew.
    ///
    /// The weights are a function of the first weights, the rows and the settings; the number of threads changes
    /// no bit.
    ///
    /// # Errors
    /// [`Error::Setting`] or [`Error::Shape`] if a setting or the data do not fit, [`Error::Threads`] if the
    /// threads cannot be started, [`Error::NotFinite`] as soon as a loss, gradient, weight or error in validation is
    /// not finite. The model is then as the last batch left it; to keep an earlier one, clone it in a callback.
    pub fn fit(self, model: &mut Autoencoder, samples: &dyn Samples) -> Result<History> {
        self.config.check()?;
        match self.config.threads {
            // Into the pool once, instead of once a phase.
            None => rayon::scope(|_| self.run(model, samples)),
            Some(threads) => pool(threads)?.install(|| self.run(model, samples)),
        }
    }

    fn run(mut self, model: &mut Autoencoder, samples: &dyn Samples) -> Result<History> {
        let config = &self.config;
        if samples.is_empty() {
            return Err(Error::shape("rows to train on", "at least 1", 0));
        }
        if let Some(rows) = self.validation.filter(|v| v.is_empty() || v.features() != model.inputs()) {
            let expected = format!("at least 1 of {} features", model.inputs());
            let found = format!("{} of {}", rows.len(), rows.features());
            return Err(Error::Shape { what: "rows to validate on", expected, found });
        }
        let objective = Objective { loss: config.loss, penalties: config.penalties.clone() };
        let mut step = Step::new(model, objective, config.batch_size.min(samples.len()))?;
        let mut optimizer = OptimizerState::new(config.optimizer, model)?;
        let mut tell = |event: Event| self.callback.as_mut().map_or(ControlFlow::Continue(()), |c| c(event));

        let mut history = History::default();
        for epoch in 1..=config.epochs {
            let start = Instant::now();
            let mut sums = Sums::default();
            let order = random::shuffled(samples.len(), config.seed, epoch);
            let batches = order.chunks(config.batch_size);
            let count = batches.len();
            for (index, rows) in batches.enumerate() {
                let (noise, seed, number) = (config.noise.as_ref(), config.seed, index + 1);
                let batch = Batch { samples, rows, noise, seed, epoch, number };
                let loss = step.run(model, &mut optimizer, config.learning_rate, &batch)?;
                sums.add(&loss, rows.len());
                if tell(Event::Batch { epoch, batch: number, batches: count, loss }).is_break() {
                    return Ok(history);
                }
            }
            let seconds = start.elapsed().as_secs_f64();
            let validate = |rows| evaluate(model, rows, config.noise.as_ref(), config.seed);
            let validation = self.validation.map(validate).transpose()?;
            // The last update may have left weights that are finite but too large to be computed with.
            if validation.is_some_and(|found| !found.output.mse.is_finite()) {
                let what = Quantity::Validation;
                return Err(Error::NotFinite { what, layer: None, epoch, batch: count });
            }
            history.epochs.push(EpochRecord { validation, ..sums.record(epoch, seconds) });
            let record = &history.epochs[history.epochs.len() - 1];
            if tell(Event::Epoch { record, model }).is_break() {
                break;
            }
        }
        Ok(history)
    }
}

/// A pool of worker threads.
pub(crate) fn pool(threads: usize) -> Result<rayon::ThreadPool> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|source| Error::Threads { threads, source })
}

/// Sums over the rows of an epoch: a short last batch counts by its rows.
#[derive(Default)]
struct Sums {
    rows: f64,
    data: f64,
    penalty: f64,
    mse: f64,
}

impl Sums {
    fn add(&mut self, loss: &BatchLoss, rows: usize) {
        let rows = rows as f64;
        self.rows += rows;
        self.data += rows * loss.data;
        self.penalty += rows * loss.penalty;
        self.mse += rows * loss.mse;
    }

    fn record(&self, epoch: usize, seconds: f64) -> EpochRecord {
        let mse = self.mse / self.rows;
        EpochRecord {
            epoch,
            loss: (self.data + self.penalty) / self.rows,
            data_loss: self.data / self.rows,
            mse,
            psnr_db: metrics::psnr_db(mse, 1.0),
            images_per_second: self.rows / seconds,
            seconds,
            validation: None,
        }
    }
}
