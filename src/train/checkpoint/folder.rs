use super::{Checkpoint, Damaged, Identity, Progress};
use crate::{
    error::{Error, Result},
    group::{Group, agree_if},
    nn::Autoencoder,
    train::{Monitor, Step},
};
use std::{
    fs, io, mem,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Where a run stores its checkpoints and which ones it keeps: the last few as `step-<step>.safetensors`, and that of the
/// best epoch as `best-<step>.safetensors`.
///
/// The best epoch is that of [early stopping](crate::train::EarlyStopping). Without early stopping it is the epoch with the
/// lowest validation MSE, and without validation the one with the lowest training loss.
///
/// ```
/// use autoencoder::{Autoencoder, TrainConfig, Trainer, data::digits, train::{Checkpoint, CheckpointPolicy}};
/// let folder = tempfile::tempdir().expect("a scratch folder");
/// let train = digits::generate(500, 0)?;
/// let new_model = || Autoencoder::builder(784).code(16).build();
/// let trainer = || Trainer::new(TrainConfig::new().epochs(2));
///
/// let mut model = new_model()?;
/// trainer().checkpoint(CheckpointPolicy::new(folder.path()).every(3)).fit(&mut model, &train)?;
///
/// // In another process, perhaps: from the last checkpoint, or from the start if there is none.
/// let mut resumed = new_model()?;
/// let mut trainer = trainer();
/// if let Some(checkpoint) = Checkpoint::latest(folder.path())? {
///     trainer = trainer.resume(checkpoint);
/// }
/// trainer.fit(&mut resumed, &train)?;
/// assert_eq!(resumed, model);
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct CheckpointPolicy {
    /// Folder of the checkpoints, created if necessary.
    pub folder: PathBuf,
    /// Steps between checkpoints. Default: those of an epoch.
    pub every: Option<u64>,
    /// Number of recent checkpoints to keep. Default: 2.
    pub keep_last: usize,
}

impl CheckpointPolicy {
    /// Writes a checkpoint after each epoch into `folder`, which is created if necessary, and keeps the last two.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), every: None, keep_last: 2 }
    }

    /// Steps between checkpoints. Default: one checkpoint per epoch.
    pub fn every(mut self, steps: u64) -> Self {
        self.every = Some(steps);
        self
    }

    /// Number of checkpoints to keep beside the best one. Default: 2.
    pub fn keep_last(mut self, count: usize) -> Self {
        self.keep_last = count;
        self
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// [`Error::Setting`] if one is 0.
    fn check(&self) -> Result<()> {
        if self.every == Some(0) {
            return Err(Error::setting("every", 0, "at least 1"));
        }
        if self.keep_last == 0 {
            return Err(Error::setting("keep_last", 0, "at least 1"));
        }
        Ok(())
    }
}

impl Checkpoint {
    /// Loads the latest checkpoint in a folder. Returns `None` if there is none.
    ///
    /// If it is damaged, the one before is loaded, and [`damaged`](Self::damaged) says which files were passed over and
    /// why. The run that resumes repeats the steps since, with the same bits. Damaged files are not removed.
    ///
    /// # Errors
    /// [`Error::Format`] if all checkpoints are damaged: the error is that of the latest one. [`Error::Io`] if the folder
    /// or a file cannot be read.
    pub fn latest(folder: impl AsRef<Path>) -> Result<Option<Self>> {
        let folder = folder.as_ref();
        let mut files = files(folder)?;
        files.sort_by_key(|(kind, step)| (*step, *kind));
        let mut newest_error = None;
        let mut damaged = vec![];
        for (kind, step) in files.into_iter().rev() {
            let path = kind.path(folder, step);
            match Self::load(&path) {
                Ok(mut checkpoint) => {
                    checkpoint.damaged = damaged;
                    return Ok(Some(checkpoint));
                }
                Err(error @ Error::Format { .. }) => {
                    damaged.push(Damaged { path, reason: error.to_string() });
                    newest_error.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        newest_error.map_or(Ok(None), Err)
    }

    /// Removes all checkpoints from a folder, so that a new run can use it. Returns the number of removed files. Other
    /// files stay, and so does the folder.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be read or a file cannot be removed.
    pub fn clear(folder: impl AsRef<Path>) -> Result<usize> {
        let folder = folder.as_ref();
        let files = files(folder)?;
        for &(kind, step) in &files {
            remove(&kind.path(folder, step))?;
        }
        Ok(files.len())
    }

    /// Loads the checkpoint of the best epoch. Returns `None` if there is none. It does not fall back to another one,
    /// which would not be the best.
    ///
    /// # Errors
    /// As [`load`](Self::load), and [`Error::Io`] if the folder cannot be read.
    pub fn best(folder: impl AsRef<Path>) -> Result<Option<Self>> {
        let folder = folder.as_ref();
        let best = files(folder)?.into_iter().rfind(|(kind, _)| *kind == Kind::Best);
        best.map(|(kind, step)| Self::load(kind.path(folder, step))).transpose()
    }
}

/// Why a checkpoint is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Best,
    Step,
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Best => "best-",
            Self::Step => "step-",
        }
    }

    fn path(self, folder: &Path, step: u64) -> PathBuf {
        folder.join(format!("{}{step:012}.safetensors", self.prefix()))
    }
}

/// The checkpoints in a folder, in order of kind and step.
fn files(folder: &Path) -> Result<Vec<(Kind, u64)>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        entries => entries.map_err(Error::io(folder))?,
    };
    let mut files = vec![];
    for entry in entries {
        let name = entry.map_err(Error::io(folder))?.file_name();
        for kind in [Kind::Best, Kind::Step] {
            let step = name.to_str().and_then(|name| name.strip_prefix(kind.prefix()));
            let step = step.and_then(|name| name.strip_suffix(".safetensors")?.parse().ok());
            // Skip directories and any name that is not exactly the one we would write.
            let step = step.filter(|step| {
                let path = kind.path(folder, *step);
                path.ends_with(&name) && path.is_file()
            });
            files.extend(step.map(|step| (kind, step)));
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Removes a file, unless somebody else has.
fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(path)(error)),
        _ => Ok(()),
    }
}

