//! Lasso on the encoder's weights against Dropout against neither: loss curves, the best model of each, how sparse the
//! weights become, and a sweep over the strength of the Lasso.
//!
//! `cargo run --release --example regularization -- --dataset both`

mod common;
mod experiments;

use experiments::{lab::alone, regularization::Regularization};
use std::process::ExitCode;

fn main() -> ExitCode {
    alone::<Regularization>("regularization")
}
