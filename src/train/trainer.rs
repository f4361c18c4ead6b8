use crate::{
    data::{Augmentation, Dataset, check_weights},
    error::{Error, Quantity, Result},
    group::{self, Group, agree_if},
    metrics::{Evaluation, evaluate_with_loss},
    nn::Autoencoder,
    random,
    train::{
        Batch, BatchLoss, Checkpoint, CheckpointPolicy, EarlyStopping, EpochRecord, History, Monitor,
        Objective, RunEnd, Step, TrainConfig,
        checkpoint::{CheckpointWriter, Identity, Progress},
        targets,
        together::{self, Together},
    },
};
use std::{fmt, ops::ControlFlow, sync::Arc, time::Instant};

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
type Score<'a> = Box<dyn FnMut(&EpochRecord, &Autoencoder) -> f64 + Send + 'a>;

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
    score: Option<Score<'a>>,
    checkpoints: Option<CheckpointPolicy>,
    resume: Option<Checkpoint>,
    group: Option<Arc<dyn Group>>,
}

impl fmt::Debug for Trainer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trainer").field("config", &self.config).finish_non_exhaustive()
    }
}

impl<'a> Trainer<'a> {
    /// Creates a trainer with these settings.
    pub fn new(config: TrainConfig) -> Self {
        Self {
            config,
            validation: None,
            callback: None,
            score: None,
            checkpoints: None,
            resume: None,
            group: None,
        }
    }

    /// Sets the rows to evaluate the model on after each epoch, with the run's noise if it has any. Validation affects training only
    /// through early stopping.
    pub fn validation(mut self, samples: &'a dyn Dataset) -> Self {
        self.validation = Some(samples);
        self
    }

    /// Sets the function that scores the model after each epoch, on a worker thread: the higher, the better. It needs no
    /// validation rows. The record of the epoch keeps its value, and [`Monitor::Score`] lets early stopping and checkpoints choose the best epoch by it.
    ///
    /// The function is no part of the run's identity. To get the same bits from a resumed run, pass the same function.
    ///
    /// ```
    /// use autoencoder::{Autoencoder, TrainConfig, Trainer, data::digits, metrics::Roc};
    /// use autoencoder::train::{EarlyStopping, Monitor};
    /// let (zeros, others) = (digits::generate(300, 0)?.select(&[0, 10, 20])?, digits::generate(9, 1)?);
    /// let is_other: Vec<_> = (0..12).map(|row| row >= 3).collect();
    /// let mut model = Autoencoder::builder(784).code(8).build()?;
    /// let stopping = EarlyStopping::new(3).monitor(Monitor::Score).restore_best();
    /// let history = Trainer::new(TrainConfig::new().epochs(20).early_stopping(stopping))
    ///     .score(|_, model| {
    ///         let errors = |rows| model.reconstruction_errors(rows).expect("rows of the model's width");
    ///         let errors = [errors(&zeros), errors(&others)].concat();
    ///         Roc::from_scores(&errors, &is_other).expect("finite errors of both kinds").area()
    ///     })
    ///     .fit(&mut model, &zeros)?;
    /// assert!(history.epochs.iter().all(|epoch| epoch.score.is_some()));
    /// # Ok::<(), autoencoder::Error>(())
    /// ```
    pub fn score(mut self, score: impl FnMut(&EpochRecord, &Autoencoder) -> f64 + Send + 'a) -> Self {
        self.score = Some(Box::new(score));
        self
    }

    /// Sets the function to call after each batch and each epoch, on a worker thread. If it breaks, training stops, and the model
    /// keeps its weights unless early stopping [restores the best](crate::train::EarlyStopping::restore_best).
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
    /// must have the run's initial weights, the checkpoint's or those of its best epoch. Two settings may differ: the number of threads, and the
    /// number of epochs if the schedule does not depend on it and the checkpoint is not past it.
    pub fn resume(mut self, checkpoint: Checkpoint) -> Self {
        self.resume = Some(checkpoint);
        self
    }

