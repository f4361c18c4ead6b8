//! The order of the files of a folder.

use autoencoder::Error;
use clap::ValueEnum;
use std::path::{Path, PathBuf};

/// The order of the images of a folder, which matters where labels or targets are in one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Order {
    /// 1.png, 10.png, 2.png, as Python's sorted() has them
    Text,
    /// 1.png, 2.png, 10.png
    Number,
}

/// Refuses files whose order as text is not that of the numbers in their names: labels or targets may be in either.
pub(super) fn check(folder: &Path, files: &[PathBuf]) -> Result<(), Error> {
    let order = by_number(files);
    if order.is_sorted() {
        return Ok(());
    }
    let first = |rows: &[usize]| {
        rows.iter().take(3).map(|&row| files[row].display().to_string()).collect::<Vec<_>>().join(", ")
    };
    let as_text: Vec<usize> = (0..files.len()).collect();
    Err(Error::Format {
        file: folder.display().to_string(),
        field: "order",
        expected: "--order text or --order number, so that each image gets its own label or target"
            .to_owned(),
        found: format!("{}, ... as text and {}, ... by number", first(&as_text), first(&order)),
    })
}

/// Returns the indices of files in the order of the numbers in their names.
pub(super) fn by_number(files: &[PathBuf]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_by_cached_key(|&row| parts(&files[row].to_string_lossy()));
    order
}

/// A name as text and numbers in turn, which compare as a person would.
fn parts(name: &str) -> Vec<(String, u128)> {
    let mut parts = vec![(String::new(), 0_u128)];
    let mut in_number = false;
    for c in name.chars() {
        let last = parts.len() - 1;
        match c.to_digit(10) {
            Some(digit) => parts[last].1 = parts[last].1.saturating_mul(10).saturating_add(digit.into()),
            None if in_number => parts.push((c.to_string(), 0)),
            None => parts[last].0.push(c),
        }
        in_number = c.is_ascii_digit();
    }
    parts
}
