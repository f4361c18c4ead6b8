//! Draws digits and writes them as IDX files, with a picture of the first hundred. `data/digits` was made this way.
//!
//! `cargo run --release --example draw_digits -- --count 300 --out data/digits`

use autoencoder_study::commands;
use std::process::ExitCode;

fn main() -> ExitCode {
    commands::draw_digits()
}
