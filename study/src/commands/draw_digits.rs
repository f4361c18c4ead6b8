//! Draws digits and writes them as IDX files, with a picture of the first hundred. `data/digits` was made this way.

use crate::cli::{self, Failure, files};
use autoencoder::{
    data::{
        digits,
        idx::{self, Encoding},
        png,
    },
    ndarray::s,
};
use clap::Parser;
use std::path::PathBuf;

/// Draws digits and writes them as IDX files, with a picture of the first hundred.
#[derive(Debug, Parser)]
#[command(allow_negative_numbers = true)]
pub(super) struct Flags {
    #[arg(long, default_value_t = 300)]
    count: usize,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder for the files
    #[arg(long, default_value = "out/digits")]
    out: PathBuf,
}

pub(super) fn run(flags: &Flags) -> Result<(), Failure> {
    let digits = digits::generate(flags.count, flags.seed)?;
    files::create_folder(&flags.out)?;
    let (height, width) = digits.image_shape();
    let images = flags.out.join("images-idx3-ubyte.gz");
    let labels = flags.out.join("labels-idx1-ubyte.gz");
    idx::save(images, Some(labels), &digits, Encoding::Gzip)?;
    // The classes alternate, so column c of ten shows class c.
    let images = digits.head(100)?.to_array()?;
    let rows: Vec<_> = (0..images.nrows()).step_by(10).collect();
    let rows: Vec<_> =
        rows.iter().map(|&row| images.slice(s![row..images.nrows().min(row + 10), ..])).collect();
    png::save_grid(flags.out.join("digits.png"), (height, width), &rows, 2)?;
    cli::say(&format!("{} digits in {}", flags.count, flags.out.display()))
}
