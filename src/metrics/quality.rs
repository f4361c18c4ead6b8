use crate::{
    error::{Error, Result},
    kernels::{self, elementwise},
    metrics::nonfinite,
};
use ndarray::ArrayRef2;
use serde::{Deserialize, Serialize};

/// Returns the PSNR in dB of a mean squared error, for values whose range is `data_range`: 1 for pixels in [0, 1]. It is
/// infinite for an error of 0.
///
/// ```
/// use autoencoder::metrics::psnr_db;
/// assert!((psnr_db(0.01, 1.0) - 20.0).abs() < 1e-12);
/// assert_eq!(psnr_db(0.0, 1.0), f64::INFINITY);
/// ```
pub fn psnr_db(mse: f64, data_range: f64) -> f64 {
    10.0 * (data_range * data_range / mse).log10()
}

/// The maximum PSNR of an image in a mean over images, in dB, unless [`ImageQuality::compare_capped`] sets another.
///
/// 100 dB is an error of 1e-10 for pixels in [0, 1], far below the 48 dB of rounding to bytes.
pub const PSNR_CAP_DB: f64 = 100.0;

/// Pixelwise similarity of images to their references.
///
/// ```
/// use autoencoder::{metrics::ImageQuality, ndarray::array};
/// let images = array![[0.1, 0.0], [0.0, 0.0]];
/// let references = array![[0.0, 0.0], [0.0, 0.5]];
/// let quality = ImageQuality::compare(&images, &references, 1.0)?;
/// assert!((quality.mse - 0.26 / 4.0).abs() < 1e-8);
/// assert!((quality.psnr_mean_db - (23.0103 + 9.0309) / 2.0).abs() < 1e-4);
/// assert!((quality.psnr_pooled_db - 11.8709).abs() < 1e-4);
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ImageQuality {
    /// Mean squared error over all elements.
    #[serde(with = "nonfinite")]
    pub mse: f64,
    /// Mean of the PSNRs of the images in dB, each of them at most [`PSNR_CAP_DB`]: one image that equals its reference,
    /// such as a blank one, does not make the mean infinite.
    #[serde(with = "nonfinite")]
    pub psnr_mean_db: f64,
    /// PSNR of the mean squared error over all images, in dB; infinite if all images equal their references.
    #[serde(with = "nonfinite")]
    pub psnr_pooled_db: f64,
}

impl ImageQuality {
    /// Compares `images` with `references`, both `[images, features]`, whose values have the range `data_range`: 1 for
    /// pixels in [0, 1].
    ///
    /// # Errors
    /// [`Error::Shape`] if the shapes differ or there are no images.
    pub fn compare(images: &ArrayRef2<f32>, references: &ArrayRef2<f32>, data_range: f64) -> Result<Self> {
        Self::compare_capped(images, references, data_range, PSNR_CAP_DB)
    }

    /// Compares as [`compare`](Self::compare), with a maximum in dB for the PSNR of an image in the mean over images.
    /// Infinity sets no maximum.
    ///
    /// ```
    /// use autoencoder::{metrics::ImageQuality, ndarray::array};
    /// let images = array![[0.1, 0.1], [0.0, 0.0]];
    /// let references = array![[0.0, 0.0], [0.0, 0.0]];
    /// let mean = |cap_db| ImageQuality::compare_capped(&images, &references, 1.0, cap_db).map(|q| q.psnr_mean_db);
    /// assert!((mean(60.0)? - (20.0 + 60.0) / 2.0).abs() < 1e-5);
    /// assert_eq!(mean(f64::INFINITY)?, f64::INFINITY);
    /// # Ok::<(), autoencoder::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`compare`](Self::compare), and [`Error::Setting`] if the maximum is NaN.
    pub fn compare_capped(
        images: &ArrayRef2<f32>,
        references: &ArrayRef2<f32>,
        data_range: f64,
        cap_db: f64,
    ) -> Result<Self> {
        if cap_db.is_nan() {
            return Err(Error::setting("cap_db", cap_db, "a number"));
        }
        if images.dim() != references.dim() || images.is_empty() {
            return Err(Error::shape("images to compare", references.dim(), images.dim()));
        }
        let images = images.as_standard_layout();
        let references = references.as_standard_layout();
        let pairs = kernels::rows(images.view()).zip(kernels::rows(references.view()));
        let errors = pairs.map(|(image, reference)| elementwise::squared_error(image, reference));
        Ok(Self::from_capped(errors, images.ncols(), data_range, cap_db))
    }

