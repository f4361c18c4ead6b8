//! Trains denoising autoencoders for several noise strengths: one model per strength and one for all. Compares PSNR and
//! SSIM with the best linear denoiser, and tests each model at the other strengths.
//!
//! `cargo run --release --example denoising -- --dataset both`

use autoencoder_study::commands;
use std::process::ExitCode;

fn main() -> ExitCode {
    commands::denoising()
}
