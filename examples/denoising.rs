//! Denoising autoencoders for noise of several strengths: one model for each and one for all, PSNR and SSIM by epoch
//! and by strength beside the best linear denoiser, and how each model does where it was not trained.
//!
//! `cargo run --release --example denoising -- --dataset both`

use autoencoder_study::commands;
use std::process::ExitCode;

fn main() -> ExitCode {
    commands::denoising()
}
