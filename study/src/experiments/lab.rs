//! Shared by the experiments: flags, data sets, a sweep with progress, result files.

pub use super::{
    runs::{Effort, Runs},
    set::Set,
};

use super::{progress::SweepProgress, records};
use crate::{
    cli::{self, Failure, OutputFlags, files, say, set_threads},
    plots::Chart,
    report::{Picture, Section, write_data},
    sweep::{Record, Rows, Run, Sweep},
};
use autoencoder::{
    Autoencoder, Error, Init, Loss, TrainConfig,
    data::{ImageSet, catalog::PublishedDataset, png},
    ndarray::Array2,
};
use clap::{Args, Parser, ValueEnum};
use std::{
    collections::HashSet,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Maximum number of concurrent runs by default: with more, the memory for images outweighs the gain.
const MAX_JOBS: usize = 8;

/// Default number of epochs of a large data set.
const EPOCHS: usize = 10;
/// Updates after which a model of the study is better than PCA at narrow codes, and the epochs that they may take.
const MIN_UPDATES: usize = 1_250;
const MAX_EPOCHS: usize = 40;
const TRAIN_IMAGES: usize = 60_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StudyDataset {
    Mnist,
    FashionMnist,
    /// Digits that the library draws
    Digits,
    /// MNIST and Fashion-MNIST
    Both,
}

/// The flags of every experiment.
#[derive(Debug, Clone, Args)]
pub struct StudyFlags {
    #[arg(long, value_enum, default_value = "both")]
    dataset: StudyDataset,
    /// Folder with mnist/ and fashion-mnist/ [default: $AUTOENCODER_DATA, or data]
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Epochs [default: 10, or as many as take 1,250 updates of the weights, but at most 40]
    #[arg(long)]
    epochs: Option<usize>,
    /// Images per batch [default: 128, or 32 for fewer than 10,000 training images]
    #[arg(long)]
    batch_size: Option<usize>,
    #[arg(long, default_value_t = 0.001)]
    pub learning_rate: f32,
    #[arg(long, value_parser = cli::loss(), default_value = "mse")]
    pub loss: Loss,
    #[arg(long, value_parser = cli::init(), default_value = "he")]
    pub init: Init,
    /// Seeds; each model is trained once per seed
    #[arg(long, value_delimiter = ',', num_args = 1, default_value = "0")]
    seeds: Vec<u64>,
    /// Worker threads [default: one per core]
    #[arg(long)]
    threads: Option<usize>,
    /// Concurrent runs, each on an equal fraction of the threads [default: one per thread, at most 8]
    #[arg(long)]
    jobs: Option<NonZeroUsize>,
    /// Uses the first LIMIT training and test images only
    #[arg(long)]
    limit: Option<usize>,
    /// Continues an interrupted study and reuses finished runs in --out
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    output: OutputFlags,
}

/// The environment of an experiment: flags, data sets, and folders.
pub struct Lab<'a> {
    pub flags: &'a StudyFlags,
    pub sets: &'a [Set],
    /// Runs, which experiments share so that each is trained once.
    pub runs: &'a Runs,
    /// Folder for tables and pictures.
    pub out: PathBuf,
}

/// One of the study's experiments.
pub trait Experiment {
    /// Trains the models, writes the files, and returns a section of the report and the records.
    fn run(&self, lab: &Lab) -> Result<(Section, Vec<Record>), Failure>;
}

// No doc comment here, because `--help` begins with the experiment's.
#[derive(Debug, Parser)]
#[command(allow_negative_numbers = true)]
struct Flags<E: Args> {
    #[command(flatten)]
    study: StudyFlags,
    /// Folder for the results [default: out/ followed by the name of the example]
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    experiment: E,
}

/// Runs one experiment, as an example does.
pub fn alone<E: Args + Experiment>(name: &str) -> ExitCode {
    let Flags::<E> { study, out, experiment } = cli::flags();
    let out = out.unwrap_or_else(|| Path::new("out").join(name));
    cli::finish(study.start(&out).and_then(|sets| {
        let runs = Runs::new(out.join("runs"));
        let lab = Lab { flags: &study, sets: &sets, runs: &runs, out: out.clone() };
        let (section, _) = experiment.run(&lab)?;
        files::write_text(&out.join("tables.md"), &section.markdown(1))?;
        write_data(&out, &section)?;
        say(&section.tables())?;
        say(&format!("tables, charts and pictures are in {}", out.display()))?;
        runs.result()
    }))
}

