//! Three and five layers a side with codes of 15, 30, 50 and 100: loss curves, PSNR against the code's width with PCA
//! beside, reconstructions.
//!
//! `cargo run --release --example architectures -- --dataset both`

mod common;

use autoencoder::{
    Autoencoder,
    baseline::Pca,
    metrics::Quality,
    report::{self, Chart, Curve},
    sweep::Record,
};
use clap::Parser;
use common::{
    Failure, files, say,
    study::{Set, StudyFlags},
};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Compares three and five layers a side over the width of the code.
#[derive(Debug, Parser)]
#[command(allow_negative_numbers = true)]
struct Flags {
    #[command(flatten)]
    study: StudyFlags,
    /// Widths of the encoder's hidden layers, once for each architecture [default: 512,256 and 512,384,256,128]
    #[arg(long, value_parser = widths)]
    hidden: Vec<Widths>,
    /// Widths of the code
    #[arg(long, value_delimiter = ',', default_value = "15,30,50,100")]
    codes: Vec<usize>,
    /// Folder for the results
    #[arg(long, default_value = "out/architectures")]
    out: PathBuf,
}

#[derive(Debug, Clone)]
struct Widths(Vec<usize>);

fn widths(text: &str) -> Result<Widths, String> {
    let parse = |width: &str| width.parse().map_err(|error| format!("`{width}`: {error}"));
    text.split(',').map(parse).collect::<Result<_, _>>().map(Widths)
}

impl Flags {
    fn architectures(&self) -> Vec<Vec<usize>> {
        match self.hidden.as_slice() {
            [] => vec![vec![512, 256], vec![512, 384, 256, 128]],
            given => given.iter().map(|widths| widths.0.clone()).collect(),
        }
    }
}

fn main() -> ExitCode {
    common::finish(run(&common::flags()))
}

fn run(flags: &Flags) -> Result<(), Failure> {
    let sets = flags.study.start(&flags.out)?;
    let mut runs = Vec::new();
    for set in &sets {
        for hidden in flags.architectures() {
            for &code in &flags.codes {
                runs.extend(flags.study.seeds.iter().map(|&s| flags.study.run(set.name, &hidden, code, s)));
            }
        }
    }
    let records = flags.study.sweep(&runs, &sets, &flags.out)?;
    for set in &sets {
        let records: Vec<_> = records.iter().filter(|record| record.run.dataset == set.name).collect();
        if !records.is_empty() {
            draw(flags, set, &records)?;
        }
    }
    say(&format!(
        "{} of {} runs; figures and pictures are in {}",
        records.len(),
        runs.len(),
        flags.out.display()
    ))
}

fn draw(flags: &Flags, set: &Set, records: &[&Record]) -> Result<(), Failure> {
    let first_seed = flags.study.seeds.first().copied().unwrap_or_default();
    let mut against_code = Vec::new();
    for hidden in flags.architectures() {
        let depth = hidden.len() + 1;
        let same: Vec<_> = records.iter().filter(|record| record.run.hidden == hidden).copied().collect();
        let loss = |record: &&Record| Curve {
            label: format!("code {}", record.run.code),
            points: record.history.epochs.iter().map(|e| (e.epoch as f64, e.loss)).collect(), ..Curve::default()
        };
        let of_first_seed = same.iter().filter(|record| record.run.train.seed == first_seed);
        let chart = Chart {
            title: format!("Training loss, {depth} layers a side, {}", set.name),
            x_label: "epoch".to_owned(),
            y_label: "loss".to_owned(),
            curves: of_first_seed.map(loss).collect(),
        };
        if !chart.curves.is_empty() {
            chart.save(flags.out.join(format!("{}-{depth}-layers-loss.svg", set.name)))?;
        }
        against_code.push(Curve {
            label: format!("{depth} layers a side"),
            points: flags
                .codes
                .iter()
                .filter_map(|&code| Some((code as f64, mean_psnr(&same, code)?)))
                .collect(), ..Curve::default()
        });
    }
    against_code.push(pca(set, &flags.codes)?);
    let chart = Chart {
        title: format!("Test images, {}", set.name),
        x_label: "width of the code".to_owned(),
        y_label: "pooled PSNR, dB".to_owned(),
        curves: against_code,
    };
    chart.save(flags.out.join(format!("{}-psnr.svg", set.name)))?;
    reconstructions(flags, set, records)
}

/// The mean over seeds.
fn mean_psnr(records: &[&Record], code: usize) -> Option<f64> {
    let figures: Vec<_> =
        records.iter().filter(|r| r.run.code == code).map(|r| r.test.output.psnr_pooled_db).collect();
    (!figures.is_empty()).then(|| figures.iter().sum::<f64>() / figures.len() as f64)
}

fn pca(set: &Set, codes: &[usize]) -> Result<Curve, Failure> {
    let (pca, images) = (Pca::fit(&set.train)?, set.test.to_array());
    let mut points = Vec::new();
    for &code in codes.iter().filter(|&&code| code <= set.test.features()) {
        let output = pca.reconstruction(code)?.apply(images.view())?;
        points.push((code as f64, Quality::of(output.view(), images.view(), 1.0)?.psnr_pooled_db));
    }
    Ok(Curve { label: "PCA".to_owned(), points, ..Curve::default() })
}

/// One image a class: clean, then a row for each run of the first seed.
fn reconstructions(flags: &Flags, set: &Set, records: &[&Record]) -> Result<(), Failure> {
    let clean = files::one_a_class(&set.test);
    let mut rows = vec![clean.clone()];
    let first_seed = records.first().map(|record| record.run.train.seed);
    for record in records.iter().filter(|record| Some(record.run.train.seed) == first_seed) {
        let model = Autoencoder::load(model_path(&flags.out, record))?;
        rows.push(model.reconstruct(clean.view())?);
    }
    let views: Vec<_> = rows.iter().map(|row| row.view()).collect();
    let path = flags.out.join(format!("{}-reconstructions.png", set.name));
    Ok(report::save_grid(path, set.test.image_shape(), &views, 2)?)
}

fn model_path(out: &Path, record: &Record) -> PathBuf {
    out.join("runs").join(record.run.id()).with_extension("safetensors")
}
