use crate::{every_bit_flipped, peak, refused};
use autoencoder::{
    Error,
    data::{ImageSet, npy},
};

fn read(file: &[u8]) -> Result<ImageSet, Error> {
    npy::read(file, "file", None)
}

fn file(literal: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{literal}\n");
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\0", &length[..], header.as_bytes(), data].concat()
}

fn of(kind: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    file(&format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"), data)
}

#[test]
fn truncated_at_every_byte() {
    for file in [of("|u1", "(2, 2, 2)", &[9; 8]), of("<f8", "(2, 2, 2)", &[0; 64])] {
        assert_eq!(read(&file).unwrap().len(), 2);
        for length in 0..file.len() {
            refused(&file[..length], 3, read);
        }
    }
}

#[test]
fn every_bit_of_the_header_flipped_once() {
    let file = of("|u1", "(2, 2, 2)", &[9; 8]);
    let accepted = every_bit_flipped(&file, 0..(file.len() - 8) * 8, 3, read);
    // Quotes, spaces and the marker for a type without byte order.
    assert!(accepted < 24, "{accepted}");
    let file = of("<f4", "(2, 2, 2)", &[0; 32]);
    every_bit_flipped(&file, 0..file.len() * 8, 3, read);
}

#[test]
fn dimensions_of_none_and_of_all() {
    let values = ["0", "1", "2", "4294967295", "4294967296", "9223372036854775807", "18446744073709551615"];
    for a in values {
        for b in values {
            for c in values {
                let file = of("<f8", &format!("({a}, {b}, {c})"), &[0; 200]);
                refused(&file, 3, read);
            }
        }
    }
    for shape in ["(2,)", "()", "7", "(-1, 2, 2)", "(2.0, 2, 2)", "(1e400, 2, 2)", "'(2, 2, 2)'", "None"] {
        refused(&of("|u1", shape, &[0; 8]), 3, read);
    }
    let digits = "9".repeat(900);
    refused(&of("|u1", &format!("({digits}, 2, 2)"), &[0; 8]), 3, read);
    let many = "1, ".repeat(300);
    refused(&of("|u1", &format!("({many})"), &[0]), 3, read);
}

/// A huge dimension beside a zero has product zero, which the array constructor treated as a bug.
#[test]
fn a_zero_beside_dimensions_whose_product_overflows() {
    for order in ["True", "False"] {
        let literal =
            format!("{{'descr': '|u1', 'fortran_order': {order}, 'shape': (0, 9223372036854775807, 4), }}");
        refused(&file(&literal, &[]), 3, read);
    }
}

/// The header parser takes twice as long for every further bracket; 30 of them take minutes.
#[test]
fn brackets_in_brackets_end_soon() {
    for bracket in ["[", "(", "{", "[(", "{1:", "[{"] {
        for count in [1, 30, 300] {
            let brackets = bracket.repeat(count);
            refused(&file(&brackets, &[]), 3, read);
            refused(&file(&format!("{{'descr': {brackets}"), &[]), 3, read);
        }
    }
}

#[test]
fn literals_of_every_other_kind() {
    for literal in [
        "",
        "{}",
        "{1}",
        "{1: 2}",
        "()",
        "1e999",
        "-1j",
        "'",
        "b'\\xff'",
        "'\\N{DIGIT ONE}'",
        "'\\ud800'",
        "True",
        "{'descr': '|u1', 'fortran_order': 0, 'shape': (1, 1, 1)}",
        "{'descr': 1e999, 'fortran_order': False, 'shape': (1, 1, 1)}",
        "{'descr': b'|u1', 'fortran_order': False, 'shape': (1, 1, 1)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1, 1, 1)}",
        "{'descr': '|u1', 'fortran_order': False}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 1, 1), 'more': None}",
        "{'descr': '\\x1b[31m\\n', 'fortran_order': False, 'shape': (1, 1, 1)}",
    ] {
        refused(&file(literal, &[0]), 3, read);
    }
}

#[test]
fn lengths_and_versions_of_the_header() {
    let sound = of("|u1", "(2, 2, 2)", &[9; 8]);
    for length in 0..=u16::MAX {
        if length == u16::from_le_bytes([sound[8], sound[9]]) {
            continue;
        }
        let mut file = sound.clone();
        file[8..10].copy_from_slice(&length.to_le_bytes());
        refused(&file, 3, read);
    }
    for (major, minor) in (0..=255).map(|i| (i, 0)).chain([(1, 1), (2, 1)]) {
        let mut file = sound.clone();
        file[6..8].copy_from_slice(&[major, minor]);
        assert_eq!(read(&file).is_ok(), (major, minor) == (1, 0));
    }
    for length in [0, 1, 1024, 1025, u32::MAX] {
        let file = [b"\x93NUMPY\x02\0", &length.to_le_bytes()[..], &[b' '; 1100]].concat();
        refused(&file, 3, read);
    }
}

#[test]
fn a_megabyte_that_claims_gigabytes() {
    for kind in ["|u1", "<f4", ">f8"] {
        refused(&of(kind, "(4194304, 32, 32)", &vec![0; 1 << 20]), 3, read);
    }
}

#[test]
fn pixels_that_are_no_pixels() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.002, 1.002, f32::MAX] {
        refused(&of("<f4", "(1, 1, 1)", &bad.to_le_bytes()), 3, read);
        refused(&of(">f8", "(1, 1, 1)", &f64::from(bad).to_be_bytes()), 3, read);
    }
    refused(&of("<f8", "(1, 1, 1)", &f64::MAX.to_le_bytes()), 3, read);
}

#[test]
fn memory_is_that_of_the_file() {
    for (kind, size) in [("|u1", 1), ("<f4", 4), (">f8", 8)] {
        for order in ["True", "False"] {
            let literal =
                format!("{{'descr': '{kind}', 'fortran_order': {order}, 'shape': (1000, 28, 28), }}");
            let file = file(&literal, &vec![0; 784_000 * size]);
            let (images, held) = peak(|| read(&file));
            assert_eq!(images.unwrap().len(), 1000);
            assert!(held <= 300_000 + 3 * file.len(), "{kind} {order}: {held} for {}", file.len());
        }
    }
}

#[test]
fn files_of_another_format_are_named() {
    for (file, expected) in [
        (&b""[..], "an empty file"),
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "`git lfs pull`"),
        (
            b"PK\x03\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x09\0\0\0arr_0.npy",
            "a NumPy .npz archive",
        ),
        (b"\x1f\x8b\x08\0\0\0\0\0", "gzip; decompress it first"),
        (b"\0\0\x08\x03\0\0\0\x01", "an IDX file"),
    ] {
        let error = refused(file, 3, read);
        assert!(
            error.starts_with("file: content: expected NPY, found") && error.contains(expected),
            "{error}"
        );
    }
}

/// Reading an endless path must end.
#[cfg(target_os = "linux")]
#[test]
fn a_path_without_end() {
    assert!(matches!(npy::load("/dev/zero", None), Err(Error::Format { .. })));
}