    /// Trains with the other processes of a group, to the bits of a single process. Every process makes the same calls, up to
    /// [`fit`](Self::fit), with the same model, rows and settings; only the number of threads may differ. Each then has the
    /// trained model and the history.
    ///
    /// The callback and the function that scores epochs are called in the first process alone, and count for all. The first
    /// process writes the checkpoints, into a folder that all must see; to resume, every process loads the same one.
    ///
    /// # Errors
    /// If one process fails in [`fit`](Self::fit), all do: [`Error::Disagreement`] says in what the processes differ, and
    /// [`Error::Rank`] what happened in another process.
    pub fn group(mut self, group: Arc<dyn Group>) -> Self {
        self.group = Some(group);
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
    /// to another run. Data do not fit if a value is not finite, or if a target is outside [0, 1] with sigmoid outputs or outside
    /// [-1, 1] with tanh outputs: the outputs cannot reach it. This includes the validation rows. The error names row and
    /// column.
    ///
    /// These errors leave the model as it was after the last batch: [`Error::NotFinite`] as soon as the loss, a gradient, a
    /// weight, the validation error or a score is not finite, and [`Error::Io`] if a checkpoint cannot be written.
    pub fn fit(self, model: &mut Autoencoder, samples: &dyn Dataset) -> Result<History> {
        agree_if(self.group.as_ref(), self.config.check())?;
        match self.config.threads {
            // Enters the pool once instead of once per phase.
            None => rayon::scope(|_| self.run(model, samples)),
            Some(threads) => pool(threads)?.install(|| self.run(model, samples)),
        }
    }

    /// Rejects data and settings that do not fit each other.
    fn check(&self, model: &Autoencoder, samples: &dyn Dataset) -> Result<()> {
        if samples.is_empty() {
            return Err(Error::shape("rows to train on", format_args!("at least 1"), 0));
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
        if let Some(EarlyStopping { monitor: Monitor::Score, .. }) = self.config.early_stopping
            && self.score.is_none()
            && self.is_first()
        {
            return Err(Error::setting("monitor", Monitor::Score, "a function set with `Trainer::score`"));
        }
        check_weights(samples)?;
        let output = model.output_layer().activation;
        if samples.features() == model.inputs() {
            targets::check(samples, targets::TRAINING, output)?;
        }
        self.validation.map_or(Ok(()), |rows| targets::check(rows, targets::VALIDATION, output))
    }

    /// Returns true if this process's callbacks are called.
    fn is_first(&self) -> bool {
        self.group.as_ref().is_none_or(|group| group.rank() == 0)
    }

    fn run(mut self, model: &mut Autoencoder, samples: &dyn Dataset) -> Result<History> {
        let group = self.group.clone();
        agree_if(group.as_ref(), self.check(model, samples))?;
        if let Some(group) = &group {
            let identity = Identity::of(&self.config, model, samples, self.validation);
            let mut facts = identity.facts_of(model);
            facts.extend(together::checkpoint_facts(self.resume.as_ref(), self.checkpoints.as_ref()));
            group::check_same(&**group, &facts)?;
        }
        let mut session = agree_if(group.as_ref(), Session::new(&mut self, model, samples))?;
        if let Some(group) = group {
            if let Some(checkpoints) = &session.checkpoints {
                // Where each process has a folder of its own, only the first could resume.
                group::check_shared(&*group, checkpoints.folder())?;
            }
            session.join(group)?;
        }
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
    score: Option<&'t mut Score<'a>>,
    step: Step,
    progress: Progress,
    checkpoints: Option<CheckpointWriter>,
    together: Option<Together>,
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
        let mut step = Step::new(model, objective, config.batch_size.min(samples.len()))?;
        if let Some(frozen) = &config.freeze {
            step = step.freeze(frozen)?;
        }
        if let Some(max_norm) = config.clip_norm {
            step = step.clip_norm(model, max_norm)?;
        }
        if let Some(augmentation) = config.augmentation {
            Augmentation::check_targets(samples)?;
            step = step.augmentation(augmentation)?;
        }
        if let Some(group) = &trainer.group {
            step = step.group(model, group.clone())?;
        }

        let (resume, policy) = (trainer.resume.take(), trainer.checkpoints.take());
        let identity = || Identity::of(config, model, samples, trainer.validation);
        let monitor = default_monitor(trainer.validation);
        let open = |policy: Option<CheckpointPolicy>, run: Identity, resumed: bool| {
            let group = trainer.group.clone();
            policy.map(|policy| CheckpointWriter::new(policy, group, run, monitor, resumed)).transpose()
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
        let (validation, callback, score) =
            (trainer.validation, trainer.callback.as_mut(), trainer.score.as_mut());
        let together = None;
        Ok(Self {
            config,
            samples,
            validation,
            callback,
            score,
            step,
            progress,
            checkpoints,
            together,
            batches,
        })
    }

    /// Trains with the other processes from now on. Callbacks are those of the first process.
    fn join(&mut self, group: Arc<dyn Group>) -> Result<()> {
        if group.rank() != 0 {
            self.callback = None;
            self.score = None;
        }
        self.together = Some(Together::start(group, self.callback.is_some(), self.score.is_some())?);
        Ok(())
    }

    /// One epoch: steps, validation, record, checkpoint. Returns `Break` if the callback asks to stop.
    fn epoch(&mut self, model: &mut Autoencoder) -> Result<ControlFlow<()>> {
        let epoch = self.progress.epoch();
        if self.steps(model, epoch)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let (validation, validation_loss) = self.validate(model, epoch)?.unzip();
        let mut record = EpochRecord { validation, validation_loss, ..self.progress.sums.record(epoch) };
        record.score = self.score(&record, model)?;
        self.progress.finish_epoch(record, self.config, model);
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.after_epoch(model, &mut self.progress, &mut self.step)?;
        }
        let record = &self.progress.history.epochs[epoch - 1];
        call(&mut self.callback, &mut self.together, TrainEvent::Epoch { record, model })
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
                let last = batch.number == batches;
                checkpoints.after_step(model, &mut self.progress, &mut self.step, last)?;
                clock = Instant::now();
            }
            let event = TrainEvent::Batch { epoch, batch: batch.number, batches, loss };
            if call(&mut self.callback, &mut self.together, event)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The quality of the reconstructions and the loss on the validation rows.
    fn validate(&mut self, model: &Autoencoder, epoch: usize) -> Result<Option<(Evaluation, f64)>> {
        let Some(rows) = self.validation else { return Ok(None) };
        let TrainConfig { loss, noise, seed, .. } = self.config;
        let exchange = self.together.as_mut().map(|together| &mut together.exchange);
        let (found, loss) = evaluate_with_loss(model, rows, noise.as_ref(), *seed, *loss, exchange)?;
        // The last update may have left weights that are finite but too large to compute with.
        for value in [found.output.mse, loss] {
            finite(value, Quantity::Validation, epoch, self.batches)?;
        }
        Ok(Some((found, loss)))
    }

    /// The value of the function that scores epochs, if there is one.
    fn score(&mut self, record: &EpochRecord, model: &Autoencoder) -> Result<Option<f64>> {
        let own = self.score.as_mut().map(|score| score(record, model));
        let score = match &mut self.together {
            Some(together) => together.score(own)?,
            None => own,
        };
        score.map(|score| finite(score, Quantity::Score, record.epoch, self.batches)).transpose()
    }

    /// Ends a run that a callback stopped.
    fn stop(mut self, model: &mut Autoencoder) -> Result<History> {
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.at_stop(model, &mut self.progress, &mut self.step)?;
        }
        Ok(self.end(RunEnd::Callback, model))
    }

    /// Ends a run that a callback did not stop.
    fn finish(mut self, model: &mut Autoencoder) -> Result<History> {
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.at_end(model, &mut self.progress, &mut self.step)?;
        }
        let has_all = self.progress.history.epochs.len() >= self.config.epochs;
        Ok(self.end(if has_all { RunEnd::AllEpochs } else { RunEnd::EarlyStopping }, model))
    }

