//! Trains on your own images, of any size, gray or in color, from a folder of PNG files, an IDX file, a NumPy file or a table.
//! Writes the model, pictures, the history, and the codes and reconstructions of all images.
//!
//! `cargo run --release --example custom_data -- --images data/digits/images-idx3-ubyte.gz`

use autoencoder_study::commands;
use std::process::ExitCode;

fn main() -> ExitCode {
    commands::custom_data()
}
