//! Three and five layers a side with codes of 15, 30, 50 and 100: loss curves, PSNR against the code's width with PCA
//! beside, reconstructions.
//!
//! `cargo run --release --example architectures -- --dataset both`

mod common;
mod experiments;

use clap::Parser;
use experiments::{
    architectures::Architectures,
    lab::{StudyFlags, alone},
};
use std::{path::PathBuf, process::ExitCode};

/// Compares three and five layers a side over the width of the code.
#[derive(Debug, Parser)]
#[command(allow_negative_numbers = true)]
struct Flags {
    #[command(flatten)]
    study: StudyFlags,
    #[command(flatten)]
    experiment: Architectures,
    /// Folder for the results
    #[arg(long, default_value = "out/architectures")]
    out: PathBuf,
}

fn main() -> ExitCode {
    let flags: Flags = common::flags();
    common::finish(alone(&flags.experiment, &flags.study, &flags.out))
}
