//! Anomalies by reconstruction error: trained on all classes but one, how well does the error find that class? ROC
//! curve and AUROC for each class left out.
//!
//! `cargo run --release --example anomaly -- --dataset both`

use autoencoder_study::commands;
use std::process::ExitCode;

fn main() -> ExitCode {
    commands::anomaly()
}
