use crate::{
    data::{Dataset, check_weights},
    error::{Error, Quantity, Result},
    metrics::{Evaluation, evaluate},
    nn::Autoencoder,
    random,
    train::{
        Batch, BatchLoss, Checkpoint, CheckpointPolicy, EpochRecord, History, Monitor, Objective, Step,
        TrainConfig,
        checkpoint::{CheckpointWriter, Identity, Progress},
        targets,
    },
};
use std::{fmt, ops::ControlFlow, time::Instant};

/// An event that the callback receives.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum TrainEvent<'a> {
    /// A batch is finished.
    Batch {
        /// The epoch, from 1.
        epoch: usize,
        /// The batch in the epoch, from 1.
        batch: usize,
        /// Batches per epoch.
        batches: usize,
        /// The batch's loss before the update.
        loss: BatchLoss,
    },
    /// An epoch is finished and validated.
    Epoch {
        /// The epoch's results.
        record: &'a EpochRecord,
        /// The model after the epoch.
        model: &'a Autoencoder,
    },
}

type Callback<'a> = Box<dyn FnMut(TrainEvent) -> ControlFlow<()> + Send + 'a>;

/// Trains a model: for each epoch, for each batch, one [`Step`]; then validation, a record and a checkpoint.
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
    /// Creates a trainer with these settings.
    pub fn new(config: TrainConfig) -> Self {
        Self { config, validation: None, callback: None, checkpoints: None, resume: None }
    }

    /// Rows to evaluate the model on after each epoch, with the run's noise if it has any. Validation affects training only
    /// through early stopping.
    pub fn validation(mut self, samples: &'a dyn Dataset) -> Self {
        self.validation = Some(samples);
        self
    }

    /// Function to call after each batch and each epoch, on a worker thread. If it breaks, training stops.
    pub fn callback(mut self, callback: impl FnMut(TrainEvent) -> ControlFlow<()> + Send + 'a) -> Self {
        self.callback = Some(Box::new(callback));
        self
    }

    /// Writes checkpoints during the run, and one where a callback stops it.
    ///
    /// Non-finite weights are never written, and old checkpoints are removed only once a step from the newest one has
    /// succeeded. A run that diverges therefore leaves its last good checkpoint.
    pub fn checkpoint(mut self, checkpoints: CheckpointPolicy) -> Self {
        self.checkpoints = Some(checkpoints);
        self
    }

    /// Continues from a checkpoint, with the same bits as a run that never stopped. The history is that of the whole run;
    /// only seconds and speeds differ.
    ///
    /// The run must be the same: version of this crate, settings, rows (also for validation) and architecture. The model
    /// must have the run's initial weights or the checkpoint's. Two settings may differ: the number of threads, and the
    /// number of epochs if the schedule does not depend on it and the checkpoint is not past it.
    pub fn resume(mut self, checkpoint: Checkpoint) -> Self {
        self.resume = Some(checkpoint);
        self
    }

    /// Trains `model` on rows of its width, from the first epoch or [from a checkpoint](Self::resume). The model learns to
    /// reproduce each row or, if `samples` are [pairs](crate::data::Pairs), to make the target of the input.
    ///
    /// The final weights are a function of the initial weights, the rows and the settings. The number of threads does not
    /// change a bit. With [early stopping](TrainConfig::early_stopping) they also depend on the validation rows. A second
    /// call starts again with the first epoch's order, noise and dropout and with an empty optimizer state.
    ///
    /// # Errors
    /// These errors leave the model unchanged: [`Error::Setting`], [`Error::Shape`] or [`Error::Data`] if a setting or the
    /// data do not fit, [`Error::Threads`] if the threads cannot be started, and [`Error::Resume`] if the checkpoint belongs
    /// to another run. Data do not fit if a target is outside [0, 1] with sigmoid outputs or outside [-1, 1] with tanh outputs:
    /// the outputs cannot reach it. The error names row and column.
    ///
    /// These errors leave the model as it was after the last batch: [`Error::NotFinite`] as soon as a row, the loss, a
    /// gradient, a weight or the validation error is not finite, and [`Error::Io`] if a checkpoint cannot be written.
    pub fn fit(self, model: &mut Autoencoder, samples: &dyn Dataset) -> Result<History> {
        self.config.check()?;
        match self.config.threads {
            // Enters the pool once instead of once per phase.
            None => rayon::scope(|_| self.run(model, samples)),
            Some(threads) => pool(threads)?.install(|| self.run(model, samples)),
        }
    }

    /// Rejects data and settings that do not fit each other.
    fn check(&self, model: &Autoencoder, samples: &dyn Dataset) -> Result<()> {
        if samples.is_empty() {
            return Err(Error::shape("rows to train on", "at least 1", 0));
        }
        if let Some(rows) = self.validation.filter(|v| v.is_empty() || v.features() != model.inputs()) {
            let expected = format!("at least 1 of {} features", model.inputs());
            let found = format!("{} of {}", rows.len(), rows.features());
            return Err(Error::Shape { what: "rows to validate on", expected, found });
        }
        if let Some(stopping) = self.config.early_stopping
            && stopping.monitor.needs_validation()
            && self.validation.is_none()
        {
            let expected = "rows to validate on, or the training loss";
            return Err(Error::setting("monitor", stopping.monitor, expected));
        }
        check_weights(samples)?;
        if samples.features() == model.inputs() {
            targets::check(samples, model.output_layer().activation)?;
        }
        Ok(())
    }

    fn run(mut self, model: &mut Autoencoder, samples: &dyn Dataset) -> Result<History> {
        self.check(model, samples)?;
        let mut session = Session::new(&mut self, model, samples)?;
        while !session.progress.is_over(session.config) {
            if session.epoch(model)?.is_break() {
                return session.stop(model);
            }
        }
        session.finish(model)
    }
}