    /// Restores the best weights, if they are to be restored, and completes the history.
    fn end(self, end: RunEnd, model: &mut Autoencoder) -> History {
        let Progress { mut history, best, .. } = self.progress;
        history.end = Some(end);
        history.best_epoch = match self.config.early_stopping {
            Some(stopping) => stopping.best_epoch(&history.epochs),
            None => default_monitor(self.validation).best_epoch(0.0, &history.epochs),
        };
        history.restored_epoch = history.best_epoch.filter(|_| best.is_some());
        if let Some(best) = best {
            *model = best;
        }
        history
    }
}

/// The metric of the best epoch without early stopping.
fn default_monitor(validation: Option<&dyn Dataset>) -> Monitor {
    validation.map_or(Monitor::TrainingLoss, |_| Monitor::ValidationMse)
}

fn finite(value: f64, what: Quantity, epoch: usize, batch: usize) -> Result<f64> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Error::NotFinite { what, layer: None, row: None, epoch, batch })
    }
}

/// Passes an event to the callback, and returns its answer or that of the first process.
fn call(
    callback: &mut Option<&mut Callback>,
    together: &mut Option<Together>,
    event: TrainEvent,
) -> Result<ControlFlow<()>> {
    let own = callback.as_mut().map_or(ControlFlow::Continue(()), |callback| callback(event));
    match together {
        Some(together) => together.flow(own),
        None => Ok(own),
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
