//! Runs every experiment into one folder, and writes `report/index.html` and the same tables as Markdown.
//!
//! `cargo run --release --example study -- --dataset both`

use autoencoder_study::commands;
use std::process::ExitCode;

fn main() -> ExitCode {
    commands::study()
}
