//! Measures the speed of training, evaluation and single images, and prints one line of JSON.
//!
//! `cargo run --release --example throughput -- --dataset digits --threads 2`

use autoencoder_study::commands;
use std::process::ExitCode;

fn main() -> ExitCode {
    commands::throughput()
}
