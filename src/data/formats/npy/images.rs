use super::{
    elements::{element, rows_first},
    header::{elements, header},
};
use crate::{
    data::{
        ImageSet,
        formats::{layout::Layout, pixels},
    },
    error::{Error, Result},
    files::write_atomic,
};
use ndarray::ArrayViewD;
use ndarray_npy::WriteNpyExt;
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// Loads images `[images, height, width]`, `[images, height, width, 3]`, or `[images, features]` if `shape` gives their
/// (height, width). The set is named after the file.
///
/// Dimensions of 1 have no effect. Three dimensions of which the last is 3 or 4, such as (28, 28, 3), may be one color image
/// and are refused without `shape`, unless the images have a height below 5. Color may also be stored as planes, `[images, 3, height, width]`. Pixels are `uint8`;
/// `uint16`, of which 65,535 is white; `bool`; floats in [0, 1], which are rounded to 256 levels as by
/// [`ImageSet::from_array`]; or other integers from 0 to 255. What was converted is in [`ImageSet::notices`].
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
/// [`Error::Io`] if the file cannot be read, [`Error::Format`] if it is not an NPY file of images or there are none.
pub fn load(path: impl AsRef<Path>, shape: Option<(usize, usize)>) -> Result<ImageSet> {
    let path = path.as_ref();
    let file = File::open(path).map_err(Error::io(path))?;
    read(file, &path.display().to_string(), shape)
}

/// Saves images as `uint8` `[images, height, width]`, or `[images, height, width, 3]` for color, without their labels. The
/// file is [written atomically](write_atomic).
///
/// # Errors
/// [`Error::Io`] if the file cannot be written.
pub fn save(path: impl AsRef<Path>, images: &ImageSet) -> Result<()> {
    let (height, width) = images.image_shape();
    let mut shape = vec![images.len(), height, width];
    shape.extend(Some(images.channels()).filter(|&channels| channels > 1));
    let pixels = ArrayViewD::from_shape(shape, images.pixels());
    write_atomic(path, |out| pixels.map_err(io::Error::other)?.write_npy(out).map_err(io::Error::other))
}

