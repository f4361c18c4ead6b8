//! How the dimensions of an array make images.

use crate::{
    data::COLORS,
    error::{Error, Result},
};

/// The order of the values of an array of images.
#[derive(Debug, PartialEq)]
pub(super) struct Layout {
    /// Height and width.
    pub shape: (usize, usize),
    pub channels: usize,
    /// Whether an image is stored as one plane per channel, as PyTorch does, instead of as pixels with their channels.
    planes: bool,
}

impl Layout {
    /// Finds height, width and channels from dimensions `[images, ...]`, of which those of 1 have no effect, and from the
    /// shape (height, width) that the user may have given.
    pub fn new(name: &str, dims: &[usize], shape: Option<(usize, usize)>) -> Result<Self> {
        let wrong = |expected: &str| Err(Error::format(name, "shape", expected, format!("{dims:?}")));
        let Some((_, image)) = dims.split_first().filter(|(_, image)| !image.is_empty()) else {
            let found = format!("{dims:?}; is it a file of labels?");
            return Err(Error::format(name, "shape", "(images, height, width)", found));
        };
        let long = without_ones(image);
        let layout = |shape: (usize, usize), channels: usize, planes| match shape
            .0
            .checked_mul(shape.1)
            .and_then(|area| area.checked_mul(channels))
        {
            Some(_) => Ok(Self { shape, channels, planes }),
            None => wrong("a size that fits in memory"),
        };
        let Some(shape) = shape else {
            return match (image, long.as_slice()) {
                (_, &[height, width, COLORS]) => layout((height, width), COLORS, false),
                (_, &[COLORS, height, width]) => layout((height, width), COLORS, true),
                (_, &[_, _, 4]) => {
                    wrong("1 or 3 channels; composite images with alpha over a background first")
                }
                // Pixels in a column or a row say nothing about the width of an image.
                (_, &[height, width]) => layout((height, width), 1, false),
                (&[1, 1], _) | (&[1, 1, 1], _) => layout((1, 1), 1, false),
                (_, &[features]) => {
                    let side = features.isqrt();
                    let such = format!(", such as {side}x{side}");
                    let square = if side * side == features { such.as_str() } else { "" };
                    wrong(&format!("(images, height, width), or the shape of flat images{square} (--shape)"))
                }
                _ => wrong("(images, height, width) or (images, height, width, 3)"),
            };
        };
        let (height, width) = shape;
        let written = [
            (vec![height, width], 1, false),
            (vec![height, width, COLORS], COLORS, false),
            (vec![COLORS, height, width], COLORS, true),
        ];
        let flat = |channels: usize| {
            let features = height.checked_mul(width).and_then(|area| area.checked_mul(channels));
            features.is_some_and(|features| long.iter().copied().eq(Some(features).filter(|&f| f != 1)))
        };
        let exact = written.iter().find(|(dims, ..)| dims == image);
        let squeezed = || written.iter().find(|(dims, ..)| without_ones(dims) == long);
        match exact.or_else(squeezed) {
            Some(&(_, channels, planes)) => layout(shape, channels, planes),
            None if flat(1) => layout(shape, 1, false),
            None if flat(COLORS) => layout(shape, COLORS, false),
            None => wrong(&format!(
                "(images, {height}, {width}) or (images, {height} * {width}), gray or in color"
            )),
        }
    }

    /// Puts the channels of each pixel together.
    pub fn arrange(&self, pixels: Vec<u8>) -> Vec<u8> {
        if !self.planes {
            return pixels;
        }
        let area = self.shape.0 * self.shape.1;
        let mut arranged = vec![0; pixels.len()];
        let images = pixels.chunks_exact(area * COLORS).zip(arranged.chunks_exact_mut(area * COLORS));
        for (planes, image) in images {
            for (index, pixel) in image.chunks_exact_mut(COLORS).enumerate() {
                (0..COLORS).for_each(|channel| pixel[channel] = planes[channel * area + index]);
            }
        }
        arranged
    }

