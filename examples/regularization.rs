//! Lasso on the encoder's weights against Dropout against neither: loss curves, the best model of each, how sparse the
//! weights become, and a sweep over the strength of the Lasso.
//!
//! `cargo run --release --example regularization -- --dataset both`

use autoencoder_study::commands;
use std::process::ExitCode;

fn main() -> ExitCode {
    commands::regularization()
}
