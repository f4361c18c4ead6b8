//! What the code knows: test codes in two dimensions, walks between images through the code, its strongest directions
//! decoded, nearest neighbours by code.
//!
//! `cargo run --release --example latent_space -- --dataset both`

use autoencoder_study::commands;
use std::process::ExitCode;

fn main() -> ExitCode {
    commands::latent_space()
}