impl StudyFlags {
    /// Sets the number of threads, checks the settings, creates the folder for results and loads the data sets.
    pub fn start(&self, out: &Path) -> Result<Vec<Set>, Failure> {
        self.output.apply();
        set_threads(self.threads)?;
        self.config(0).check()?;
        files::create_folder(out)?;
        let set = |name: &str, train: ImageSet, test: ImageSet| {
            let [train, test] = [train, test].map(|images| cli::head(images, self.limit));
            Ok::<_, Failure>(Set::new(name, train?, test?))
        };
        let known = |name, known| {
            let cli::Images { train, test, .. } = cli::Images::known(known, self.data_dir.as_deref())?;
            set(name, train, test)
        };
        let mnist = || known("mnist", PublishedDataset::Mnist);
        let fashion_mnist = || known("fashion-mnist", PublishedDataset::FashionMnist);
        match self.dataset {
            StudyDataset::Mnist => Ok(vec![mnist()?.only()]),
            StudyDataset::FashionMnist => Ok(vec![fashion_mnist()?.only()]),
            StudyDataset::Both => Ok(vec![mnist()?, fashion_mnist()?]),
            StudyDataset::Digits => {
                let (train, test) = cli::drawn(self.limit, self.limit)?;
                Ok(vec![set("digits", train, test)?.only()])
            }
        }
    }

    /// Returns the limit on the number of images.
    pub fn limit(&self) -> Option<usize> {
        self.limit
    }

    fn config(&self, seed: u64) -> TrainConfig {
        TrainConfig::new()
            .epochs(self.epochs())
            .batch_size(self.batch_size())
            .learning_rate(self.learning_rate)
            .loss(self.loss)
            .seed(seed)
    }

    /// Returns a run with these settings for each seed.
    pub fn runs<'s>(
        &'s self,
        dataset: &'s str,
        hidden: &'s [usize],
        code: usize,
    ) -> impl Iterator<Item = Run> {
        self.seeds().into_iter().map(move |seed| Run {
            dataset: dataset.to_owned(),
            hidden: hidden.to_vec(),
            code,
            init: self.init,
            train: self.config(seed),
            ..Run::default()
        })
    }

    /// Returns the number of epochs. A small data set needs more of them for the same number of updates.
    pub fn epochs(&self) -> usize {
        self.epochs.unwrap_or_else(|| {
            let updates = self.train_images().div_ceil(self.batch_size().max(1)).max(1);
            MIN_UPDATES.div_ceil(updates).clamp(EPOCHS, MAX_EPOCHS)
        })
    }

    /// Returns the number of images per batch.
    pub fn batch_size(&self) -> usize {
        self.batch_size.unwrap_or(if self.train_images() < 10_000 { 32 } else { 128 })
    }

    /// Returns the number of training images: those of MNIST, of Fashion-MNIST and the drawn digits are equal.
    fn train_images(&self) -> usize {
        self.limit.map_or(TRAIN_IMAGES, |limit| limit.min(TRAIN_IMAGES))
    }

    /// Returns the same flags with a different number of epochs.
    pub fn with_epochs(&self, epochs: usize) -> Self {
        Self { epochs: Some(epochs), ..self.clone() }
    }

    /// Returns the same flags for a process that prints nothing but errors.
    pub fn without_output(&self) -> Self {
        Self { output: OutputFlags::QUIET, ..self.clone() }
    }

    /// Returns the same flags with only the first seed.
    pub fn with_first_seed(&self) -> Self {
        Self { seeds: vec![self.first_seed()], ..self.clone() }
    }

    /// Returns the seeds without duplicates.
    pub fn seeds(&self) -> Vec<u64> {
        let mut seen = HashSet::new();
        self.seeds.iter().copied().filter(|&seed| seen.insert(seed)).collect()
    }

    /// Returns the seed that pictures are drawn for.
    pub fn first_seed(&self) -> u64 {
        self.seeds[0]
    }
}

