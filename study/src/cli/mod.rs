//! Shared by the commands: common flags, data sets by name, files, and exit codes.

pub mod checkpoints;
pub mod files;
pub mod progress;

use autoencoder::{
    Autoencoder, AutoencoderBuilder, Error, ImageSet, Init, Loss, TrainConfig,
    data::{
        catalog::{DATA_VARIABLE, PublishedDataset, Split},
        digits,
    },
};
use clap::{
    Args, Parser, ValueEnum,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
    error::ErrorKind,
};
use serde::Serializer;
use std::{
    env,
    io::{self, Write},
    path::{Path, PathBuf},
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
pub enum Failure {
    #[error(transparent)]
    Library(#[from] Error),
    /// A published data set is missing.
    #[error("{error}; to download it: {}", fetch_command(data_dir.as_deref()))]
    Missing { error: Error, data_dir: Option<PathBuf> },
    #[error("{0}: {1}")]
    File(String, io::Error),
    #[error("{0} of the runs failed and are missing from the results")]
    Runs(usize),
}

/// Parses the flags and runs a command with them.
pub fn main<F: Parser>(run: impl FnOnce(&F) -> Result<(), Failure>) -> ExitCode {
    finish(run(&flags()))
}

/// Returns exit code 0, or prints one line and returns 2 for an invalid setting, 1 for any other failure.
pub fn finish(result: Result<(), Failure>) -> ExitCode {
    let Err(failure) = result else { return ExitCode::SUCCESS };
    complain(&format!("error: {failure}"));
    match failure {
        Failure::Library(Error::Setting { .. }) => ExitCode::from(2),
        _ => ExitCode::FAILURE,
    }
}

/// The command that downloads the data sets, in a checkout of this repository.
fn fetch_command(data_dir: Option<&Path>) -> String {
    let folder = data_dir.map_or_else(String::new, |folder| format!(" --data-dir {}", folder.display()));
    format!("cargo run --release --features download --example fetch_data -- --dataset both{folder}")
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
    F::try_parse().unwrap_or_else(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => error.exit(),
        _ => {
            let text = error.render().to_string();
            // The text after an empty line is advice.
            complain(text.split("\n\n").next().unwrap_or_default());
            process::exit(2);
        }
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DatasetName {
    /// MNIST if it is found, otherwise drawn digits if no folder is named
    Auto,
    Mnist,
    FashionMnist,
    /// Digits that the library draws
    Digits,
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

/// Flags for the data set.
#[derive(Debug, Args)]
pub struct DataFlags {
    #[arg(long, value_enum, default_value = "auto")]
    dataset: DatasetName,
    /// Folder with mnist/ or fashion-mnist/ [default: $AUTOENCODER_DATA, or data]
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Trains on the first LIMIT images only
    #[arg(long)]
    limit: Option<usize>,
}

/// Training and test images.
pub struct Images {
    pub train: ImageSet,
    pub test: ImageSet,
    /// A message about the choice of the data set.
    pub notice: Option<String>,
}

impl DataFlags {
    /// Loads the data set. Drawn digits are as numerous as MNIST's images.
    ///
    /// They replace a missing MNIST only if no folder was named. A mistyped folder must not train on other images.
    pub fn load(&self) -> Result<Images, Failure> {
        let is_named =
            self.data_dir.is_some() || env::var_os(DATA_VARIABLE).is_some_and(|name| !name.is_empty());
        match self.dataset {
            DatasetName::Mnist => self.known(PublishedDataset::Mnist),
            DatasetName::FashionMnist => self.known(PublishedDataset::FashionMnist),
            DatasetName::Digits => self.drawn(None),
            DatasetName::Auto => self.known(PublishedDataset::Mnist).or_else(|failure| match failure {
                Failure::Missing { .. } if !is_named => self.drawn(Some(format!(
                    "{failure}.\n\
                     Using drawn digits instead. If you have MNIST, pass the folder with mnist/ or torchvision's\n\
                     MNIST/raw/ as --data-dir or in {DATA_VARIABLE}."
                ))),
                _ => Err(failure),
            }),
        }
    }

    fn known(&self, known: PublishedDataset) -> Result<Images, Failure> {
        let images = Images::known(known, self.data_dir.as_deref())?;
        Ok(Images { train: head(images.train, self.limit)?, ..images })
    }

    fn drawn(&self, notice: Option<String>) -> Result<Images, Failure> {
        let (train, test) = drawn(self.limit, None)?;
        Ok(Images { train, test, notice })
    }
}

impl Images {
    /// Loads a published data set.
    pub fn known(known: PublishedDataset, data_dir: Option<&Path>) -> Result<Self, Failure> {
        let load = |split| {
            known.load(split, data_dir).map_err(|error| match error {
                Error::NotFound { .. } => Failure::Missing { error, data_dir: data_dir.map(Path::to_owned) },
                error => error.into(),
            })
        };
        Ok(Self { train: load(Split::Train)?, test: load(Split::Test)?, notice: None })
    }
}

/// A sixteenth of white, which is the largest value of 12 bits that are stored in 16.
const NEARLY_BLACK: u8 = 16;

/// Warns about images in which there is nothing to see.
pub fn warn_if_blank(images: &ImageSet) {
    let pixels = images.pixels();
    let (first, name) = (&pixels[..images.features()], images.name());
    if images.len() > 1 && pixels.chunks_exact(images.features()).all(|image| image == first) {
        warn(&format!("{name}: all images are equal"));
    }
    if pixels.iter().all(|&level| level <= NEARLY_BLACK) {
        warn(&format!(
            "{name}: no pixel is above 1/16, so these images are nearly blank. Is 1 white, or 255 of 16 bits, or 4095? Or is \
             the content in the alpha channel (--background white)?"
        ));
    }
}

/// Returns the first `limit` images, or all of them.
pub fn head(images: ImageSet, limit: Option<usize>) -> Result<ImageSet, Error> {
    match limit {
        Some(limit) => images.head(limit),
        None => Ok(images),
    }
}

/// Draws as many training and test digits as MNIST has, or fewer.
pub fn drawn(train: Option<usize>, test: Option<usize>) -> Result<(ImageSet, ImageSet), Error> {
    let draw =
        |limit: Option<usize>, all, seed| digits::generate(limit.map_or(all, |limit| limit.min(all)), seed);
    Ok((draw(train, 60_000, 1)?, draw(test, 10_000, 2)?))
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

/// Maximum number of threads, for `--threads` and for the environment.
const MAX_THREADS: usize = 1024;

/// Sets the number of worker threads, by default one per core or that of `RAYON_NUM_THREADS`, and returns it.
pub fn set_threads(threads: Option<usize>) -> Result<usize, Error> {
    if let Some(threads) = threads {
        TrainConfig::new().threads(threads).check()?;
    }
    let threads = threads.or_else(|| {
        let (variable, threads) = threads_in_environment(|name| env::var(name).ok())?;
        if threads > MAX_THREADS && !is_quiet() {
            complain(&format!("{variable} = {threads}: using {MAX_THREADS} threads, the maximum"));
        }
        Some(threads.min(MAX_THREADS))
    });
    let builder = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0));
    builder
        .build_global()
        .map_err(|error| Error::Threads { threads: threads.unwrap_or(0), reason: error.to_string() })?;
    Ok(rayon::current_num_threads())
}

/// The variable that sets the number of threads, and the number. These are the variables that rayon reads, in its order; 0
/// means one thread per core.
fn threads_in_environment(value: impl Fn(&str) -> Option<String>) -> Option<(&'static str, usize)> {
    let variables = ["RAYON_NUM_THREADS", "RAYON_RS_NUM_CPUS"];
    variables.into_iter().find_map(|name| Some((name, value(name)?.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maximum_is_that_of_the_flag() {
        assert!(TrainConfig::new().threads(MAX_THREADS).check().is_ok());
        assert!(TrainConfig::new().threads(MAX_THREADS + 1).check().is_err());
    }

    #[test]
    fn the_environment_is_read_as_rayon_reads_it() {
        for (first, second, expected) in [
            (Some("100000"), None, Some(("RAYON_NUM_THREADS", 100_000))),
            (Some("many"), Some("3"), Some(("RAYON_RS_NUM_CPUS", 3))),
            (Some("0"), Some("3"), Some(("RAYON_NUM_THREADS", 0))),
            (Some("-1"), None, None),
            (None, None, None),
        ] {
            let value = |name: &str| if name == "RAYON_NUM_THREADS" { first } else { second };
            assert_eq!(threads_in_environment(|name| value(name).map(str::to_owned)), expected);
        }
    }
}
