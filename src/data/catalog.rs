//! MNIST and Fashion-MNIST: their files, the folders where they are found, and the digests of their content.

use crate::{
    data::{ImageSet, idx},
    error::{Error, Result},
};
use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// The environment variable for the folder of the data sets.
pub const DATA_VARIABLE: &str = "AUTOENCODER_DATA";

/// A published data set: 60,000 training and 10,000 test images of 28 x 28 pixels in ten classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishedDataset {
    /// Handwritten digits (LeCun, Cortes, Burges 1998).
    Mnist,
    /// Articles of clothing (Xiao, Rasul, Vollgraf 2017, <https://arxiv.org/abs/1708.07747>).
    FashionMnist,
}

/// A part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// The rows to train on.
    Train,
    /// The rows to evaluate on.
    Test,
}

/// One file of a data set: the images or the labels of a part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PublishedFile {
    set: PublishedDataset,
    split: Split,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Images,
    Labels,
}

impl PublishedDataset {
    /// Returns the name, as its publisher writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mnist => "MNIST",
            Self::FashionMnist => "Fashion-MNIST",
        }
    }

    /// Returns the name of the subfolder for its files: `mnist` or `fashion-mnist`.
    pub fn folder(self) -> &'static str {
        self.folders()[0]
    }

    /// The subfolders that may hold the files: this crate's and torchvision's.
    fn folders(self) -> [&'static str; 2] {
        match self {
            Self::Mnist => ["mnist", "MNIST/raw"],
            Self::FashionMnist => ["fashion-mnist", "FashionMNIST/raw"],
        }
    }

    /// All four files.
    #[cfg(feature = "download")]
    pub(crate) fn all_files(self) -> impl Iterator<Item = PublishedFile> {
        [Split::Train, Split::Test].into_iter().flat_map(move |split| self.files(split))
    }

    /// The images and the labels of a part.
    fn files(self, split: Split) -> [PublishedFile; 2] {
        [Kind::Images, Kind::Labels].map(|kind| PublishedFile { set: self, split, kind })
    }

    /// Finds, reads and verifies one part of the data set.
    ///
    /// The root folder is `data_dir`, or else the value of [`DATA_VARIABLE`], or else `data`. Under it, the files are in
    /// `mnist` or `fashion-mnist`, or where torchvision stores them (`MNIST/raw`, `FashionMNIST/raw`). They may be plain
    /// or `.gz`, and named `train-images-idx3-ubyte` or `train-images.idx3-ubyte`. A file may also be in a folder of its own
    /// name, as in Kaggle's archive.
    ///
    /// ```no_run
    /// use autoencoder::data::catalog::{PublishedDataset, Split};
    /// let images = PublishedDataset::Mnist.load(Split::Train, None)?;
    /// assert_eq!((images.len(), images.image_shape()), (60_000, (28, 28)));
    /// # Ok::<(), autoencoder::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotFound`] if a file is missing, [`Error::Io`] if it cannot be read or there is no folder `data_dir`, [`Error::Format`] if its content is
    /// not the published one.
    pub fn load(self, split: Split, data_dir: Option<&Path>) -> Result<ImageSet> {
        if let Some(folder) = data_dir {
            fs::read_dir(folder).map_err(Error::io(folder))?;
        }
        let root = root(data_dir);
        let [images, labels] = self.files(split);
        // Both paths first: the files of a folder with one of them missing need not be read.
        let images_path = images.find(&root)?;
        let labels_path = labels.find(&root)?;
        idx::image_set(self.name(), images.read(&images_path)?, Some(labels.read(&labels_path)?))
    }
}

