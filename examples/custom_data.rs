//! Trains on your own images, of any size, from a folder of PNG files, an IDX file or a NumPy file. Writes the model,
//! denoised pictures, and the codes and reconstructions of all images.
//!
//! `cargo run --release --example custom_data -- --images data/digits/images-idx3-ubyte.gz`

use autoencoder_study::commands;
use std::process::ExitCode;

fn main() -> ExitCode {
    commands::custom_data()
}
