//! IDX files as people have them: other element types and shapes, labels of QMNIST, and files of another format.

use autoencoder::{
    Error,
    data::{
        ImageSet,
        idx::{self, IdxArray},
    },
};
use flate2::{Compression, write::GzEncoder};
use std::io::Write;

const LEVELS: [u8; 8] = [0, 51, 102, 255, 1, 2, 3, 254];

fn file(code: u8, shape: &[u32], elements: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut file = vec![0, 0, code, shape.len() as u8];
    file.extend(shape.iter().flat_map(|d| d.to_be_bytes()));
    elements.iter().for_each(|element| file.extend(element.as_ref()));
    file
}

fn bytes(shape: &[u32]) -> Vec<u8> {
    file(8, shape, &[LEVELS])
}

fn read(file: &[u8]) -> Result<IdxArray, Error> {
    idx::read_array(file, "x.idx")
}

fn images(file: &[u8], shape: Option<(usize, usize)>) -> Result<ImageSet, Error> {
    read(file)?.images("x", shape)
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>, expected: &str) {
    let error = result.unwrap_err().to_string();
    assert!(error.starts_with("x.idx: ") && error.contains(expected), "{expected}: {error}");
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![], Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_type_gives_the_same_images() {
    let expected = ImageSet::new("x", (2, 2), LEVELS.to_vec()).unwrap();
    let shape = [2, 2, 2];
    for (file, type_name) in [
        (bytes(&shape), "uint8"),
        (file(0x0b, &shape, &LEVELS.map(|level| i16::from(level).to_be_bytes())), "int16"),
        (file(0x0c, &shape, &LEVELS.map(|level| i32::from(level).to_be_bytes())), "int32"),
        (file(0x0d, &shape, &LEVELS.map(|level| (f32::from(level) / 255.0).to_be_bytes())), "float32"),
        (file(0x0e, &shape, &LEVELS.map(|level| (f64::from(level) / 255.0).to_be_bytes())), "float64"),
    ] {
        assert_eq!(read(&file).unwrap().type_name(), type_name);
        for file in [gzip(&file), file] {
            let found = images(&file, None).unwrap();
            assert_eq!(found.notices().len(), usize::from(type_name.starts_with("int")));
            assert!(found.notices().iter().all(|notice| notice.starts_with("x.idx: ")));
            assert_eq!((found.image_shape(), found.pixels()), (expected.image_shape(), expected.pixels()));
        }
    }
    let signed = file(0x09, &[1, 1, 3], &[[0_u8, 1, 127]]);
    assert_eq!(images(&signed, None).unwrap().pixels(), [0, 1, 127]);
}

#[test]
fn floats_a_hair_outside_are_clamped_and_counted() {
    let half_a_level = 1.0 / 510.0;
    let values = [1.0 + half_a_level, -half_a_level, -1e-9, 0.0, 1.0, 1.000_000_1, 0.5, -0.0];
    let set = images(&file(0x0e, &[2, 2, 2], &values.map(f64::to_be_bytes)), None).unwrap();
    assert_eq!(set.pixels(), [255, 0, 0, 0, 255, 255, 128, 0]);
    assert_eq!(set.notices(), ["x.idx: 4 pixels slightly outside [0, 1] were clamped"]);
}

#[test]
fn values_that_are_no_gray_levels_are_named_with_their_position() {
    let at = |value: f64| {
        let mut values = [0.0; 8];
        values[6] = value;
        values
    };
    let shape = [2, 2, 2];
    for (value, expected) in [
        (
            1.002,
            "pixel: expected a number in [0, 1], found 1.002 at image 1, row 1, column 0; clip the values to [0, 1] first",
        ),
        (254.0, "254 at image 1, row 1, column 0; divide by 255 or save as uint8"),
        (-1.0, "-1 at image 1, row 1, column 0; convert values in [-1, 1] by (x + 1) / 2"),
        (300.0, "300 at image 1"),
        (f64::NAN, "NaN at image 1, row 1, column 0"),
        (f64::NEG_INFINITY, "-inf at image 1"),
    ] {
        refused(images(&file(0x0e, &shape, &at(value).map(f64::to_be_bytes)), None), expected);
        let floats = at(value).map(|value| (value as f32).to_be_bytes());
        refused(images(&file(0x0d, &shape, &floats), None), expected);
    }
    for value in [-1, 256, i32::MAX, i32::MIN] {
        let integers = [[0; 4], value.to_be_bytes()];
        let expected = format!("an integer from 0 to 255, found {value} at image 0, row 0, column 1");
        refused(images(&file(0x0c, &[1, 1, 2], &integers), None), &expected);
    }
    refused(
        images(&file(0x09, &[1, 1, 2], &[[0, 0x80]]), None),
        "-128 at image 0, row 0, column 1; save as uint8",
    );
}

#[test]
fn flat_images_and_channels_of_one() {
    let two = Some((2, 2));
    for (shape, given) in [
        (&[2, 4][..], two),
        (&[2, 2, 2], two),
        (&[2, 1, 2, 2], None),
        (&[2, 1, 2, 2], two),
        (&[2, 2, 2, 1], None),
        (&[2, 4, 1], two),
        (&[2, 1, 4], two),
        (&[2, 1, 4, 1], two),
    ] {
        let set = images(&bytes(shape), given).unwrap();
        assert_eq!((set.image_shape(), set.pixels()), ((2, 2), &LEVELS[..]), "{shape:?}");
    }
    // A set with images of one column or row comes back as it was saved.
    assert_eq!(images(&bytes(&[2, 4, 1]), None).unwrap().image_shape(), (4, 1));
}

#[test]
fn shapes_that_are_no_images_say_what_to_do() {
    for (shape, given, expected) in [
        (&[2, 4][..], None, "the shape of flat images, such as 2x2 (--shape), found [2, 4]"),
        (&[2, 4], Some((2, 3)), "expected (images, 2, 3) or (images, 2 * 3), gray or in color, found [2, 4]"),
        (&[2, 2, 2], Some((1, 4)), "expected (images, 1, 4)"),
        (&[2, 2, 2], Some((4, 1)), "expected (images, 4, 1)"),
        (&[8], None, "is it a file of labels?"),
        (&[8], Some((1, 1)), "is it a file of labels?"),
        (&[2, 2, 1, 2, 1], Some((4, 1)), "(images, 4, 1)"),
        (&[1, 2, 2, 2], None, "(images, height, width) or"),
        (&[1, 2, 2, 2], Some((2, 4)), "(images, 2, 4)"),
    ] {
        refused(images(&bytes(shape), given), expected);
    }
    refused(images(&file(8, &[0, 2, 2], &[[]]), None), "at least 1 pixel");
    refused(images(&file(8, &[2, 4], &[LEVELS]), Some((usize::MAX, 2))), "shape");
}

#[test]
fn colors_are_pixels_planes_or_flat() {
    let pixels: Vec<u8> = (0..24).collect();
    let planes: Vec<u8> = (0..2)
        .flat_map(|image| (0..3).map(move |channel| (image, channel)))
        .flat_map(|(image, channel)| (0..4).map(move |pixel| image * 12 + pixel * 3 + channel))
        .collect();
    for (shape, elements, given, notices) in [
        (&[2, 2, 2, 3][..], &pixels, None, 0),
        (&[2, 3, 2, 2], &planes, None, 1),
        (&[2, 12], &pixels, Some((2, 2)), 1),
    ] {
        let set = images(&file(8, shape, &[elements]), given).unwrap();
        assert_eq!((set.channels(), set.image_shape(), set.pixels()), (3, (2, 2), &pixels[..]), "{shape:?}");
        assert_eq!(set.notices().len(), notices);
    }
}

#[test]
fn labels_of_bytes_integers_and_qmnist() {
    let labels = |file: &[u8]| read(file)?.labels();
    assert_eq!(labels(&bytes(&[8])).unwrap(), LEVELS);
    assert_eq!(labels(&bytes(&[8, 1])).unwrap(), LEVELS);
    let qmnist: Vec<_> = (0..24_i32).map(|value| (value * 12).to_be_bytes()).collect();
    assert_eq!(labels(&file(0x0c, &[3, 8], &qmnist)).unwrap(), [0, 96, 192]);
    assert_eq!(labels(&file(0x0d, &[2], &[7_f32.to_be_bytes(), 9_f32.to_be_bytes()])).unwrap(), [7, 9]);
    refused(
        labels(&file(0x0c, &[24], &qmnist)),
        "label: expected an integer from 0 to 255, found 264 at label 22",
    );
}

#[test]
fn labels_of_other_shapes_are_refused() {
    for shape in [&[4, 2][..], &[1, 8], &[2, 2, 2]] {
        refused(read(&bytes(shape)).unwrap().labels(), "expected (labels)");
    }
    let halves = file(0x0d, &[2], &[1_f32.to_be_bytes(), 0.5_f32.to_be_bytes()]);
    refused(read(&halves).unwrap().labels(), "0.5 at label 1");
}

#[test]
fn files_of_another_format_are_named() {
    let mut reversed = vec![3, 8, 0, 0];
    reversed.extend([2_u32, 2, 2].iter().flat_map(|d| d.to_le_bytes()));
    reversed.extend(LEVELS);
    for (content, expected) in [
        (&b""[..], "an empty file"),
        (b"<!DOCTYPE html>\n<html>", "an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9912422\n", "`git lfs pull`"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\x93NUMPY\x01\0", "a NumPy .npy file"),
        (b"0,1,2\n", "a CSV table"),
        (&reversed, "reversed byte order"),
    ] {
        refused(read(content), expected);
        if !content.is_empty() {
            refused(read(&gzip(content)), expected);
        }
    }
    refused(read(&gzip(b"\x93NUMPY\x01\0")), "a NumPy .npy file within gzip; decompress it first");
    refused(read(&bytes(&[9])), "elements: expected 9, found 8; the file is cut short; fetch it again");
    refused(read(&gzip(&gzip(&bytes(&[8])))), "gzip within gzip; decompress it first");
}

/// Elements as NumPy writes them on most machines, behind a sound header.
#[test]
fn elements_in_reversed_byte_order() {
    let expected = "are the elements in reversed byte order?";
    let binary = [0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0];
    let gray = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 0.1, 0.3];
    for values in [binary, gray] {
        let singles = values.map(|value| (value as f32).to_le_bytes());
        refused(images(&file(0x0d, &[2, 2, 2], &singles), None), expected);
        refused(images(&file(0x0e, &[2, 2, 2], &values.map(f64::to_le_bytes)), None), expected);
    }
    let integers = LEVELS.map(|level| i32::from(level).to_le_bytes());
    refused(images(&file(0x0c, &[2, 2, 2], &integers), None), expected);
    refused(read(&file(0x0c, &[8], &integers)).unwrap().labels(), expected);
    // Sound tiny numbers are black.
    let tiny = [0.0, 1e-40, 0.5, 1e-310].map(f64::to_be_bytes);
    assert_eq!(images(&file(0x0e, &[1, 2, 2], &tiny), None).unwrap().pixels(), [0, 0, 128, 0]);
}

#[test]
fn dimensions_in_reversed_byte_order() {
    let shape = [2_u32, 2, 2].map(u32::swap_bytes);
    refused(read(&bytes(&shape)), "reversed byte order");
    refused(
        read(&bytes(&[8_u32.swap_bytes()])),
        "expected big-endian numbers, found [134217728], which is [8] in reversed",
    );
}

#[test]
fn gzip_that_is_cut_or_followed_by_something() {
    let packed = gzip(&bytes(&[8]));
    for length in 2..packed.len() {
        refused(read(&packed[..length]), "the gzip stream is cut short");
    }
    for zeros in [1, 9, 512] {
        assert_eq!(read(&[&packed[..], &vec![0; zeros]].concat()).unwrap().bytes, LEVELS);
    }
    for rest in [&b"\r\n"[..], b"junk", b"\0\0junk"] {
        refused(
            read(&[&packed[..], rest].concat()),
            "behind the end of the gzip stream; remove what follows it",
        );
    }
}
