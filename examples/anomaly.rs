//! Anomalies by reconstruction error: trained on all classes but one, how well does the error find that class? ROC
//! curve and AUROC for each class left out.
//!
//! `cargo run --release --example anomaly -- --dataset both`

mod common;
mod experiments;

use clap::Parser;
use experiments::{
    anomaly::Anomaly,
    lab::{StudyFlags, alone},
};
use std::{path::PathBuf, process::ExitCode};

/// Finds the class that a model never saw.
#[derive(Debug, Parser)]
#[command(allow_negative_numbers = true)]
struct Flags {
    #[command(flatten)]
    study: StudyFlags,
    #[command(flatten)]
    experiment: Anomaly,
    /// Folder for the results
    #[arg(long, default_value = "out/anomaly")]
    out: PathBuf,
}

fn main() -> ExitCode {
    let flags: Flags = common::flags();
    common::finish(alone(&flags.experiment, &flags.study, &flags.out))
}
