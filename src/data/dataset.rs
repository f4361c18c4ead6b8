use crate::{
    data::Dataset,
    error::{Error, Result},
    kernels::elementwise,
};
use ndarray::{Array2, ArrayView2};
use sha2::{Digest, Sha256};

/// Grey images of one size, a byte a pixel, with or without labels.
///
/// A pixel's value is its byte over 255. At least one image, at least one pixel an image.
///
/// ```
/// use autoencoder::data::ImageSet;
/// let images = ImageSet::new("two", (1, 3), vec![0, 51, 255, 255, 0, 0])?.with_labels(vec![4, 9])?;
/// assert_eq!(images.to_array().row(0).to_vec(), [0.0, 0.2, 1.0]);
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSet {
    name: String,
    shape: (usize, usize),
    pixels: Vec<u8>,
    labels: Option<Vec<u8>>,
}

impl ImageSet {
    /// A data set of images of `shape` (height, width), their pixels row by row and image after image.
    ///
    /// # Errors
    /// If the pixels do not make up a whole number of images, or none.
    pub fn new(name: impl Into<String>, shape: (usize, usize), pixels: Vec<u8>) -> Result<Self> {
        let features = shape.0.checked_mul(shape.1).unwrap_or(0);
        if features == 0 {
            return Err(Error::setting("image shape", shape, "a height and a width of at least 1"));
        }
        if pixels.is_empty() || !pixels.len().is_multiple_of(features) {
            let expected = format!("a positive multiple of {features}");
            return Err(Error::Shape { what: "pixels", expected, found: pixels.len().to_string() });
        }
        Ok(Self { name: name.into(), shape, pixels, labels: None })
    }

    /// A data set from rows of pixels in [0, 1], `[images, height * width]`, rounded to the nearest of 256 levels
    /// (an error of at most 1/510, a PSNR of 58.9 dB). To train on numbers as they are, hand the array itself to
    /// the trainer: see [`Dataset`].
    ///
    /// # Errors
    /// If the columns are not height * width, there are no rows, or a pixel is outside [0, 1] or not a number.
    pub fn from_array(
        name: impl Into<String>,
        shape: (usize, usize),
        pixels: ArrayView2<f32>,
    ) -> Result<Self> {
        if shape.0.checked_mul(shape.1) != Some(pixels.ncols()) {
            return Err(Error::shape("columns for images of (height, width)", shape, pixels.ncols()));
        }
        if let Some(((row, column), bad)) = pixels.indexed_iter().find(|(_, p)| !(0.0..=1.0).contains(*p)) {
            let value = format_args!("{bad} at row {row}, column {column}");
            return Err(Error::setting("pixel", value, "a number in [0, 1]"));
        }
        Self::new(name, shape, pixels.iter().map(|p| (p * 255.0).round() as u8).collect())
    }

    /// Adds a label for each image.
    ///
    /// # Errors
    /// If there are not as many labels as images.
    pub fn with_labels(mut self, labels: Vec<u8>) -> Result<Self> {
        if labels.len() != self.len() {
            return Err(Error::shape("labels", self.len(), labels.len()));
        }
        self.labels = Some(labels);
        Ok(self)
    }

    /// The first `count` images, or all if there are fewer.
    ///
    /// # Errors
    /// If `count` is 0.
    pub fn head(mut self, count: usize) -> Result<Self> {
        if count == 0 {
            return Err(Error::setting("number of images", count, "at least 1"));
        }
        self.pixels.truncate(count.saturating_mul(self.features()));
        if let Some(labels) = &mut self.labels {
            labels.truncate(count);
        }
        Ok(self)
    }

    /// The images at these places, in this order, with their labels.
    ///
    /// # Errors
    /// If there are none, or no image at one of the places.
    pub fn select(&self, places: &[usize]) -> Result<Self> {
        if let Some(place) = places.iter().find(|&&place| place >= self.len()) {
            return Err(Error::shape("place of an image", format!("below {}", self.len()), place));
        }
        let pixels =
            places.iter().flat_map(|place| &self.pixels[place * self.features()..][..self.features()]);
        let labels = self.labels.as_ref().map(|labels| places.iter().map(|&place| labels[place]).collect());
        Ok(Self { labels, ..Self::new(self.name.clone(), self.shape, pixels.copied().collect())? })
    }

