//! The whole study in one folder: every experiment, `report/index.html` and the same tables as Markdown.
//!
//! `cargo run --release --example study -- --dataset both`

mod common;
mod experiments;

use autoencoder::sweep::Record;
use clap::Parser;
use common::{Failure, files, say};
use experiments::{
    GridFlags,
    anomaly::Anomaly,
    architectures::Architectures,
    denoising::Denoising,
    lab::{Experiment, Lab, Set, StudyFlags},
    latent_space::LatentSpace,
    longer::Longer,
    page::page,
    regularization::{Regularization, Regularizer},
    section::{Block, Section, Spread},
    starts::Starts,
};
use std::{env, path::PathBuf, process::ExitCode, time::Instant};
use sysinfo::System;

/// Epochs of the anomaly models, at most: twenty of them are trained.
const ANOMALY_EPOCHS: usize = 5;
const LONG_EPOCHS: usize = 30;

/// Does every experiment and writes the report.
#[derive(Debug, Parser)]
#[command(allow_negative_numbers = true)]
struct Flags {
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

fn main() -> ExitCode {
    common::finish(run(&common::flags()))
}

fn run(flags: &Flags) -> Result<(), Failure> {
    let start = Instant::now();
    let sets = flags.study.start(&flags.out)?;
    let mut sections = Vec::new();
    let mut records = Vec::new();
    let mut experiment = |name: &str, study: &StudyFlags, experiment: &dyn Experiment| {
        say(&format!("{name}:"))?;
        let lab =
            Lab { flags: study, sets: &sets, records: flags.out.join("runs"), out: flags.out.join(name) };
        let (section, found) = experiment.run(&lab)?;
        sections.push(section);
        records.extend(found.iter().cloned());
        Ok::<_, Failure>(found)
    };

    let grid = &flags.grid;
    let found = experiment("architectures", &flags.study, &Architectures { grid: grid.clone() })?;
    let (hidden, code) = best(&found).unwrap_or((vec![512, 256], 100));
    let widest = grid.codes.iter().copied().max().unwrap_or(code);
    let regularization = Regularization {
        grid: if flags.thorough { grid.clone() } else { grid.with_codes(&[widest]) },
        lasso: flags.lasso,
        dropout: flags.dropout,
        lambdas: if flags.thorough { vec![0.0, 1e-7, 1e-6, 1e-5, 1e-4] } else { Vec::new() },
    };
    experiment("regularization", &flags.study, &regularization)?;
    if flags.thorough {
        experiment("starts", &flags.study, &Starts { grid: grid.clone() })?;
        let (lasso, dropout) = (Regularizer::Lasso(flags.lasso), Regularizer::Dropout(flags.dropout));
        let regularizers = [Regularizer::None, lasso, dropout];
        experiment(
            "longer",
            &flags.study.with_first_seed(),
            &Longer { grid: grid.clone(), regularizers, epochs: LONG_EPOCHS },
        )?;
    }
    experiment("denoising", &flags.study, &Denoising::gaussian(hidden.clone(), code))?;
    let near_30 = grid.codes.iter().copied().min_by_key(|code| code.abs_diff(30)).unwrap_or(30);
    experiment("latent_space", &flags.study, &LatentSpace { hidden, code: near_30 })?;
    let few = flags.study.with_epochs(flags.study.epochs.min(ANOMALY_EPOCHS));
    experiment("anomaly", &few, &Anomaly { hidden: vec![128], code: 16 })?;

    let mut all = vec![summary(&sections), method(flags, &sets)];
    all.append(&mut sections);
    all.push(provenance(flags, &records, start.elapsed().as_secs_f64()));
    let report = flags.out.join("report");
    files::create_folder(&report)?;
    let title = "Deep autoencoders for MNIST and Fashion-MNIST: analysis and denoising";
    files::write_text(&report.join("index.html"), &page(title, &all)?)?;
    let markdown: Vec<_> = all.iter().map(|section| section.markdown(2)).collect();
    files::write_text(&report.join("tables.md"), &format!("# {title}\n\n{}", markdown.join("\n")))?;
    say(&format!("the report is {}", report.join("index.html").display()))
}

/// The architecture and code with the highest test PSNR, on average over data sets and seeds.
fn best(records: &[Record]) -> Option<(Vec<usize>, usize)> {
    let mean = |record: &Record| {
        let model =
            |other: &&Record| (&other.run.hidden, other.run.code) == (&record.run.hidden, record.run.code);
        let psnr = records.iter().filter(model).map(|other| other.test.output.psnr_pooled_db);
        Spread::of(psnr).map_or(f64::NEG_INFINITY, |spread| spread.mean)
    };
    let best = records.iter().max_by(|a, b| mean(a).total_cmp(&mean(b)))?;
    Some((best.run.hidden.clone(), best.run.code))
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
         otherwise. First weights: {:?}. Training: Adam at {}, batches of {}, {} epochs, loss {}; seeds {:?}. A \
         cell with a range is the mean over seeds, with the lowest and highest.",
        study.init, study.learning_rate, study.batch_size, study.epochs, format!("{:?}", study.loss).to_uppercase(), study.seeds
    ));
    method.text(
        "PSNR is 10 log10(1 / MSE) in dB, for pixels in [0, 1]: pooled is that of the mean squared error of all \
         test images, the mean over images is that of each image's own PSNR; the two differ by up to some dB. SSIM is \
         the mean structural similarity with Gaussian weights of standard deviation 1.5. Training losses are those of \
         the batches as they were trained on; all else is measured on the test images, which no choice in training \
         looked at, but for the best of several models, which is named by them.",
    );
    method
}

fn provenance(flags: &Flags, records: &[Record], seconds: f64) -> Section {
    let mut section = Section::new("How this was made");
    let command: Vec<_> = env::args().skip(1).collect();
    let system = System::new_all();
    let cpu = system.cpus().first().map_or("unknown CPU", |cpu| cpu.brand());
    let mut seen = std::collections::HashSet::new();
    let training: f64 = records.iter().filter(|r| seen.insert(r.run.id())).map(|r| r.seconds).sum();
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
        "{} runs, {:.0} minutes of training and validation in all; this call took {:.1} minutes. Seeds {:?}: the \
         same seeds give the same numbers on this kind of CPU, whatever the number of threads or runs at once.",
        seen.len(),
        training / 60.0,
        seconds / 60.0,
        flags.study.seeds
    ));
    section
}
