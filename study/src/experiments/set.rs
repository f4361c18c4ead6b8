//! The data sets of the study.

use crate::baseline::Pca;
use autoencoder::{Error, data::ImageSet};
use std::sync::OnceLock;

/// A data set of the study.
pub struct Set {
    pub name: String,
    pub train: ImageSet,
    pub test: ImageSet,
    pca: OnceLock<Pca>,
}

impl Set {
    pub fn new(name: &str, train: ImageSet, test: ImageSet) -> Self {
        Self { name: name.to_owned(), train, test, pca: OnceLock::new() }
    }

    /// Returns the principal components of the training images, computed once.
    pub fn pca(&self) -> Result<&Pca, Error> {
        match self.pca.get() {
            Some(pca) => Ok(pca),
            None => Pca::fit(&self.train).map(|pca| self.pca.get_or_init(|| pca)),
        }
    }

    /// Returns the name for texts.
    pub fn title(&self) -> &str {
        match self.name.as_str() {
            "mnist" => "MNIST",
            "fashion-mnist" => "Fashion-MNIST",
            "digits" => "Drawn digits",
            other => other,
        }
    }

    /// Returns the name of a class.
    pub fn class(&self, label: u8) -> String {
        const FASHION: [&str; 10] = [
            "T-shirt",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ];
        match FASHION.get(usize::from(label)).filter(|_| self.name == "fashion-mnist") {
            Some(&name) => name.to_owned(),
            None => label.to_string(),
        }
    }
}
