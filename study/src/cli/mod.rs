//! Shared by the commands: common flags, data sets by name, files, and exit codes.

pub mod checkpoints;
mod data;
pub mod files;
pub mod progress;
mod threads;
mod training;

pub use data::{DataFlags, Images, drawn, head, warn_if_blank};
pub use threads::set_threads;
pub use training::TrainingFlags;

use autoencoder::{Autoencoder, AutoencoderBuilder, Error, Init, Loss};
use clap::{
    Args, Parser,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
    error::ErrorKind,
};
use serde::Serializer;
use std::{
    io::{self, Write},
    path::PathBuf,
    process::{self, ExitCode},
    str::FromStr,
    sync::atomic::{AtomicBool, Ordering},
};

/// Set once, before the first output.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Flags for the output.
#[derive(Debug, Clone, Args)]
pub struct OutputFlags {
    /// Prints nothing but errors
    #[arg(long)]
    quiet: bool,
}

impl OutputFlags {
    /// Disables all output except errors.
    pub const QUIET: Self = Self { quiet: true };

    /// Applies the flag to all output from now on.
    pub fn apply(&self) {
        QUIET.store(self.quiet, Ordering::Relaxed);
    }
}

/// Returns whether output is disabled.
pub fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// The error of a failed command.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The flags cannot be parsed.
    #[error("{0}")]
    Flags(String),
    /// An error of the library.
    #[error(transparent)]
    Library(#[from] Error),
    /// A published data set is missing.
    #[error("{error}{}", data::advice(error, data_dir.as_deref()))]
    Missing {
        /// The error of the library.
        error: Error,
        /// The folder that the user named.
        data_dir: Option<PathBuf>,
    },
    /// A file, folder or stream, and the error of the operating system.
    #[error("{0}: {1}")]
    File(String, io::Error),
    /// The number of runs that failed; the other results are complete.
    #[error("{0} of the runs failed and are missing from the results")]
    Runs(usize),
}

impl Failure {
    /// Returns the exit code of the command: 2 for an invalid flag or setting, 1 for any other failure.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Flags(_) | Self::Library(Error::Setting { .. }) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}

/// Parses the flags and runs a command with them.
pub fn main<F: Parser>(run: impl FnOnce(&F) -> Result<(), Failure>) -> ExitCode {
    finish(run(&flags()))
}

/// Returns exit code 0, or prints one line and returns the failure's code.
pub fn finish(result: Result<(), Failure>) -> ExitCode {
    let Err(failure) = result else { return ExitCode::SUCCESS };
    complain(&format!("error: {failure}"));
    failure.exit_code()
}

/// Renames the setting of an error to the flag that it came from.
pub fn of_flag(name: &'static str) -> impl FnOnce(Error) -> Error {
    move |error| match error {
        Error::Setting { value, expected, .. } => Error::Setting { name, value, expected },
        error => error,
    }
}

/// Prints a line, unless quiet. A closed pipe is not an error.
pub fn say(line: &str) -> Result<(), Failure> {
    if is_quiet() {
        return Ok(());
    }
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::File("standard output".to_owned(), error))
        }
        _ => Ok(()),
    }
}

/// Prints to standard error as one line, even if a file name contains newlines. Errors are ignored.
pub fn complain(text: &str) {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let _ = writeln!(io::stderr(), "{}", lines.join(" "));
}

/// Prints a warning to standard error, unless quiet.
pub fn warn(text: &str) {
    if !is_quiet() {
        complain(&format!("warning: {text}"));
    }
}

/// Parses the flags. Invalid ones end the process with one line and exit code 2.
pub fn flags<F: Parser>() -> F {
    F::try_parse().unwrap_or_else(|error| match invalid(&error) {
        None => error.exit(),
        Some(failure) => {
            complain(&format!("error: {failure}"));
            process::exit(2);
        }
    })
}

/// Returns the failure of invalid flags, or `None` if the user asked for help.
pub fn invalid(error: &clap::Error) -> Option<Failure> {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return None;
    }
    let text = error.render().to_string();
    // The text after an empty line is advice.
    let first = text.split("\n\n").next().unwrap_or_default();
    Some(Failure::Flags(first.trim_start_matches("error: ").to_owned()))
}

/// Parses a value that the library parses, with its possible values in `--help`.
fn named<T>(
    values: impl IntoIterator<Item = (&'static str, &'static str)>,
) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = Error> + Clone + Send + Sync + 'static,
{
    let values = values.into_iter().map(|(name, help)| PossibleValue::new(name).help(help));
    PossibleValuesParser::new(values).try_map(|name| name.parse::<T>())
}

/// Parser of a loss.
pub fn loss() -> impl TypedValueParser<Value = Loss> {
    named([
        ("mse", "Mean squared error"),
        ("mae", "Mean absolute error"),
        ("huber", "Huber loss with delta 1, half the squared error for values in [0, 1]"),
        ("bce", "Binary cross-entropy"),
    ])
}

/// Parser of an initialization.
pub fn init() -> impl TypedValueParser<Value = Init> {
    named([
        ("he", "Normal with variance 2 / inputs, biases 0"),
        ("glorot", "Uniform with variance 2 / (inputs + outputs), biases 0"),
        ("pytorch", "The default of PyTorch's Linear"),
    ])
}

/// Writes a number as JSON, or infinity and NaN as strings, which JSON numbers cannot be. For serde.
pub fn decibels<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.is_finite() { serializer.serialize_f64(*value) } else { serializer.collect_str(value) }
}

/// Flags for the widths of a mirrored model.
#[derive(Debug, Args)]
pub struct WidthFlags {
    /// Widths of the encoder's hidden layers, such as 512,256; the decoder mirrors them
    #[arg(long, value_delimiter = ',', default_value = "512,256")]
    hidden: Vec<usize>,
    /// Width of the code
    #[arg(long, default_value_t = 100)]
    code: usize,
}

impl WidthFlags {
    /// Returns a builder for rows of `inputs` features.
    pub fn builder(&self, inputs: usize) -> AutoencoderBuilder {
        Autoencoder::builder(inputs).hidden(&self.hidden).code(self.code)
    }
}
