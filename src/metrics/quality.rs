use crate::{
    error::{Error, Result},
    kernels::{self, elementwise},
};
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

/// PSNR in dB of a mean squared error, for values that span `data_range`.
///
/// ```
/// use autoencoder::metrics::psnr_db;
/// assert!((psnr_db(0.01, 1.0) - 20.0).abs() < 1e-12);
/// assert_eq!(psnr_db(0.0, 1.0), f64::INFINITY);
/// ```
pub fn psnr_db(mse: f64, data_range: f64) -> f64 {
    10.0 * (data_range * data_range / mse).log10()
}

/// How close images are to a reference.
///
/// ```
/// use autoencoder::{metrics::ImageQuality, ndarray::array};
/// let quality = ImageQuality::compare(array![[0.1, 0.0], [0.0, 0.0]].view(), array![[0.0, 0.0], [0.0, 0.5]].view(), 1.0)?;
/// assert!((quality.mse - 0.26 / 4.0).abs() < 1e-8);
/// assert!((quality.psnr_mean_db - (23.0103 + 9.0309) / 2.0).abs() < 1e-4);
/// assert!((quality.psnr_pooled_db - 11.8709).abs() < 1e-4);
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ImageQuality {
    /// The mean squared error over all elements.
    #[serde(with = "decibels")]
    pub mse: f64,
    /// The mean of the images' PSNRs, in dB; +inf if one image is identical to its reference.
    #[serde(with = "decibels")]
    pub psnr_mean_db: f64,
    /// The PSNR of the mean squared error over all images, in dB.
    #[serde(with = "decibels")]
    pub psnr_pooled_db: f64,
}

impl ImageQuality {
    /// Compares `images` with a `reference`, both `[images, features]`, whose values span `data_range`.
    ///
    /// # Errors
    /// If the shapes differ or there is nothing to compare.
    pub fn compare(images: ArrayView2<f32>, reference: ArrayView2<f32>, data_range: f64) -> Result<Self> {
        if images.dim() != reference.dim() || images.is_empty() {
            return Err(Error::shape("images to compare", reference.dim(), images.dim()));
        }
        let (images, reference) = (images.as_standard_layout(), reference.as_standard_layout());
        let rows = kernels::rows(images.view()).zip(kernels::rows(reference.view()));
        let errors = rows.map(|(image, reference)| elementwise::squared_error(image, reference));
        Ok(Self::from_squared_errors(errors, images.ncols(), data_range))
    }

    /// The quality of images whose squared errors, each summed over `features`, are given.
    pub(crate) fn from_squared_errors(
        errors: impl Iterator<Item = f64>,
        features: usize,
        data_range: f64,
    ) -> Self {
        let features = features as f64;
        let (mut images, mut squared_error, mut psnr) = (0.0, 0.0, 0.0);
        for error in errors {
            images += 1.0;
            squared_error += error;
            psnr += psnr_db(error / features, data_range);
        }
        let mse = squared_error / (images * features);
        Self { mse, psnr_mean_db: psnr / images, psnr_pooled_db: psnr_db(mse, data_range) }
    }
}

/// Figures in files: what JSON lacks as text, `inf` or `NaN`. For `#[serde(with = "...")]`.
pub mod decibels {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Decibels {
        Number(f64),
        Text(String),
    }

    /// Writes a number, or `inf`.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        if value.is_finite() { serializer.serialize_f64(*value) } else { serializer.collect_str(value) }
    }

    /// Reads a number, or `inf`.
    ///
    /// # Errors
    /// Those of the deserializer, and on other text.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        match Decibels::deserialize(deserializer)? {
            Decibels::Number(value) => Ok(value),
            Decibels::Text(text) => text.parse().map_err(D::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn identical_images_are_infinitely_good_and_written_as_inf() {
        let images = array![[0.5, 0.25]];
        let quality = ImageQuality::compare(images.view(), images.view(), 1.0).unwrap();
        assert_eq!(
            (quality.mse, quality.psnr_mean_db, quality.psnr_pooled_db),
            (0.0, f64::INFINITY, f64::INFINITY)
        );
        let json = serde_json::to_string(&quality).unwrap();
        assert_eq!(json, r#"{"mse":0.0,"psnr_mean_db":"inf","psnr_pooled_db":"inf"}"#);
        assert_eq!(serde_json::from_str::<ImageQuality>(&json).unwrap(), quality);
    }

    #[test]
    fn the_range_counts_and_layouts_do_not() {
        let (a, b) = (array![[0.0, 255.0], [10.0, 20.0]], array![[0.0, 250.0], [20.0, 20.0]]);
        let quality = ImageQuality::compare(a.view(), b.view(), 255.0).unwrap();
        assert_eq!(quality.mse, 125.0 / 4.0);
        assert!((quality.psnr_pooled_db - 33.1823).abs() < 1e-4);
        let (a, b) = (a.t().to_owned(), b.t().to_owned());
        let transposed = ImageQuality::compare(a.t(), b.t(), 255.0).unwrap();
        assert_eq!(quality, transposed);
    }

    #[test]
    fn means_are_over_images() {
        let (a, b) = (array![[0.1, 0.1, 0.1], [1.0, 1.0, 1.0]], array![[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]);
        let quality = ImageQuality::compare(a.view(), b.view(), 1.0).unwrap();
        assert!((quality.psnr_mean_db - 10.0).abs() < 1e-5, "{quality:?}");
    }

    #[test]
    fn shapes_must_agree() {
        let a = array![[0.0, 1.0]];
        assert!(ImageQuality::compare(a.view(), array![[0.0], [1.0]].view(), 1.0).is_err());
        assert!(
            ImageQuality::compare(a.slice(ndarray::s![..0, ..]), a.slice(ndarray::s![..0, ..]), 1.0).is_err()
        );
    }
}
