//! Lasso on the encoder's weights against Dropout against neither: loss curves, the best model of each, how sparse the
//! weights become, and a sweep over the strength of the Lasso.
//!
//! `cargo run --release --example regularization -- --dataset both`

mod common;
mod experiments;

use clap::Parser;
use experiments::{
    lab::{StudyFlags, alone},
    regularization::Regularization,
};
use std::{path::PathBuf, process::ExitCode};

/// Compares Lasso, Dropout and neither.
#[derive(Debug, Parser)]
#[command(allow_negative_numbers = true)]
struct Flags {
    #[command(flatten)]
    study: StudyFlags,
    #[command(flatten)]
    experiment: Regularization,
    /// Folder for the results
    #[arg(long, default_value = "out/regularization")]
    out: PathBuf,
}

fn main() -> ExitCode {
    let flags: Flags = common::flags();
    common::finish(alone(&flags.experiment, &flags.study, &flags.out))
}
