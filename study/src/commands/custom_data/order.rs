//! The order of the files of a folder.

use super::load::{LoadFlags, Loaded};
use crate::cli::Failure;
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

impl LoadFlags {
    /// Refuses a folder whose files may be meant in two orders, since what goes with them is in the order of one file.
    pub fn check_order(&self, path: &Path, loaded: &Loaded) -> Result<(), Failure> {
        let order = loaded.order_by_number();
        if self.order.is_some() || order.is_sorted() {
            return Ok(());
        }
        let first = |order: &mut dyn Iterator<Item = &PathBuf>| {
            order.take(3).map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
        };
        let by_text = first(&mut loaded.files.iter());
        let by_number = first(&mut order.iter().map(|&row| &loaded.files[row]));
        Err(Error::Format {
            file: path.display().to_string(),
            field: "order",
            expected: "--order text or --order number, so that each image gets its own label or target"
                .to_owned(),
            found: format!("{by_text}, ... as text and {by_number}, ... by number"),
        }
        .into())
    }
}

impl Loaded {
    /// The rows in the order of the numbers in the names of their files.
    fn order_by_number(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.files.len()).collect();
        order.sort_by_cached_key(|&row| parts(&self.files[row].to_string_lossy()));
        order
    }

    pub(super) fn by_number(self) -> Result<Self, Failure> {
        let order = self.order_by_number();
        let images = self.images.select(&order)?;
        let files = order.iter().map(|&row| self.files[row].clone()).collect();
        Ok(Self { images, files, classes: self.classes })
    }
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
