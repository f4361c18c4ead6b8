//! Data sets by name.

use super::{Failure, warn};
use autoencoder::{
    Error, ImageSet,
    data::{
        catalog::{DATA_VARIABLE, PublishedDataset, Split},
        digits,
    },
};
use clap::{Args, ValueEnum};
use std::{
    env,
    path::{Path, PathBuf},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DatasetName {
    /// MNIST if it is found, otherwise drawn digits if no folder is named
    Auto,
    Mnist,
    FashionMnist,
    /// Digits that the library draws
    Digits,
}

/// Flags for the data set.
#[derive(Debug, Args)]
pub struct DataFlags {
    #[arg(long, value_enum, default_value = "auto")]
    dataset: DatasetName,
    /// Folder with mnist/ or fashion-mnist/ [default: $AUTOENCODER_DATA, or data]
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Trains on the first LIMIT images only
    #[arg(long)]
    limit: Option<usize>,
}

/// Training and test images.
pub struct Images {
    pub train: ImageSet,
    pub test: ImageSet,
    /// A message about the choice of the data set.
    pub notice: Option<String>,
}

impl DataFlags {
    /// Loads the data set. Drawn digits are as numerous as MNIST's images.
    ///
    /// They replace a missing MNIST only if no folder was named. A mistyped folder must not train on other images.
    pub fn load(&self) -> Result<Images, Failure> {
        let is_named =
            self.data_dir.is_some() || env::var_os(DATA_VARIABLE).is_some_and(|name| !name.is_empty());
        match self.dataset {
            DatasetName::Mnist => self.known(PublishedDataset::Mnist),
            DatasetName::FashionMnist => self.known(PublishedDataset::FashionMnist),
            DatasetName::Digits => self.drawn(None),
            DatasetName::Auto => self.known(PublishedDataset::Mnist).or_else(|failure| match failure {
                Failure::Missing { .. } if !is_named => self.drawn(Some(format!(
                    "{failure}\n\
                     Using drawn digits instead. If you have MNIST, pass the folder with mnist/ or torchvision's\n\
                     MNIST/raw/ as --data-dir or in {DATA_VARIABLE}."
                ))),
                _ => Err(failure),
            }),
        }
    }

    fn known(&self, known: PublishedDataset) -> Result<Images, Failure> {
        let images = Images::known(known, self.data_dir.as_deref())?;
        Ok(Images { train: head(images.train, self.limit)?, ..images })
    }

    fn drawn(&self, notice: Option<String>) -> Result<Images, Failure> {
        let (train, test) = drawn(self.limit, None)?;
        Ok(Images { train, test, notice })
    }
}

impl Images {
    /// Loads a published data set.
    pub fn known(known: PublishedDataset, data_dir: Option<&Path>) -> Result<Self, Failure> {
        let load = |split| {
            known.load(split, data_dir).map_err(|error| match error {
                Error::NotFound { .. } => Failure::Missing { error, data_dir: data_dir.map(Path::to_owned) },
                error => error.into(),
            })
        };
        Ok(Self { train: load(Split::Train)?, test: load(Split::Test)?, notice: None })
    }
}

/// A sixteenth of white, which is the largest value of 12 bits that are stored in 16.
const NEARLY_BLACK: u8 = 16;

/// Warns about images in which there is nothing to see.
pub fn warn_if_blank(images: &ImageSet) {
    let pixels = images.pixels();
    let (first, name) = (&pixels[..images.features()], images.name());
    if images.len() > 1 && pixels.chunks_exact(images.features()).all(|image| image == first) {
        warn(&format!("{name}: all images are equal"));
    }
    if pixels.iter().all(|&level| level <= NEARLY_BLACK) {
        warn(&format!(
            "{name}: no pixel is above 1/16, so these images are nearly blank. Is 1 white, or 255 of 16 bits, or 4095? Or is \
             the content in the alpha channel (--background white)?"
        ));
    }
}

/// Returns the first `limit` images, or all of them.
pub fn head(images: ImageSet, limit: Option<usize>) -> Result<ImageSet, Error> {
    match limit {
        Some(limit) => images.head(limit),
        None => Ok(images),
    }
}

/// Draws as many training and test digits as MNIST has, or fewer.
pub fn drawn(train: Option<usize>, test: Option<usize>) -> Result<(ImageSet, ImageSet), Error> {
    let draw =
        |limit: Option<usize>, all, seed| digits::generate(limit.map_or(all, |limit| limit.min(all)), seed);
    Ok((draw(train, 60_000, 1)?, draw(test, 10_000, 2)?))
}

/// Says what to do about a missing data set, in a checkout of this repository.
pub(super) fn advice(error: &Error, data_dir: Option<&Path>) -> String {
    let variable = env::var_os(DATA_VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from);
    let (name, root) = match (data_dir, &variable) {
        (Some(folder), _) => ("--data-dir", Some(folder)),
        (None, folder) => (DATA_VARIABLE, folder.as_deref()),
    };
    let looked = if let Error::NotFound { looked, .. } = error { looked.as_slice() } else { &[] };
    let is_in =
        |root: &Path| looked.iter().filter_map(|path| path.file_name()).any(|file| root.join(file).is_file());
    if let Some(root) = root.filter(|root| is_in(root)) {
        let root = root.display();
        return format!(
            "; {root} has such files itself: {name} must be the folder above, and they in mnist/ or fashion-mnist/"
        );
    }
    let source = root.map_or_else(String::new, |root| format!("; {name} is {}", root.display()));
    let folder = root.map_or_else(String::new, |root| format!(" --data-dir {}", root.display()));
    format!(
        "{source}; --dataset digits needs no files; to download: \
         cargo run --release --features download --example fetch_data -- --dataset both{folder}"
    )
}
