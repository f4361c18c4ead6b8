use super::{
    identity::Identity,
    progress::{Progress, Sums},
};
use crate::{
    error::{Error, Result},
    files::write_atomic,
    nn::{
        Autoencoder,
        files::{
            model::{self, Contents},
            safetensors::Tensor,
            seal,
        },
    },
    train::{History, OptimizerState, TrainConfig},
};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

pub(super) const KEY: &str = "checkpoint";
/// The version of the files, also of those of custom loops. Files of version 1 had no digest.
pub(super) const VERSION: u32 = 2;

/// Prefixes of the tensors that are not the model's weights.
pub(super) const FIRST: &str = "moments.first.";
pub(super) const SECOND: &str = "moments.second.";
const BEST: &str = "best.";

/// The state of a run after a step: weights, the optimizer's moments, the finished epochs, the sums of the unfinished
/// one, the settings, and fingerprints of the rows and the initial weights.
///
/// A run that [resumes](crate::train::Trainer::resume) from a checkpoint, in another process and on any number of threads,
/// ends with the same bits as one that never stopped.
///
/// The file is in the safetensors format. The model's tensors have the names that [`Autoencoder::save`] gives them, the
/// moments start with `moments.first.` and `moments.second.`, and the best epoch's weights, if they are to be restored, with
/// `best.`. Everything else is JSON in the metadata, beside a SHA-256 digest of all metadata, names and values. A file whose
/// content has another digest is refused, so that a run does not continue from damaged weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    run: Identity,
    model: Autoencoder,
    progress: Progress,
    pub(super) damaged: Vec<Damaged>,
}

/// A file of a checkpoint that [`Checkpoint::latest`] could not use.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damaged {
    /// The file. It is not removed.
    pub path: PathBuf,
    /// The error that reading it gave.
    pub reason: String,
}

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// The metadata of a file.
#[derive(Serialize, Deserialize)]
struct Metadata {
    version: u32,
    run: Identity,
    step: u64,
    history: History,
    sums: Sums,
}

impl Checkpoint {
    /// Reads a checkpoint.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read, [`Error::Format`] if it is not a valid checkpoint or is damaged.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = File::open(path).map_err(Error::io(path))?;
        Self::read_from(file, &path.display().to_string())
    }

    /// Reads a checkpoint from the bytes of a file. Errors call the file `name`.
    ///
    /// # Errors
    /// [`Error::Format`] if they are not a valid checkpoint or are damaged.
    pub fn from_safetensors(file: &[u8], name: &str) -> Result<Self> {
        Self::read_from(file, name)
    }

    fn read_from(stream: impl Read, name: &str) -> Result<Self> {
        Self::from_contents(&Contents::read(stream, name)?, name)
    }

    pub(super) fn from_contents(contents: &Contents, name: &str) -> Result<Self> {
        let invalid = |expected: &str, found: &dyn fmt::Display| {
            Error::format(name, "metadata `checkpoint`", expected, found)
        };
        if contents.metadata(KEY).is_empty() {
            let found = match contents.metadata("optimizer") {
                "" => "a model; load it with Autoencoder::load",
                _ => "a checkpoint of your own loop; load it with OptimizerState::load",
            };
            return Err(Error::format(name, "content", "a checkpoint of a run", found));
        }
        let Metadata { version, run, step, history, sums } =
            serde_json::from_str(contents.metadata(KEY)).map_err(|error| invalid("a checkpoint", &error))?;
        check_version(version).map_err(|(expected, found)| invalid(&expected, &found))?;
        contents.check_intact()?;
        run.config.check().map_err(|error| invalid("settings", &error))?;
        check_position(&run, step, &history, &sums).map_err(|(expected, found)| invalid(expected, &found))?;

        let stopping = run.config.early_stopping.filter(|stopping| stopping.restore_best);
        let has_best = stopping.is_some_and(|stopping| stopping.best_epoch(&history.epochs).is_some());
        contents.check_names(if has_best { &["", FIRST, SECOND, BEST] } else { &["", FIRST, SECOND] })?;
        let model = contents.model("")?;
        let first = contents.parameters(FIRST)?;
        let second = contents.parameters(SECOND)?;
        let best = has_best.then(|| contents.model(BEST)).transpose()?;
        let optimizer = OptimizerState::from_file(run.config.optimizer, step, first, second, name)?;
        let progress = Progress { optimizer, history, sums, best };
        Ok(Self { run, model, progress, damaged: vec![] })
    }

    /// Writes the state of a run.
    pub(crate) fn write(path: &Path, run: &Identity, model: &Autoencoder, progress: &Progress) -> Result<()> {
        let optimizer = &progress.optimizer;
        let best = progress.best.as_ref();
        let depth = model.encoder_depth();
        let mut tensors = tensors(model, optimizer);
        if let Some(best) = best {
            tensors.extend(model::tensors(BEST, depth, best.parameters()));
        }
        let metadata = Metadata {
            version: VERSION,
            run: run.clone(),
            step: progress.optimizer.steps(),
            history: progress.history.clone(),
            sums: progress.sums,
        };
        let serialize = || {
            let mut entries = model::metadata(model)?;
            entries.insert(KEY.to_owned(), serde_json::to_string(&metadata)?);
            seal::serialize(&tensors, entries)
        };
        let file = serialize().map_err(Error::io(path))?;
        write_atomic(path, |out| out.write_all(&file))
    }

    /// The run's identity, model and progress, for `run` to continue from.
    ///
    /// # Errors
    /// [`Error::Resume`] if `run`, whose model is `run_model`, is another run.
    pub(crate) fn resume(
        self,
        run: Identity,
        run_model: &Autoencoder,
    ) -> Result<(Identity, Autoencoder, Progress)> {
        let run = self.run.resume(&self.model, self.progress.best.as_ref(), run, run_model)?;
        let epochs = run.config.epochs;
        // The checkpoint may be past the requested number of epochs.
        if self.epoch() - usize::from(self.batch() == 0) > epochs {
            let finished = self.epoch() - 1;
            let checkpoint = match self.batch() {
                0 => format!("{finished} finished"),
                batches => format!("{finished} finished and {batches} batches of the next"),
            };
            return Err(Error::Resume { what: "epochs", checkpoint, run: epochs.to_string() });
        }
        Ok((run, self.model, self.progress))
    }

    /// The newer checkpoints of the folder that are damaged, if [`latest`](Self::latest) had to fall back to this one.
    pub fn damaged(&self) -> &[Damaged] {
        &self.damaged
    }

    pub(super) fn into_state(self) -> (Autoencoder, OptimizerState) {
        (self.model, self.progress.optimizer)
    }

    /// The model with the weights after the last step.
    pub fn model(&self) -> &Autoencoder {
        &self.model
    }

    /// The run's settings, without the number of threads.
    pub fn config(&self) -> &TrainConfig {
        &self.run.config
    }

    /// The finished epochs.
    pub fn history(&self) -> &History {
        &self.progress.history
    }

    /// The number of steps taken.
    pub fn step(&self) -> u64 {
        self.progress.optimizer.steps()
    }

    /// The unfinished epoch, from 1.
    pub fn epoch(&self) -> usize {
        self.progress.epoch()
    }

    /// The number of finished batches of that epoch.
    pub fn batch(&self) -> usize {
        self.progress.batches_done(batches(&self.run))
    }
}

