//! What the study's experiments share: their flags, their data sets, a sweep with progress, `runs.csv` and
//! `history.csv`.

use super::{Failure, Init, Loss, files, progress::Progress, say, set_threads};
use autoencoder::{
    Error, TrainConfig,
    data::{Dataset, NoiseKind, catalog::Known},
    nn::Penalty,
    sweep::{Images, Outcome, Record, Run},
};
use clap::{Args, ValueEnum};
use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
};

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
#[derive(Debug, Args)]
pub struct StudyFlags {
    #[arg(long, value_enum, default_value = "both")]
    dataset: StudyDataset,
    /// Folder that holds mnist/ and fashion-mnist/ [default: $AUTOENCODER_DATA, else data]
    #[arg(long)]
    data_dir: Option<PathBuf>,
    #[arg(long, default_value_t = 10)]
    epochs: usize,
    #[arg(long, default_value_t = 128)]
    batch_size: usize,
    #[arg(long, default_value_t = 0.001)]
    learning_rate: f32,
    #[arg(long, value_enum, default_value = "mse")]
    loss: Loss,
    #[arg(long, value_enum, default_value = "he")]
    init: Init,
    /// A run for each
    #[arg(long, value_delimiter = ',', default_value = "0")]
    pub seeds: Vec<u64>,
    /// Worker threads [default: one a core]
    #[arg(long)]
    threads: Option<usize>,
    /// Trains on the first so many images
    #[arg(long)]
    limit: Option<usize>,
    /// Skips runs whose records stand under --out
    #[arg(long)]
    resume: bool,
}

/// A data set of the study by its name.
pub struct Set {
    pub name: &'static str,
    pub train: Dataset,
    pub test: Dataset,
}

impl StudyFlags {
    /// Sets the threads, checks what can be checked, makes the folder for results and loads the data sets.
    pub fn start(&self, out: &Path) -> Result<Vec<Set>, Failure> {
        set_threads(self.threads)?;
        self.config(0).check()?;
        files::create_folder(out)?;
        let set = |name, images: Result<super::Images, Error>| {
            let super::Images { train, test, .. } = images?.limited(self.limit)?;
            Ok::<_, Error>(Set { name, train, test })
        };
        let known = |known| super::Images::known(known, self.data_dir.as_deref());
        let mnist = || set("mnist", known(Known::Mnist));
        let fashion_mnist = || set("fashion-mnist", known(Known::FashionMnist));
        match self.dataset {
            StudyDataset::Mnist => Ok(vec![mnist()?]),
            StudyDataset::FashionMnist => Ok(vec![fashion_mnist()?]),
            StudyDataset::Both => Ok(vec![mnist()?, fashion_mnist()?]),
            StudyDataset::Digits => Ok(vec![set("digits", super::drawn(None))?]),
        }
    }

    fn config(&self, seed: u64) -> TrainConfig {
        TrainConfig::new()
            .epochs(self.epochs)
            .batch_size(self.batch_size)
            .learning_rate(self.learning_rate)
            .loss(self.loss.into())
            .seed(seed)
    }

    /// A run with the flags' settings.
    pub fn run(&self, dataset: &str, hidden: &[usize], code: usize, seed: u64) -> Run {
        let (dataset, hidden) = (dataset.to_owned(), hidden.to_vec());
        Run { dataset, hidden, code, dropout: 0.0, init: self.init.into(), train: self.config(seed) }
    }

    /// Does the runs, shows how they go, writes `runs.csv` and `history.csv`. Runs that fail are said and left out;
    /// if all do, the first failure is the sweep's.
    pub fn sweep(&self, runs: &[Run], sets: &[Set], out: &Path) -> Result<Vec<Record>, Failure> {
        let find = |name: &str| match sets.iter().find(|set| set.name == name) {
            Some(set) => Ok(Images { train: &set.train, test: &set.test }),
            None => Err(Error::NotFound { dataset: "the run's data set", looked: vec![] }),
        };
        let mut progress: Option<(usize, Progress)> = None;
        let records = out.join("runs");
        let outcomes = autoencoder::sweep::Sweep::new(&records).resume(self.resume).jobs(2).run(runs, find, |number, event| {
            if progress.as_ref().is_none_or(|(current, _)| *current != number) {
                let title = format!("run {}/{}: {}", number + 1, runs.len(), title(&runs[number]));
                progress = Some((number, Progress::new(self.epochs, runs[number].train.noise.is_some())));
                if say(&title).is_err() {
                    return ControlFlow::Break(());
                }
            }
            progress.as_mut().map_or(ControlFlow::Continue(()), |(_, progress)| progress.show(event))
        })?;
        drop(progress);

        let mut done = Vec::new();
        let mut failed = None;
        for Outcome { run, record, .. } in outcomes {
            match record {
                Ok(record) => done.push(record),
                Err(error) => {
                    eprintln!("{}: {error}", title(&run));
                    failed.get_or_insert(error);
                }
            }
        }
        if let (true, Some(error)) = (done.is_empty(), failed) {
            return Err(error.into());
        }
        write_records(out, &done)?;
        Ok(done)
    }
}

