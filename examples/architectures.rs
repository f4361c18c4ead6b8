//! Three and five layers a side with codes of 15, 30, 50 and 100: loss curves, PSNR against the code's width with PCA
//! beside, reconstructions.
//!
//! `cargo run --release --example architectures -- --dataset both`

use autoencoder_study::commands;
use std::process::ExitCode;

fn main() -> ExitCode {
    commands::architectures()
}
