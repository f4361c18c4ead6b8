//! Runs every experiment into one folder, and writes a page that answers its questions: `report/index.html`.
//!
//! `cargo run --release --example study -- --dataset both`

use autoencoder_study::commands;
use std::process::ExitCode;

fn main() -> ExitCode {
    commands::study()
}
