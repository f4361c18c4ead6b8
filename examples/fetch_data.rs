//! Fetches MNIST and Fashion-MNIST.
//!
//! `cargo run --release --features download --example fetch_data -- --dataset both`

mod common;

use autoencoder::data::{
    catalog::Known,
    download::{Download, Event},
};
use clap::{Parser, ValueEnum};
use common::{Failure, OutputFlags, progress::Bytes, say};
use std::{num::NonZeroU64, path::PathBuf, process::ExitCode, time::Duration};

/// Fetches MNIST and Fashion-MNIST; what is there and right stays.
#[derive(Debug, Parser)]
struct Flags {
    #[arg(long, value_enum, default_value = "both")]
    dataset: Choice,
    /// Folder that gets mnist/ and fashion-mnist/ [default: $AUTOENCODER_DATA, else data]
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// URL of a folder with mnist/ and fashion-mnist/, in place of the published mirrors; several are tried in order
    #[arg(long, value_name = "URL")]
    mirror: Vec<String>,
    /// Seconds that a mirror may be silent
    #[arg(long, value_name = "SECONDS", default_value = "30")]
    patience: NonZeroU64,
    #[command(flatten)]
    output: OutputFlags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Choice {
    Mnist,
    FashionMnist,
    /// MNIST and Fashion-MNIST
    Both,
}

fn main() -> ExitCode {
    common::finish(run(&common::flags()))
}

fn run(flags: &Flags) -> Result<(), Failure> {
    flags.output.apply();
    let sets: &[Known] = match flags.dataset {
        Choice::Mnist => &[Known::Mnist],
        Choice::FashionMnist => &[Known::FashionMnist],
        Choice::Both => &[Known::Mnist, Known::FashionMnist],
    };
    sets.iter().try_for_each(|&set| fetch(set, flags))
}

fn fetch(set: Known, flags: &Flags) -> Result<(), Failure> {
    let mut download = Download::new(set).patience(Duration::from_secs(flags.patience.get()));
    if !flags.mirror.is_empty() {
        let folder = |url: &String| format!("{}/{}/", url.trim_end_matches('/'), set.folder());
        download = download.mirrors(flags.mirror.iter().map(folder));
    }
    let bar = Bytes::new();
    let mut said = Ok(());
    download.run(flags.data_dir.as_deref(), |event| {
        let line = match event {
            Event::Received { url, bytes, total } => return bar.show(url, bytes, total),
            Event::Present { path } => format!("{}: is there and right", path.display()),
            Event::Failed(attempt) => attempt.to_string(),
            Event::Saved { url, path } => format!("{}: fetched from {url}", path.display()),
            _ => return,
        };
        if said.is_ok() {
            said = bar.suspend(|| say(&line));
        }
    })?;
    said
}
