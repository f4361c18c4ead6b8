//! The main job: trains a denoising autoencoder, prints what it reached, writes pictures.
//!
//! `cargo run --release --example quickstart`

use autoencoder_study::commands;
use std::process::ExitCode;

fn main() -> ExitCode {
    commands::quickstart()
}
