//! Explores the latent space: test codes in two dimensions, decoded walks between images, decoded strongest directions,
//! nearest neighbors by code.
//!
//! `cargo run --release --example latent_space -- --dataset both`

use autoencoder_study::commands;
use std::process::ExitCode;

fn main() -> ExitCode {
    commands::latent_space()
}