/// The tensors of a model and of its optimizer.
pub(super) fn tensors(model: &Autoencoder, optimizer: &OptimizerState) -> Vec<Tensor> {
    let depth = model.encoder_depth();
    let mut tensors = model::tensors("", depth, model.parameters());
    tensors.extend(model::tensors(FIRST, depth, optimizer.first.views()));
    tensors.extend(model::tensors(SECOND, depth, optimizer.second.views()));
    tensors
}

/// Checks the version of a file. The error says what was expected and what was found.
pub(super) fn check_version(version: u32) -> std::result::Result<(), (String, String)> {
    if version == VERSION {
        return Ok(());
    }
    let remedy = "finish the run with the version of the crate that wrote it, or start the run again";
    Err((format!("version {VERSION}"), format!("version {version}; {remedy}")))
}

/// Batches of an epoch.
fn batches(run: &Identity) -> usize {
    run.rows.rows.div_ceil(run.config.batch_size)
}

/// Checks that step, finished epochs and the unfinished one's sums are consistent. The error has the expected and the found
/// value.
fn check_position(
    run: &Identity,
    step: u64,
    history: &History,
    sums: &Sums,
) -> std::result::Result<(), (&'static str, String)> {
    let (epochs, batches) = (history.epochs.len(), batches(run) as u64);
    if epochs > run.config.epochs || !history.epochs.iter().map(|epoch| epoch.epoch).eq(1..=epochs) {
        return Err(("epochs from 1 to at most the run's", format!("{epochs}")));
    }
    let done = (epochs as u64).checked_mul(batches).and_then(|before| step.checked_sub(before));
    let left = if epochs < run.config.epochs { batches } else { 0 };
    let Some(done) = done.filter(|done| *done <= left) else {
        return Err((
            "a step of the unfinished epoch",
            format!("step {step} after {epochs} epochs of {batches}"),
        ));
    };
    let rows = done.saturating_mul(run.config.batch_size as u64).min(run.rows.rows as u64);
    if sums.rows != rows as f64 {
        return Err((
            "the sums of the batches that are done",
            format!("those of {} rows, not {rows}", sums.rows),
        ));
    }
    Ok(())
}
