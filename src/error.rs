//! The error type of this crate. Every variant says where it happened, what was expected and what was found.

use std::{
    error::Error as StdError,
    fmt, io,
    path::{self, Path, PathBuf},
};

/// A result whose error is [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The length of a value from a file in an error, in bytes, beyond which it is cut.
const EXCERPT: usize = 200;

/// Everything that can go wrong in this crate.
///
/// An error prints as one line that includes its cause, so [`source`](StdError::source) returns `None`. Match on a
/// variant to get at the cause itself.
///
/// ```
/// use autoencoder::{Autoencoder, Error};
/// match Autoencoder::load("missing.safetensors") {
///     Err(Error::Io { path, cause }) => eprintln!("cannot read {}: {:?}", path.display(), cause.kind()),
///     Err(error) => eprintln!("{error}"),
///     Ok(_) => unreachable!("there is no such file"),
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder cannot be read or written.
    #[error("{}: {cause}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        cause: io::Error,
    },
    /// The content of a file does not follow its format.
    #[error("{file}: {field}: expected {expected}, found {found}")]
    Format {
        /// The file, or a name for the stream.
        file: String,
        /// The invalid part of the file.
        field: &'static str,
        /// The content that the format requires.
        expected: String,
        /// The content of the file, shortened.
        found: String,
    },
    /// A published data set is not in any of the folders where it is expected.
    #[error("{dataset} not found{}", searched(looked))]
    NotFound {
        /// The data set.
        dataset: &'static str,
        /// The paths that were tried.
        looked: Vec<PathBuf>,
    },
    /// No mirror served a valid copy of a file.
    #[error("{} cannot be downloaded: {}", path.display(), list(attempts, "; "))]
    Download {
        /// The file that would have been saved.
        path: PathBuf,
        /// The failure of each mirror, in order.
        attempts: Vec<DownloadAttempt>,
    },
    /// An array or a list has the wrong size.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// The array or list.
        what: &'static str,
        /// The size that the model or the data set requires.
        expected: String,
        /// The size it has.
        found: String,
    },
    /// A setting has an invalid value.
    #[error("{name} = {value}: expected {expected}")]
    Setting {
        /// The name of the setting's field or method, such as `batch_size`.
        name: &'static str,
        /// The invalid value.
        value: String,
        /// The valid values.
        expected: &'static str,
    },
    /// Rows, pixels, labels or weights have invalid values.
    #[error("{what}: expected {expected}, found {found}")]
    Data {
        /// The kind of data.
        what: &'static str,
        /// The valid values.
        expected: String,
        /// The first invalid value and its position.
        found: String,
    },
    /// Training stopped at a non-finite value.
    #[error("{}", not_finite(*what, *layer, *row, *epoch, *batch))]
    NotFinite {
        /// The quantity that is not finite.
        what: Quantity,
        /// The layer, from 0 at the input, for gradients and weights; `None` for the others.
        layer: Option<usize>,
        /// The row's index in the data set, for inputs and targets. For the loss, the first such row of the batch. `None`
        /// for the others.
        row: Option<usize>,
        /// The epoch, from 1.
        epoch: usize,
        /// The batch within the epoch, from 1.
        batch: usize,
    },
    /// A checkpoint belongs to another run than the one that should continue from it.
    #[error("cannot resume: {what}: the checkpoint has {checkpoint}, this run has {run}")]
    Resume {
        /// The first difference.
        what: &'static str,
        /// Its value in the checkpoint.
        checkpoint: String,
        /// Its value in the run.
        run: String,
    },
    /// The worker threads cannot be started.
    #[error("cannot start {threads} threads: {reason}")]
    Threads {
        /// The requested number of threads.
        threads: usize,
        /// The reason given by the thread pool.
        reason: String,
    },
    /// The processes of a [group](crate::group::Group) do not train the same model on the same rows with the same settings.
    #[error("the processes do not agree: {what}: rank 0 has {first}, rank {rank} has {other}")]
    Disagreement {
        /// The first difference.
        what: String,
        /// Its value in the first process.
        first: String,
        /// The process that differs.
        rank: usize,
        /// Its value there.
        other: String,
    },
    /// Another process of a [group](crate::group::Group) failed.
    #[error("rank {rank}: {reason}")]
    Rank {
        /// The process.
        rank: usize,
        /// Its error.
        reason: String,
    },
}

/// The quantity that [`Error::NotFinite`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Quantity {
    /// A value in the rows of a batch.
    Input,
    /// A value in the targets of [pairs](crate::data::Pairs).
    Target,
    /// The loss of a batch whose rows are finite.
    Loss,
    /// The gradient of a layer's weights or biases.
    Gradient,
    /// A layer's weights or biases after the update.
    Weight,
    /// The error or the loss on the validation rows after an epoch.
    Validation,
    /// The value of a [function that scores epochs](crate::Trainer::score).
    Score,
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "input",
            Self::Target => "target",
            Self::Loss => "loss",
            Self::Gradient => "gradient",
            Self::Weight => "weight",
            Self::Validation => "validation error",
            Self::Score => "score",
        })
    }
}

