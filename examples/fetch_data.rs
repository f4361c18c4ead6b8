//! Downloads MNIST and Fashion-MNIST.
//!
//! `cargo run --release --features download --example fetch_data -- --dataset both`

use autoencoder_study::commands;
use std::process::ExitCode;

fn main() -> ExitCode {
    commands::fetch_data()
}
