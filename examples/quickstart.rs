//! Trains a denoising autoencoder, prints its test metrics and writes pictures.
//!
//! `cargo run --release --example quickstart`

use autoencoder_study::commands;
use std::process::ExitCode;

fn main() -> ExitCode {
    commands::quickstart()
}
