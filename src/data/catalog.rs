//! MNIST and Fashion-MNIST: what their files are called, where they are looked for, what they must contain.

use crate::{
    data::{ImageSet, idx},
    error::{Error, Result},
};
use sha2::{Digest, Sha256};
use std::{
    env,
    path::{Path, PathBuf},
};

/// The environment variable that names the folder of data sets.
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

/// The part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// What is trained on.
    Train,
    /// What is measured on.
    Test,
}

/// One file of a data set: the images or the labels of a part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KnownFile {
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
    /// The name, as its publisher writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mnist => "MNIST",
            Self::FashionMnist => "Fashion-MNIST",
        }
    }

    /// The name in lower case, of the folder under a data folder that holds its files.
    pub fn folder(self) -> &'static str {
        self.folders()[0]
    }

    /// The folders under a root that may hold the files: this crate's, torchvision's.
    fn folders(self) -> [&'static str; 2] {
        match self {
            Self::Mnist => ["mnist", "MNIST/raw"],
            Self::FashionMnist => ["fashion-mnist", "FashionMNIST/raw"],
        }
    }

    /// All four files.
    #[cfg(feature = "download")]
    pub(crate) fn all_files(self) -> impl Iterator<Item = KnownFile> {
        [Split::Train, Split::Test].into_iter().flat_map(move |split| self.files(split))
    }

    /// The images and the labels of a part.
    fn files(self, split: Split) -> [KnownFile; 2] {
        [Kind::Images, Kind::Labels].map(|kind| KnownFile { set: self, split, kind })
    }

    /// Finds, reads and checks a part. The root is `data_dir`, else what [`DATA_VARIABLE`] names, else `data`;
    /// under it the files stand in `mnist` or `fashion-mnist`, or where torchvision leaves them (`MNIST/raw`,
    /// `FashionMNIST/raw`), plain or `.gz`, spelled `train-images-idx3-ubyte` or `train-images.idx3-ubyte`.
    ///
    /// # Errors
    /// [`Error::NotFound`] if a file is in none of these places; as [`idx::load`] if one cannot be read;
    /// [`Error::Format`] if its content is not the published one.
    pub fn load(self, split: Split, data_dir: Option<&Path>) -> Result<ImageSet> {
        let root = root(data_dir);
        let [images, labels] = self.files(split).map(|file| Ok((file, file.find(&root)?)));
        let ((images, images_path), (labels, labels_path)) = (images?, labels?);
        idx::dataset(self.name(), images.read(&images_path)?, Some(labels.read(&labels_path)?))
    }
}

impl KnownFile {
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

    /// Bytes of the decompressed content: the header and a byte an element.
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

    /// Where the file may stand, the publisher's own spelling first: what is fetched is what is found.
    pub(crate) fn places(self, root: &Path) -> Vec<PathBuf> {
        let prefix = match self.split {
            Split::Train => "train",
            Split::Test => "t10k",
        };
        let (kind, dimensions) = match self.kind {
            Kind::Images => ("images", 3),
            Kind::Labels => ("labels", 1),
        };
        let mut places = Vec::new();
        for folder in self.set.folders() {
            for separator in ['-', '.'] {
                for suffix in [".gz", ""] {
                    let file = format!("{prefix}-{kind}{separator}idx{dimensions}-ubyte{suffix}");
                    places.push(root.join(folder).join(file));
                }
            }
        }
        places
    }

    pub(crate) fn find(self, root: &Path) -> Result<PathBuf> {
        let looked = self.places(root);
        match looked.iter().find(|path| path.is_file()) {
            Some(path) => Ok(path.clone()),
            None => Err(Error::NotFound { dataset: self.set.name(), looked }),
        }
    }

    /// Reads and checks the file.
    pub(crate) fn read(self, path: &Path) -> Result<idx::IdxArray> {
        let array = idx::read_file(path)?;
        let found = sha256(&[&idx::header(&array.shape)?, &array.bytes]);
        if found != self.digest() {
            let field = "SHA-256 of the decompressed file";
            return Err(Error::format(&array.name, field, self.digest(), found));
        }
        Ok(array)
    }
}

/// The folder of data sets: the one named, else the variable's, else `data`.
pub(crate) fn root(data_dir: Option<&Path>) -> PathBuf {
    let named = data_dir.map(Path::to_owned);
    let from_environment = || env::var_os(DATA_VARIABLE).filter(|v| !v.is_empty()).map(PathBuf::from);
    named.or_else(from_environment).unwrap_or_else(|| PathBuf::from("data"))
}

pub(crate) fn sha256(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_listed() {
        let folder = tempfile::tempdir().unwrap();
        let error = PublishedDataset::FashionMnist.load(Split::Test, Some(folder.path())).unwrap_err();
        let Error::NotFound { dataset, looked } = &error else { panic!("{error}") };
        assert_eq!((*dataset, looked.len()), ("Fashion-MNIST", 8));
        for path in ["fashion-mnist/t10k-images-idx3-ubyte.gz", "FashionMNIST/raw/t10k-images.idx3-ubyte"] {
            assert!(error.to_string().contains(path), "{error}");
        }
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
            idx::write(
                std::fs::File::create(raw.join(file)).unwrap(),
                file,
                shape,
                bytes,
                idx::Encoding::Gzip,
            )
            .unwrap();
        }
        let error = PublishedDataset::Mnist.load(Split::Train, Some(folder.path())).unwrap_err().to_string();
        assert!(error.contains("train-images.idx3-ubyte: SHA-256"), "{error}");
    }
}
