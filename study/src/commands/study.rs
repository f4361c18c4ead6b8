//! Runs every experiment into one folder, and writes the report: a page, the same tables as Markdown, every number in files.

use crate::{
    cli::{self, Failure, files, say},
    experiments::{
        GridFlags,
        anomaly::Anomaly,
        architectures::Architectures,
        denoising::{BEST_LINEAR, Denoising},
        lab::{Experiment, Lab, Runs, Set, StudyFlags},
        latent_space::LatentSpace,
        longer::Longer,
        records,
        regularization::{HELP, RIVALS, Regularization},
        starts::Starts,
    },
    report::{
        Report, Section, Spread, grouped, json,
        verdict::{ONE_SEED_DB, VISIBLE_DB},
        warning, write_data,
    },
    sweep::{Record, WorkQueue},
};
use clap::Parser;
use std::{env, path::PathBuf, sync::Arc, time::Instant};
use sysinfo::System;

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
    let mut sections = Vec::new();
    let mut experiment = |name: &str, study: &StudyFlags, experiment: &dyn Experiment| {
        say(&format!("{name}:"))?;
        let lab = Lab { flags: study, sets: &sets, runs: &runs, out: out.join(name) };
        let (section, found) = experiment.run(&lab)?;
        sections.push(section);
        Ok::<_, Failure>(found)
    };

    let (study, grid) = (&flags.study, &flags.grid);
    let found = experiment("architectures", study, &Architectures { grid: grid.clone() })?;
    let (hidden, code) = best(&found);
    let regularization = Regularization {
        grid: if flags.thorough { grid.clone() } else { grid.with_code(grid.widest_code()) },
        lasso: flags.lasso,
        dropout: flags.dropout,
        lambdas: if flags.thorough { vec![0.0, 1e-7, 1e-6, 1e-5, 1e-4] } else { Vec::new() },
    };
    experiment("regularization", study, &regularization)?;
    if flags.thorough {
        experiment("starts", study, &Starts { grid: grid.clone() })?;
        let (regularizers, epochs) = (regularization.regularizers(), LONG_EPOCHS.max(3 * study.epochs()));
        experiment("longer", &study.with_first_seed(), &Longer { grid: grid.clone(), regularizers, epochs })?;
    }
    let choice = "Among the models of the first experiment, this one has the highest test PSNR.".to_owned();
    experiment("denoising", study, &Denoising::gaussian(hidden.clone(), code, choice))?;
    let near_30 = grid.codes().into_iter().min_by_key(|code| code.abs_diff(30)).unwrap_or(code);
    experiment("latent_space", study, &LatentSpace { hidden, code: near_30 })?;
    experiment(
        "anomaly",
        &study.with_epochs(anomaly_epochs(study)),
        &Anomaly { hidden: vec![128], code: 16 },
    )?;
    if scratch.is_some() {
        return runs.result();
    }

    let records = runs.records();
    let names: Vec<_> = sets.iter().map(Set::title).collect();
    let images: Vec<_> = sets.iter().map(|set| (set.title().to_owned(), set.train.len())).collect();
    let warning = warning(&images, &records);
    let conditions = conditions(flags, &sets, &runs, processes, start.elapsed().as_secs_f64());
    sections.insert(0, original(flags, &sections));
    sections.extend([method(flags), provenance(flags, processes, &sections)]);

    let folder = flags.out.join("report");
    files::create_folder(&folder)?;
    records::write(&folder, &records)?;
    sections.iter().try_for_each(|section| write_data(&folder, section))?;
    files::write_json(
        &folder.join("study.json"),
        &json(&conditions, warning.as_deref(), &sections, &records),
    )?;
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

