use super::{COLORS, ImageSet};

impl ImageSet {
    /// Converts color to gray by Rec. 601's luma as Pillow's `convert("L")` computes it,
    /// `(19595 R + 38470 G + 7471 B + 32768) / 65536`. Gray images stay as they are.
    #[must_use]
    pub fn into_gray(mut self) -> Self {
        if self.channels == COLORS {
            self.pixels = self.pixels.chunks_exact(COLORS).map(luma).collect();
            self.channels = 1;
        }
        self
    }

    /// Exchanges rows and columns of each image. EMNIST's IDX files store images column by column.
    ///
    /// ```
    /// use autoencoder::data::ImageSet;
    /// let images = ImageSet::new("one", (2, 3), vec![1, 2, 3, 4, 5, 6])?.transpose();
    /// assert_eq!((images.image_shape(), images.pixels()), ((3, 2), &[1, 4, 2, 5, 3, 6][..]));
    /// # Ok::<(), autoencoder::Error>(())
    /// ```
    #[must_use]
    pub fn transpose(mut self) -> Self {
        let (height, width) = self.shape;
        let mut pixels = Vec::with_capacity(self.pixels.len());
        for image in self.pixels.chunks_exact(self.features()) {
            for column in 0..width {
                for row in 0..height {
                    pixels
                        .extend_from_slice(&image[(row * width + column) * self.channels..][..self.channels]);
                }
            }
        }
        self.pixels = pixels;
        self.shape = (width, height);
        self
    }
}

/// The gray level of a color.
fn luma(color: &[u8]) -> u8 {
    let [red, green, blue] = [0, 1, 2].map(|channel| u32::from(color[channel]));
    ((19_595 * red + 38_470 * green + 7_471 * blue + 32_768) >> 16) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposed_twice_is_the_same_set_with_its_labels() {
        for images in [
            ImageSet::new("gray", (3, 2), (0..12).collect()).unwrap(),
            ImageSet::color("color", (3, 2), (0..36).collect()).unwrap(),
        ] {
            let images = images.with_labels(vec![4, 9]).unwrap();
            let transposed = images.clone().transpose();
            let channels = images.channels();
            for (position, pixel) in [0, 2, 4, 1, 3, 5].into_iter().enumerate() {
                let pixels =
                    |set: &ImageSet, pixel: usize| set.pixels()[pixel * channels..][..channels].to_vec();
                assert_eq!(pixels(&transposed, position), pixels(&images, pixel));
            }
            assert_eq!((transposed.image_shape(), transposed.labels()), ((2, 3), images.labels()));
            assert_eq!(transposed.transpose(), images);
        }
    }

    #[test]
    fn gray_levels_are_those_of_pillow() {
        let colors = [255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255, 1, 2, 3, 200, 100, 50];
        let gray = ImageSet::color("c", (2, 3), colors.to_vec()).unwrap().into_gray();
        assert_eq!((gray.channels(), gray.pixels()), (1, &[76, 150, 29, 255, 2, 124][..]));
        assert_eq!(gray.clone().into_gray(), gray);
    }
}