    /// Says where a value is.
    pub fn position(&self, index: usize) -> String {
        let area = self.shape.0 * self.shape.1;
        let inside = index % (area * self.channels);
        let pixel = if self.planes { inside % area } else { inside / self.channels };
        let (row, column) = (pixel / self.shape.1, pixel % self.shape.1);
        format!("image {}, row {row}, column {column}", index / (area * self.channels))
    }

    /// Says how the array was understood, where that was a choice.
    pub fn notice(&self, name: &str, dims: &[usize]) -> Option<String> {
        let (height, width) = self.shape;
        if self.planes {
            return Some(format!(
                "{name}: {dims:?} are color images of {height} x {width}, one plane per channel"
            ));
        }
        let flat = self.channels == COLORS && dims.last() != Some(&COLORS);
        flat.then(|| {
            format!("{name}: flat rows are color images of {height} x {width}, red, green and blue together")
        })
    }
}

fn without_ones(dims: &[usize]) -> Vec<usize> {
    dims.iter().copied().filter(|&dim| dim != 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_of_one_have_no_effect_and_colors_are_found() {
        for (dims, shape, expected) in [
            (&[9, 28, 20][..], None, ((28, 20), 1, false)),
            (&[9, 28, 20, 1], None, ((28, 20), 1, false)),
            (&[9, 1, 28, 20], None, ((28, 20), 1, false)),
            (&[9, 28, 20, 3], None, ((28, 20), 3, false)),
            (&[9, 3, 28, 20], None, ((28, 20), 3, true)),
            (&[9, 1, 1], None, ((1, 1), 1, false)),
            (&[9, 3, 3], None, ((3, 3), 1, false)),
            (&[9, 784], Some((28, 28)), ((28, 28), 1, false)),
            (&[9, 784, 1], Some((28, 28)), ((28, 28), 1, false)),
            (&[9, 784, 1], Some((784, 1)), ((784, 1), 1, false)),
            (&[9, 2352], Some((28, 28)), ((28, 28), 3, false)),
            (&[9, 28, 20], Some((28, 20)), ((28, 20), 1, false)),
            (&[9, 3, 28, 20], Some((28, 20)), ((28, 20), 3, true)),
            (&[9, 3, 1, 3], Some((1, 3)), ((1, 3), 3, true)),
            (&[9, 1, 3, 3], Some((1, 3)), ((1, 3), 3, false)),
        ] {
            let found = Layout::new("x", dims, shape).unwrap();
            assert_eq!((found.shape, found.channels, found.planes), expected, "{dims:?}");
        }
    }

    #[test]
    fn what_makes_no_image_is_refused() {
        for (dims, shape, expected) in [
            (&[][..], None, "(images, height, width)"),
            (&[9], None, "(images, height, width), found [9]; is it a file of labels?"),
            (&[9, 784], None, "such as 28x28 (--shape)"),
            (&[9, 783], None, "flat images (--shape)"),
            (&[9, 784, 1], None, "--shape"),
            (&[9, 28, 20, 4], None, "alpha"),
            (&[9, 2, 2, 2, 2], None, "(images, height, width, 3)"),
            (&[9, 28, 20], Some((20, 28)), "(images, 20, 28)"),
            (&[9, 783], Some((28, 28)), "28 * 28"),
            (&[9, usize::MAX, 2], Some((usize::MAX, 2)), "fits in memory"),
            (&[0, 3, usize::MAX, 2], None, "fits in memory"),
        ] {
            let error = Layout::new("x", dims, shape).unwrap_err().to_string();
            assert!(error.starts_with("x: shape: ") && error.contains(expected), "{dims:?}: {error}");
        }
    }

    #[test]
    fn planes_become_pixels() {
        let layout = Layout::new("x", &[2, 3, 1, 2], Some((1, 2))).unwrap();
        let pixels = layout.arrange(vec![1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16]);
        assert_eq!(pixels, [1, 3, 5, 2, 4, 6, 11, 13, 15, 12, 14, 16]);
        assert_eq!(layout.position(9), "image 1, row 0, column 1");
    }
}