fn title(run: &Run) -> String {
    let hidden: Vec<_> = run.hidden.iter().map(usize::to_string).collect();
    format!("{}, {}-{}, seed {}", run.dataset, hidden.join("-"), run.code, run.train.seed)
}

const COLUMNS: [&str; 24] = [
    "dataset",
    "depth",
    "widths",
    "code",
    "penalty",
    "lasso",
    "dropout",
    "noise_variance",
    "clamped",
    "loss_kind",
    "epochs",
    "batch_size",
    "learning_rate",
    "seed",
    "initialisation",
    "train_loss",
    "train_mse",
    "test_mse",
    "test_psnr_mean_db",
    "test_psnr_pooled_db",
    "test_ssim",
    "sparsity",
    "seconds",
    "images_per_second",
];

fn write_records(out: &Path, records: &[Record]) -> Result<(), Failure> {
    files::write_csv(&out.join("runs.csv"), &COLUMNS, records.iter().map(|record| row(record).to_vec()))?;
    let epochs = records.iter().flat_map(|record| {
        let run = [record.run.id(), record.run.dataset.clone(), record.run.code.to_string()];
        files::history_rows(&record.history).map(move |epoch| [&run[..], &epoch].concat())
    });
    let columns = [&["run", "dataset", "code"][..], &files::HISTORY_COLUMNS].concat();
    files::write_csv(&out.join("history.csv"), &columns, epochs)
}

fn row(record: &Record) -> [String; COLUMNS.len()] {
    let Record { run, test, .. } = record;
    let widths: Vec<_> = record.widths.iter().map(usize::to_string).collect();
    let variance = run.train.noise.as_ref().map_or(0.0, |noise| match noise.kinds()[0] {
        NoiseKind::Gaussian { variance } => variance,
        _ => f32::NAN,
    });
    let lasso = run.train.penalties.iter().find_map(|penalty| match penalty {
        Penalty::Lasso { lambda, .. } | Penalty::ProximalLasso { lambda, .. } => Some(*lambda),
        _ => None,
    });
    let penalty = match (lasso, run.dropout > 0.0) {
        (Some(_), true) => "lasso+dropout",
        (Some(_), false) => "lasso",
        (None, true) => "dropout",
        (None, false) => "none",
    };
    let last = record.history.epochs.last();
    let figure =
        |of: fn(&autoencoder::train::EpochRecord) -> f64| last.map_or(String::new(), |e| of(e).to_string());
    [
        run.dataset.clone(),
        (run.hidden.len() + 1).to_string(),
        widths.join("-"),
        run.code.to_string(),
        penalty.to_owned(),
        lasso.unwrap_or(0.0).to_string(),
        run.dropout.to_string(),
        variance.to_string(),
        run.train.noise.as_ref().is_some_and(|noise| noise.is_clamped()).to_string(),
        format!("{:?}", run.train.loss).to_lowercase(),
        run.train.epochs.to_string(),
        run.train.batch_size.to_string(),
        run.train.learning_rate.to_string(),
        run.train.seed.to_string(),
        format!("{:?}", run.init).to_lowercase(),
        figure(|epoch| epoch.loss),
        figure(|epoch| epoch.mse),
        test.output.mse.to_string(),
        test.output.psnr_mean_db.to_string(),
        test.output.psnr_pooled_db.to_string(),
        record.test_ssim.map_or(String::new(), |ssim| ssim.to_string()),
        record.sparsity.to_string(),
        record.seconds.to_string(),
        record.history.images_per_second().map_or(String::new(), |speed| speed.to_string()),
    ]
}