    /// A digest of the images: their shape and their pixels, not the name or the labels.
    pub fn fingerprint(&self) -> String {
        let mut digest = Sha256::new();
        digest.update((self.shape.0 as u64).to_le_bytes());
        digest.update((self.shape.1 as u64).to_le_bytes());
        digest.update(&self.pixels);
        digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// What the data set calls itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Height and width of an image.
    pub fn image_shape(&self) -> (usize, usize) {
        self.shape
    }

    /// The number of images, at least 1.
    #[allow(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.pixels.len() / self.features()
    }

    /// Pixels of an image: height * width.
    pub fn features(&self) -> usize {
        self.shape.0 * self.shape.1
    }

    /// All pixels, row by row and image after image.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// A label an image, if there are labels.
    pub fn labels(&self) -> Option<&[u8]> {
        self.labels.as_deref()
    }

    /// All images as `[images, height * width]` in [0, 1].
    pub fn to_array(&self) -> Array2<f32> {
        let mut values = vec![0.0; self.pixels.len()];
        elementwise::unit_from_bytes(&mut values, &self.pixels);
        Array2::from_shape_vec((self.len(), self.features()), values).expect("whole images: `new` checks")
    }
}

impl Dataset for ImageSet {
    fn len(&self) -> usize {
        self.len()
    }

    fn features(&self) -> usize {
        self.features()
    }

    fn copy_row(&self, row: usize, out: &mut [f32]) {
        let features = self.features();
        elementwise::unit_from_bytes(out, &self.pixels[row * features..(row + 1) * features]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn pixels_must_make_whole_images() {
        for (shape, pixels) in
            [((2, 2), 0), ((2, 2), 3), ((2, 2), 5), ((0, 2), 4), ((2, 0), 4), ((usize::MAX, 2), 4)]
        {
            assert!(ImageSet::new("bad", shape, vec![0; pixels]).is_err(), "{shape:?} {pixels}");
        }
        assert_eq!(ImageSet::new("good", (3, 2), vec![0; 12]).unwrap().len(), 2);
    }

    #[test]
    fn arrays_are_checked_and_rounded() {
        let images = ImageSet::from_array("a", (1, 2), array![[0.0, 1.0], [0.5, 0.2]].view()).unwrap();
        assert_eq!(images.pixels(), [0, 255, 128, 51]);
        for bad in [f32::NAN, -0.01, 1.01, f32::INFINITY] {
            let error = ImageSet::from_array("a", (1, 2), array![[0.0, bad]].view()).unwrap_err();
            assert!(error.to_string().contains("in [0, 1]"), "{error}");
        }
        assert!(ImageSet::from_array("a", (2, 2), array![[0.0, 1.0]].view()).is_err());
        assert!(ImageSet::from_array("a", (usize::MAX, 2), array![[0.0, 1.0]].view()).is_err());
    }

    #[test]
    fn a_selection_keeps_order_and_labels() {
        let images =
            ImageSet::new("s", (1, 2), vec![1, 2, 3, 4, 5, 6]).unwrap().with_labels(vec![7, 8, 9]).unwrap();
        let chosen = images.select(&[2, 0, 2]).unwrap();
        assert_eq!((chosen.pixels(), chosen.labels()), (&[5, 6, 1, 2, 5, 6][..], Some(&[9, 7, 9][..])));
        assert_eq!(images.select(&[0, 1, 2]).unwrap().fingerprint(), images.fingerprint());
        let wide = ImageSet::new("s", (2, 1), vec![1, 2, 3, 4, 5, 6]).unwrap();
        for other in [&chosen, &wide] {
            assert_ne!(other.fingerprint(), images.fingerprint());
        }
        assert!(images.select(&[3]).is_err() && images.select(&[]).is_err());
    }

    #[test]
    fn labels_fit_and_are_cut_with_the_images() {
        let images = ImageSet::new("l", (1, 1), vec![1, 2, 3]).unwrap();
        let error = images.clone().with_labels(vec![0; 2]).unwrap_err();
        assert_eq!(error.to_string(), "labels: expected 3, found 2");
        let images = images.with_labels(vec![7, 8, 9]).unwrap().head(2).unwrap();
        assert_eq!((images.len(), images.labels()), (2, Some(&[7, 8][..])));
        assert_eq!(images.clone().head(usize::MAX).unwrap(), images);
        assert!(images.head(0).is_err());
    }

    #[test]
    fn rows_equal_the_array() {
        let images = ImageSet::new("r", (2, 1), vec![0, 51, 255, 102]).unwrap();
        let mut row = [0.0; 2];
        images.copy_row(1, &mut row);
        assert_eq!(row.to_vec(), images.to_array().row(1).to_vec());
    }
}