/// Returns what a reader must know before the answers.
fn conditions(
    flags: &Flags,
    sets: &[Set],
    runs: &Runs,
    processes: Option<usize>,
    seconds: f64,
) -> Vec<(String, String)> {
    let study = &flags.study;
    let images: Vec<_> = sets
        .iter()
        .map(|set| {
            let [train, test] = [&set.train, &set.test].map(|images| grouped(images.len()));
            format!("{}: {train} for training, {test} for tests", set.title())
        })
        .collect();
    let seeds: Vec<String> = study.seeds().iter().map(u64::to_string).collect();
    let seeds = match seeds.as_slice() {
        [seed] => {
            format!("{seed}; one seed has no range, so a difference below {ONE_SEED_DB} dB does not count")
        }
        seeds => format!("{}; a difference counts if it exceeds the range of the seeds", seeds.join(", ")),
    };
    let system = System::new_all();
    let cpu = system.cpus().first().map_or("unknown CPU", |cpu| cpu.brand().trim());
    let (training, count) = runs.seconds();
    let computer = format!(
        "{cpu}, {} cores, {} worker threads, {:.0} GiB of memory",
        system.cpus().len(),
        rayon::current_num_threads(),
        system.total_memory() as f64 / f64::from(1 << 30)
    );
    let computer = match processes {
        Some(count) if count > 1 => format!("{count} processes; the first ran on {computer}"),
        _ => computer,
    };
    let time = format!(
        "{:.1} minutes for this call; {count} runs, reused ones included, trained for {:.1} minutes, several at once",
        seconds / 60.0,
        training / 60.0
    );
    let training = format!(
        "{} epochs ({} for the models without a class), batches of {}",
        study.epochs(),
        anomaly_epochs(study),
        study.batch_size()
    );
    [
        ("Images", images.join("; ")),
        ("Training", training),
        (if study.seeds().len() == 1 { "Seed" } else { "Seeds" }, seeds),
        ("Computer", computer),
        ("Time", time),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Compares the answers with the conclusions of the study that this one repeats.
fn original(flags: &Flags, sections: &[Section]) -> Section {
    let mut original = Section::new("What the original study found, what we found, why they differ");
    original.text(
        "This study repeats a course project, \"Deep Autoencoders for MNIST and FMNIST: Analysis and Denoising\". It \
         preferred Lasso regularization to Dropout, and reported the quality of denoising as PSNR.",
    );
    let found = |question: &str| -> Vec<String> {
        let answers = sections.iter().flat_map(Section::answers).filter(|answer| answer.question == question);
        answers.map(|answer| format!("{}: {}", answer.dataset, answer.text)).collect()
    };
    for question in [RIVALS, HELP, BEST_LINEAR] {
        let answers = found(question);
        if !answers.is_empty() {
            original.text(format!("{question} {}", answers.join(" ")));
        }
    }
    original.text(
        "Three things differ, or may differ. This repository does not record the settings of the original, so the second \
         point is a possible reason, not a measured one.",
    );
    original.text(
        "1. The yardstick. This study also trains without a regularizer. Lasso may be better than Dropout and still not \
         help. A denoised image has the best linear denoiser beside it; a PSNR alone does not show whether a network was \
         needed.",
    );
    original.text(format!(
        "2. Initialization, loss and training time; here {:?}, {} and {} epochs. On MNIST with a code of 100, He initialization gains 2.3 to \
         4.7 dB over PyTorch's default, binary cross-entropy up to 1.3 dB over MSE, and 30 epochs 1.2 to 1.7 dB over 10 \
         (`docs/results` in the repository). Neither regularizer gains anything in those runs.",
        flags.study.init,
        format!("{:?}", flags.study.loss).to_uppercase(),
        flags.study.epochs()
    ));
    original.text(
        "3. The PSNR. Pooled over all pixels it can be more than 1 dB lower than averaged over images, and noise that is \
         clamped to [0, 1] is weaker than noise that is not.",
    );
    original
}

fn method(flags: &Flags) -> Section {
    let mut method = Section::new("Method");
    let (study, grid) = (&flags.study, &flags.grid);
    let architectures: Vec<_> = (grid.architectures().iter())
        .map(|hidden| {
            let widths: Vec<_> = hidden.iter().map(usize::to_string).collect();
            format!("pixels-{}-code", widths.join("-"))
        })
        .collect();
    method.text(format!(
        "Models: dense encoders ({}) with mirrored decoders, ReLU in the hidden layers, a linear code, a sigmoid output. \
         Initialization: {:?}. Training: Adam with learning rate {}, loss {}. Pixels are in [0, 1].",
        architectures.join(" and "),
        study.init,
        study.learning_rate,
        format!("{:?}", study.loss).to_uppercase()
    ));
    method.text(
        "PSNR is 10 log10(1 / MSE) in dB. The pooled PSNR uses the mean squared error of all test images; the mean over \
         images averages the PSNR of each image and can be more than 1 dB higher. SSIM is the mean structural similarity \
         with Gaussian weights of standard deviation 1.5. A cell with a range shows the mean over seeds, with the lowest and \
         the highest value. Bands in charts show the same range.",
    );
    method.text(format!(
        "Answers follow rules. With several seeds, a difference counts if its mean exceeds its range over the seeds and \
         {VISIBLE_DB} dB. With one seed, it counts above {ONE_SEED_DB} dB, because the PSNR of equal models varies by 0.1 to 0.5 dB over three seeds. \
         An AUROC within two standard errors of 0.5 is no better than chance."
    ));
    method.text(
        "Training errors are averages over the batches of an epoch, measured while the weights change. Everything else is \
         measured on the test images. Training never uses them, but the best of several models, and the architecture for \
         denoising, are chosen by test PSNR.",
    );
    method
}

fn provenance(flags: &Flags, processes: Option<usize>, sections: &[Section]) -> Section {
    let mut section = Section::new("How this report was made");
    let command: Vec<_> = env::args_os().skip(1).map(|flag| flag.to_string_lossy().into_owned()).collect();
    let program = match processes {
        Some(count) => format!("mpirun -n {count} study"),
        None => "cargo run --release --example study --".to_owned(),
    };
    section.text(format!("Command: `{program} {}`.", command.join(" ")));
    section.text(format!(
        "autoencoder {}, rustc {}, {} {}. Seeds {:?} give the same numbers again on this kind of CPU, for any number of \
         threads, of concurrent runs and of processes.",
        env!("CARGO_PKG_VERSION"),
        rustc_version_runtime::version(),
        env::consts::OS,
        env::consts::ARCH,
        flags.study.seeds()
    ));
    let names = sections.iter().flat_map(|section| &section.data).map(|data| format!("`{}.csv`", data.name));
    section.text(format!(
        "Beside this page: `runs.csv` (one row per run), `history.csv` (one row per epoch), {}, `tables.md` (this page \
         without pictures) and `study.json` (all of it).",
        names.collect::<Vec<_>>().join(", ")
    ));
    section
}
