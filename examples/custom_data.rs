//! One's own images, of any size: from a folder of PNG files, an IDX or an NPY file to a saved model, denoised
//! pictures, and the codes and reconstructions of all images as NPY files.
//!
//! `cargo run --release --example custom_data -- --images data/digits/images-idx3-ubyte.gz`

use autoencoder_study::commands;
use std::process::ExitCode;

fn main() -> ExitCode {
    commands::custom_data()
}
