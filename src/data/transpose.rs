use crate::data::ImageSet;

impl ImageSet {
    /// Exchanges rows and columns of each image. EMNIST's IDX files store images column by column.
    ///
    /// ```
    /// use autoencoder::data::ImageSet;
    /// let images = ImageSet::new("one", (2, 3), vec![1, 2, 3, 4, 5, 6])?.transpose();
    /// assert_eq!((images.image_shape(), images.pixels()), ((3, 2), &[1, 4, 2, 5, 3, 6][..]));
    /// # Ok::<(), autoencoder::Error>(())
    /// ```
    #[must_use]
    pub fn transpose(&self) -> Self {
        let (height, width) = self.image_shape();
        let mut pixels = Vec::with_capacity(self.pixels().len());
        for image in self.pixels().chunks_exact(self.features()) {
            for column in 0..width {
                pixels.extend(image[column..].iter().step_by(width));
            }
        }
        let transposed = Self::new(self.name(), (width, height), pixels);
        let labeled = transposed.and_then(|set| match self.labels() {
            Some(labels) => set.with_labels(labels.to_vec()),
            None => Ok(set),
        });
        labeled.expect("as many pixels and labels as before")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_is_the_same_set_with_its_labels() {
        let images =
            ImageSet::new("two", (3, 2), (0..12).collect()).unwrap().with_labels(vec![4, 9]).unwrap();
        let transposed = images.transpose();
        assert_eq!(transposed.pixels()[..6], [0, 2, 4, 1, 3, 5]);
        assert_eq!((transposed.image_shape(), transposed.labels()), ((2, 3), images.labels()));
        assert_eq!(transposed.transpose(), images);
    }
}
