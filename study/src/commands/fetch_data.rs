//! Downloads MNIST and Fashion-MNIST.

use crate::cli::{
    Failure, OutputFlags,
    progress::{style, target},
    say,
};
use autoencoder::data::{
    catalog::PublishedDataset,
    download::{Download, DownloadEvent},
};
use clap::{Parser, ValueEnum};
use indicatif::ProgressBar;
use std::{num::NonZeroU64, path::PathBuf, time::Duration};

/// Downloads MNIST and Fashion-MNIST. Files that exist and are valid are kept.
#[derive(Debug, Parser)]
pub(super) struct Flags {
    #[arg(long, value_enum, default_value = "both")]
    dataset: Choice,
    /// Folder for mnist/ and fashion-mnist/ [default: $AUTOENCODER_DATA, or data]
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// URL of a folder with mnist/ and fashion-mnist/, instead of the publishers' mirrors; several are tried in order
    #[arg(long, value_name = "URL")]
    mirror: Vec<String>,
    /// Seconds to wait for a silent mirror
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

pub(super) fn run(flags: &Flags) -> Result<(), Failure> {
    flags.output.apply();
    let sets: &[PublishedDataset] = match flags.dataset {
        Choice::Mnist => &[PublishedDataset::Mnist],
        Choice::FashionMnist => &[PublishedDataset::FashionMnist],
        Choice::Both => &[PublishedDataset::Mnist, PublishedDataset::FashionMnist],
    };
    sets.iter().try_for_each(|&set| fetch(set, flags))
}

fn fetch(set: PublishedDataset, flags: &Flags) -> Result<(), Failure> {
    let mut download = Download::new(set).patience(Duration::from_secs(flags.patience.get()));
    if !flags.mirror.is_empty() {
        let folder = |url: &String| format!("{}/{}/", url.trim_end_matches('/'), set.folder());
        download = download.mirrors(flags.mirror.iter().map(folder));
    }
    let bar = Bytes::new();
    let mut said = Ok(());
    download.run(flags.data_dir.as_deref(), |event| {
        let line = match event {
            DownloadEvent::Received { url, bytes, total } => return bar.show(url, bytes, total),
            DownloadEvent::Present { path } => format!("{}: already present and valid", path.display()),
            DownloadEvent::Failed(attempt) => attempt.to_string(),
            DownloadEvent::Saved { url, path } => format!("{}: downloaded from {url}", path.display()),
            _ => return,
        };
        if said.is_ok() {
            said = bar.suspend(|| say(&line));
        }
    })?;
    said
}

/// A progress bar for the files.
struct Bytes {
    bar: ProgressBar,
}

impl Bytes {
    fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, target());
        bar.set_style(style("{wide_msg} [{bar:10}] {bytes}/{total_bytes}"));
        Self { bar }
    }

    /// Shows the progress of the file from this address.
    fn show(&self, url: &str, bytes: u64, total: Option<u64>) {
        if bytes < self.bar.position() {
            self.bar.reset();
        }
        self.bar.set_length(total.unwrap_or(bytes));
        self.bar.set_position(bytes);
        self.bar.set_message(url.rsplit('/').next().unwrap_or_default().to_owned());
    }

    /// Hides the bar while `write` prints lines.
    fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