/// A run in progress.
struct Session<'t, 'a> {
    config: &'t TrainConfig,
    samples: &'t dyn Dataset,
    validation: Option<&'a dyn Dataset>,
    callback: Option<&'t mut Callback<'a>>,
    step: Step,
    progress: Progress,
    checkpoints: Option<CheckpointWriter>,
    /// Batches per epoch.
    batches: usize,
}

impl<'t, 'a> Session<'t, 'a> {
    /// Starts at the first step, or where a checkpoint left the run; the model then has the checkpoint's weights.
    fn new(trainer: &'t mut Trainer<'a>, model: &mut Autoencoder, samples: &'t dyn Dataset) -> Result<Self> {
        let config = &trainer.config;
        let batches = samples.len().div_ceil(config.batch_size);
        config.schedule.check_steps(steps(config, batches))?;
        let objective = Objective { loss: config.loss, penalties: config.penalties.clone() };
        let step = Step::new(model, objective, config.batch_size.min(samples.len()))?;

        let (resume, policy) = (trainer.resume.take(), trainer.checkpoints.take());
        let identity = || Identity::of(config, model, samples, trainer.validation);
        let monitor = trainer.validation.map_or(Monitor::TrainingLoss, |_| Monitor::ValidationMse);
        let open = |policy: Option<CheckpointPolicy>, run: Identity, resumed: bool| {
            policy.map(|policy| CheckpointWriter::new(policy, run, monitor, resumed)).transpose()
        };
        let (progress, checkpoints) = match (resume, policy) {
            (None, None) => (Progress::new(config, model)?, None),
            (None, policy) => (Progress::new(config, model)?, open(policy, identity(), false)?),
            (Some(checkpoint), policy) => {
                let (run, weights, progress) = checkpoint.resume(identity(), model)?;
                let checkpoints = open(policy, run, true)?;
                *model = weights;
                (progress, checkpoints)
            }
        };
        let (validation, callback) = (trainer.validation, trainer.callback.as_mut());
        Ok(Self { config, samples, validation, callback, step, progress, checkpoints, batches })
    }

    /// One epoch: steps, validation, record, checkpoint. Breaks if a callback says so.
    fn epoch(&mut self, model: &mut Autoencoder) -> Result<ControlFlow<()>> {
        let epoch = self.progress.epoch();
        if self.steps(model, epoch)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let validation = self.validate(model, epoch)?;
        let record = EpochRecord { validation, ..self.progress.sums.record(epoch) };
        self.progress.finish_epoch(record, self.config, model);
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.after_epoch(model, &self.progress)?;
        }
        let record = &self.progress.history.epochs[epoch - 1];
        Ok(call(&mut self.callback, TrainEvent::Epoch { record, model }))
    }

    /// The steps of an epoch that are not done yet.
    fn steps(&mut self, model: &mut Autoencoder, epoch: usize) -> Result<ControlFlow<()>> {
        let Self { config, batches, .. } = *self;
        let order = random::shuffled(self.samples.len(), config.seed, epoch);
        let done = self.progress.batches_done(batches);
        let mut clock = Instant::now();
        for (index, rows) in order.chunks(config.batch_size).enumerate().skip(done) {
            let batch = Batch {
                samples: self.samples,
                rows,
                noise: config.noise.as_ref(),
                seed: config.seed,
                epoch,
                number: index + 1,
            };
            let optimizer = &mut self.progress.optimizer;
            let taken = optimizer.steps();
            let rate =
                config.schedule.rate(config.learning_rate, taken, batches as u64, steps(config, batches));
            let loss = self.step.run(model, optimizer, rate, &batch)?;
            self.progress.sums.add(&loss, rows.len(), &mut clock);
            if let Some(checkpoints) = &mut self.checkpoints {
                checkpoints.after_step(model, &self.progress, batch.number == batches)?;
                clock = Instant::now();
            }
            let event = TrainEvent::Batch { epoch, batch: batch.number, batches, loss };
            if call(&mut self.callback, event).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn validate(&self, model: &Autoencoder, epoch: usize) -> Result<Option<Evaluation>> {
        let Some(rows) = self.validation else { return Ok(None) };
        let found = evaluate(model, rows, self.config.noise.as_ref(), self.config.seed)?;
        // The last update may have left weights that are finite but too large to compute with.
        if !found.output.mse.is_finite() {
            let what = Quantity::Validation;
            return Err(Error::NotFinite { what, layer: None, row: None, epoch, batch: self.batches });
        }
        Ok(Some(found))
    }

    /// Ends a run that a callback stopped.
    fn stop(mut self, model: &Autoencoder) -> Result<History> {
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.at_stop(model, &self.progress)?;
        }
        Ok(self.progress.history)
    }

    /// Ends a run that took all its steps.
    fn finish(mut self, model: &mut Autoencoder) -> Result<History> {
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.at_end(model, &self.progress)?;
        }
        if let Some(best) = self.progress.best {
            *model = best;
        }
        Ok(self.progress.history)
    }
}

fn call(callback: &mut Option<&mut Callback>, event: TrainEvent) -> ControlFlow<()> {
    match callback {
        Some(callback) => callback(event),
        None => ControlFlow::Continue(()),
    }
}

/// Steps of the whole run.
fn steps(config: &TrainConfig, batches: usize) -> u64 {
    (batches as u64).saturating_mul(config.epochs as u64)
}

/// A pool of worker threads.
fn pool(threads: usize) -> Result<rayon::ThreadPool> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|error| Error::Threads { threads, reason: error.to_string() })
}
