//! Processes that train one model together, such as the ranks of an MPI program.
//!
//! The library knows nothing of networks. It says what every process has to send, and a [`Group`] brings it to the others.
//! The package `autoencoder-mpi` is one for MPI; threads of one process can be another.
//!
//! Only values cross a group, never sums: a process computes some rows of a batch and some rows of the weights, and everyone
//! receives them as they are. So a model has the same bits for any number of processes, as for any number of threads.

mod exchange;

pub(crate) use exchange::{Exchange, Wire};
use exchange::{consecutive, end};

use crate::error::{Error, Result};
use std::{fmt, ops::Range, path::Path, sync::Arc};
use tempfile::NamedTempFile;

/// The processes that train one model together. Each holds the whole model and the whole data set.
///
/// Set it with [`Trainer::group`](crate::Trainer::group) or [`Step::group`](crate::train::Step::group), in every process.
///
/// ```
/// use autoencoder::{Autoencoder, Result, TrainConfig, Trainer, data::digits, group::Group};
/// use std::{ops::Range, sync::Arc};
///
/// /// A group of one process, which has nobody to send to.
/// #[derive(Debug)]
/// struct Alone;
///
/// impl Group for Alone {
///     fn rank(&self) -> usize {
///         0
///     }
///     fn size(&self) -> usize {
///         1
///     }
///     fn exchange(
///         &self, _: &'static str, _: &[u8], _: &[Range<usize>], _: &mut [u8], _: &[Range<usize>],
///     ) -> Result<()> {
///         Ok(())
///     }
/// }
///
/// let train = digits::generate(100, 1)?;
/// let mut model = Autoencoder::builder(784).code(16).build()?;
/// Trainer::new(TrainConfig::new().epochs(1)).group(Arc::new(Alone)).fit(&mut model, &train)?;
/// # Ok::<(), autoencoder::Error>(())
/// ```
pub trait Group: fmt::Debug + Send + Sync {
    /// Returns the index of this process, from 0.
    fn rank(&self) -> usize;

    /// Returns the number of processes, at least 1.
    fn size(&self) -> usize;

    /// Sends bytes to every other process and receives bytes from each.
    ///
    /// `sent[to[rank]]` goes to the process with that rank, and `received[from[rank]]` comes from it. Ranges of `to` may overlap;
    /// those of `from` are consecutive and cover `received`. The ranges of this process itself are empty. Every process calls
    /// this the same number of times in the same order, from one thread at a time, and expects as many bytes as the others
    /// send. `label` names the kind of exchange, for measurements: `rows` and `weights` in every step, other words for
    /// everything else.
    ///
    /// # Errors
    /// If the bytes cannot be delivered. Training ends with the error.
    fn exchange(
        &self,
        label: &'static str,
        sent: &[u8],
        to: &[Range<usize>],
        received: &mut [u8],
        from: &[Range<usize>],
    ) -> Result<()>;
}

/// Sends a message to every process and returns what each of them sends, this one included, in order of rank. The lengths may
/// differ.
///
/// Like [`Group::exchange`], this must be called by every process. `label` names the kind of message.
///
/// # Errors
/// Those of the group.
pub fn gather(group: &dyn Group, label: &'static str, message: &[u8]) -> Result<Vec<Vec<u8>>> {
    const BYTES: usize = size_of::<u64>();
    let length = (message.len() as u64).to_le_bytes();
    let lengths = gather_counted(group, label, &length, |_| BYTES)?;
    let length =
        |bytes: &Vec<u8>| bytes.iter().rev().fold(0, |length, byte| length << 8 | usize::from(*byte));
    let counts: Vec<_> = lengths.iter().map(length).collect();
    gather_counted(group, label, message, |rank| counts[rank])
}

/// As [`gather`], with the number of bytes from each rank.
fn gather_counted(
    group: &dyn Group,
    label: &'static str,
    message: &[u8],
    count: impl Fn(usize) -> usize,
) -> Result<Vec<Vec<u8>>> {
    let own = group.rank();
    let others = |rank: usize| rank != own;
    let ranks = 0..group.size();
    let to: Vec<_> = ranks.clone().map(|rank| 0..if others(rank) { message.len() } else { 0 }).collect();
    let mut from = vec![];
    consecutive(ranks.map(|rank| if others(rank) { count(rank) } else { 0 }), &mut from);
    let mut received = vec![0; end(&from)];
    group.exchange(label, message, &to, &mut received, &from)?;
    let mut all: Vec<_> = from.into_iter().map(|range| received[range].to_vec()).collect();
    all[own] = message.to_vec();
    Ok(all)
}

