use crate::{
    data::Dataset,
    error::{Error, Quantity, Result},
    metrics::evaluate,
    nn::Autoencoder,
    random,
    train::{
        Batch, BatchLoss, Checkpoint, CheckpointPolicy, EpochRecord, History, Monitor, Objective, Step,
        TrainConfig, checkpoints::CheckpointWriter, identity::Identity, progress::Progress,
    },
};
use std::{fmt, ops::ControlFlow, time::Instant};

/// What a callback is told.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum TrainEvent<'a> {
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

type Callback<'a> = Box<dyn FnMut(TrainEvent) -> ControlFlow<()> + Send + 'a>;

/// Trains a model over epochs.
///
/// ```
/// use autoencoder::{Autoencoder, data::digits, train::{TrainEvent, TrainConfig, Trainer}};
/// use std::ops::ControlFlow;
/// let (train, test) = (digits::generate(500, 0)?, digits::generate(50, 1)?);
/// let mut model = Autoencoder::builder(784).hidden(&[64]).code(16).build()?;
/// let history = Trainer::new(TrainConfig::new().epochs(20).batch_size(32))
///     .validation(&test)
///     .callback(|event| match event {
///         TrainEvent::Epoch { record, .. } if record.mse < 0.065 => ControlFlow::Break(()),
///         _ => ControlFlow::Continue(()),
///     })
///     .fit(&mut model, &train)?;
/// assert!(history.epochs.len() < 20);
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[must_use]
pub struct Trainer<'a> {
    config: TrainConfig,
    validation: Option<&'a dyn Dataset>,
    callback: Option<Callback<'a>>,
    checkpoints: Option<CheckpointPolicy>,
    resume: Option<Checkpoint>,
}

impl fmt::Debug for Trainer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trainer").field("config", &self.config).finish_non_exhaustive()
    }
}

impl<'a> Trainer<'a> {
    /// A trainer with settings.
    pub fn new(config: TrainConfig) -> Self {
        Self { config, validation: None, callback: None, checkpoints: None, resume: None }
    }

    /// Evaluates the model on these rows after each epoch, with the run's noise if it has any. Validation changes
    /// nothing in training but when it stops early.
    pub fn validation(mut self, samples: &'a dyn Dataset) -> Self {
        self.validation = Some(samples);
        self
    }

    /// Calls back after each batch and each epoch, from a worker thread; a callback that breaks stops training.
    pub fn callback(mut self, callback: impl FnMut(TrainEvent) -> ControlFlow<()> + Send + 'a) -> Self {
        self.callback = Some(Box::new(callback));
        self
    }

    /// Keeps checkpoints of the run: the last ones and the best epoch's, and one where a callback stops it. None is
    /// written from weights that are not finite, and old ones go only once a step from the newest has succeeded: a run
    /// that diverges leaves the last good one.
    pub fn checkpoint(mut self, checkpoints: CheckpointPolicy) -> Self {
        self.checkpoints = Some(checkpoints);
        self
    }

    /// Goes on from a checkpoint, if there is one, to the bits of the run that never stopped; the history is that of
    /// the whole run, seconds and speed apart.
    ///
    /// It must be the same run: the same version of this crate, settings, rows (also for validation) and
    /// architecture, and a model with the run's first weights or the checkpoint's. Two settings may differ: the number
    /// of threads, and that of epochs, as long as the schedule does not depend on it and the checkpoint is not beyond
    /// it.
    pub fn resume(mut self, checkpoint: Checkpoint) -> Self {
        self.resume = Some(checkpoint);
        self
    }

    /// Trains `model` on rows of its width, from the first epoch on (a second call starts order, noise, dropout and
    /// the optimiser's memory anew) or [from a checkpoint](Self::resume).
    ///
    /// The weights are a function of the first weights, the rows and the settings; the number of threads changes
    /// no bit. [Early stopping](TrainConfig::early_stopping) depends on the rows for validation as well.
    ///
    /// # Errors
    /// [`Error::Setting`] or [`Error::Shape`] if a setting or the data do not fit, [`Error::Threads`] if the
    /// threads cannot be started, [`Error::Resume`] if the checkpoint is of another run: the model is then as it was.
    /// [`Error::NotFinite`] as soon as a row, loss, gradient, weight or error in validation is not finite,
    /// [`Error::Data`] at a row outside [0, 1] for the cross-entropy, [`Error::Io`] if a checkpoint cannot be
    /// written: the model is then as the last batch left it; earlier ones are in the checkpoints.
    pub fn fit(self, model: &mut Autoencoder, samples: &dyn Dataset) -> Result<History> {
        self.config.check()?;
        match self.config.threads {
            // Into the pool once, instead of once a phase.
            None => rayon::scope(|_| self.run(model, samples)),
            Some(threads) => pool(threads)?.install(|| self.run(model, samples)),
        }
    }

