//! Trains a grid of models and writes a record of each as soon as it is finished.
//!
//! A killed sweep loses at most the runs in flight. Restarted with `resume`, it reuses finished records and continues.
//! A run that fails is reported, and the sweep continues.
//!
//! Several processes can train the runs of one sweep: see [`WorkQueue`].

mod queue;
mod record;
mod rows;
mod run;

pub use queue::{Alone, Next, WorkQueue};
pub use record::{NEAR_ZERO, Record, SSIM_IMAGES, encoder_sparsity, run_one};
pub use rows::Rows;
pub use run::{Activations, Run};

use crate::errors;
use autoencoder::{Autoencoder, Error, Result, files::write_atomic, train::TrainEvent};
use rayon::ThreadPool;
use std::{
    fs, iter,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

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

/// A sweep over a grid of runs.
///
/// Records and models are stored in its folder as `<id>.json` and `<id>.safetensors`.
#[derive(Debug, Clone)]
#[must_use]
pub struct Sweep {
    folder: PathBuf,
    resume: bool,
    jobs: usize,
    queue: Arc<dyn WorkQueue>,
}

impl Sweep {
    /// Creates a sweep that stores its records in `folder`, trains one model at a time, and repeats finished runs.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), resume: false, jobs: 1, queue: Arc::new(Alone) }
    }

    /// Sets whether to skip runs that have a record. Default: false, which replaces their records.
    ///
    /// The outcome of a run whose record is of other rows is an [`Error::Format`], and the record stays.
    pub fn resume(mut self, resume: bool) -> Self {
        self.resume = resume;
        self
    }

    /// Sets the number of concurrent runs. Default: 1; 0 means 1, too.
    ///
    /// Each uses an equal fraction of the threads of the `rayon` pool that calls [`run`](Self::run), whatever its own
    /// settings say. The results do not depend on it. Several runs at once use many cores better than one.
    pub fn jobs(mut self, jobs: usize) -> Self {
        self.jobs = jobs;
        self
    }

    /// Shares out the runs over several processes. Default: [`Alone`].
    ///
    /// Each process must have the same runs and data sets, and a folder on a file system that all see. A process trains the runs
    /// that it takes from the queue and stores their records. All return the same outcomes, except that the error of a run
    /// of another process is [`Error::Rank`].
    pub fn queue(mut self, queue: Arc<dyn WorkQueue>) -> Self {
        self.queue = queue;
        self
    }

    /// Trains the models and returns the outcomes in the order of `runs`.
    ///
    /// `rows` finds a data set by its name. `callback` receives the index of a run and its events. If it breaks, the
    /// sweep ends: runs in flight are discarded, and only outcomes of finished runs are returned. Other processes finish
    /// their runs in flight. The callback receives the events of this process's runs only.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be created, [`Error::Threads`] if threads cannot be started. With several
    /// processes, [`Error::Rank`] if that happens in another, [`Error::Disagreement`] if their runs, data sets or folders
    /// differ, and errors of the [queue](Self::queue). Errors of a single run, or of its files, are in its outcome.
    pub fn run<'d>(
        &self,
        runs: &[Run],
        rows: impl Fn(&str) -> Result<Rows<'d>> + Sync,
        callback: impl FnMut(usize, TrainEvent) -> ControlFlow<()> + Send,
    ) -> Result<Vec<Outcome>> {
        let queue = &*self.queue;
        let prepared = self.prepare(runs.len());
        let (workers, pools) = queue::agree(queue, &self.folder, prepared, || queue::plan(runs, &rows))?;

        let callback = Mutex::new(callback);
        let stopped = AtomicBool::new(false);
        let tell = |number, event: TrainEvent| {
            // Another run's callback may have asked to stop, or panicked.
            let told = callback.lock().ok().filter(|_| !stopped.load(Relaxed));
            let flow = told.map_or(ControlFlow::Break(()), |mut callback| callback(number, event));
            stopped.fetch_or(flow.is_break(), Relaxed);
            flow
        };
        let mut outcomes = Vec::new();
        queue.hand_out(runs.len(), &mut |next| {
            // Not a parallel iterator: a thread that waits for a run's pool would start another run in the meantime.
            let finished = workers.broadcast(|job| {
                let take = || if stopped.load(Relaxed) { None } else { next() };
                let outcome = |number: usize| {
                    let tell = |event: TrainEvent| tell(number, event);
                    let outcome = pools[job.index()].install(|| self.outcome(&runs[number], &rows, tell));
                    outcome.map(|outcome| (number, outcome))
                };
                iter::from_fn(take).filter_map(outcome).collect::<Vec<_>>()
            });
            outcomes.extend(finished.into_iter().flatten());
        })?;
        queue::collect(queue, runs, outcomes)
    }

    /// Creates the folder, a pool with a thread per job, and a pool for each job's run.
    fn prepare(&self, runs: usize) -> Result<(ThreadPool, Vec<ThreadPool>)> {
        fs::create_dir_all(&self.folder).map_err(errors::io(&self.folder))?;
        // More jobs would take runs from processes that come a moment later.
        let most = runs.div_ceil(self.queue.size());
        let jobs = self.jobs.clamp(1, most.max(1));
        let threads = rayon::current_num_threads();
        let fraction = |job: usize| (threads / jobs + usize::from(job < threads % jobs)).max(1);
        let pools = (0..jobs).map(|job| pool(fraction(job))).collect::<Result<_>>()?;
        Ok((pool(jobs)?, pools))
    }

    /// Returns the outcome of one run, or `None` if the callback stopped it.
    fn outcome<'d>(
        &self,
        run: &Run,
        rows: impl Fn(&str) -> Result<Rows<'d>>,
        mut callback: impl FnMut(TrainEvent) -> ControlFlow<()> + Send,
    ) -> Option<Outcome> {
        let path = self.folder.join(run.id()).with_extension("json");
        let (mut resumed, mut stopped) = (false, false);
        let record = rows(&run.dataset).and_then(|rows| {
            if let Some(record) = self.resume.then(|| stored(&path, run)).flatten() {
                check_rows(&path, &record, rows)?;
                resumed = true;
                return Ok(record);
            }
            let mut shared = run.clone();
            shared.train.threads = None;
            let (model, record) = run_one(&shared, rows, |event| {
                let flow = callback(event);
                stopped |= flow.is_break();
                flow
            })?;
            if stopped { Ok(record) } else { keep(&path, &model, record) }
        });
        (!stopped).then(|| Outcome { run: run.clone(), record, resumed })
    }
}

