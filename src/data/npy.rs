//! NumPy's files (`.npy`) as data sets (feature `npy`).
//!
//! The format is that of <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>. Images are of
//! `uint8`, or of `float32` or `float64` in [0, 1], which are rounded to 256 levels as
//! [`Dataset::from_array`](crate::data::Dataset::from_array) does.

use crate::{
    data::Dataset,
    error::{Error, Result},
};
use ndarray::{Array2, ArrayD};
use ndarray_npy::{ReadDataError, ReadNpyExt, ReadableElement};
use py_literal::Value;
use std::{fs, io::Read, path::Path};

/// A header is some 128 bytes. Longer ones are refused: its parser recurses into nested brackets.
const MAX_HEADER: usize = 1 << 10;

/// Reads images `[images, height, width]`, or `[images, features]` if `shape` says what (height, width) they are.
///
/// ```
/// use autoencoder::data::npy;
/// let header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (2, 1, 3), }\n";
/// let length = (header.len() as u16).to_le_bytes();
/// let file = [b"\x93NUMPY\x01\x00", &length[..], header, &[0, 51, 255, 255, 0, 0]].concat();
/// let images = npy::read(&file, "two.npy", None)?;
/// assert_eq!((images.len(), images.image_shape()), (2, (1, 3)));
/// # Ok::<(), autoencoder::Error>(())
/// ```
///
/// # Errors
/// [`Error::Format`] if the bytes are not such a file, [`Error::Shape`] or [`Error::Setting`] if there are no images
/// or a pixel is outside [0, 1].
pub fn read(bytes: &[u8], name: &str, shape: Option<(usize, usize)>) -> Result<Dataset> {
    let bad = |found: String| Error::format(name, "NPY", "an array of uint8, float32 or float64", found);
    if header_length(bytes).is_some_and(|length| length > MAX_HEADER) {
        return Err(Error::format(name, "length of the header", format!("at most {MAX_HEADER}"), "more"));
    }
    let pixels = ArrayD::<Pixel>::read_npy(bytes).map_err(|error| bad(error.to_string()))?;
    let (count, shape) = match (pixels.shape(), shape) {
        (&[count, height, width], None) => (count, (height, width)),
        (&[count, height, width], Some(shape)) if shape == (height, width) => (count, shape),
        (&[count, features], Some(shape)) if shape.0.checked_mul(shape.1) == Some(features) => (count, shape),
        (found, shape) => {
            let expected = match shape {
                Some((height, width)) => {
                    format!("(images, {height}, {width}) or (images, {height} * {width})")
                }
                None => "(images, height, width)".to_owned(),
            };
            return Err(Error::format(name, "shape", expected, format!("{found:?}")));
        }
    };
    let values: Vec<f32> = pixels.iter().map(|pixel| pixel.0).collect();
    let features = shape.0.saturating_mul(shape.1);
    if let Some(pixel) = values.iter().find(|value| !(0.0..=1.0).contains(*value)) {
        return Err(Error::format(name, "pixel", "a number in [0, 1]", pixel));
    }
    let rows = Array2::from_shape_vec((count, features), values).map_err(|error| bad(error.to_string()))?;
    Dataset::from_array(name, shape, rows.view())
}

/// Reads images from a file, as [`read`] does.
///
/// # Errors
/// As [`read`], and [`Error::Io`] if the file cannot be read.
pub fn load(path: impl AsRef<Path>, shape: Option<(usize, usize)>) -> Result<Dataset> {
    let path = path.as_ref();
    read(&fs::read(path).map_err(Error::io(path))?, &path.display().to_string(), shape)
}

fn header_length(bytes: &[u8]) -> Option<usize> {
    let length = match bytes.get(6)? {
        1 => usize::from(u16::from_le_bytes(bytes.get(8..10)?.try_into().ok()?)),
        _ => u32::from_le_bytes(bytes.get(8..12)?.try_into().ok()?) as usize,
    };
    Some(length)
}

/// A number of any of the types, a byte as its share of 255. The crate's own elements trust the header with the size
/// to allocate, and are of one type each.
#[derive(Clone, Copy)]
struct Pixel(f32);

