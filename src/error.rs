//! The one error type: every variant says where, what was expected and what was found.

use std::{fmt, io, path::PathBuf};

/// A result whose error is [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What fetches the data sets, in the folder of this crate.
const FETCH_COMMAND: &str = "cargo run --release --features download --example fetch_data -- --dataset both";

/// Everything that can go wrong in this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused to read or write.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file's content is not what its format demands.
    #[error("{file}: {field}: expected {expected}, found {found}")]
    Format {
        /// The file, or a name for the stream.
        file: String,
        /// The part of the format that does not hold.
        field: &'static str,
        /// What the format demands there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A data set is in none of the places where it is looked for.
    #[error("{dataset} not found{}", fetch_advice(looked))]
    NotFound {
        /// The data set.
        dataset: &'static str,
        /// Every path that was tried.
        looked: Vec<PathBuf>,
    },
    /// No mirror gave a file of a data set.
    #[cfg(feature = "download")]
    #[error("{} could not be fetched: {}", path.display(), each(attempts))]
    Download {
        /// Where it should have been saved.
        path: PathBuf,
        /// What was wrong with each mirror, in order.
        attempts: Vec<crate::data::download::Attempt>,
    },
    /// An array or a list has another size than the model or the data set.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// The array.
        what: &'static str,
        /// The size it should have.
        expected: String,
        /// The size it has.
        found: String,
    },
    /// A setting outside its range.
    #[error("{name} = {value}: expected {expected}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: String,
        /// The range.
        expected: &'static str,
    },
    /// Training met a number that is infinite or not a number, and stopped.
    #[error("{what} not finite{} in epoch {epoch}, batch {batch}", at_layer(*layer))]
    NotFinite {
        /// What stopped being finite.
        what: Quantity,
        /// The layer, from 0 at the input; `None` for inputs, for the loss and in validation.
        layer: Option<usize>,
        /// The epoch, from 1.
        epoch: usize,
        /// The batch within the epoch, from 1.
        batch: usize,
    },
    /// A checkpoint is of another run than the one that is to go on from it.
    #[error("cannot resume: {what}: {checkpoint} in the checkpoint, {run} in this run")]
    Resume {
        /// What differs.
        what: &'static str,
        /// How it stands in the checkpoint.
        checkpoint: String,
        /// How it stands in the run.
        run: String,
    },
    /// The pool of worker threads could not be started.
    #[error("{threads} threads: {source}")]
    Threads {
        /// The number asked for.
        threads: usize,
        /// What the pool's builder said.
        source: rayon::ThreadPoolBuildError,
    },
}

/// What [`Error::NotFinite`] speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Quantity {
    /// A value in the rows of a batch.
    Input,
    /// The loss of a batch whose rows are finite.
    Loss,
    /// The gradient of a layer's weights or biases.
    Gradient,
    /// A layer's weights or biases after the update.
    Weight,
    /// The error on the rows for validation, after an epoch.
    Validation,
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "input",
            Self::Loss => "loss",
            Self::Gradient => "gradient",
            Self::Weight => "weight",
            Self::Validation => "validation error",
        })
    }
}

/// The places, and how to get there what was sought.
fn fetch_advice(looked: &[PathBuf]) -> String {
    if looked.is_empty() {
        return String::new();
    }
    let places: Vec<_> = looked.iter().map(|p| p.display().to_string()).collect();
    format!("; looked for {}; to fetch it: {FETCH_COMMAND}", places.join(", "))
}

#[cfg(feature = "download")]
fn each(attempts: &[crate::data::download::Attempt]) -> String {
    attempts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn at_layer(layer: Option<usize>) -> String {
    layer.map_or_else(String::new, |layer| format!(" at layer {layer}"))
}

impl Error {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    pub(crate) fn shape(what: &'static str, expected: impl fmt::Debug, found: impl fmt::Debug) -> Self {
        Self::Shape { what, expected: format!("{expected:?}"), found: format!("{found:?}") }
    }

    pub(crate) fn setting(name: &'static str, value: impl fmt::Debug, expected: &'static str) -> Self {
        Self::Setting { name, value: format!("{value:?}"), expected }
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

/// What a file holds may be long and may hold anything: its beginning, on one line.
fn excerpt(found: impl fmt::Display) -> String {
    const LONGEST: usize = 200;
    struct Beginning(String);
    impl fmt::Write for Beginning {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            for c in text.chars() {
                if self.0.len() >= LONGEST {
                    self.0.push_str("...");
                    return Err(fmt::Error);
                }
                if c.is_control() { self.0.extend(c.escape_default()) } else { self.0.push(c) }
            }
            Ok(())
        }
    }
    let mut beginning = Beginning(String::new());
    // An error is the sign that there was more.
    let _ = fmt::Write::write_fmt(&mut beginning, format_args!("{found}"));
    beginning.0
}
