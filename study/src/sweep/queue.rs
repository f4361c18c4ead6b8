//! Processes that train the runs of one sweep, and what they exchange before and after.

use super::{Outcome, Record, Rows, Run};
use autoencoder::{
    Error, Result,
    group::{self, Fact, Group, gather},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    ops::Range,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Returns the next number, or `None` if none is left.
pub type Next<'a> = dyn Fn() -> Option<usize> + Sync + 'a;

/// Processes that take the runs of a sweep from one queue, such as the ranks of an MPI program.
///
/// Each has all data sets. A process takes a run whenever it has finished one, so slow processes do not hold up the rest. Set
/// it with [`Sweep::queue`](super::Sweep::queue), in every process.
///
/// ```
/// use autoencoder_study::sweep::{Alone, WorkQueue};
/// let mut numbers = Vec::new();
/// Alone.hand_out(3, &mut |next| numbers.extend(std::iter::from_fn(next)))?;
/// assert_eq!(numbers, [0, 1, 2]);
/// # Ok::<(), autoencoder::Error>(())
/// ```
pub trait WorkQueue: Group {
    /// Hands out the numbers below `count`, each to one process, in ascending order.
    ///
    /// Every process calls this with the same `count`. It calls `work` once. `work` may call `next` from several threads
    /// at once, until `next` returns `None`. If `work` returns earlier, no process receives another number. No process
    /// returns before all have come to the end.
    ///
    /// # Errors
    /// If the processes cannot reach each other.
    fn hand_out(&self, count: usize, work: &mut dyn FnMut(&Next)) -> Result<()>;
}

/// A process without others.
#[derive(Debug)]
pub struct Alone;

impl Group for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn exchange(
        &self,
        _: &'static str,
        _: &[u8],
        _: &[Range<usize>],
        _: &mut [u8],
        _: &[Range<usize>],
    ) -> Result<()> {
        Ok(())
    }
}

impl WorkQueue for Alone {
    fn hand_out(&self, count: usize, work: &mut dyn FnMut(&Next)) -> Result<()> {
        let taken = AtomicUsize::new(0);
        work(&|| Some(taken.fetch_add(1, Relaxed)).filter(|&number| number < count));
        Ok(())
    }
}

/// Describes runs and their data sets: each setting by its path, so that a difference names it.
pub(super) fn plan<'d>(runs: &[Run], rows: impl Fn(&str) -> Result<Rows<'d>>) -> Vec<Fact> {
    let mut plan = vec![("number of runs".to_owned(), runs.len().to_string())];
    for (run, number) in runs.iter().zip(1..) {
        let mut run = run.clone();
        // It changes no result.
        run.train.threads = None;
        add_settings(&format!("run {number}"), &serde_json::to_value(run).unwrap_or_default(), &mut plan);
    }
    let names: BTreeSet<_> = runs.iter().map(|run| &run.dataset).collect();
    for name in names {
        let digests = rows(name).map(|rows| rows.fingerprints().map(|digest| format!("SHA-256 {digest}")));
        let [train, test] = digests.unwrap_or_else(|error| [error.to_string(), String::new()]);
        plan.push((format!("training rows of {name}"), train));
        plan.push((format!("test rows of {name}"), test));
    }
    plan
}

fn add_settings(path: &str, value: &Value, plan: &mut Vec<Fact>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                add_settings(&format!("{path}, {name}"), value, plan);
            }
        }
        value => plan.push((path.to_owned(), value.to_string())),
    }
}

/// Checks that no process failed to prepare, that all have the same plan, and that they see the same folder.
///
/// Otherwise they could wait for each other forever, or train for hours before the first missing file.
pub(super) fn agree<T>(
    queue: &dyn WorkQueue,
    folder: &Path,
    prepared: Result<T>,
    plan: impl FnOnce() -> Vec<Fact>,
) -> Result<T> {
    if queue.size() == 1 {
        return prepared;
    }
    let prepared = group::agree(queue, prepared)?;
    group::check_same(queue, &plan())?;
    group::check_shared(queue, folder)?;
    Ok(prepared)
}

/// A finished run of another process, or the error that ended it.
#[derive(Serialize, Deserialize)]
struct Finished {
    number: usize,
    record: std::result::Result<Record, String>,
    resumed: bool,
}

/// Returns the outcomes of all processes in the order of `runs`.
///
/// Records of other processes come from a message, not from their files: a network file system may show those late.
pub(super) fn collect(
    queue: &dyn WorkQueue,
    runs: &[Run],
    own: Vec<(usize, Outcome)>,
) -> Result<Vec<Outcome>> {
    let finished = |(number, outcome): &(usize, Outcome)| Finished {
        number: *number,
        record: outcome.record.as_ref().map(Record::clone).map_err(Error::to_string),
        resumed: outcome.resumed,
    };
    let message: Vec<_> = own.iter().map(finished).collect();
    let mut outcomes = own;
    let message = serde_json::to_vec(&message).map_err(|error| unreadable(queue.rank(), &error))?;
    for (rank, message) in gather(queue, "records", &message)?.iter().enumerate() {
        if rank == queue.rank() {
            continue;
        }
        let finished: Vec<Finished> =
            serde_json::from_slice(message).map_err(|error| unreadable(rank, &error))?;
        outcomes.extend(finished.into_iter().map(|Finished { number, record, resumed }| {
            let record = record.map_err(|reason| Error::Rank { rank, reason });
            (number, Outcome { run: runs[number].clone(), record, resumed })
        }));
    }
    outcomes.sort_by_key(|(number, _)| *number);
    Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
}

fn unreadable(rank: usize, error: &serde_json::Error) -> Error {
    Error::Rank { rank, reason: format!("records cannot be exchanged: {error}") }
}