/// A failed download of one file from one mirror.
#[derive(Debug)]
#[non_exhaustive]
pub struct DownloadAttempt {
    /// The URL of the file.
    pub url: String,
    /// The reason for the failure.
    pub failure: DownloadFailure,
}

impl DownloadAttempt {
    #[cfg(feature = "download")]
    pub(crate) fn new(url: String, failure: DownloadFailure) -> Self {
        Self { url, failure }
    }
}

impl fmt::Display for DownloadAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.url, self.failure)
    }
}

/// The reason why a mirror did not serve a valid file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadFailure {
    /// The mirror answered with a status other than 200.
    #[error("status {0}")]
    Status(u16),
    /// No data arrived for too long, or the whole download took too long.
    #[error("timed out")]
    Timeout,
    /// The stream ended before the announced length.
    #[error("ended after {0} bytes")]
    Truncated(u64),
    /// The mirror sent or announced more bytes than the file can have.
    #[error("more than {0} bytes")]
    TooLong(u64),
    /// The content is not valid gzip.
    #[error("not a valid gzip file: {0}")]
    Gzip(io::Error),
    /// The decompressed content is not the published one.
    #[error("SHA-256 of the decompressed content: expected {expected}, found {found}")]
    Content {
        /// The published digest.
        expected: &'static str,
        /// The digest of the downloaded content.
        found: String,
    },
    /// The connection could not be made, or broke.
    #[error("{0}")]
    Connection(Box<dyn StdError + Send + Sync>),
}

fn list(items: impl IntoIterator<Item = impl fmt::Display>, separator: &str) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(separator)
}

/// Names each folder and each file once.
fn searched(looked: &[PathBuf]) -> String {
    if looked.is_empty() {
        return String::new();
    }
    let folders = unique(looked.iter().filter_map(|path| path.parent()));
    let files = unique(looked.iter().filter_map(|path| path.file_name()).map(Path::new));
    format!("; looked in {} for {}", list(folders, " and "), list(files, ", "))
}

fn unique<'p>(parts: impl Iterator<Item = &'p Path>) -> impl Iterator<Item = path::Display<'p>> {
    let mut seen = Vec::new();
    for part in parts {
        if !seen.contains(&part) {
            seen.push(part);
        }
    }
    seen.into_iter().map(Path::display)
}

fn not_finite(
    what: Quantity,
    layer: Option<usize>,
    row: Option<usize>,
    epoch: usize,
    batch: usize,
) -> String {
    let time = format!("is not finite in epoch {epoch}, batch {batch}");
    match (what, layer, row) {
        (Quantity::Input | Quantity::Target, _, Some(row)) => return format!("{what} of row {row} {time}"),
        (Quantity::Score, ..) => return format!("the {what} {time}"),
        _ => {}
    }
    let of_layer = layer.map_or_else(String::new, |layer| format!(" of layer {layer}"));
    let first = row.map_or_else(String::new, |row| format!(" (first in row {row})"));
    let advice = "training diverged; try a lower learning rate or clipping, or scale the rows";
    format!("the {what}{of_layer} {time}{first}, although the rows are finite: {advice}")
}

impl Error {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |cause| Self::Io { path, cause }
    }

    pub(crate) fn shape(what: &'static str, expected: impl fmt::Debug, found: impl fmt::Debug) -> Self {
        Self::Shape { what, expected: format!("{expected:?}"), found: format!("{found:?}") }
    }

    pub(crate) fn setting(name: &'static str, value: impl fmt::Debug, expected: &'static str) -> Self {
        Self::Setting { name, value: format!("{value:?}"), expected }
    }

    pub(crate) fn data(what: &'static str, expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self::Data { what, expected: expected.to_string(), found: found.to_string() }
    }

    pub(crate) fn format(
        file: &str,
        field: &'static str,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) -> Self {
        Self::Format { file: file.to_owned(), field, expected: expected.to_string(), found: excerpt(found) }
    }
}

/// The beginning of a value from a file, which may be long and may contain control characters, on one line.
fn excerpt(found: impl fmt::Display) -> String {
    let mut excerpt = String::new();
    for c in found.to_string().chars() {
        if excerpt.len() >= EXCERPT {
            excerpt.push_str("...");
            break;
        }
        if c.is_control() { excerpt.extend(c.escape_default()) } else { excerpt.push(c) }
    }
    excerpt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_short_and_on_one_line() {
        assert_eq!(excerpt("a\nb"), "a\\nb");
        assert_eq!(excerpt("é".repeat(100)), "é".repeat(100));
        assert_eq!(excerpt("é".repeat(101)), "é".repeat(100) + "...");
    }

    #[test]
    fn a_cause_is_printed_and_is_no_source() {
        let error = Error::io("file")(io::Error::other("disk full"));
        assert_eq!(error.to_string(), "file: disk full");
        assert!(error.source().is_none());
    }
}
