//! Runs every experiment into one folder, and writes the report: a page, the same tables as Markdown, the numbers in files.

mod about;
mod conditions;
mod original;

use crate::{
    cli::{self, Failure, files, say},
    experiments::{
        GridFlags,
        anomaly::Anomaly,
        architectures::Architectures,
        denoising::Denoising,
        lab::{Experiment, Lab, Runs, Set, StudyFlags},
        latent_space::LatentSpace,
        longer::Longer,
        records,
        regularization::Regularization,
        starts::Starts,
    },
    report::{Contents, Extent, Group, Report, Spread, warning, write_data},
    sweep::{Record, WorkQueue},
};
use clap::Parser;
use std::{path::PathBuf, sync::Arc, time::Instant};

/// Epochs of the anomaly models, of which there are ten per data set; half of the other models' if that is more.
const ANOMALY_EPOCHS: usize = 5;
const LONG_EPOCHS: usize = 30;

/// Runs every experiment and writes the report.
#[derive(Debug, Parser)]
#[command(allow_negative_numbers = true)]
pub(super) struct Flags {
    #[command(flatten)]
    study: StudyFlags,
    #[command(flatten)]
    grid: GridFlags,
    /// Adds regularizers for every code, strengths of the Lasso, losses and initializations, and 30 epochs
    #[arg(long)]
    thorough: bool,
    /// Strength of the Lasso
    #[arg(long, default_value_t = 0.00001)]
    lasso: f32,
    /// Dropout rate
    #[arg(long, default_value_t = 0.2)]
    dropout: f32,
    /// Folder for the results
    #[arg(long, default_value = "out/study")]
    out: PathBuf,
}

/// Runs the command in a process of several.
pub(super) fn run_in_group(queue: Arc<dyn WorkQueue>) -> Result<(), Failure> {
    let is_first = queue.rank() == 0;
    match Flags::try_parse() {
        Ok(flags) if is_first => run(&flags, Some(queue)),
        Ok(mut flags) => {
            flags.study = flags.study.without_output();
            run(&flags, Some(queue))
        }
        Err(error) => match cli::invalid(&error) {
            Some(failure) => Err(failure),
            None => {
                // Help that cannot be printed is not an error, as without a group.
                let _ = is_first.then(|| error.print());
                Ok(())
            }
        },
    }
}

/// Runs the command, alone or in a process of several.
///
/// Each process does everything until the last run, because the results of an experiment decide the runs of the next. The
/// files of all but the first go to a folder that is removed.
pub(super) fn run(flags: &Flags, queue: Option<Arc<dyn WorkQueue>>) -> Result<(), Failure> {
    let start = Instant::now();
    let processes = queue.as_ref().map(|queue| queue.size());
    let scratch = match &queue {
        Some(queue) if queue.rank() > 0 => Some(files::scratch()?),
        _ => None,
    };
    let out = scratch.as_ref().map_or(&*flags.out, |scratch| scratch.path());
    let sets = flags.study.start(out)?;
    let mut runs = Runs::new(flags.out.join("runs"));
    if let Some(queue) = queue {
        if queue.size() > 1 {
            say(&format!("{} processes train; the lines show runs of the first one", queue.size()))?;
        }
        runs = runs.queue(queue);
    }
    let (mut sections, mut groups) = (Vec::new(), Vec::new());
    let mut experiment =
        |name: &str, models: &'static str, study: &StudyFlags, experiment: &dyn Experiment| {
            say(&format!("{name}:"))?;
            let lab = Lab { flags: study, sets: &sets, runs: &runs, out: out.join(name) };
            let (section, found) = experiment.run(&lab)?;
            sections.push(section);
            groups.push(Group { name: models, records: found.clone() });
            Ok::<_, Failure>(found)
        };

    let (study, grid) = (&flags.study, &flags.grid);
    let found = experiment(
        "architectures",
        "models of depth and code width",
        study,
        &Architectures { grid: grid.clone() },
    )?;
    let (hidden, code) = best(&found);
    let regularization = Regularization {
        grid: if flags.thorough { grid.clone() } else { grid.with_code(grid.widest_code()) },
        lasso: flags.lasso,
        dropout: flags.dropout,
        lambdas: if flags.thorough { vec![0.0, 1e-7, 1e-6, 1e-5, 1e-4] } else { Vec::new() },
    };
    experiment("regularization", "models with and without a regularizer", study, &regularization)?;
    if flags.thorough {
        experiment("starts", "models of loss and initialization", study, &Starts { grid: grid.clone() })?;
        let (regularizers, epochs) = (regularization.regularizers(), LONG_EPOCHS.max(3 * study.epochs()));
        let longer = Longer { grid: grid.clone(), regularizers, epochs };
        experiment("longer", "models with longer training", &study.with_first_seed(), &longer)?;
    }
    let choice = "Among the models of the first experiment, this one has the highest test PSNR.".to_owned();
    experiment("denoising", "denoising models", study, &Denoising::gaussian(hidden.clone(), code, choice))?;
    let near_30 = grid.codes().into_iter().min_by_key(|code| code.abs_diff(30)).unwrap_or(code);
    experiment("latent_space", "models of the latent space", study, &LatentSpace { hidden, code: near_30 })?;
    experiment(
        "anomaly",
        "anomaly models",
        &study.with_epochs(anomaly_epochs(study)),
        &Anomaly { hidden: vec![128], code: 16 },
    )?;
    if scratch.is_some() {
        return runs.result();
    }

    let records = runs.records();
    let names: Vec<_> = sets.iter().map(Set::title).collect();
    let images: Vec<_> = sets.iter().map(|set| (set.title().to_owned(), set.train.len())).collect();
    let extent = Extent { epochs: study.epochs(), seeds: study.seeds().len() };
    let warning = warning(&images, &groups, &extent);
    let conditions = conditions::all(flags, &sets, &runs.effort(), processes, start.elapsed());
    sections.insert(0, original::section(flags, sets.len() > 1, &sections));
    sections.extend([about::method(flags), about::provenance(flags, processes, &sections)]);

    let folder = flags.out.join("report");
    files::create_folder(&folder)?;
    records::write(&folder, &records)?;
    sections.iter().try_for_each(|section| write_data(&folder, section))?;
    let origin = about::origin(flags, processes);
    let contents = Contents::new(origin, &conditions, warning.as_ref(), &sections, &records);
    files::write_json(&folder.join("study.json"), &contents)?;
    let title = format!("Deep autoencoders: analysis and denoising. {}", names.join(" and "));
    let report = Report { title, conditions, warning, sections };
    files::write_text(&folder.join("index.html"), &report.html()?)?;
    files::write_text(&folder.join("tables.md"), &report.markdown())?;
    say(&format!("the report is {}", folder.join("index.html").display()))?;
    runs.result()
}

/// Returns the architecture and code with the highest test PSNR, averaged over data sets and seeds.
fn best(records: &[Record]) -> (Vec<usize>, usize) {
    let mean = |record: &Record| {
        let model =
            |other: &&Record| (&other.run.hidden, other.run.code) == (&record.run.hidden, record.run.code);
        let psnr = records.iter().filter(model).map(|other| other.test.output.psnr_pooled_db);
        Spread::of(psnr).map_or(f64::NEG_INFINITY, |spread| spread.mean)
    };
    let best = records.iter().max_by(|a, b| mean(a).total_cmp(&mean(b)));
    best.map_or((vec![512, 256], 100), |best| (best.run.hidden.clone(), best.run.code))
}

fn anomaly_epochs(study: &StudyFlags) -> usize {
    (study.epochs() / 2).max(study.epochs().min(ANOMALY_EPOCHS))
}