impl Lab<'_> {
    /// Trains each model once, shows the progress, and writes `runs.csv` and `history.csv`.
    ///
    /// An invalid setting is an error before the first run. Failed runs are reported and skipped; if all fail, the first
    /// error is returned.
    pub fn sweep(&self, runs: &[Run], sets: &[Set]) -> Result<Vec<Record>, Failure> {
        let find = |name: &str| match sets.iter().find(|set| set.name == name) {
            Some(set) => Ok(Rows::images(&set.train, &set.test)),
            None => Err(Error::NotFound { dataset: "the run's data set", looked: vec![] }),
        };
        let mut seen = HashSet::new();
        let ids: Vec<String> = runs.iter().map(Run::id).filter(|id| seen.insert(id.clone())).collect();
        let new = |run: &&Run| seen.remove(&run.id()) && !self.runs.done.borrow().contains_key(&run.id());
        let runs: Vec<Run> = runs.iter().filter(new).cloned().collect();
        runs.iter().try_for_each(|run| run.check(find(&run.dataset)?.train.features()))?;

        let jobs =
            self.flags.jobs.map_or_else(|| MAX_JOBS.min(rayon::current_num_threads()), NonZeroUsize::get);
        let mut progress = SweepProgress::new(&runs);
        let mut sweep = Sweep::new(&self.runs.folder).resume(self.flags.resume).jobs(jobs);
        if let Some(queue) = &self.runs.queue {
            sweep = sweep.queue(queue.clone());
        }
        let outcomes = sweep.run(&runs, find, |number, event| progress.show(number, event))?;
        drop(progress);

        let mut failed = Vec::new();
        for outcome in outcomes {
            self.runs.reused.set(self.runs.reused.get() + usize::from(outcome.resumed));
            match outcome.record {
                Ok(record) => drop(self.runs.done.borrow_mut().insert(record.run.id(), record)),
                Err(error) => failed.push((records::title(&outcome.run), error)),
            }
        }
        let done: Vec<Record> =
            ids.iter().filter_map(|id| self.runs.done.borrow().get(id).cloned()).collect();
        if done.is_empty() && !failed.is_empty() {
            return Err(failed.swap_remove(0).1.into());
        }
        if self.runs.queue.as_ref().is_none_or(|queue| queue.rank() == 0) {
            failed.iter().for_each(|(title, error)| cli::complain(&format!("{title}: {error}")));
        }
        self.runs.failed.set(self.runs.failed.get() + failed.len());
        records::write(&self.out, &done)?;
        Ok(done)
    }

    /// Loads the model of a record.
    pub fn model(&self, record: &Record) -> Result<Autoencoder, Failure> {
        Ok(Autoencoder::load(self.runs.folder.join(record.run.id()).with_extension("safetensors"))?)
    }

    /// Draws a chart.
    pub fn chart(&self, name: &str, caption: &str, chart: &Chart) -> Result<Picture, Failure> {
        let path = self.out.join(format!("{name}.svg"));
        chart.save(&path)?;
        Ok(Picture { path, caption: caption.to_owned(), rows: Vec::new(), columns: Vec::new() })
    }

    /// Draws rows of images, each with a label.
    pub fn grid(
        &self,
        name: &str,
        caption: &str,
        set: &Set,
        rows: &[(String, Array2<f32>)],
    ) -> Result<Picture, Failure> {
        let path = self.out.join(format!("{name}.png"));
        let views: Vec<_> = rows.iter().map(|(_, images)| images.view()).collect();
        png::save_grid(&path, set.test.image_shape(), &views, 2)?;
        let labels = rows.iter().map(|(label, _)| label.clone()).collect();
        Ok(Picture { path, caption: caption.to_owned(), rows: labels, columns: Vec::new() })
    }
}

/// Returns the records of a data set whose run passes a test.
pub fn chosen<'r>(
    records: &'r [Record],
    set: &'r Set,
    pass: impl Fn(&Run) -> bool + 'r,
) -> impl Iterator<Item = &'r Record> {
    records.iter().filter(move |record| record.run.dataset == set.name && pass(&record.run))
}

/// Collects the records of a data set whose run passes a test.
pub fn matching<'r>(records: &'r [Record], set: &Set, pass: impl Fn(&Run) -> bool) -> Vec<&'r Record> {
    records.iter().filter(|record| record.run.dataset == set.name && pass(&record.run)).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::anomaly::Anomaly, *};

    /// Epochs and images per batch for these flags.
    fn training(flags: &str) -> (usize, usize) {
        let flags = ["anomaly"].into_iter().chain(flags.split_whitespace());
        let study = Flags::<Anomaly>::try_parse_from(flags).unwrap().study;
        (study.epochs(), study.batch_size())
    }

    #[test]
    fn small_data_sets_get_more_epochs_and_smaller_batches() {
        assert_eq!(training(""), (10, 128));
        assert_eq!(training("--limit 10000"), (16, 128));
        assert_eq!(training("--limit 6000"), (10, 32));
        assert_eq!(training("--limit 1000"), (40, 32));
        assert_eq!(training("--limit 0"), (40, 32));
        assert_eq!(training("--limit 1000 --epochs 3 --batch-size 500"), (3, 500));
    }
}
