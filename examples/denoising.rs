//! Denoising autoencoders for noise of several strengths: one model for each and one for all, PSNR and SSIM by epoch
//! and by strength beside the best linear denoiser, and how each model does where it was not trained.
//!
//! `cargo run --release --example denoising -- --dataset both`

mod common;
mod experiments;

use clap::Parser;
use experiments::{
    denoising::Denoising,
    lab::{StudyFlags, alone},
};
use std::{path::PathBuf, process::ExitCode};

/// Trains denoising autoencoders over strengths of noise.
#[derive(Debug, Parser)]
#[command(allow_negative_numbers = true)]
struct Flags {
    #[command(flatten)]
    study: StudyFlags,
    #[command(flatten)]
    experiment: Denoising,
    /// Folder for the results
    #[arg(long, default_value = "out/denoising")]
    out: PathBuf,
}

fn main() -> ExitCode {
    let flags: Flags = common::flags();
    common::finish(alone(&flags.experiment, &flags.study, &flags.out))
}
