//! IDX files from anywhere: damage is a typed error that names file, field, expected and found, and memory is in
//! proportion to the file.

use crate::peak::peak;
use autoencoder::{
    Error,
    data::{
        ImageSet,
        idx::{self, Encoding, IdxArray},
    },
};
use proptest::prelude::*;
use std::io::{self, Read};

fn written(shape: &[usize], bytes: &[u8], encoding: Encoding) -> Vec<u8> {
    let mut file = Vec::new();
    idx::write_array(&mut file, "memory", shape, bytes, encoding).unwrap();
    file
}

fn read(file: &[u8]) -> Result<IdxArray, Error> {
    idx::read_array(file, "file")
}

/// The bytes of an element.
fn size_of(array: &IdxArray) -> usize {
    let name = array.type_name();
    let digits = name.find(|c: char| c.is_ascii_digit()).unwrap();
    name[digits..].parse::<usize>().unwrap() / 8
}

/// The field of an error and what was found there.
fn refusal(file: &[u8]) -> (&'static str, String) {
    match read(file).unwrap_err() {
        Error::Format { file, field, expected, found } => {
            assert!(file == "file" && !expected.is_empty());
            (field, found)
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_file_comes_back_plain_and_gzip_told_apart_by_content() {
    let bytes: Vec<u8> = (0..24).collect();
    for shape in [&[24][..], &[4, 6], &[2, 3, 4], &[0, 28, 28]] {
        let bytes = &bytes[..shape.iter().product()];
        for encoding in [Encoding::Plain, Encoding::Gzip] {
            let found = read(&written(shape, bytes, encoding)).unwrap();
            assert_eq!((found.shape.as_slice(), found.bytes.as_slice()), (shape, bytes));
        }
    }
    assert_eq!(written(&[1, 2], &[7, 8], Encoding::Plain), [0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 2, 7, 8]);
}

/// Consecutive gzip members are one stream, wherever they are cut.
#[test]
fn gzip_members_in_a_row_are_one_file() {
    use io::Write;
    let plain = written(&[2, 3, 4], &[9; 24], Encoding::Plain);
    for cut in 0..plain.len() {
        let mut file = Vec::new();
        for part in [&plain[..cut], &plain[cut..]] {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(part).unwrap();
            file.extend(encoder.finish().unwrap());
        }
        assert_eq!(read(&file).unwrap().bytes, [9; 24], "{cut}");
    }
}

#[test]
fn truncated_anywhere_it_is_refused() {
    for encoding in [Encoding::Plain, Encoding::Gzip] {
        let file = written(&[2, 3, 4], &[9; 24], encoding);
        for length in 0..file.len() {
            let (field, _) = refusal(&file[..length]);
            let fields = ["content", "magic number", "dimensions", "elements", "end"];
            assert!(fields.contains(&field), "{length}: {field}");
        }
    }
    let file = written(&[2, 3, 4], &[9; 24], Encoding::Plain);
    assert_eq!(refusal(&file[..20]), ("elements", "4; the file is cut short; fetch it again".to_owned()));
    assert_eq!(refusal(&file[..7]), ("dimensions", "the end of the stream".to_owned()));
}

#[test]
fn a_wrong_magic_number_is_refused() {
    let mut file = written(&[2, 3, 4], &[9; 24], Encoding::Plain);
    file[2] = 0x0a; // no type
    assert_eq!(refusal(&file), ("magic number", "00000a03".to_owned()));
    for dimensions in [0, 9, 255] {
        file[2..4].copy_from_slice(&[8, dimensions]);
        assert_eq!(refusal(&file).0, "magic number");
    }
}

#[test]
fn trailing_bytes_are_refused() {
    let mut plain = written(&[3], &[1, 2, 3], Encoding::Plain);
    plain.extend([0, 0]);
    assert_eq!(refusal(&plain), ("end", "2 bytes or more".to_owned()));
    let mut gzip = written(&[3], &[1, 2, 3], Encoding::Gzip);
    gzip.extend(*b"not another member");
    assert_eq!(refusal(&gzip).0, "end");
}

#[test]
fn damaged_gzip_is_refused() {
    let file = written(&[40, 5], &[9; 200], Encoding::Gzip);
    for bit in 8 * (file.len() - 8)..8 * file.len() {
        let mut damaged = file.clone();
        damaged[bit / 8] ^= 1 << (bit % 8); // CRC or length
        let error = read(&damaged).unwrap_err();
        assert!(error.to_string().contains("expected sound gzip"), "{error}");
    }
}

/// Every bit of the header flipped: an error or another array, no panic, and no memory for false claims.
#[test]
fn headers_are_not_trusted() {
    let file = written(&[2, 3, 4], &[9; 24], Encoding::Plain);
    for bit in 0..16 * 8 {
        let mut damaged = file.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let (result, held) = peak(|| read(&damaged));
        // One bit makes the bytes signed.
        assert!(result.is_err() == (bit != 16) && held < 200_000, "bit {bit}: {result:?}, {held} bytes");
    }
    for claim in [&[u32::MAX][..], &[u32::MAX, 1], &[u32::MAX; 2], &[u32::MAX; 3], &[0, u32::MAX, u32::MAX]] {
        let mut file = vec![0, 0, 8, claim.len() as u8];
        file.extend(claim.iter().flat_map(|d| d.to_be_bytes()));
        file.extend([0; 100]);
        let (result, held) = peak(|| read(&file));
        assert!(
            matches!(result, Err(Error::Format { .. })) && held < 200_000,
            "{claim:?}: {result:?}, {held}"
        );
    }
}

#[test]
fn images_and_labels_must_agree() {
    let array = |name: &str, shape: &[usize]| {
        let file = written(shape, &vec![1; shape.iter().product()], Encoding::Plain);
        idx::read_array(&file[..], name).unwrap()
    };
    let dataset = |images: &[usize], labels: &[usize]| {
        idx::image_set("d", array("images", images), Some(array("labels", labels))).map(|d| d.len())
    };
    assert_eq!(dataset(&[2, 3, 4], &[2]).unwrap(), 2);
    for (images, labels, expected) in [
        (
            &[2, 3, 4][..],
            &[3][..],
            "labels: number of labels: expected 2, as many as images in images, found 3",
        ),
        (
            &[2, 12],
            &[2],
            "images: shape: expected (images, height, width), or the shape of flat images (--shape), found [2, 12]",
        ),
        (
            &[2, 3, 4],
            &[2, 3],
            "labels: shape: expected (labels), or QMNIST's integers (labels, 8), found [2, 3]",
        ),
    ] {
        assert_eq!(dataset(images, labels).unwrap_err().to_string(), expected);
    }
    for images in [[0, 3, 4], [2, 0, 4], [2, 3, 0]] {
        assert!(dataset(&images, &[2]).is_err());
    }
}

#[test]
fn writing_checks_its_array() {
    let write =
        |shape: &[usize], len| idx::write_array(io::sink(), "sink", shape, &vec![0; len], Encoding::Plain);
    for (shape, len) in [(&[2, 3][..], 5), (&[], 1), (&[1; 9], 1), (&[1 << 32, 0], 0), (&[usize::MAX, 2], 0)]
    {
        assert!(write(shape, len).is_err(), "{shape:?}");
    }
}

#[test]
fn a_stream_that_fails_is_an_io_error() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("disk on fire"))
        }
    }
    let header = written(&[100], &[0; 100], Encoding::Plain);
    for start in [0, 4, 8, 50] {
        let error = idx::read_array(header[..start].chain(Failing), "file").unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
        assert_eq!(error.to_string(), "file: disk on fire");
    }
    assert!(matches!(idx::load("/nowhere/images", None), Err(Error::Io { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Arbitrary bytes, alone, after a valid header, and inside gzip: no panic, and memory of a small multiple of
    /// the input (beyond the buffers of reader and decoder).
    #[test]
    fn arbitrary_bytes_are_harmless(
        bytes in prop::collection::vec(any::<u8>(), 0..2_000),
        prefix in 0..5_usize,
        gzip in any::<bool>(),
    ) {
        let starts: [&[u8]; 5] = [&[], &[0, 0, 8], &[0, 0, 8, 3, 0, 0], &[0x1f, 0x8b], &[0x1f, 0x8b, 8, 0]];
        let mut file = [starts[prefix], &bytes].concat();
        if gzip {
            let mut encoder = flate2::read::GzEncoder::new(file.as_slice(), flate2::Compression::fast());
            let mut packed = Vec::new();
            encoder.read_to_end(&mut packed).unwrap();
            file = packed;
        }
        let (result, held) = peak(|| read(&file));
        prop_assert!(held < 200_000 + 4 * (bytes.len() + 10), "{held} bytes for {}", file.len());
        if let Ok(array) = result {
            prop_assert_eq!(array.bytes.len(), array.shape.iter().product::<usize>() * size_of(&array));
        }
    }

    #[test]
    fn what_is_written_is_read(
        shape in prop::collection::vec(0..6_usize, 1..=4),
        seed in any::<u8>(),
        gzip in any::<bool>(),
    ) {
        let bytes: Vec<u8> = (0..shape.iter().product()).map(|i| seed.wrapping_add(i as u8)).collect();
        let encoding = if gzip { Encoding::Gzip } else { Encoding::Plain };
        let found = read(&written(&shape, &bytes, encoding)).unwrap();
        prop_assert_eq!((found.shape, found.bytes), (shape, bytes));
    }
}

#[test]
fn an_image_set_round_trips() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let images = ImageSet::new("own", (2, 3), (0..24).collect()).unwrap();
    let labeled = images.clone().with_labels(vec![9, 0, 255, 7]).unwrap();
    for (encoding, start) in [(Encoding::Plain, [0, 0]), (Encoding::Gzip, [0x1f, 0x8b])] {
        idx::save(at("images"), Some(at("labels")), &labeled, encoding).unwrap();
        let found = idx::load(at("images"), Some(at("labels"))).unwrap();
        assert_eq!(found.name(), at("images").display().to_string());
        assert_eq!(found.with_name("own"), labeled);
        assert_eq!(idx::load(at("images"), None).unwrap().with_name("own"), images);
        for file in ["images", "labels"] {
            assert_eq!(std::fs::read(at(file)).unwrap()[..2], start);
        }
    }
    idx::save(at("alone"), None, &images, Encoding::Plain).unwrap();
    assert_eq!(idx::load(at("alone"), None).unwrap().with_name("own"), images);
    let error = idx::save(at("none"), Some(at("labels")), &images, Encoding::Plain).unwrap_err();
    assert!(error.to_string().ends_with("found none") && !at("none").exists(), "{error}");
}
