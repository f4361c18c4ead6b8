mod convert;

use crate::{
    data::Dataset,
    error::{Error, Result},
    files::memory,
    kernels::elementwise,
};
use ndarray::{Array2, ArrayRef2};

/// Channels of a color: red, green and blue.
pub(crate) const COLORS: usize = 3;

/// Gray or color images of one size, with one byte per pixel and channel, and optionally one label per image.
///
/// A byte `b` means the value `b / 255`. A pixel has one channel, gray, or three: red, green and blue, one after the other.
/// A set has at least one image, and an image at least one pixel.
///
/// ```
/// use autoencoder::data::ImageSet;
/// let images = ImageSet::new("two", (1, 3), vec![0, 51, 255, 255, 0, 0])?.with_labels(vec![4, 9])?;
/// assert_eq!(images.to_array()?.row(0).to_vec(), [0.0, 0.2, 1.0]);
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSet {
    name: String,
    shape: (usize, usize),
    channels: usize,
    pixels: Vec<u8>,
    labels: Option<Vec<u8>>,
    notices: Vec<String>,
}

impl ImageSet {
    /// Creates a set of gray images of `shape` (height, width). `pixels` holds one image after the other, each row by row.
    ///
    /// # Errors
    /// [`Error::Shape`] if the height or width is 0, there are no pixels, or the last image is incomplete.
    pub fn new(name: impl Into<String>, shape: (usize, usize), pixels: Vec<u8>) -> Result<Self> {
        Self::with_channels(name.into(), shape, 1, pixels)
    }

    /// Creates a set of color images of `shape` (height, width). `pixels` holds one image after the other, each row by row,
    /// with red, green and blue for each pixel.
    ///
    /// ```
    /// use autoencoder::data::ImageSet;
    /// let red_and_gray = ImageSet::color("one", (1, 2), vec![255, 0, 0, 128, 128, 128])?;
    /// assert_eq!((red_and_gray.len(), red_and_gray.channels(), red_and_gray.features()), (1, 3, 6));
    /// assert_eq!(red_and_gray.into_gray().pixels(), [76, 128]);
    /// # Ok::<(), autoencoder::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn color(name: impl Into<String>, shape: (usize, usize), pixels: Vec<u8>) -> Result<Self> {
        Self::with_channels(name.into(), shape, COLORS, pixels)
    }

    pub(crate) fn with_channels(
        name: String,
        shape: (usize, usize),
        channels: usize,
        pixels: Vec<u8>,
    ) -> Result<Self> {
        let features = shape.0.checked_mul(shape.1).and_then(|area| area.checked_mul(channels)).unwrap_or(0);
        if features == 0 {
            return Err(Error::shape("(height, width) of an image", format_args!("at least 1 each"), shape));
        }
        if pixels.is_empty() || !pixels.len().is_multiple_of(features) {
            let expected = format!("a positive multiple of {features}");
            return Err(Error::Shape { what: "pixels", expected, found: pixels.len().to_string() });
        }
        Ok(Self { name, shape, channels, pixels, labels: None, notices: Vec::new() })
    }

    /// Creates a set from pixels in [0, 1], `[images, height * width]` for gray images and
    /// `[images, height * width * 3]` for color. Each value is rounded to the nearest of 256 levels, an error of at most
    /// 1/510 (PSNR 58.9 dB). To train on unrounded values, pass the array itself to the trainer: it is a [`Dataset`], too.
    ///
    /// # Errors
    /// [`Error::Shape`] if there are no rows or the number of columns is another, [`Error::Data`] if a pixel is outside
    /// [0, 1] or NaN.
    pub fn from_array(
        name: impl Into<String>,
        shape: (usize, usize),
        pixels: &ArrayRef2<f32>,
    ) -> Result<Self> {
        let channels = channels(shape, pixels.ncols())?;
        if let Some(((row, column), bad)) = pixels.indexed_iter().find(|(_, p)| !(0.0..=1.0).contains(*p)) {
            let found = format_args!("{bad} at row {row}, column {column}");
            return Err(Error::data("pixel", "a number in [0, 1]", found));
        }
        let pixels = pixels.iter().map(|p| (p * 255.0).round() as u8).collect();
        Self::with_channels(name.into(), shape, channels, pixels)
    }

    /// Adds labels, one per image.
    ///
    /// # Errors
    /// [`Error::Shape`] if the number of labels is not the number of images.
    pub fn with_labels(mut self, labels: Vec<u8>) -> Result<Self> {
        if labels.len() != self.len() {
            return Err(Error::shape("labels", self.len(), labels.len()));
        }
        self.labels = Some(labels);
        Ok(self)
    }

    pub(crate) fn with_notices(mut self, notices: Vec<String>) -> Self {
        self.notices = notices;
        self
    }

    /// Replaces the name.
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Keeps the first `count` images, or all if there are fewer.
    ///
    /// # Errors
    /// [`Error::Setting`] if `count` is 0.
    pub fn head(mut self, count: usize) -> Result<Self> {
        if count == 0 {
            return Err(Error::setting("count", count, "at least 1 image"));
        }
        self.pixels.truncate(count.saturating_mul(self.features()));
        if let Some(labels) = &mut self.labels {
            labels.truncate(count);
        }
        Ok(self)
    }

    /// Copies the images at `indices`, in this order, with their labels. An index may occur several times.
    ///
    /// ```
    /// use autoencoder::data::digits;
    /// let digits = digits::generate(20, 1)?;
    /// let ones: Vec<_> = (0..20).filter(|&index| digits.labels().is_some_and(|labels| labels[index] == 1)).collect();
    /// assert_eq!(digits.select(&ones)?.labels(), Some(&[1, 1][..]));
    /// # Ok::<(), autoencoder::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Shape`] if there are no indices, or one is out of range.
    pub fn select(&self, indices: &[usize]) -> Result<Self> {
        if let Some(index) = indices.iter().find(|&&index| index >= self.len()) {
            return Err(Error::Shape {
                what: "index of an image",
                expected: format!("less than {}", self.len()),
                found: index.to_string(),
            });
        }
        let features = self.features();
        let pixels = indices.iter().flat_map(|index| &self.pixels[index * features..][..features]);
        let labels = self.labels.as_ref().map(|labels| indices.iter().map(|&index| labels[index]).collect());
        let pixels = pixels.copied().collect();
        let selected = Self::with_channels(self.name.clone(), self.shape, self.channels, pixels)?;
        Ok(Self { labels, notices: self.notices.clone(), ..selected })
    }

    /// Returns the name of the set, for messages and tables.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the height and width of each image.
    pub fn image_shape(&self) -> (usize, usize) {
        self.shape
    }

    /// Returns the number of values per pixel: 1 for gray, 3 for color.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Returns what reading the images converted or skipped, one sentence each, for a person to read. It is empty if the
    /// pixels are exactly those of the file, or come from no file.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Returns the number of images, at least 1.
    #[allow(clippy::len_without_is_empty, reason = "a set is never empty")]
    pub fn len(&self) -> usize {
        self.pixels.len() / self.features()
    }

    /// Returns the number of values of each image, height * width * channels.
    pub fn features(&self) -> usize {
        self.shape.0 * self.shape.1 * self.channels
    }

    /// Returns all pixels, one image after the other, each row by row, the channels of a pixel together.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Returns one label per image, if there are labels.
    pub fn labels(&self) -> Option<&[u8]> {
        self.labels.as_deref()
    }

    /// Converts all images to `[images, height * width * channels]` with values in [0, 1], at four bytes each.
    ///
    /// # Errors
    /// [`Error::Setting`] if the array does not fit in memory. Training and evaluation take the set itself, which is a quarter as
    /// large.
    pub fn to_array(&self) -> Result<Array2<f32>> {
        let mut values = memory::zeroed("images", self.pixels.len())?;
        elementwise::unit_from_bytes(&mut values, &self.pixels);
        Ok(Array2::from_shape_vec((self.len(), self.features()), values).expect("whole images: `new` checks"))
    }
}

