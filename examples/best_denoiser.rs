//! Trains a denoising autoencoder and compares it with the best linear denoiser.
//!
//! `cargo run --release --example best_denoiser -- --minutes 10`

use autoencoder_study::commands;
use std::process::ExitCode;

fn main() -> ExitCode {
    commands::best_denoiser()
}