/// Reads images from a stream as [`load`] does from a file. Errors call the stream `name`.
///
/// # Errors
/// As [`load`].
pub fn read(mut stream: impl Read, name: &str, shape: Option<(usize, usize)>) -> Result<ImageSet> {
    let header = header(&mut stream, name)?;
    let layout = Layout::new(name, &header.shape, shape)?;
    let element = element(name, &header)?;
    let bytes = elements(&mut stream, name, &header, element.size)?;
    let bytes = rows_first(name, &header, element.size, bytes)?;
    pixels::images(name, name, &header.shape, &layout, element, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array, Array3, Array4, Axis, ShapeBuilder, array};
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
            (npy(&flat.clone().insert_axis(Axis(2))), Some((2, 2))),
            (npy(&bytes.clone().insert_axis(Axis(3))), None),
            (npy(&bytes.clone().insert_axis(Axis(1))), None),
            (npy(&bytes.mapv(|b| u16::from(b) * 257)), None),
            (npy(&bytes.mapv(i64::from)), None),
            (npy(&bytes.mapv(i16::from)), None),
            (npy(&bytes.mapv(u32::from)), None),
            (retyped(npy(&bytes), "|u1", "B"), None),
            (retyped(npy(&real), "<f4", "=f4"), None),
        ] {
            let found = read(&file[..], "x", shape).unwrap();
            assert_eq!(found.with_notices(Vec::new()), expected);
        }
        let halves: Vec<u8> = [0_u16, 0x3c00, 0x3800].iter().flat_map(|half| half.to_le_bytes()).collect();
        let file = written("{'descr': '<f2', 'fortran_order': False, 'shape': (1, 1, 3), }", &halves);
        assert_eq!(read(&file[..], "x", Some((1, 3))).unwrap().pixels(), [0, 255, 128]);
        let mask = npy(&bytes.mapv(|b| b > 100));
        assert_eq!(read(&mask[..], "x", None).unwrap().pixels()[..4], [0, 0, 255, 255]);
    }

    /// A file with this header, not padded, and these elements.
    fn written(header: &str, elements: &[u8]) -> Vec<u8> {
        [b"\x93NUMPY\x01\0", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), elements].concat()
    }

    /// The file with another name for the type of its elements.
    fn retyped(mut file: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
        let position = file.windows(from.len()).position(|part| part == from.as_bytes()).unwrap();
        // The name is followed by a quote; spaces keep the length.
        let tail = format!("{to}'{}", " ".repeat(from.len() - to.len()));
        file[position..position + tail.len()].copy_from_slice(tail.as_bytes());
        file
    }

    #[test]
    fn headers_of_other_writers_are_read() {
        let old = "{'descr': '|u1', 'fortran_order': False, 'shape': (1L, 2L, 2L), }\n";
        let bare = "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 2, 2), }";
        let page = format!("{bare:4085}\n");
        for header in [old, bare, &page] {
            assert_eq!(read(&*written(header, &[1, 2, 3, 4]), "x", None).unwrap().pixels(), [1, 2, 3, 4]);
        }
        let long = format!("{bare:65000}{:5000}", "");
        let endless = [b"\x93NUMPY\x02\0", &70_000_u32.to_le_bytes()[..], long.as_bytes()].concat();
        assert!(read(&*endless, "x", None).unwrap_err().to_string().contains("at most 65536"));
    }

    #[test]
    fn colors_are_pixels_or_planes() {
        let pixels =
            Array4::from_shape_fn((2, 4, 5, 3), |(image, y, x, c)| (image * 100 + y * 20 + x * 3 + c) as u8);
        let expected = ImageSet::color("x", (4, 5), pixels.iter().copied().collect()).unwrap();
        let planes = pixels.view().permuted_axes([0, 3, 1, 2]).as_standard_layout().into_owned();
        let flat = pixels.clone().into_shape_with_order((2, 60)).unwrap();
        for (file, shape, notices) in
            [(npy(&pixels), None, 0), (npy(&planes), None, 1), (npy(&flat), Some((4, 5)), 1)]
        {
            let found = read(&file[..], "x", shape).unwrap();
            assert_eq!(found.notices().len(), notices, "{:?}", found.notices());
            assert_eq!(found.with_notices(Vec::new()), expected);
        }
    }

    #[test]
    fn floats_a_hair_outside_are_clamped_and_counted() {
        let file = npy(&array![[[1.001_f32, -0.001], [0.5, 1.0]]]);
        let images = read(&file[..], "x", None).unwrap();
        assert_eq!(images.pixels(), [255, 0, 128, 255]);
        assert_eq!(images.notices(), ["x: 2 pixels slightly outside [0, 1] were clamped"]);
    }

    #[test]
    fn dark_images_of_16_bits_are_noticed() {
        for (largest, expected) in [
            (
                255_u16,
                Some("is 255, so the images are dark; these seem to be levels of 8 bits; save them as uint8"),
            ),
            (16_383, Some("is 16383, so the images are dark; if that should be white, multiply by 4 first")),
            (32_768, None),
            (0, None),
        ] {
            let images = read(&*npy(&array![[[0_u16, largest]]]), "x", Some((1, 2))).unwrap();
            let dark = images.notices().iter().find(|notice| notice.contains("dark"));
            assert_eq!(dark.is_some(), expected.is_some(), "{largest}");
            assert!(dark.is_none_or(|notice| notice.contains(expected.unwrap_or_default())), "{dark:?}");
        }
    }

    #[test]
    fn files_without_images_are_errors_that_say_so() {
        let swapped = |value: f64| f64::from_bits(value.to_bits().swap_bytes());
        let three = npy(&Array3::<u8>::zeros((2, 3, 4)));
        for (file, shape, expected) in [
            (three.clone(), Some((4, 3)), "(images, 4, 3)"),
            (npy(&array![[1_u8, 2]]), None, "(images, height, width)"),
            (npy(&array![[1_u8, 2]]), Some((2, 2)), "(images, 2 * 2)"),
            (npy(&array![[[1_i32, 256], [0, 0]]]), None, "256 at image 0, row 0, column 1"),
            (npy(&array![[[0, -1], [0, 0]]]), None, "an integer from 0 to 255"),
            (npy(&array![[[0_i8, -1], [0, 0]]]), None, "-1 at image 0, row 0, column 1; save as uint8"),
            (npy(&array![[[0_i32, 7 << 24], [0, 0]]]), None, "reversed byte order"),
            (npy(&array![[[0.0, swapped(1.0)], [0.0, 0.0]]]), None, "reversed byte order"),
            (npy(&array![[[0.0, swapped(0.4)], [0.0, 0.0]]]), None, "reversed byte order"),
            (
                npy(&array![[[0_f32, 0.0], [77.0, 255.0]]]),
                None,
                "77 at image 0, row 1, column 0; divide by 255",
            ),
            (npy(&array![[[0_f32, 0.0], [1.02, 1.0]]]), None, "clip the values"),
            (npy(&array![[[0_f32, 0.0], [16.0, 1.0]]]), None, "the largest value is 16: divide by it"),
            (npy(&array![[[0.0, 0.0], [1e300, 1.0]]]), None, "found 1e300 at image 0, row 1, column 0"),
            (npy(&array![[[0_f32, 0.0], [-1.0, 1.0]]]), None, "(x + 1) / 2"),
            (npy(&array![[[0_f32, 0.0], [-7.0, 1.0]]]), None, "rescale"),
            (npy(&array![[[0.0, f64::NAN], [0.0, 0.0]]]), None, "NaN at image 0, row 0, column 1; replace"),
            (retyped(npy(&array![[[1_u8]]]), "|u1", "|O"), None, "|O"),
            (retyped(npy(&array![[[1_u8]]]), "|u1", "<c8"), None, "<c8"),
            (
                b"\x93NUMPY\x01\0\x30\0{'descr': [('image', '|u1', (28, 28))], 'a': ()}".to_vec(),
                None,
                "structured",
            ),
            (npy(&Array3::<u8>::zeros((0, 3, 4))), None, "at least 1 pixel, found [0, 3, 4]"),
            (npy(&Array3::<u8>::zeros((2, 0, 4))), None, "at least 1 pixel"),
            ([&three[..], &[0]].concat(), None, "nothing after the elements, found more bytes"),
            ([&three[..], &three].concat(), None, "found another array; save one array per file"),
            (
                three[..three.len() - 1].to_vec(),
                None,
                "elements: expected 24, found 23; the file is cut short; fetch",
            ),
            (
                npy(&array![[[1_u32, 70_000], [0, 300]]]),
                None,
                "the largest value is 70000: scale to 0 to 255",
            ),
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
        let color = ImageSet::color(images.name(), (2, 2), (0..24).collect()).unwrap();
        save(&path, &color).unwrap();
        assert_eq!(load(&path, None).unwrap(), color);
        save(&path, &images).unwrap();
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
