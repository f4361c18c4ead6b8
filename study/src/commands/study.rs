//! Runs every experiment into one folder, and writes `report/index.html` and the same tables as Markdown.

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

/// Maximum epochs of the anomaly models, of which there are ten per data set.
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
        "Among the models of the first experiment, this one has the highest test PSNR ({}, code {code}).",
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

/// Collects all findings.
fn summary(sections: &[Section]) -> Section {
    let mut summary = Section::new("Findings");
    summary.text(
        "How much of an image survives a narrow code? Do more layers, a penalty on the weights, or dropout help? How \
         well does the best model remove noise, and what else does its code represent? Every sentence below is computed \
         from the runs. The tables and curves behind it follow.",
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
        "Models: dense encoders with mirrored decoders, ReLU in the hidden layers, a linear code, a sigmoid output. \
         Three layers per side are 784-512-256-code and five are 784-512-384-256-128-code, unless `--hidden` says \
         otherwise. Initialization: {:?}. Training: Adam with learning rate {}, batches of {}, {} epochs unless a \
         section says otherwise, loss {}, seeds {:?}. A cell with a range shows the mean over seeds, with the lowest \
         and the highest value.",
        study.init, study.learning_rate, study.batch_size, study.epochs, format!("{:?}", study.loss).to_uppercase(), study.seeds()
    ));
    method.text(
        "PSNR is 10 log10(1 / MSE) in dB, for pixels in [0, 1]. The pooled PSNR uses the mean squared error of all test \
         images; the mean over images averages the PSNR of each image. The two can differ by more than 1 dB. SSIM is the \
         mean structural similarity with Gaussian weights of standard deviation 1.5. Training losses are averages over \
         the batches during training. Everything else is measured on the test images. Training never uses them, but the \
         best of several models, and the architecture for denoising, are chosen by test PSNR.",
    );
    method
}

fn provenance(flags: &Flags, runs: &Runs, seconds: f64) -> Section {
    let mut section = Section::new("How this report was made");
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
        "{count} runs with {:.0} minutes of training and validation in total, several at once; this call took {:.1} \
         minutes. Seeds {:?}: the same seeds give the same numbers on this kind of CPU, for any number of threads and of \
         concurrent runs.",
        training / 60.0,
        seconds / 60.0,
        flags.study.seeds()
    ));
    section
}
