//! The data sets of the study.

use crate::{baseline::Pca, report::verdict::capitalized};
use autoencoder::{Error, data::ImageSet};
use std::sync::OnceLock;

/// A data set of the study.
pub struct Set {
    pub name: String,
    pub train: ImageSet,
    pub test: ImageSet,
    /// True if the study has no other data set, so that texts need not name it.
    is_only: bool,
    pca: OnceLock<Pca>,
}

impl Set {
    pub fn new(name: &str, train: ImageSet, test: ImageSet) -> Self {
        Self { name: name.to_owned(), train, test, is_only: false, pca: OnceLock::new() }
    }

    /// Marks the only data set of a study.
    pub fn only(self) -> Self {
        Self { is_only: true, ..self }
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

    /// Begins a caption with the name of the data set if there are several.
    pub fn caption(&self, text: impl AsRef<str>) -> String {
        let text = text.as_ref();
        if self.is_only { capitalized(text) } else { format!("{}: {text}", self.title()) }
    }

    /// Returns the name of a class for a sentence, in which a number alone would be unclear.
    pub fn class_in_words(&self, label: u8) -> String {
        let name = self.class(label);
        if name == label.to_string() { format!("class {name}") } else { name }
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

#[cfg(test)]
mod tests {
    use super::*;
    use autoencoder::data::digits;

    fn set(name: &str) -> Set {
        let images = || digits::generate(1, 1).unwrap();
        Set::new(name, images(), images())
    }

    #[test]
    fn captions_name_one_of_several_data_sets() {
        assert_eq!(set("mnist").caption("test PSNR."), "MNIST: test PSNR.");
        assert_eq!(set("mnist").only().caption("test PSNR."), "Test PSNR.");
    }

    #[test]
    fn classes_that_are_numbers_are_called_classes() {
        assert_eq!(set("mnist").class_in_words(3), "class 3");
        assert_eq!(set("fashion-mnist").class_in_words(8), "bag");
    }
}
