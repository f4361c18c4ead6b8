//! Detects anomalies by reconstruction error: how well does a model that was trained on all classes except one detect
//! that class? Draws ROC curves and computes the AUROC for each held-out class.
//!
//! `cargo run --release --example anomaly -- --dataset both`

use autoencoder_study::commands;
use std::process::ExitCode;

fn main() -> ExitCode {
    commands::anomaly()
}
