use super::IdxArray;
use crate::{
    data::{
        ImageSet,
        formats::{layout::Layout, pixels},
    },
    error::{Error, Result},
};

impl IdxArray {
    /// Makes a set of images.
    ///
    /// The array is `[images, height, width]`, or `[images, height, width, 3]` or `[images, 3, height, width]` for color,
    /// with or without further dimensions of 1. If `shape` gives (height, width), it may also be flat,
    /// `[images, height * width]`. Bytes and integers are gray levels from 0 to 255. Floats are in [0, 1] and rounded to 256
    /// levels; floats outside by at most half a level (1/510) are clamped. What was converted is in [`ImageSet::notices`].
    ///
    /// ```
    /// use autoencoder::data::idx;
    /// let flat = idx::read_array(&[0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 4, 7, 8, 9, 6][..], "flat")?;
    /// let images = flat.images("one", Some((2, 2)))?;
    /// assert_eq!((images.image_shape(), images.pixels()), ((2, 2), &[7, 8, 9, 6][..]));
    /// # Ok::<(), autoencoder::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Format`] if the dimensions are not those of images or do not fit `shape`, there are no images, or a value
    /// is not a pixel; the error names image, row and column.
    pub fn images(self, name: &str, shape: Option<(usize, usize)>) -> Result<ImageSet> {
        // Without it, images of few columns could not be loaded after they were saved.
        let own = match self.shape[..] {
            [_, height, width] if height == 1 || width <= 4 => Some((height, width)),
            _ => None,
        };
        let layout = Layout::new(&self.name, &self.shape, shape.or(own))?;
        let length = self.bytes.len() / self.element.size;
        let expected = self.shape.iter().try_fold(1_usize, |product, &side| product.checked_mul(side));
        if expected != Some(length) {
            let expected = format!("the product of {:?}", self.shape);
            return Err(Error::format(&self.name, "elements", expected, length));
        }
        pixels::images(&self.name, name, &self.shape, &layout, self.element, self.bytes)
    }
}
