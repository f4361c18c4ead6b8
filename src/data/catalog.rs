//! MNIST and Fashion-MNIST: what their files are called, where they are looked for, what they must contain.

use crate::{
    data::{Dataset, idx},
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
pub enum Known {
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

/// SHA-256 of the decompressed images and labels.
type Digests = [&'static str; 2];

impl Known {
    /// The name, as its publisher writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mnist => "MNIST",
            Self::FashionMnist => "Fashion-MNIST",
        }
    }

    /// The folders under a root that may hold the files: this crate's, torchvision's.
    fn folders(self) -> [&'static str; 2] {
        match self {
            Self::Mnist => ["mnist", "MNIST/raw"],
            Self::FashionMnist => ["fashion-mnist", "FashionMNIST/raw"],
        }
    }

    fn digests(self, split: Split) -> Digests {
        match (self, split) {
            (Self::Mnist, Split::Train) => [
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            ],
            (Self::Mnist, Split::Test) => [
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ],
            (Self::FashionMnist, Split::Train) => [
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            ],
            (Self::FashionMnist, Split::Test) => [
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ],
        }
    }

    /// Finds, reads and checks a part. The root is `data_dir`, else what [`DATA_VARIABLE`] names, else `data`;
    /// under it the files stand in `mnist` or `fashion-mnist`, or where torchvision leaves them (`MNIST/raw`,
    /// `FashionMNIST/raw`), plain or `.gz`, spelled `train-images-idx3-ubyte` or `train-images.idx3-ubyte`.
    ///
    /// # Errors
    /// [`Error::NotFound`] if a file is in none of these places; as [`idx::load`] if one cannot be read;
    /// [`Error::Format`] if its content is not the published one.
    pub fn load(self, split: Split, data_dir: Option<&Path>) -> Result<Dataset> {
        let root = root(data_dir);
        let [images, labels] = [("images", 3), ("labels", 1)].map(|kind| self.find(&root, split, kind));
        let (images, labels) = (images?, labels?);
        let [images_digest, labels_digest] = self.digests(split);
        let images = read_checked(&images, images_digest)?;
        let labels = read_checked(&labels, labels_digest)?;
        idx::dataset(self.name(), images, Some(labels))
    }

    fn find(self, root: &Path, split: Split, (kind, dimensions): (&str, u8)) -> Result<PathBuf> {
        let prefix = match split {
            Split::Train => "train",
            Split::Test => "t10k",
        };
        let mut looked = Vec::new();
        for folder in self.folders() {
            for separator in ['-', '.'] {
                for suffix in ["", ".gz"] {
                    let file = format!("{prefix}-{kind}{separator}idx{dimensions}-ubyte{suffix}");
                    let path = root.join(folder).join(file);
                    if path.is_file() {
                        return Ok(path);
                    }
                    looked.push(path);
                }
            }
        }
        Err(Error::NotFound { dataset: self.name(), looked })
    }
}

fn root(data_dir: Option<&Path>) -> PathBuf {
    let named = data_dir.map(Path::to_owned);
    let from_environment = || env::var_os(DATA_VARIABLE).filter(|v| !v.is_empty()).map(PathBuf::from);
    named.or_else(from_environment).unwrap_or_else(|| PathBuf::from("data"))
}

fn read_checked(path: &Path, digest: &str) -> Result<idx::IdxArray> {
    let array = idx::read_file(path)?;
    let mut hasher = Sha256::new_with_prefix(idx::header(&array.shape)?);
    hasher.update(&array.bytes);
    let found: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found != digest {
        return Err(Error::format(&array.name, "SHA-256 of the decompressed file", digest, found));
    }
    Ok(array)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_listed() {
        let folder = tempfile::tempdir().unwrap();
        let error = Known::FashionMnist.load(Split::Test, Some(folder.path())).unwrap_err();
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
        let error = Known::Mnist.load(Split::Train, Some(folder.path())).unwrap_err().to_string();
        assert!(error.contains("train-images.idx3-ubyte: SHA-256"), "{error}");
    }
}
