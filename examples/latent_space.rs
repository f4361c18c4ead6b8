//! What the code knows: test codes in two dimensions, walks between images through the code, its strongest directions
//! decoded, nearest neighbours by code.
//!
//! `cargo run --release --example latent_space -- --dataset both`

mod common;
mod experiments;

use experiments::{lab::alone, latent_space::LatentSpace};
use std::process::ExitCode;

fn main() -> ExitCode {
    alone::<LatentSpace>("latent_space")
}