    /// Refuses what no run can be made of.
    fn check(&self, model: &Autoencoder, samples: &dyn Dataset) -> Result<()> {
        if samples.is_empty() {
            return Err(Error::shape("rows to train on", "at least 1", 0));
        }
        if let Some(rows) = self.validation.filter(|v| v.is_empty() || v.features() != model.inputs()) {
            let expected = format!("at least 1 of {} features", model.inputs());
            let found = format!("{} of {}", rows.len(), rows.features());
            return Err(Error::Shape { what: "rows to validate on", expected, found });
        }
        match self.config.early_stopping {
            Some(stopping) if stopping.monitor.needs_validation() && self.validation.is_none() => {
                let expected = "rows to validate on, or the training loss";
                Err(Error::setting("monitor", stopping.monitor, expected))
            }
            _ => Ok(()),
        }
    }

    fn run(mut self, model: &mut Autoencoder, samples: &dyn Dataset) -> Result<History> {
        self.check(model, samples)?;
        let config = &self.config;
        let batches = samples.len().div_ceil(config.batch_size);
        let steps = (batches as u64).saturating_mul(config.epochs as u64);
        config.schedule.check_steps(steps)?;

        let objective = Objective { loss: config.loss, penalties: config.penalties.clone() };
        let mut step = Step::new(model, objective, config.batch_size.min(samples.len()))?;
        let (mut progress, mut keeper) = self.begin(model, samples)?;
        let config = &self.config;
        let mut tell =
            |event: TrainEvent| self.callback.as_mut().map_or(ControlFlow::Continue(()), |c| c(event));

        while !progress.is_over(config) {
            let (epoch, mut clock) = (progress.epoch(), Instant::now());
            let order = random::shuffled(samples.len(), config.seed, epoch);
            let all = order.chunks(config.batch_size).enumerate();
            for (index, rows) in all.skip(progress.batches_done(batches)) {
                let (noise, seed, number) = (config.noise.as_ref(), config.seed, index + 1);
                let batch = Batch { samples, rows, noise, seed, epoch, number };
                let taken = progress.optimizer.steps();
                let rate = config.schedule.rate(config.learning_rate, taken, batches as u64, steps);
                let loss = step.run(model, &mut progress.optimizer, rate, &batch)?;
                progress.sums.add(&loss, rows.len(), &mut clock);
                if let Some(keeper) = &mut keeper {
                    keeper.after_step(model, &progress, number == batches)?;
                    clock = Instant::now();
                }
                if tell(TrainEvent::Batch { epoch, batch: number, batches, loss }).is_break() {
                    keeper.map_or(Ok(()), |mut keeper| keeper.at_stop(model, &progress))?;
                    return Ok(progress.history);
                }
            }
            let validate = |rows| evaluate(model, rows, config.noise.as_ref(), config.seed);
            let validation = self.validation.map(validate).transpose()?;
            // The last update may have left weights that are finite but too large to be computed with.
            if validation.is_some_and(|found| !found.output.mse.is_finite()) {
                let what = Quantity::Validation;
                return Err(Error::NotFinite { what, layer: None, epoch, batch: batches });
            }
            let record = EpochRecord { validation, ..progress.sums.record(epoch) };
            progress.finish_epoch(record, config, model);
            if let Some(keeper) = &mut keeper {
                keeper.after_epoch(model, &progress)?;
            }
            let record = &progress.history.epochs[epoch - 1];
            if tell(TrainEvent::Epoch { record, model }).is_break() {
                keeper.map_or(Ok(()), |mut keeper| keeper.at_stop(model, &progress))?;
                return Ok(progress.history);
            }
        }
        if let Some(keeper) = &mut keeper {
            keeper.at_end(model, &progress)?;
        }
        if let Some(best) = progress.best {
            *model = best;
        }
        Ok(progress.history)
    }

    /// Where the run begins: at its first step, or where a checkpoint left it, whose weights the model then has.
    fn begin(
        &mut self,
        model: &mut Autoencoder,
        samples: &dyn Dataset,
    ) -> Result<(Progress, Option<CheckpointWriter>)> {
        let (resume, checkpoints) = (self.resume.take(), self.checkpoints.take());
        let mut progress = Progress::new(&self.config, model)?;
        if resume.is_none() && checkpoints.is_none() {
            return Ok((progress, None));
        }
        let (mut run, goes_on) =
            (Identity::of(&self.config, model, samples, self.validation), resume.is_some());
        let mut weights = None;
        if let Some(checkpoint) = resume {
            let resumed = checkpoint.go_on(run, model)?;
            (run, weights, progress) = (resumed.0, Some(resumed.1), resumed.2);
        }
        let monitor = self.validation.map_or(Monitor::TrainingLoss, |_| Monitor::ValidationMse);
        let keeper =
            checkpoints.map(|settings| CheckpointWriter::new(settings, run, monitor, goes_on)).transpose()?;
        if let Some(weights) = weights {
            *model = weights;
        }
        Ok((progress, keeper))
    }
}

/// A pool of worker threads.
pub(crate) fn pool(threads: usize) -> Result<rayon::ThreadPool> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|error| Error::Threads { threads, reason: error.to_string() })
}