impl PublishedFile {
    /// SHA-256 of the decompressed content.
    pub(crate) fn digest(self) -> &'static str {
        match (self.set, self.split, self.kind) {
            (PublishedDataset::Mnist, Split::Train, Kind::Images) => {
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
            }
            (PublishedDataset::Mnist, Split::Train, Kind::Labels) => {
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
            }
            (PublishedDataset::Mnist, Split::Test, Kind::Images) => {
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
            }
            (PublishedDataset::Mnist, Split::Test, Kind::Labels) => {
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
            }
            (PublishedDataset::FashionMnist, Split::Train, Kind::Images) => {
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
            }
            (PublishedDataset::FashionMnist, Split::Train, Kind::Labels) => {
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
            }
            (PublishedDataset::FashionMnist, Split::Test, Kind::Images) => {
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
            }
            (PublishedDataset::FashionMnist, Split::Test, Kind::Labels) => {
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
            }
        }
    }

    /// Size of the decompressed content in bytes: the header and one byte per element.
    #[cfg(feature = "download")]
    pub(crate) fn size(self) -> usize {
        let items = match self.split {
            Split::Train => 60_000,
            Split::Test => 10_000,
        };
        match self.kind {
            Kind::Images => 16 + items * 28 * 28,
            Kind::Labels => 8 + items,
        }
    }

    /// The possible paths, in order of precedence. The first one has the publisher's spelling; it is where downloads go.
    pub(crate) fn candidates(self, root: &Path) -> Vec<PathBuf> {
        let prefix = match self.split {
            Split::Train => "train",
            Split::Test => "t10k",
        };
        let (kind, dimensions) = match self.kind {
            Kind::Images => ("images", 3),
            Kind::Labels => ("labels", 1),
        };
        let mut candidates = Vec::new();
        for folder in self.set.folders() {
            for separator in ['-', '.'] {
                for suffix in [".gz", ""] {
                    let file = format!("{prefix}-{kind}{separator}idx{dimensions}-ubyte{suffix}");
                    candidates.push(root.join(folder).join(file));
                }
            }
        }
        candidates
    }

    pub(crate) fn find(self, root: &Path) -> Result<PathBuf> {
        let looked = self.candidates(root);
        let nested = |path: &PathBuf| path.file_name().map(|name| path.join(name));
        let found = looked.iter().flat_map(|path| [Some(path.clone()), nested(path)]).flatten();
        match found.into_iter().find(|path| path.is_file()) {
            Some(path) => Ok(path),
            None => Err(Error::NotFound { dataset: self.set.name(), looked }),
        }
    }

    /// Reads and verifies the file.
    pub(crate) fn read(self, path: &Path) -> Result<idx::IdxArray> {
        let (array, found) = idx::load_array_and_digest(path)?;
        if found != self.digest() {
            let field = "SHA-256 of the decompressed file";
            let expected = format!("{}, as published for {}", self.digest(), self.set.name());
            let found =
                format!("{found}; fetch the file again, or load another data set with data::idx::load");
            return Err(Error::format(&array.name, field, expected, found));
        }
        Ok(array)
    }
}

/// The root folder: `data_dir`, or else the value of the variable, or else `data`.
pub(crate) fn root(data_dir: Option<&Path>) -> PathBuf {
    let named = data_dir.map(Path::to_owned);
    let from_environment = || env::var_os(DATA_VARIABLE).filter(|v| !v.is_empty()).map(PathBuf::from);
    named.or_else(from_environment).unwrap_or_else(|| PathBuf::from("data"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_candidate_is_listed() {
        let folder = tempfile::tempdir().unwrap();
        let error = PublishedDataset::FashionMnist.load(Split::Test, Some(folder.path())).unwrap_err();
        let Error::NotFound { dataset, looked } = &error else { panic!("{error}") };
        assert_eq!((*dataset, looked.len()), ("Fashion-MNIST", 8));
        let [ours, torchvision] =
            ["fashion-mnist", "FashionMNIST/raw"].map(|name| folder.path().join(name).display().to_string());
        let expected = format!(
            "Fashion-MNIST not found; looked in {ours} and {torchvision} for \
             t10k-images-idx3-ubyte.gz, t10k-images-idx3-ubyte, t10k-images.idx3-ubyte.gz, t10k-images.idx3-ubyte"
        );
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_file_in_a_folder_of_its_name_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let nested = folder.path().join("mnist/t10k-labels-idx1-ubyte/t10k-labels-idx1-ubyte");
        std::fs::create_dir_all(nested.parent().unwrap()).unwrap();
        std::fs::write(&nested, []).unwrap();
        let [_, labels] = PublishedDataset::Mnist.files(Split::Test);
        assert_eq!(labels.find(folder.path()).unwrap(), nested);
    }

    #[test]
    fn another_content_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let raw = folder.path().join("MNIST/raw");
        std::fs::create_dir_all(&raw).unwrap();
        for (file, shape, bytes) in [
            ("train-images.idx3-ubyte", &[1, 1, 2][..], &[1, 2][..]),
            ("train-labels-idx1-ubyte", &[1], &[1]),
        ] {
            idx::save_array(raw.join(file), shape, bytes, idx::Encoding::Gzip).unwrap();
        }
        let error = PublishedDataset::Mnist.load(Split::Train, Some(folder.path())).unwrap_err().to_string();
        assert!(error.contains("train-images.idx3-ubyte: SHA-256"), "{error}");
        assert!(error.contains("data::idx::load"), "{error}");
    }
}