/// Writes and removes the checkpoints of a run. In a group the first process does, and the others wait for it.
pub(crate) struct CheckpointWriter {
    settings: CheckpointPolicy,
    group: Option<Arc<dyn Group>>,
    run: Identity,
    best: (Monitor, f64),
    /// Steps and finished epochs at the last `step-` file.
    written: Option<(u64, usize)>,
    /// True if old files can be removed once a step from the newest checkpoint has succeeded.
    has_old: bool,
}

impl CheckpointWriter {
    /// Unless the run is `resumed`, the folder must not have checkpoints. `monitor` finds the best epoch where early
    /// stopping does not.
    pub(crate) fn new(
        settings: CheckpointPolicy,
        group: Option<Arc<dyn Group>>,
        run: Identity,
        monitor: Monitor,
        resumed: bool,
    ) -> Result<Self> {
        settings.check()?;
        if is_writer(group.as_ref()) {
            let folder = &settings.folder;
            fs::create_dir_all(folder).map_err(Error::io(folder))?;
            if !resumed && !files(folder)?.is_empty() {
                let expected = "a folder without checkpoints of another run: resume from them, or remove them with Checkpoint::clear";
                return Err(Error::setting("folder", format_args!("{}", folder.display()), expected));
            }
        }
        let best = run.config.early_stopping.map(|stopping| (stopping.monitor, stopping.min_improvement));
        let best = best.unwrap_or((monitor, 0.0));
        Ok(Self { settings, group, run, best, written: None, has_old: resumed })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.settings.folder
    }

