//! Compares Lasso on the encoder's weights, dropout, and neither: loss curves, the best model of each, the sparsity of the
//! weights, and a sweep over the strength of the Lasso.
//!
//! `cargo run --release --example regularization -- --dataset both`

use autoencoder_study::commands;
use std::process::ExitCode;

fn main() -> ExitCode {
    commands::regularization()
}
