//! What the code knows: test codes in two dimensions, walks between images through the code, its strongest directions
//! decoded, nearest neighbours by code.
//!
//! `cargo run --release --example latent_space -- --dataset both`

mod common;
mod experiments;

use clap::Parser;
use experiments::{
    lab::{StudyFlags, alone},
    latent_space::LatentSpace,
};
use std::{path::PathBuf, process::ExitCode};

/// Looks at the codes of test images.
#[derive(Debug, Parser)]
#[command(allow_negative_numbers = true)]
struct Flags {
    #[command(flatten)]
    study: StudyFlags,
    #[command(flatten)]
    experiment: LatentSpace,
    /// Folder for the results
    #[arg(long, default_value = "out/latent_space")]
    out: PathBuf,
}

fn main() -> ExitCode {
    let flags: Flags = common::flags();
    common::finish(alone(&flags.experiment, &flags.study, &flags.out))
}
