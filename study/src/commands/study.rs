//! The whole study in one folder: every experiment, `report/index.html` and the same tables as Markdown.

use crate::{
    cli::{Failure, files, say},
    experiments::{
        GridFlags,
        anomaly::Anomaly,
        architectures::Architectures,
        denoising::Denoising,
        lab::{Experiment, Lab, Runs, Set, StudyFlags},
        latent_space::LatentSpace,
        longer::Longer,
        regularization::Regularization,
        starts::Starts,
    },
    report::{Block, Section, Spread, page},
    sweep::Record,
};
use clap::Parser;
use std::{env, path::PathBuf, time::Instant};
use sysinfo::System;

/// Epochs of the anomaly models, at most: ten a data set are trained.
const ANOMALY_EPOCHS: usize = 5;
const LONG_EPOCHS: usize = 30;

/// Does every experiment and writes the report.
#[derive(Debug, Parser)]
#[command(allow_negative_numbers = true)]
pub(super) struct Flags {
    #[command(flatten)]
    study: StudyFlags,
    #[command(flatten)]
    grid: GridFlags,
    /// Regularisers for every code instead of the widest, strengths of the Lasso, losses and first weights, 30 epochs
    #[arg(long)]
    thorough: bool,
    /// Strength of the Lasso
    #[arg(long, default_value_t = 0.00001)]
    lasso: f32,
    /// Rate of dropout
    #[arg(long, default_value_t = 0.2)]
    dropout: f32,
    /// Folder for the results
    #[arg(long, default_value = "out/study")]
    out: PathBuf,
}

pub(super) fn run(flags: &Flags) -> Result<(), Failure> {
    let start = Instant::now();
    let sets = flags.study.start(&flags.out)?;
    let runs = Runs::new(flags.out.join("runs"));
    let mut sections = Vec::new();
    let mut experiment = |name: &str, study: &StudyFlags, experiment: &dyn Experiment| {
        say(&format!("{name}:"))?;
        let lab = Lab { flags: study, sets: &sets, runs: &runs, out: flags.out.join(name) };
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
        let (regularizers, epochs) = (regularization.regularizers(), LONG_EPOCHS.max(3 * study.epochs));
        experiment("longer", &study.with_first_seed(), &Longer { grid: grid.clone(), regularizers, epochs })?;
    }
    let choice = format!(
        "Of the models of the first experiment this one had the highest test PSNR ({}, code {code}).",
        grid.label(&hidden)
    );
    experiment("denoising", study, &Denoising::gaussian(hidden.clone(), code, choice))?;
    let near_30 = grid.codes().into_iter().min_by_key(|code| code.abs_diff(30)).unwrap_or(code);
    experiment("latent_space", study, &LatentSpace { hidden, code: near_30 })?;
    let few = study.with_epochs(study.epochs.min(ANOMALY_EPOCHS));
    experiment("anomaly", &few, &Anomaly { hidden: vec![128], code: 16 })?;

    let mut all = vec![summary(&sections), method(flags, &sets)];
    all.append(&mut sections);
    all.push(provenance(flags, &runs, start.elapsed().as_secs_f64()));
    let report = flags.out.join("report");
    files::create_folder(&report)?;
    let names: Vec<_> = sets.iter().map(Set::title).collect();
    let title = format!("Deep autoencoders: analysis and denoising. {}", names.join(" and "));
    files::write_text(&report.join("index.html"), &page(&title, &all)?)?;
    let markdown: Vec<_> = all.iter().map(|section| section.markdown(2)).collect();
    files::write_text(&report.join("tables.md"), &format!("# {title}\n\n{}", markdown.join("\n")))?;
    say(&format!("the report is {}", report.join("index.html").display()))?;
    runs.result()
}

/// The architecture and code with the highest test PSNR, on average over data sets and seeds.
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

/// All findings in one place.
fn summary(sections: &[Section]) -> Section {
    let mut summary = Section::new("What was found");
    summary.text(
        "How much of an image survives a narrow code? Do more layers help, does a penalty on the weights, does \
         dropping units? How well does the best of them remove noise, and what else does its code know? Every \
         sentence below is computed from the runs; the tables and curves behind it follow.",
    );
    for section in sections {
        for block in &section.blocks {
            if let Block::Finding(text) = block {
                summary.finding(text.clone());
            }
        }
    }
    summary
}

fn method(flags: &Flags, sets: &[Set]) -> Section {
    let mut method = Section::new("Method");
    let counts: Vec<_> = sets
        .iter()
        .map(|set| {
            format!("{} ({} training and {} test images)", set.title(), set.train.len(), set.test.len())
        })
        .collect();
    let study = &flags.study;
    method.text(format!("Data: {}; pixels in [0, 1].", counts.join(", ")));
    method.text(format!(
        "Models: dense encoders and their mirrored decoders, ReLU in hidden layers, a linear code, a sigmoid at the \
         output. Three layers a side are 784-512-256-code, five are 784-512-384-256-128-code, unless `--hidden` says \
         otherwise. First weights: {:?}. Training: Adam at {}, batches of {}, {} epochs unless a section says otherwise, loss {}; seeds {:?}. A \
         cell with a range is the mean over seeds, with the lowest and highest.",
        study.init, study.learning_rate, study.batch_size, study.epochs, format!("{:?}", study.loss).to_uppercase(), study.seeds()
    ));
    method.text(
        "PSNR is 10 log10(1 / MSE) in dB, for pixels in [0, 1]: pooled is that of the mean squared error of all \
         test images, the mean over images is that of each image's own PSNR; the two differ by up to some dB. SSIM is \
         the mean structural similarity with Gaussian weights of standard deviation 1.5. Training losses are those of \
         the batches as they were trained on; all else is measured on the test images. No training looked at them, but \
         the best of several models, and the architecture for denoising, are chosen by their test PSNR.",
    );
    method
}

fn provenance(flags: &Flags, runs: &Runs, seconds: f64) -> Section {
    let mut section = Section::new("How this was made");
    let command: Vec<_> = env::args_os().skip(1).map(|flag| flag.to_string_lossy().into_owned()).collect();
    let system = System::new_all();
    let cpu = system.cpus().first().map_or("unknown CPU", |cpu| cpu.brand());
    let (training, count) = runs.seconds();
    section.text(format!("Command: `cargo run --release --example study -- {}`.", command.join(" ")));
    section.text(format!(
        "autoencoder {}, rustc {}, {} {}, {cpu}, {} cores, {} worker threads, {:.0} GiB of memory.",
        env!("CARGO_PKG_VERSION"),
        rustc_version_runtime::version(),
        env::consts::OS,
        env::consts::ARCH,
        system.cpus().len(),
        rayon::current_num_threads(),
        system.total_memory() as f64 / f64::from(1 << 30)
    ));
    section.text(format!(
        "{count} runs, {:.0} minutes of training and validation in all, several at once; this call took {:.1} minutes. \
         Seeds {:?}: the same seeds give the same numbers on this kind of CPU, whatever the number of threads or of \
         runs at once.",
        training / 60.0,
        seconds / 60.0,
        flags.study.seeds()
    ));
    section
}
