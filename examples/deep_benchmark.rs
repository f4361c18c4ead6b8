//! Trains the deep autoencoder 784-1000-500-250-30 on MNIST and compares it with published values.
//!
//! `cargo run --release --example deep_benchmark -- --minutes 10`

use autoencoder_study::commands;
use std::process::ExitCode;

fn main() -> ExitCode {
    commands::deep_benchmark()
}