fn pool(threads: usize) -> Result<ThreadPool> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|error| Error::Threads { threads, reason: error.to_string() })
}

/// Returns the stored record if it is of exactly this run, and its model is complete, too.
fn stored(path: &Path, run: &Run) -> Option<Record> {
    let record: Record = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    let model = Autoencoder::load(path.with_extension("safetensors")).ok()?;
    (record.run.id() == run.id() && model.widths() == record.widths).then_some(record)
}

/// Returns an error for a record of other rows: it may have taken hours, so a resumed sweep does not replace it.
fn check_rows(path: &Path, record: &Record, rows: Rows) -> Result<()> {
    if record.data == rows.fingerprints() {
        return Ok(());
    }
    Err(Error::Format {
        file: path.display().to_string(),
        field: "data",
        expected: "the record of a run on the given training and test rows".to_owned(),
        found: "one on other rows; choose another folder, or replace it by a sweep that does not resume"
            .to_owned(),
    })
}

/// Stores the model, then the record: a record implies that its model is complete.
fn keep(path: &Path, model: &Autoencoder, record: Record) -> Result<Record> {
    model.save(path.with_extension("safetensors"))?;
    let json = serde_json::to_vec_pretty(&record).map_err(std::io::Error::from).map_err(errors::io(path))?;
    write_atomic(path, |file| file.write_all(&json))?;
    Ok(record)
}
