use super::header::{element, elements, header};
use crate::{
    data::ImageSet,
    error::{Error, Result},
    files::write_atomic,
};
use ndarray::{Array3, ArrayView3, ShapeBuilder};
use ndarray_npy::{WriteNpyExt, npy::header::Layout};
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// Loads images `[images, height, width]`, or `[images, features]` if `shape` gives their (height, width). The set is named
/// after the file.
///
/// Pixels are `uint8`, or `float32` or `float64` in [0, 1], which are rounded to 256 levels as by
/// [`ImageSet::from_array`].
///
/// ```
/// use autoencoder::data::{digits, npy};
/// # let folder = tempfile::tempdir().expect("a scratch folder");
/// # let path = folder.path().join("digits.npy");
/// let digits = digits::generate(10, 1)?;
/// npy::save(&path, &digits)?;
/// assert_eq!(npy::load(&path, None)?.pixels(), digits.pixels());
/// # Ok::<(), autoencoder::Error>(())
/// ```
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Format`] if it is not an NPY file of images, [`Error::Shape`] if
/// there are no images.
pub fn load(path: impl AsRef<Path>, shape: Option<(usize, usize)>) -> Result<ImageSet> {
    let path = path.as_ref();
    let file = File::open(path).map_err(Error::io(path))?;
    read(file, &path.display().to_string(), shape)
}

/// Saves images as `uint8` `[images, height, width]`, without their labels. The file is
/// [written atomically](write_atomic).
///
/// # Errors
/// [`Error::Io`] if the file cannot be written.
pub fn save(path: impl AsRef<Path>, images: &ImageSet) -> Result<()> {
    let (height, width) = images.image_shape();
    let pixels = ArrayView3::from_shape((images.len(), height, width), images.pixels());
    write_atomic(path, |out| pixels.map_err(io::Error::other)?.write_npy(out).map_err(io::Error::other))
}

/// Reads images from a stream as [`load`] does from a file. Errors call the stream `name`.
///
/// # Errors
/// As [`load`].
pub fn read(mut stream: impl Read, name: &str, shape: Option<(usize, usize)>) -> Result<ImageSet> {
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
        // Column-major order reverses the axes that the file has, two or three.
        let columns_first = match header.shape.len() {
            2 => (count, height * width, 1),
            _ => (count, height, width),
        };
        let array = Array3::from_shape_vec(columns_first.f(), pixels)
            .map_err(|error| Error::format(name, "shape", "a shape that fits in memory", error))?;
        pixels = array.iter().copied().collect();
    }
    ImageSet::new(name, (height, width), pixels)
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
            assert_eq!(read(&file[..], "x", shape).unwrap(), expected);
        }
    }

    #[test]
    fn files_without_images_are_errors_that_say_so() {
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
            let error = read(&file[..], "x.npy", shape).unwrap_err().to_string();
            assert!(error.contains(expected), "{expected}: {error}");
        }
        for length in 0..three.len() {
            assert!(read(&three[..length], "x.npy", None).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn images_round_trip() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images.npy");
        let name = path.display().to_string();
        let images = ImageSet::new(name, (2, 3), (0..24).collect()).unwrap();
        save(&path, &images).unwrap();
        assert_eq!(load(&path, None).unwrap(), images);
        assert!(std::fs::read(&path).unwrap().windows(12).any(|part| part == b"'descr': '|u"));
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
            assert!(read(&*claim(shape), "x", None).is_err(), "{shape}");
        }
        assert_eq!(read(&*claim("(2, 2, 2)"), "x", None).unwrap().len(), 2);
        assert!(read(&*claim(&"(".repeat(1 << 14)), "x", None).is_err());
        assert!(read(&*claim(&"(".repeat(900)), "x", None).is_err());
        let endless = [b"\x93NUMPY\x02\0\xff\xff\xff\xff", &[b' '; 100][..]].concat();
        assert!(read(&*endless, "x", None).is_err());
    }
}