/// Returns the number of channels of rows with `columns` values that are images of `shape`.
///
/// # Errors
/// [`Error::Shape`] if no number of channels fits.
pub(crate) fn channels(shape: (usize, usize), columns: usize) -> Result<usize> {
    let area = shape.0.checked_mul(shape.1).filter(|&area| area > 0);
    let found = area.and_then(|area| [1, COLORS].into_iter().find(|c| area.checked_mul(*c) == Some(columns)));
    found.ok_or_else(|| Error::shape("columns for gray or color images of (height, width)", shape, columns))
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
        let images = ImageSet::from_array("a", (1, 2), &array![[0.0, 1.0], [0.5, 0.2]]).unwrap();
        assert_eq!(images.pixels(), [0, 255, 128, 51]);
        for bad in [f32::NAN, -0.01, 1.01, f32::INFINITY] {
            let error = ImageSet::from_array("a", (1, 2), &array![[0.0, bad]]).unwrap_err();
            assert!(error.to_string().contains("in [0, 1]"), "{error}");
        }
        assert!(ImageSet::from_array("a", (2, 2), &array![[0.0, 1.0]]).is_err());
        assert!(ImageSet::from_array("a", (usize::MAX, 2), &array![[0.0, 1.0]]).is_err());
    }

    #[test]
    fn colors_keep_their_channels() {
        let pixels: Vec<u8> = (0..18).collect();
        let images = ImageSet::color("c", (1, 2), pixels.clone()).unwrap();
        assert_eq!((images.len(), images.channels(), images.features()), (3, 3, 6));
        let chosen = images.select(&[2, 0]).unwrap();
        assert_eq!(chosen.pixels(), [&pixels[12..], &pixels[..6]].concat());
        assert_eq!(images.clone().head(1).unwrap().pixels(), &pixels[..6]);
        assert_eq!(ImageSet::from_array("c", (1, 2), &images.to_array().unwrap()).unwrap(), images);
        let mut row = [0.0; 6];
        images.copy_row(1, &mut row);
        assert_eq!(row.to_vec(), images.to_array().unwrap().row(1).to_vec());
        assert!(ImageSet::color("c", (1, 2), vec![0; 8]).is_err());
        assert!(ImageSet::color("c", (usize::MAX / 2, 1), vec![0; 8]).is_err());
    }

    #[test]
    fn a_selection_keeps_order_and_labels() {
        let images =
            ImageSet::new("s", (1, 2), vec![1, 2, 3, 4, 5, 6]).unwrap().with_labels(vec![7, 8, 9]).unwrap();
        let chosen = images.select(&[2, 0, 2]).unwrap();
        assert_eq!((chosen.pixels(), chosen.labels()), (&[5, 6, 1, 2, 5, 6][..], Some(&[9, 7, 9][..])));
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
        assert_eq!(row.to_vec(), images.to_array().unwrap().row(1).to_vec());
    }
}