impl ReadableElement for Pixel {
    fn read_to_end_exact_vec<R: Read>(
        mut reader: R,
        kind: &Value,
        len: usize,
    ) -> Result<Vec<Self>, ReadDataError> {
        type Decode = fn(&[u8]) -> f32;
        let wrong = || ReadDataError::WrongDescriptor(kind.clone());
        let (size, decode): (usize, Decode) = match kind.as_string().ok_or_else(wrong)?.as_str() {
            "|u1" | "u1" | "<u1" | ">u1" => (1, |b| f32::from(b[0]) / 255.0),
            "<f4" => (4, |b| f32::from_le_bytes(b.try_into().unwrap_or_default())),
            ">f4" => (4, |b| f32::from_be_bytes(b.try_into().unwrap_or_default())),
            "<f8" => (8, |b| f64::from_le_bytes(b.try_into().unwrap_or_default()) as f32),
            ">f8" => (8, |b| f64::from_be_bytes(b.try_into().unwrap_or_default()) as f32),
            _ => return Err(wrong()),
        };
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes)?;
        let expected = len.checked_mul(size).filter(|&expected| expected <= bytes.len());
        match bytes.len() - expected.ok_or(ReadDataError::MissingData)? {
            0 => Ok(bytes.chunks_exact(size).map(|b| Self(decode(b))).collect()),
            extra => Err(ReadDataError::ExtraBytes(extra)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array, Array3, ShapeBuilder, array};
    use ndarray_npy::{WritableElement, WriteNpyExt};

    fn npy<A: WritableElement, D: ndarray::Dimension>(array: &Array<A, D>) -> Vec<u8> {
        let mut bytes = Vec::new();
        array.write_npy(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn every_type_and_order_gives_the_same_images() {
        let bytes = array![[[0_u8, 51], [102, 255]], [[1, 2], [3, 4]], [[9, 8], [7, 6]]];
        let expected = Dataset::new("x", (2, 2), bytes.iter().copied().collect()).unwrap();
        let real = bytes.mapv(|b| f32::from(b) / 255.0);
        let mut columns_first = Array3::zeros((3, 2, 2).f());
        columns_first.assign(&bytes);
        let flat = bytes.clone().into_shape_with_order((3, 4)).unwrap();
        for (file, shape) in [
            (npy(&bytes), None),
            (npy(&bytes), Some((2, 2))),
            (npy(&real), None),
            (npy(&real.mapv(f64::from)), None),
            (npy(&columns_first), None),
            (npy(&flat), Some((2, 2))),
        ] {
            assert_eq!(read(&file, "x", shape).unwrap(), expected);
        }
    }

    #[test]
    fn what_are_not_images_is_an_error_that_says_so() {
        let three = npy(&Array3::<u8>::zeros((2, 3, 4)));
        for (file, shape, expected) in [
            (three.clone(), Some((4, 3)), "(images, 4, 3)"),
            (npy(&array![[1_u8, 2]]), None, "(images, height, width)"),
            (npy(&array![[1_u8, 2]]), Some((2, 2)), "(images, 2 * 2)"),
            (npy(&array![[[1_i32]]]), None, "<i4"),
            (npy(&array![[[1.5_f32]]]), None, "in [0, 1]"),
            (npy(&array![[[f64::NAN]]]), None, "in [0, 1]"),
            (npy(&Array3::<u8>::zeros((0, 3, 4))), None, "positive multiple"),
            (npy(&Array3::<u8>::zeros((2, 0, 4))), None, "at least 1"),
            ([&three[..], &[0]].concat(), None, "1 extra bytes"),
        ] {
            let error = read(&file, "x.npy", shape).unwrap_err().to_string();
            assert!(error.contains(expected), "{expected}: {error}");
        }
        for length in 0..three.len() {
            assert!(read(&three[..length], "x.npy", None).is_err(), "{length} bytes");
        }
    }

    /// Files that claim more than they hold cost no more than they hold.
    #[test]
    fn a_header_is_not_trusted() {
        let claim = |shape: &str| {
            let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n");
            [b"\x93NUMPY\x01\0", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), &[0; 64]]
                .concat()
        };
        for shape in
            ["(1000000000000, 28, 28)", "(18446744073709551615, 2, 2)", "(2, 3)", "7", "()", "(-1, 2, 2)"]
        {
            assert!(read(&claim(shape), "x", None).is_err(), "{shape}");
        }
        assert_eq!(read(&claim("(2, 2, 2)"), "x", None).unwrap().len(), 2);
        assert!(read(&claim(&"(".repeat(1 << 14)), "x", None).is_err());
        assert!(read(&claim(&"(".repeat(900)), "x", None).is_err());
        let endless = [b"\x93NUMPY\x02\0\xff\xff\xff\xff", &[b' '; 100][..]].concat();
        assert!(read(&endless, "x", None).is_err());
    }
}