    /// To be called after each step. The `last` one of an epoch gets its checkpoint at the epoch's end.
    pub(crate) fn after_step(
        &mut self,
        model: &Autoencoder,
        progress: &mut Progress,
        step: &mut Step,
        last: bool,
    ) -> Result<()> {
        // The step has shown that the newest checkpoint can be trained from.
        if mem::take(&mut self.has_old) {
            self.remove_old(progress)?;
        }
        let steps = progress.optimizer.steps();
        if !last && self.settings.every.is_some_and(|every| steps.is_multiple_of(every)) {
            self.write(Kind::Step, model, progress, step)?;
        }
        Ok(())
    }

    /// To be called after each validated epoch.
    pub(crate) fn after_epoch(
        &mut self,
        model: &Autoencoder,
        progress: &mut Progress,
        step: &mut Step,
    ) -> Result<()> {
        let steps = progress.optimizer.steps();
        if self.settings.every.is_none_or(|every| steps.is_multiple_of(every)) {
            self.write(Kind::Step, model, progress, step)?;
        }
        let (monitor, min_improvement) = self.best;
        let epochs = &progress.history.epochs;
        if monitor.best_epoch(min_improvement, epochs) == Some(epochs.len()) {
            self.write(Kind::Best, model, progress, step)?;
        }
        Ok(())
    }

    /// To be called when a callback stops the run.
    pub(crate) fn at_stop(
        &mut self,
        model: &Autoencoder,
        progress: &mut Progress,
        step: &mut Step,
    ) -> Result<()> {
        if self.written != Some(position(progress)) {
            self.write(Kind::Step, model, progress, step)?;
        }
        Ok(())
    }

    /// To be called after the last epoch.
    pub(crate) fn at_end(
        &mut self,
        model: &Autoencoder,
        progress: &mut Progress,
        step: &mut Step,
    ) -> Result<()> {
        self.at_stop(model, progress, step)?;
        self.remove_old(progress)
    }

    /// Non-finite values are not written, so that the last good checkpoint remains.
    fn write(
        &mut self,
        kind: Kind,
        model: &Autoencoder,
        progress: &mut Progress,
        step: &mut Step,
    ) -> Result<()> {
        step.gather_moments(model, &mut progress.optimizer)?;
        if !progress.is_finite(model) {
            return Ok(());
        }
        let path = kind.path(&self.settings.folder, progress.optimizer.steps());
        self.in_first(|| Checkpoint::write(&path, &self.run, model, progress))?;
        self.has_old = true;
        if kind == Kind::Step {
            self.written = Some(position(progress));
        }
        Ok(())
    }

    /// Changes files in the first process. All processes succeed or fail together.
    fn in_first(&self, change: impl FnOnce() -> Result<()>) -> Result<()> {
        let group = self.group.as_ref();
        agree_if(group, if is_writer(group) { change() } else { Ok(()) })
    }

    /// Removes the files older than those to keep. After resuming from an earlier checkpoint, files of later steps may
    /// exist; they belong to this run and stay.
    fn remove_old(&self, progress: &Progress) -> Result<()> {
        self.in_first(|| {
            let folder = &self.settings.folder;
            let mut files = files(folder)?;
            files.retain(|(_, step)| *step <= progress.optimizer.steps());
            for (kind, count) in [(Kind::Best, 1), (Kind::Step, self.settings.keep_last)] {
                let steps: Vec<_> = files.iter().filter(|file| file.0 == kind).map(|file| file.1).collect();
                for &step in &steps[..steps.len().saturating_sub(count)] {
                    remove(&kind.path(folder, step))?;
                }
            }
            Ok(())
        })
    }
}

/// Returns true if this process writes the files of its group.
fn is_writer(group: Option<&Arc<dyn Group>>) -> bool {
    group.is_none_or(|group| group.rank() == 0)
}

fn position(progress: &Progress) -> (u64, usize) {
    (progress.optimizer.steps(), progress.history.epochs.len())
}
