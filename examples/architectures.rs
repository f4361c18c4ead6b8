//! Compares three and five layers per side with codes of 15, 30, 50 and 100: loss curves, PSNR by code width beside PCA,
//! reconstructions.
//!
//! `cargo run --release --example architectures -- --dataset both`

use autoencoder_study::commands;
use std::process::ExitCode;

fn main() -> ExitCode {
    commands::architectures()
}
