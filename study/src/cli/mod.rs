//! What the commands share: flags that mean the same everywhere, data sets by name, files, and how a run ends.

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
    io::{self, Write},
    path::{Path, PathBuf},
    process::{self, ExitCode},
    str::FromStr,
    sync::atomic::{AtomicBool, Ordering},
};

/// Set once, before anything is said.
static QUIET: AtomicBool = AtomicBool::new(false);

/// The flag for what a run says.
#[derive(Debug, Clone, Args)]
pub struct OutputFlags {
    /// Writes nothing but errors
    #[arg(long)]
    quiet: bool,
}

impl OutputFlags {
    /// Applies to all that is said and to every bar from now on.
    pub fn apply(&self) {
        QUIET.store(self.quiet, Ordering::Relaxed);
    }
}

/// Whether nothing is to be said.
pub fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// How a failed command ends.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Library(#[from] Error),
    #[error("{0}: {1}")]
    File(String, io::Error),
    #[error("{0} of the runs failed; the results are without them")]
    Runs(usize),
}

/// Parses the flags and runs a command with them.
pub fn main<F: Parser>(run: impl FnOnce(&F) -> Result<(), Failure>) -> ExitCode {
    finish(run(&flags()))
}

/// Exit code 0, or one line and 2 for a setting that cannot be, 1 for a run that failed.
pub fn finish(result: Result<(), Failure>) -> ExitCode {
    let Err(failure) = result else { return ExitCode::SUCCESS };
    complain(&format!("error: {}", describe(&failure)));
    match failure {
        Failure::Library(Error::Setting { .. }) => ExitCode::from(2),
        _ => ExitCode::FAILURE,
    }
}

/// The command that downloads the data sets, in a checkout of this repository.
const FETCH_COMMAND: &str = "cargo run --release --features download --example fetch_data -- --dataset both";

/// The text of a failure, with a remedy where there is one.
fn describe(failure: &Failure) -> String {
    match failure {
        Failure::Library(error) => describe_error(error),
        _ => failure.to_string(),
    }
}

fn describe_error(error: &Error) -> String {
    match error {
        Error::NotFound { .. } => format!("{error}; to download it: {FETCH_COMMAND}"),
        _ => error.to_string(),
    }
}

/// Writes a line to standard output, unless quiet. A reader that has gone away is not a failure of the run.
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

/// Writes one line to standard error, whatever a file in it is called. One that cannot be written to ends nothing.
pub fn complain(text: &str) {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let _ = writeln!(io::stderr(), "{}", lines.join(" "));
}

/// The flags; bad ones end the process with one line and exit code 2.
pub fn flags<F: Parser>() -> F {
    F::try_parse().unwrap_or_else(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => error.exit(),
        _ => {
            let text = error.render().to_string();
            // What comes after an empty line is advice.
            complain(text.split("\n\n").next().unwrap_or_default());
            process::exit(2);
        }
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DatasetName {
    /// MNIST where it is found, else drawn digits
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
    named([("mse", "Mean squared error"), ("bce", "Binary cross-entropy")])
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

/// The flags for what a run trains on and is measured on.
#[derive(Debug, Args)]
pub struct DataFlags {
    #[arg(long, value_enum, default_value = "auto")]
    dataset: DatasetName,
    /// Folder that holds mnist/ or fashion-mnist/ [default: $AUTOENCODER_DATA, else data]
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Trains on the first so many images
    #[arg(long)]
    limit: Option<usize>,
}

/// What a run trains on and is measured on.
pub struct Images {
    pub train: ImageSet,
    pub test: ImageSet,
    /// What to tell the user about the choice.
    pub notice: Option<String>,
}

impl DataFlags {
    /// Loads the data set; drawn digits are as many as MNIST's.
    pub fn load(&self) -> Result<Images, Error> {
        match self.dataset {
            DatasetName::Mnist => self.known(PublishedDataset::Mnist),
            DatasetName::FashionMnist => self.known(PublishedDataset::FashionMnist),
            DatasetName::Digits => self.drawn(None),
            DatasetName::Auto => self.known(PublishedDataset::Mnist).or_else(|error| match error {
                Error::NotFound { .. } => self.drawn(Some(format!(
                    "{}.\n\
                     Using digits that the library draws. Real ones that stand elsewhere are found through\n\
                     --data-dir or {DATA_VARIABLE}, the folder that holds mnist/ or torchvision's MNIST/raw/.",
                    describe_error(&error)
                ))),
                _ => Err(error),
            }),
        }
    }

    fn known(&self, known: PublishedDataset) -> Result<Images, Error> {
        let images = Images::known(known, self.data_dir.as_deref())?;
        Ok(Images { train: head(images.train, self.limit)?, ..images })
    }

    fn drawn(&self, notice: Option<String>) -> Result<Images, Error> {
        let (train, test) = drawn(self.limit, None)?;
        Ok(Images { train, test, notice })
    }
}

impl Images {
    /// A published data set.
    pub fn known(known: PublishedDataset, data_dir: Option<&Path>) -> Result<Self, Error> {
        let load = |split| known.load(split, data_dir);
        Ok(Self { train: load(Split::Train)?, test: load(Split::Test)?, notice: None })
    }
}

/// The first `limit` images, if given.
pub fn head(images: ImageSet, limit: Option<usize>) -> Result<ImageSet, Error> {
    match limit {
        Some(limit) => images.head(limit),
        None => Ok(images),
    }
}

/// Digits in MNIST's numbers, or the first so many of them, for training and for tests.
pub fn drawn(train: Option<usize>, test: Option<usize>) -> Result<(ImageSet, ImageSet), Error> {
    let draw =
        |limit: Option<usize>, all, seed| digits::generate(limit.map_or(all, |limit| limit.min(all)), seed);
    Ok((draw(train, 60_000, 1)?, draw(test, 10_000, 2)?))
}

/// The flags for the widths of a mirrored model.
#[derive(Debug, Args)]
pub struct WidthFlags {
    /// Widths of the encoder's hidden layers; the decoder mirrors them
    #[arg(long, value_delimiter = ',', default_value = "512,256")]
    hidden: Vec<usize>,
    /// Width of the code
    #[arg(long, default_value_t = 100)]
    code: usize,
}

impl WidthFlags {
    /// Starts to build a model for rows of `inputs` features.
    pub fn builder(&self, inputs: usize) -> AutoencoderBuilder {
        Autoencoder::builder(inputs).hidden(&self.hidden).code(self.code)
    }
}

/// Sets how many worker threads everything after uses; by default one a core. Returns their number.
pub fn set_threads(threads: Option<usize>) -> Result<usize, Error> {
    if let Some(threads) = threads {
        TrainConfig::new().threads(threads).check()?;
    }
    let builder = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0));
    builder
        .build_global()
        .map_err(|error| Error::Threads { threads: threads.unwrap_or(0), reason: error.to_string() })?;
    Ok(rayon::current_num_threads())
}
