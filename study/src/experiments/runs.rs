//! The runs of one invocation, which its experiments share.

use super::records;
use crate::{
    cli::Failure,
    sweep::{Record, WorkQueue},
};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    path::PathBuf,
    sync::Arc,
};

/// The runs of one invocation.
pub struct Runs {
    pub(super) folder: PathBuf,
    pub(super) queue: Option<Arc<dyn WorkQueue>>,
    pub(super) done: RefCell<HashMap<String, Record>>,
    pub(super) reused: Cell<usize>,
    pub(super) failed: Cell<usize>,
}

/// How long the runs of one invocation took.
pub struct Effort {
    /// Number of runs, reused ones included.
    pub runs: usize,
    /// Runs that an earlier invocation trained.
    pub reused: usize,
    /// Sum of the training times, reused runs included.
    pub seconds: f64,
}

impl Runs {
    /// Creates runs that store their records and models in a folder.
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            queue: None,
            done: RefCell::default(),
            reused: Cell::default(),
            failed: Cell::default(),
        }
    }

    /// Shares out the runs over several processes, which must sweep the same runs in the same order.
    pub fn queue(self, queue: Arc<dyn WorkQueue>) -> Self {
        Self { queue: Some(queue), ..self }
    }

    /// Returns the number of runs and their training time.
    pub fn effort(&self) -> Effort {
        let done = self.done.borrow();
        let seconds = done.values().map(|record| record.seconds).sum();
        Effort { runs: done.len(), reused: self.reused.get(), seconds }
    }

    /// Returns the records, ordered by data set, model and settings.
    pub fn records(&self) -> Vec<Record> {
        let mut records: Vec<Record> = self.done.borrow().values().cloned().collect();
        records.sort_by_key(|record| {
            let run = &record.run;
            (run.dataset.clone(), run.hidden.clone(), run.code, records::title(run), run.id())
        });
        records
    }

    /// Returns an error if a run has failed.
    pub fn result(&self) -> Result<(), Failure> {
        match self.failed.get() {
            0 => Ok(()),
            failed => Err(Failure::Runs(failed)),
        }
    }
}
