//! NumPy's archives: arrays by name, damage, and entries that claim or inflate to too much.

use crate::{FIXED, every_bit_flipped, peak, refused};
use autoencoder::{
    Error,
    data::{
        ImageSet,
        npz::{self, ArrayInfo},
    },
};
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

fn npy(kind: &str, shape: &str, elements: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\0", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), elements].concat()
}

/// Two images of 2 x 2.
fn images() -> Vec<u8> {
    npy("|u1", "(2, 2, 2)", &[0, 51, 102, 255, 1, 2, 3, 254])
}

fn written(entries: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(vec![]));
    for (name, content) in entries {
        archive.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn stored(entries: &[(&str, &[u8])]) -> Vec<u8> {
    written(entries, CompressionMethod::Stored)
}

fn read(file: &[u8]) -> Result<ImageSet, Error> {
    npz::read(Cursor::new(file), "x.npz", None, None)
}

fn arrays(file: &[u8]) -> Result<Vec<ArrayInfo>, Error> {
    npz::read_arrays(Cursor::new(file), "x.npz")
}

/// The file with every occurrence of some bytes replaced.
fn replaced(file: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut file = file.to_vec();
    for start in 0..=file.len() - from.len() {
        if file[start..].starts_with(from) {
            file[start..start + to.len()].copy_from_slice(to);
        }
    }
    file
}

/// The file with bytes of every central header, or of every local one, replaced.
fn patched(file: &[u8], signature: &[u8; 4], offset: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = file.to_vec();
    for start in 0..file.len() - 4 {
        if file[start..].starts_with(signature) {
            file[start + offset..][..bytes.len()].copy_from_slice(bytes);
        }
    }
    file
}

const LOCAL: &[u8; 4] = b"PK\x03\x04";
const CENTRAL: &[u8; 4] = b"PK\x01\x02";

#[test]
fn arrays_are_listed_and_chosen_by_name() {
    let labels = npy("<i8", "(2,)", &[[7_u8, 0, 0, 0, 0, 0, 0, 0], [9, 0, 0, 0, 0, 0, 0, 0]].concat());
    let rows = npy("<f4", "(1, 2)", &[0, 0, 0x80, 0x3f, 0, 0, 0, 0x40]);
    let objects = npy("|O", "(1, 2, 2)", b"\x80\x04N.");
    let entries: [(&str, &[u8]); 6] = [
        ("x_train.npy", &images()),
        ("y_train.npy", &labels),
        ("data/rows.npy", &rows),
        ("../names.npy", &objects),
        ("readme.txt", b"no array"),
        ("data/", b""),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.npz");
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        std::fs::write(&path, written(&entries, method)).unwrap();
        let found: Vec<_> = npz::arrays(&path).unwrap().iter().map(ToString::to_string).collect();
        let expected = [
            "x_train (2, 2, 2) uint8",
            "y_train (2,) int64",
            "data/rows (1, 2) float32",
            "../names (1, 2, 2) '|O'",
        ];
        assert_eq!(found, expected);
        let set = npz::load(&path, Some("x_train"), None).unwrap();
        assert_eq!((set.image_shape(), set.pixels()[3]), ((2, 2), 255));
        assert_eq!(set.name(), format!("{}: x_train", path.display()));
        assert_eq!(npz::load_labels(&path, Some("y_train")).unwrap(), [7, 9]);
        let rows = npz::load_rows(&path, Some("data/rows")).unwrap();
        assert_eq!((rows.dim(), rows[[0, 1]]), ((1, 2), 2.0));
        for (array, expected) in [
            (Some("x_test"), "expected one of 4: x_train (2, 2, 2) uint8, y_train"),
            (Some("readme.txt"), "found `readme.txt`"),
            (
                Some("y_train"),
                "y_train: shape: expected (images, height, width), found [2]; is it a file of labels?",
            ),
            (Some("../names"), "names: type of the elements: expected"),
        ] {
            let error = npz::load(&path, array, None).unwrap_err().to_string();
            assert!(error.contains("all.npz: ") && error.contains(expected), "{error}");
        }
    }
    assert_eq!(read(&stored(&[("arr_0.npy", &images())])).unwrap().len(), 2);
    assert!(matches!(npz::load("/nowhere/x.npz", None, None), Err(Error::Io { .. })));
}

#[test]
fn archives_without_arrays_and_other_files() {
    for (file, expected) in [
        (stored(&[]), "expected arrays (entries that end with .npy), found none"),
        (stored(&[("model/data.pkl", b"\x80\x02")]), "entries that end with .npy"),
        (
            stored(&[("d/", b""), ("d/1.png", b"\x89PNG")]),
            "found a ZIP archive of PNG files; extract it first",
        ),
        (stored(&[("x.npy", b"text")]), "x: content: expected NPY, found text"),
        (stored(&[("x\n\x1b[31m.npy", b"text")]), "x.npz: x\\n\\u{1b}[31m: content"),
        (stored(&[(&"x".repeat(1000), b""), (&("y".repeat(1000) + ".npy"), b"")]), "yyy...: content"),
        (images(), "expected NPZ, found a NumPy .npy file"),
        (b"<!DOCTYPE html>".to_vec(), "expected NPZ, found an HTML page"),
        (b"".to_vec(), "an empty file"),
        (b"\x1f\x8b\x08\0".to_vec(), "gzip; decompress it first"),
    ] {
        let error = refused(&file, 10, read);
        assert!(error.starts_with("x.npz: ") && error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn what_cannot_be_read_says_why() {
    let one = stored(&[("x.npy", &images())]);
    let two = stored(&[("a1.npy", &images()), ("a2.npy", &images())]);
    let encrypted = patched(&patched(&one, LOCAL, 6, &[1, 0]), CENTRAL, 8, &[1, 0]);
    let lzma = patched(&patched(&one, LOCAL, 8, &[14, 0]), CENTRAL, 10, &[14, 0]);
    let mut wrong_bit = one.clone();
    let position = one.windows(2).position(|pair| pair == [102, 255]).unwrap();
    wrong_bit[position] ^= 1;
    for (file, expected) in [
        (encrypted, "an encrypted one; decrypt the archive first"),
        (lzma, "compression: expected none or deflate, found Lzma"),
        (replaced(&two, b"a2.npy", b"a1.npy"), "names of arrays: expected each once"),
        (wrong_bit, "x: ZIP: expected a sound entry, found "),
        (patched(&one, CENTRAL, 20, &[9, 0, 0, 0]), "x: "),
        (one[..one.len() - 9].to_vec(), "x.npz: ZIP: expected a sound archive"),
        (one[100..].to_vec(), "content: expected NPZ"),
    ] {
        let error = refused(&file, 10, read);
        assert!(error.starts_with("x.npz: ") && error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn truncated_at_every_byte() {
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let file = written(&[("x.npy", &images())], method);
        assert!(read(&file).is_ok());
        for length in 0..file.len() {
            refused(&file[..length], 10, read);
            refused(&file[..length], 10, arrays);
        }
    }
}

#[test]
fn every_bit_flipped_once() {
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let file = written(&[("x.npy", &images())], method);
        every_bit_flipped(&file, 0..file.len() * 8, 10, read);
        every_bit_flipped(&file, 0..file.len() * 8, 10, arrays);
    }
}

/// An archive whose array has this shape, followed by 256 MiB of zeros.
fn inflating(shape: &str) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(vec![]));
    archive.start_file("x.npy", SimpleFileOptions::default()).unwrap();
    archive.write_all(&npy("|u1", shape, &[])).unwrap();
    io::copy(&mut io::repeat(0).take(1 << 28), &mut archive).unwrap();
    let file = archive.finish().unwrap().into_inner();
    assert!(file.len() > 250_000 && file.len() < 500_000);
    file
}

/// An entry that inflates a thousandfold costs what its header states, and an array that states a thousandfold is read.
#[test]
fn an_entry_costs_what_its_header_states() {
    let long = inflating("(64, 32, 32)");
    // The second file claims that the entry is as large as the limit of the format.
    for file in [long.clone(), patched(&long, CENTRAL, 20, &[0xfe, 0xff, 0xff, 0xff])] {
        let (result, held) = peak(|| read(&file));
        let error = result.unwrap_err().to_string();
        assert!(error.contains("nothing after the elements"), "{error}");
        assert!(held <= FIXED + 4 * (64 << 10), "{held} bytes");
    }
    let blank = inflating("(262144, 32, 32)");
    let (result, held) = peak(|| read(&blank));
    assert_eq!(result.unwrap().pixels().len(), 1 << 28);
    // The buffer that grows is twice its content, beside the content, while it is moved.
    assert!(held <= FIXED + (3 << 28), "{held} bytes");
    let (result, held) = peak(|| read(&inflating("(1099511627776, 32, 32)")));
    assert!(result.unwrap_err().to_string().contains("expected 1125899906842624"));
    // Deflate packs at most 1,032 bytes into one.
    assert!(held <= FIXED + 3 * 1032 * blank.len(), "{held} bytes");
    let claim = stored(&[("x.npy", &npy("|u1", "(1048576, 32, 32)", &vec![0; 1 << 20]))]);
    assert!(refused(&claim, 4, read).contains("expected 1073741824"));
}

/// Without a name, the only array that can be images is taken, and a notice says so.
#[test]
fn the_only_images_need_no_name() {
    let labels = npy("|u1", "(2,)", &[7, 9]);
    let flat = npy("|u1", "(2, 4)", &[5; 8]);
    let objects = npy("|O", "(1, 2, 2)", b"\x80\x04N.");
    let mixed =
        stored(&[("y.npy", &labels), ("x.npy", &images()), ("names.npy", &objects), ("bad.npy", b"text")]);
    let set = read(&mixed).unwrap();
    assert_eq!((set.len(), set.notices()), (2, &["x.npz: of 4 arrays, only x can be images".to_owned()][..]));
    let two = stored(&[("x.npy", &images()), ("flat.npy", &flat)]);
    assert_eq!(read(&two).unwrap().pixels()[3], 255);
    let error = npz::read(Cursor::new(&two), "x.npz", None, Some((2, 2))).unwrap_err().to_string();
    assert!(error.contains("found 2 arrays: x (2, 2, 2) uint8, flat (2, 4) uint8"), "{error}");
    let none = stored(&[("y.npy", &labels), ("flat.npy", &flat)]);
    let error = refused(&none, 10, read);
    assert!(error.contains("array: expected the name of one (--array y), found 2 arrays: y (2,)"), "{error}");
    let set = npz::read(Cursor::new(&none), "x.npz", None, Some((2, 2))).unwrap();
    assert_eq!((set.pixels(), set.notices().len()), (&[5; 8][..], 1));
    // Finder's twin of a file is no array.
    let finder = stored(&[("x.npy", &images()), ("__MACOSX/._x.npy", b"\0\x05\x16\x07")]);
    assert_eq!((read(&finder).unwrap().len(), arrays(&finder).unwrap().len()), (2, 1));
}

#[test]
fn names_are_found_without_their_exact_form() {
    let other = npy("|u1", "(1, 1, 1)", &[1]);
    let file = stored(&[("X_train.npy", &images()), ("a.npy", &other), ("A.npy", &images())]);
    let find = |array| npz::read(Cursor::new(&file), "x.npz", Some(array), None);
    for (array, count) in
        [("X_train.npy", 2), ("x_train", 2), ("x_TRAIN.npy", 2), ("a", 1), ("A", 2), ("A.npy", 2)]
    {
        assert_eq!(find(array).unwrap().len(), count, "{array}");
    }
    for (array, expected) in [
        ("X_trian", "found `X_trian`; did you mean `X_train`?"),
        ("train", "did you mean `X_train`?"),
        (
            "labels",
            "expected one of 3: X_train (2, 2, 2) uint8, a (1, 1, 1) uint8, A (2, 2, 2) uint8, found `labels`",
        ),
    ] {
        let error = find(array).unwrap_err().to_string();
        assert!(error.ends_with(expected), "{error}");
    }
}

#[test]
fn a_blank_array_is_no_bomb() {
    let blank = npy("|u1", "(10000, 28, 28)", &vec![0; 7_840_000]);
    let file = written(&[("x.npy", &blank)], CompressionMethod::Deflated);
    assert!(file.len() < 50_000);
    assert_eq!(read(&file).unwrap().len(), 10_000);
}

/// Memory for the directory of an archive is a small multiple of it, and many entries are refused.
#[test]
fn thousands_of_entries() {
    let names: Vec<String> = (0..10_001).map(|index| format!("{index}.npy")).collect();
    let entries: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    let file = stored(&entries);
    assert!(refused(&file, 12, read).contains("number of entries: expected at most 10000, found 10001"));
    let images = images();
    let entries: Vec<(&str, &[u8])> =
        names[..5_000].iter().map(|name| (name.as_str(), &images[..])).collect();
    let file = stored(&entries);
    assert!(refused(&file, 12, read).contains("5000 arrays: 0 (2, 2, 2) uint8"));
    let (found, held) = peak(|| arrays(&file));
    assert_eq!(found.unwrap().len(), 5_000);
    assert!(held <= FIXED + 12 * file.len(), "{held} for {}", file.len());
}

/// The end record claims more entries than there are.
#[test]
fn a_directory_that_claims_too_much() {
    let one = stored(&[("x.npy", &images())]);
    for (offset, bytes) in [
        (8, &[0xff; 4][..]),
        (12, &[0xff; 4]),
        (16, &[0xff; 4]),
        (12, &[0; 4]),
        (16, &[0; 4]),
        (20, &[0xff; 2]),
    ] {
        let file = patched(&one, b"PK\x05\x06", offset, bytes);
        let (result, held) = peak(|| read(&file));
        assert!(!matches!(result, Err(Error::Io { .. })), "{offset}");
        assert!(held <= FIXED, "{offset}: {held}");
    }
}

#[test]
fn a_stream_that_fails_is_an_io_error() {
    struct Failing(Cursor<Vec<u8>>, u64);
    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.position() >= self.1 {
                return Err(io::Error::other("disk on fire"));
            }
            let most = buffer.len().min((self.1 - self.0.position()) as usize);
            self.0.read(&mut buffer[..most])
        }
    }
    impl Seek for Failing {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }
    let file = stored(&[("x.npy", &images())]);
    for length in [0, 40, 100, file.len() as u64 - 1] {
        let error = npz::read(Failing(Cursor::new(file.clone()), length), "x.npz", None, None).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{length}: {error}");
    }
}
