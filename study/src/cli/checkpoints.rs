//! Checkpoints of a command's run, in a folder beside its results.

use super::{Failure, files, say};
use autoencoder::{
    Trainer,
    train::{Checkpoint, CheckpointPolicy},
};
use clap::Args;
use std::{
    num::NonZeroU64,
    path::{Path, PathBuf},
};

/// Flags for checkpoints.
#[derive(Debug, Args)]
pub struct CheckpointFlags {
    /// Saves a checkpoint every N steps, in checkpoints/ in the folder for the results
    #[arg(long)]
    checkpoint_every: Option<NonZeroU64>,
    /// Continues from the last checkpoint, if there is one, and saves further ones, after each epoch by default
    #[arg(long)]
    resume: bool,
}

/// The checkpoint to continue from, if any, and those to write.
pub struct Checkpoints {
    latest: Option<Checkpoint>,
    policy: Option<CheckpointPolicy>,
}

impl CheckpointFlags {
    /// Loads the last checkpoint if the run is to be continued, and says so.
    pub fn load(&self, out: &Path) -> Result<Checkpoints, Failure> {
        let folder = out.join("checkpoints");
        let latest = if self.resume { Checkpoint::latest(&folder)? } else { None };
        if self.resume && latest.is_none() {
            say(&format!("no checkpoint in {}: starting from the first step", folder.display()))?;
        }
        if let Some(checkpoint) = &latest {
            for damaged in checkpoint.damaged() {
                say(&format!("passed over a damaged checkpoint: {damaged}"))?;
            }
            say(&format!("resuming after step {}", checkpoint.step()))?;
        }
        // A continued run saves checkpoints as before, unless a flag says otherwise.
        let interval = folder.join("interval.txt");
        let every = match self.checkpoint_every {
            Some(every) => Some(every.get()),
            None if latest.is_some() => stored(&interval),
            None => None,
        };
        // A run that can be resumed needs checkpoints. Without an interval, there is one per epoch.
        let keeps = every.is_some() || self.resume;
        if keeps && !self.resume && !is_free(&folder)? {
            let text =
                "has the checkpoints of an earlier run: pass --resume to continue it, or another --out";
            return Err(Failure::Flags(format!("{} {text}", folder.display())));
        }
        if let Some(every) = every {
            files::create_folder(&folder)?;
            files::write_text(&interval, &format!("{every}\n"))?;
        }
        let policy = CheckpointPolicy { every, ..CheckpointPolicy::new(folder) };
        Ok(Checkpoints { latest, policy: keeps.then_some(policy) })
    }
}

/// Returns whether a folder has no checkpoints, which a new run must not mix with its own.
fn is_free(folder: &Path) -> Result<bool, Failure> {
    Ok(!folder.exists() || Checkpoint::latest(folder)?.is_none())
}

fn stored(interval: &PathBuf) -> Option<u64> {
    std::fs::read_to_string(interval).ok()?.trim().parse().ok().filter(|&every| every > 0)
}

impl Checkpoints {
    /// Sets the trainer up.
    pub fn apply<'a>(self, mut trainer: Trainer<'a>) -> Trainer<'a> {
        if let Some(latest) = self.latest {
            trainer = trainer.resume(latest);
        }
        match self.policy {
            Some(policy) => trainer.checkpoint(policy),
            None => trainer,
        }
    }
}
