//! Three and five layers a side with codes of 15, 30, 50 and 100: loss curves, PSNR against the code's width with PCA
//! beside, reconstructions.
//!
//! `cargo run --release --example architectures -- --dataset both`

mod common;
mod experiments;

use experiments::{architectures::Architectures, lab::alone};
use std::process::ExitCode;

fn main() -> ExitCode {
    alone::<Architectures>("architectures")
}
