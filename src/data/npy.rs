//! NumPy's files (`.npy`) as data sets, as rows of any numbers, and written back (feature `npy`).
//!
//! The format is that of <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>. Images are of
//! `uint8`, or of `float32` or `float64` in [0, 1], which are rounded to 256 levels as
//! [`ImageSet::from_array`](crate::data::ImageSet::from_array) does.

mod rows;

pub use rows::{load_rows, read_rows, save, save_rows};

use crate::{
    data::ImageSet,
    error::{Error, Result},
    memory,
};
use ndarray::{Array3, ShapeBuilder};
use ndarray_npy::npy::header::{Header, Layout};
use std::{fs::File, io::Read, path::Path};

/// A header is some 128 bytes. Longer ones are refused.
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
pub fn read(bytes: &[u8], name: &str, shape: Option<(usize, usize)>) -> Result<ImageSet> {
    read_from(bytes, name, shape)
}

/// Reads images from a file, as [`read`] does.
///
/// # Errors
/// As [`read`], and [`Error::Io`] if the file cannot be read.
pub fn load(path: impl AsRef<Path>, shape: Option<(usize, usize)>) -> Result<ImageSet> {
    let path = path.as_ref();
    let file = File::open(path).map_err(Error::io(path))?;
    read_from(file, &path.display().to_string(), shape)
}

fn read_from(mut stream: impl Read, name: &str, shape: Option<(usize, usize)>) -> Result<ImageSet> {
    let header = header(&mut stream, name)?;
    let (count, (height, width)) = match (header.shape.as_slice(), shape) {
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
    let (size, decode) = element(&header).ok_or_else(|| {
        let found = &header.type_descriptor;
        Error::format(name, "type of the elements", "uint8, float32 or float64", found)
    })?;
    let bytes = elements(&mut stream, name, &header, size)?;
    let pixel = |element: &[u8]| {
        let pixel = decode(element);
        let inside = (0.0..=1.0).contains(&pixel);
        let level = inside.then_some((pixel * 255.0).round() as u8);
        level.ok_or_else(|| Error::format(name, "pixel", "a number in [0, 1]", pixel))
    };
    let mut pixels = bytes.chunks_exact(size).map(pixel).collect::<Result<Vec<_>>>()?;
    if header.layout == Layout::Fortran && !pixels.is_empty() {
        // Columns first, of images in two dimensions as of those in three: each has its own order to undo.
        let columns_first = match header.shape.len() {
            2 => (count, height * width, 1),
            _ => (count, height, width),
        };
        let array = Array3::from_shape_vec(columns_first.f(), pixels)
            .map_err(|error| Error::format(name, "shape", "that of an array", error))?;
        pixels = array.iter().copied().collect();
    }
    ImageSet::new(name, (height, width), pixels)
}

/// Reads the header, with care for the parser of its Python literal: it takes exponential time for brackets in
/// brackets, of which the dictionary holds but one pair, the shape's.
fn header(stream: &mut impl Read, name: &str) -> Result<Header> {
    let bad = |found: &dyn std::fmt::Display| Error::format(name, "header", "NPY's", found);
    let mut take = |len| memory::read(stream, len).map_err(Error::io(name));
    let mut bytes = take(8)?;
    let length = take(if bytes.get(6) == Some(&1) { 2 } else { 4 })?;
    bytes.extend(&length);
    let length = length.iter().rev().fold(0, |length, &byte| length << 8 | usize::from(byte));
    if !bytes.starts_with(b"\x93NUMPY") {
        return Err(bad(&"another file's start"));
    }
    if length > MAX_HEADER {
        return Err(Error::format(name, "length of the header", format!("at most {MAX_HEADER}"), length));
    }
    let literal = take(length)?;
    if literal.iter().filter(|&byte| b"([{".contains(byte)).count() > 2 {
        return Err(bad(&"more brackets than a dictionary's and a shape's"));
    }
    bytes.extend(&literal);
    Header::from_reader(&mut bytes.as_slice()).map_err(|error| bad(&error))
}

/// The elements, of `size` bytes each, which end the file.
fn elements(stream: &mut impl Read, name: &str, header: &Header, size: usize) -> Result<Vec<u8>> {
    let length = header.shape.iter().try_fold(size, |product, &d| product.checked_mul(d));
    let length = length.ok_or_else(|| {
        let found = format!("{:?}", header.shape);
        Error::format(name, "shape", "a product that fits memory", found)
    })?;
    let bytes = memory::read(&mut *stream, length).map_err(Error::io(name))?;
    if bytes.len() < length {
        return Err(Error::format(name, "elements", format_args!("{length} bytes"), bytes.len()));
    }
    if !memory::read(stream, 1).map_err(Error::io(name))?.is_empty() {
        return Err(Error::format(name, "end", "nothing after the elements", "more bytes"));
    }
    Ok(bytes)
}

type Decode = fn(&[u8]) -> f32;

/// The size of an element in bytes, and what turns it into a pixel: a byte into its share of 255.
fn element(header: &Header) -> Option<(usize, Decode)> {
    Some(match header.type_descriptor.as_string()?.as_str() {
        "|u1" | "u1" | "<u1" | ">u1" => (1, |b| f32::from(b[0]) / 255.0),
        "<f4" => (4, |b| f32::from_le_bytes(b.try_into().unwrap_or_default())),
        ">f4" => (4, |b| f32::from_be_bytes(b.try_into().unwrap_or_default())),
        "<f8" => (8, |b| f64::from_le_bytes(b.try_into().unwrap_or_default()) as f32),
        ">f8" => (8, |b| f64::from_be_bytes(b.try_into().unwrap_or_default()) as f32),
        _ => return None,
    })
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
        let expected = ImageSet::new("x", (2, 2), bytes.iter().copied().collect()).unwrap();
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
            ([&three[..], &[0]].concat(), None, "nothing after the elements"),
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