    /// The quality of images with these squared errors, each summed over `features`.
    pub(crate) fn from_squared_errors(
        errors: impl Iterator<Item = f64>,
        features: usize,
        data_range: f64,
    ) -> Self {
        Self::from_capped(errors, features, data_range, PSNR_CAP_DB)
    }

    fn from_capped(errors: impl Iterator<Item = f64>, features: usize, data_range: f64, cap_db: f64) -> Self {
        let features = features as f64;
        let mut images = 0.0;
        let mut squared_error = 0.0;
        let mut psnr = 0.0;
        for error in errors {
            images += 1.0;
            squared_error += error;
            let of_image = psnr_db(error / features, data_range);
            // Not `min`, which would lose a NaN.
            psnr += if of_image > cap_db { cap_db } else { of_image };
        }
        let mse = squared_error / (images * features);
        Self { mse, psnr_mean_db: psnr / images, psnr_pooled_db: psnr_db(mse, data_range) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn identical_images_have_an_infinite_psnr_that_is_written_as_inf() {
        let images = array![[0.5, 0.25]];
        let quality = ImageQuality::compare_capped(&images, &images, 1.0, f64::INFINITY).unwrap();
        assert_eq!(
            (quality.mse, quality.psnr_mean_db, quality.psnr_pooled_db),
            (0.0, f64::INFINITY, f64::INFINITY)
        );
        let json = serde_json::to_string(&quality).unwrap();
        assert_eq!(json, r#"{"mse":0.0,"psnr_mean_db":"inf","psnr_pooled_db":"inf"}"#);
        assert_eq!(serde_json::from_str::<ImageQuality>(&json).unwrap(), quality);
    }

    #[test]
    fn the_data_range_matters_and_layouts_do_not() {
        let (a, b) = (array![[0.0, 255.0], [10.0, 20.0]], array![[0.0, 250.0], [20.0, 20.0]]);
        let quality = ImageQuality::compare(&a, &b, 255.0).unwrap();
        assert_eq!(quality.mse, 125.0 / 4.0);
        assert!((quality.psnr_pooled_db - 33.1823).abs() < 1e-4);
        let (a, b) = (a.t().to_owned(), b.t().to_owned());
        let transposed = ImageQuality::compare(&a.t(), &b.t(), 255.0).unwrap();
        assert_eq!(quality, transposed);
    }

    #[test]
    fn means_are_over_images() {
        let (a, b) = (array![[0.1, 0.1, 0.1], [1.0, 1.0, 1.0]], array![[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]);
        let quality = ImageQuality::compare(&a, &b, 1.0).unwrap();
        assert!((quality.psnr_mean_db - 10.0).abs() < 1e-5, "{quality:?}");
    }

    /// A perfect image counts as 100 dB, so the mean still tells how good the others are.
    #[test]
    fn a_perfect_image_does_not_decide_the_mean() {
        let blank = array![[0.0, 0.0], [0.0, 0.0]];
        let mean = |value: f32| {
            ImageQuality::compare(&array![[0.0, 0.0], [value, value]], &blank, 1.0).unwrap().psnr_mean_db
        };
        assert!((mean(0.1) - 60.0).abs() < 1e-5 && (mean(1.0) - 50.0).abs() < 1e-5, "{}", mean(0.1));
        // Better than the cap, or perfect: the same.
        assert_eq!((mean(0.0), mean(1e-6)), (PSNR_CAP_DB, PSNR_CAP_DB));
        assert!(mean(f32::NAN).is_nan());
        assert!(ImageQuality::compare_capped(&blank, &blank, 1.0, f64::NAN).is_err());
        // A cap of the caller's, also below 0.
        let capped = ImageQuality::compare_capped(&blank, &blank, 1.0, -3.0).unwrap();
        assert_eq!((capped.psnr_mean_db, capped.psnr_pooled_db), (-3.0, f64::INFINITY));
    }

    #[test]
    fn shapes_must_agree() {
        let a = array![[0.0, 1.0]];
        let none = a.slice(ndarray::s![..0, ..]);
        assert!(ImageQuality::compare(&a, &array![[0.0], [1.0]], 1.0).is_err());
        assert!(ImageQuality::compare(&none, &none, 1.0).is_err());
    }
}