/// Waits until every process has a result, and returns this one's. If another process failed, so does this one.
///
/// Like [`Group::exchange`], this must be called by every process.
///
/// # Errors
/// This process's own error, else [`Error::Rank`] with that of the first process that failed, else those of the group.
pub fn agree<T>(group: &dyn Group, own: Result<T>) -> Result<T> {
    let message = own.as_ref().err().map_or_else(String::new, Error::to_string);
    let all = gather(group, "results", message.as_bytes())?;
    let value = own?;
    match all.iter().position(|message| !message.is_empty()) {
        None => Ok(value),
        Some(rank) => Err(Error::Rank { rank, reason: String::from_utf8_lossy(&all[rank]).into_owned() }),
    }
}

/// As [`agree`]; without a group, returns the result.
pub(crate) fn agree_if<T>(group: Option<&Arc<dyn Group>>, own: Result<T>) -> Result<T> {
    match group {
        Some(group) => agree(&**group, own),
        None => own,
    }
}

/// The name of a setting and its value, in which processes must agree.
pub type Fact = (String, String);

/// Checks that all processes have the same facts.
///
/// Like [`Group::exchange`], this must be called by every process.
///
/// # Errors
/// [`Error::Disagreement`] with the first difference between the first process and another, the same in every process, and
/// the errors of the group.
pub fn check_same(group: &dyn Group, facts: &[Fact]) -> Result<()> {
    let message = serde_json::to_vec(facts).unwrap_or_default();
    let all = gather(group, "settings", &message)?;
    let parse = |message: &Vec<u8>| serde_json::from_slice::<Vec<Fact>>(message).unwrap_or_default();
    let all: Vec<_> = all.iter().map(parse).collect();
    for (rank, other) in all.iter().enumerate() {
        let first = &all[0];
        let difference = first.iter().zip(other).find(|(first, other)| first != other);
        if let Some(((what, first), (_, other))) = difference {
            let (what, first, other) = (what.clone(), first.clone(), other.clone());
            return Err(Error::Disagreement { what, first, rank, other });
        }
        if first.len() != other.len() {
            let [first, other] = [first, other].map(|facts| facts.len().to_string());
            return Err(Error::Disagreement { what: "number of settings".to_owned(), first, rank, other });
        }
    }
    Ok(())
}

/// Checks that a file which the first process creates in a folder exists for all: that they share the file system.
///
/// Like [`Group::exchange`], this must be called by every process.
///
/// # Errors
/// [`Error::Io`] in the first process, if it cannot create a file, and [`Error::Rank`] in the others then;
/// [`Error::Disagreement`] if a process does not see the file; the errors of the group.
pub fn check_shared(group: &dyn Group, folder: &Path) -> Result<()> {
    let file = match group.rank() {
        0 => NamedTempFile::new_in(folder).map(Some).map_err(Error::io(folder)),
        _ => Ok(None),
    };
    let file = agree(group, file)?;
    let name = file.as_ref().and_then(|file| file.path().file_name());
    let names = gather(group, "folder", name.unwrap_or_default().as_encoded_bytes())?;
    let seen = str::from_utf8(&names[0]).is_ok_and(|name| folder.join(name).exists());
    let seen = gather(group, "folder", &[u8::from(seen)])?;
    match seen.iter().position(|seen| *seen != [1]) {
        None => Ok(()),
        Some(rank) => Err(Error::Disagreement {
            what: format!("files in {}", folder.display()),
            first: "a file".to_owned(),
            rank,
            other: "none; the folder must be on a file system that all processes share".to_owned(),
        }),
    }
}

/// The part of a process in work that is cut into parts of equal size, of which the last ones may be smaller or empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    pub rank: usize,
    pub size: usize,
}

impl Part {
    /// The only part.
    pub(crate) const WHOLE: Self = Self { rank: 0, size: 1 };

    pub(crate) fn of(group: &dyn Group) -> Self {
        Self { rank: group.rank(), size: group.size() }
    }

    /// The part of `rank` in the same work.
    pub(crate) fn at(self, rank: usize) -> Self {
        Self { rank, ..self }
    }

    /// The indices of this part where `len` are shared out.
    pub(crate) fn range(self, len: usize) -> Range<usize> {
        let each = len.div_ceil(self.size);
        (self.rank * each).min(len)..((self.rank + 1) * each).min(len)
    }

    /// Returns true if the `index`th of several indivisible tasks belongs to this part.
    pub(crate) fn has(self, index: usize) -> bool {
        index % self.size == self.rank
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_everything_once() {
        for size in 1..6 {
            for len in [0, 1, 2, 3, 15, 16, 784] {
                let parts = (0..size).map(|rank| Part { rank, size });
                let all: Vec<_> = parts.clone().flat_map(|part| part.range(len)).collect();
                assert_eq!(all, (0..len).collect::<Vec<_>>(), "{size} parts of {len}");
                for index in 0..len {
                    assert_eq!(parts.clone().filter(|part| part.has(index)).count(), 1);
                }
            }
        }
    }
}
