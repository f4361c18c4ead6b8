use super::{Element, IdxArray};
use crate::{
    data::ImageSet,
    error::{Error, Result},
};

/// Floats this far outside [0, 1] are taken for 0 or 1: half a gray level, an error of rounding or resampling.
const HAIR: f64 = 1.0 / 510.0;

const REVERSED: &str = "; are the elements in reversed byte order?";

impl IdxArray {
    /// Makes a set of images, and returns it with the number of pixels that were clamped to [0, 1].
    ///
    /// The array is `[images, height, width]`, with or without further dimensions of 1. If `shape` gives (height, width), it
    /// may also be flat, `[images, height * width]`. Bytes and integers are gray levels from 0 to 255. Floats are in [0, 1]
    /// and rounded to 256 levels; floats outside by at most half a level (1/510) are clamped.
    ///
    /// ```
    /// use autoencoder::data::idx;
    /// let flat = idx::read_array(&[0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 4, 7, 8, 9, 6][..], "flat")?;
    /// let (images, clamped) = flat.images("one", Some((2, 2)))?;
    /// assert_eq!((images.image_shape(), images.pixels(), clamped), ((2, 2), &[7, 8, 9, 6][..], 0));
    /// # Ok::<(), autoencoder::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Format`] if the dimensions are not those of images or do not fit `shape`, there are no images, or a value
    /// is not a gray level; the error names image, row and column.
    pub fn images(self, name: &str, shape: Option<(usize, usize)>) -> Result<(ImageSet, usize)> {
        let (height, width) = self.image_shape(shape)?;
        let features = height.checked_mul(width).unwrap_or(0);
        let count = self.shape[0];
        if features == 0 || count == 0 {
            let found = format!("{:?}", self.shape);
            return Err(Error::format(&self.name, "dimensions", "images with at least 1 pixel", found));
        }
        let length = self.bytes.len() / self.element.size();
        if features.checked_mul(count) != Some(length) {
            return Err(Error::format(&self.name, "number of images", count, length / features));
        }
        let (mut clamped, mut largest) = (0, 0.0_f64);
        let pixels = if self.element == Element::U8 {
            self.bytes
        } else {
            let level = |(index, bytes)| {
                let value = self.element.value(bytes);
                let level = gray_level(self.element, value).ok_or_else(|| {
                    let (image, row, column) = (index / features, index % features / width, index % width);
                    let position = format!("image {image}, row {row}, column {column}");
                    let found = format!("{} at {position}{}", self.text(value), self.hint(value, bytes));
                    Error::format(&self.name, "pixel", expected(self.element), found)
                })?;
                clamped += usize::from(self.element.is_float() && !(0.0..=1.0).contains(&value));
                largest = largest.max(value);
                Ok(level)
            };
            self.bytes.chunks_exact(self.element.size()).enumerate().map(level).collect::<Result<_>>()?
        };
        // A 1 in reversed byte order is a subnormal number, which would be black.
        if largest > 0.0 && largest < f32::MIN_POSITIVE.into() {
            let found = format!("none above {largest:e}; are the elements in reversed byte order?");
            return Err(Error::format(&self.name, "pixels", expected(self.element), found));
        }
        Ok((ImageSet::new(name, (height, width), pixels)?, clamped))
    }

    /// Height and width, from the dimensions or as requested.
    fn image_shape(&self, shape: Option<(usize, usize)>) -> Result<(usize, usize)> {
        let wrong = |expected: String, remedy: &str| {
            Error::format(&self.name, "dimensions", expected, format!("{:?}{remedy}", self.shape))
        };
        let sides = self.shape.get(1..).unwrap_or_default();
        // A dimension of 1 beside height and width is the channel of gray images.
        let long: Vec<_> = sides.iter().copied().filter(|&side| side != 1).collect();
        let found = match (sides, &long[..]) {
            (&[height, width], _) | (_, &[height, width]) => Some((height, width)),
            _ => None,
        };
        let features = sides.iter().try_fold(1_usize, |product, &side| product.checked_mul(side));
        match (found, shape) {
            (Some(found), None) => return Ok(found),
            (Some(found), Some(shape)) if shape == found => return Ok(shape),
            (_, Some(shape))
                if !sides.is_empty() && long.len() < 2 && shape.0.checked_mul(shape.1) == features =>
            {
                return Ok(shape);
            }
            _ => {}
        }
        if let &[first, _, last] = &long[..]
            && (matches!(first, 3 | 4) || matches!(last, 3 | 4))
        {
            return Err(wrong("gray images".to_owned(), ", color images; convert them to gray first"));
        }
        if let Some((height, width)) = shape {
            let expected = format!("(images, {height}, {width}) or (images, {height} * {width})");
            return Err(wrong(expected, ""));
        }
        let remedy = match &long[..] {
            [] if sides.is_empty() => "; is it a file of labels?".to_owned(),
            &[features] => {
                let side = features.isqrt();
                let example =
                    if side * side == features { format!(", such as {side}x{side}") } else { String::new() };
                format!("; give the shape (height, width) of the images{example}")
            }
            _ => String::new(),
        };
        Err(wrong("3 (images, height, width)".to_owned(), &remedy))
    }

    /// A value as its own type prints it.
    pub(super) fn text(&self, value: f64) -> String {
        if self.element == Element::F32 { (value as f32).to_string() } else { value.to_string() }
    }

    /// The remedy for an invalid value of an element.
    pub(super) fn hint(&self, value: f64, bytes: &[u8]) -> &'static str {
        let reversed = self.element.value(&bytes.iter().rev().copied().collect::<Vec<_>>());
        match self.element {
            Element::F32 | Element::F64 if (1.0..=255.0).contains(&value) => {
                "; divide by 255 or save as uint8"
            }
            Element::F32 | Element::F64 if (-1.0..0.0).contains(&value) => {
                "; if the numbers are in [-1, 1], use (x + 1) / 2"
            }
            Element::F32 | Element::F64 if value.abs() > 1e6 && (1e-3..=1.0).contains(&reversed) => REVERSED,
            Element::I16 | Element::I32 if (0.0..=255.0).contains(&reversed) => REVERSED,
            Element::I8 if value < 0.0 => "; save as uint8",
            _ => "",
        }
    }
}

/// The gray level of a value, if it is one.
fn gray_level(element: Element, value: f64) -> Option<u8> {
    if element.is_float() {
        (-HAIR..=1.0 + HAIR).contains(&value).then(|| (value.clamp(0.0, 1.0) * 255.0).round() as u8)
    } else {
        (0.0..=255.0).contains(&value).then_some(value as u8)
    }
}

fn expected(element: Element) -> &'static str {
    if element.is_float() { "a number in [0, 1]" } else { "a gray level from 0 to 255" }
}
