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
    /// True if an image is one plane per channel, as in PyTorch; false if each pixel has its channels together.
    planes: bool,
    /// Another meaning of the dimensions, if nobody stated the shape.
    doubt: Option<String>,
}

impl Layout {
    /// Finds height, width and channels from dimensions `[images, ...]`, of which those of 1 have no effect, and from the
    /// shape (height, width) that the user may have given.
    pub fn new(name: &str, dims: &[usize], shape: Option<(usize, usize)>) -> Result<Self> {
        let wrong = |expected: &str| {
            let found = format!("{dims:?}{}", remedy(dims));
            Err(Error::format(name, "shape", expected, found))
        };
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
            Some(_) => Ok(Self { shape, channels, planes, doubt: None }),
            None => wrong("a size that fits in memory"),
        };
        let Some(shape) = shape else {
            if looks_like_one_color_image(dims) {
                return wrong("(images, height, width)");
            }
            let layout = match (image, long.as_slice()) {
                (_, &[height, width, COLORS]) => layout((height, width), COLORS, false),
                (_, &[COLORS, height, width]) => layout((height, width), COLORS, true),
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
            }?;
            return Ok(Self { doubt: doubt(dims), ..layout });
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
        if let Some(doubt) = &self.doubt {
            return Some(format!("{name}: {doubt}"));
        }
        if self.planes {
            return Some(format!(
                "{name}: {dims:?} are color images of {height} x {width}, one plane per channel"
            ));
        }
        let flat = self.channels == COLORS && dims.last() != Some(&COLORS);
        flat.then(|| {
            format!(
                "{name}: flat rows are read as color images of {height} x {width} with red, green and blue of each pixel \
                 together; if each row holds a red, a green and a blue plane (as CIFAR does), reshape to \
                 (-1, {COLORS}, {height}, {width}) first"
            )
        })
    }
}

/// Smallest side of what looks like an image, and not like channels.
const SMALLEST_SIDE: usize = 5;

fn are_sides(sides: &[usize]) -> bool {
    sides.iter().all(|&side| side >= SMALLEST_SIDE)
}

fn looks_like_one_color_image(dims: &[usize]) -> bool {
    matches!(dims, [sides @ .., 3 | 4] if sides.len() == 2 && are_sides(sides))
}

/// Remedies for dimensions that make no images.
fn remedy(dims: &[usize]) -> String {
    match dims {
        _ if looks_like_one_color_image(dims) => {
            "; is this one color image? Pass array[None], or state the shape of the images".to_owned()
        }
        &[height, width, images] if height == width && are_sides(dims) && images != width => {
            format!("; if these are {images} images of {height} x {width}, {MOVE}")
        }
        &[height, width, 1 | COLORS, images] if are_sides(&[height, width]) => {
            format!("; if these are {images} images of {height} x {width}, {MOVE}")
        }
        [_, 4, sides @ ..] | [_, sides @ .., 4] if sides.len() == 2 && are_sides(sides) => {
            "; 4 channels are colors with alpha: blend them with a background first".to_owned()
        }
        _ => String::new(),
    }
}

const MOVE: &str = "move the last axis first: numpy.moveaxis(a, -1, 0)";

/// Another meaning of dimensions that make gray images.
fn doubt(dims: &[usize]) -> Option<String> {
    let &[images, height, width] = dims else { return None };
    let taken = || format!("{dims:?} are taken as {images} images of {height} x {width}");
    if images == COLORS && are_sides(&[height, width]) {
        return Some(format!("{}; if this is one color image, pass array[None]", taken()));
    }
    let remedy = remedy(dims);
    (images == height && !remedy.is_empty()).then(|| taken() + &remedy)
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
            (&[9, 28, 20, 4], Some((28, 20)), "alpha"),
            (&[9, 4, 28, 28], None, "alpha"),
            (&[9, 4, 28, 28], Some((28, 28)), "alpha"),
            (&[28, 28, 3], None, "is this one color image? Pass array[None], or state the shape"),
            (&[28, 28, 3], Some((28, 28)), "is this one color image?"),
            (&[64, 48, 4], None, "is this one color image?"),
            (&[28, 28, 40], Some((28, 28)), "40 images of 28 x 28, move the last axis first"),
            (
                &[32, 32, 3, 70],
                None,
                "70 images of 32 x 32, move the last axis first: numpy.moveaxis(a, -1, 0)",
            ),
            (&[32, 32, 3, 70], Some((32, 32)), "move the last axis first"),
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
    fn dimensions_in_another_order_are_doubted_unless_the_shape_is_stated() {
        for (dims, stated, expected) in [
            (
                &[28, 28, 40][..],
                (28, 40),
                "are taken as 28 images of 28 x 40; if these are 40 images of 28 x 28, move",
            ),
            (
                &[3, 32, 32],
                (32, 32),
                "are taken as 3 images of 32 x 32; if this is one color image, pass array[None]",
            ),
            (&[28, 28, 3], (28, 3), ""),
            (&[64, 48, 4], (48, 4), ""),
        ] {
            let guessed = Layout::new("x", dims, None).ok();
            let notice = guessed.and_then(|layout| layout.notice("x", dims)).unwrap_or_default();
            assert!(notice.contains(expected), "{dims:?}: {notice}");
            let layout = Layout::new("x", dims, Some(stated)).unwrap();
            assert_eq!((layout.shape, layout.channels, layout.notice("x", dims)), (stated, 1, None));
        }
        for dims in [&[40, 28, 28][..], &[28, 28, 28], &[2, 2, 7], &[9, 28, 20], &[9, 3, 3], &[900, 4, 4]] {
            assert_eq!(Layout::new("x", dims, None).unwrap().notice("x", dims), None, "{dims:?}");
        }
        let cifar = Layout::new("x", &[9, 3072], Some((32, 32))).unwrap().notice("x", &[9, 3072]).unwrap();
        assert!(cifar.contains("(as CIFAR does), reshape to (-1, 3, 32, 32) first"), "{cifar}");
    }

    #[test]
    fn planes_become_pixels() {
        let layout = Layout::new("x", &[2, 3, 1, 2], Some((1, 2))).unwrap();
        let pixels = layout.arrange(vec![1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16]);
        assert_eq!(pixels, [1, 3, 5, 2, 4, 6, 11, 13, 15, 12, 14, 16]);
        assert_eq!(layout.position(9), "image 1, row 0, column 1");
    }
}
