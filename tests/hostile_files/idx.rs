use crate::{Counted, FIXED, every_bit_flipped, peak, refused};
use autoencoder::{
    Error,
    data::idx::{self, Encoding, IdxArray},
};
use flate2::{Compression, write::GzEncoder};
use std::io::{self, Read, Write};

fn read(file: &[u8]) -> Result<IdxArray, Error> {
    idx::read_array(file, "file")
}

fn plain(shape: &[u32], elements: usize) -> Vec<u8> {
    of_type(8, shape, elements)
}

/// A file with `bytes` bytes of elements.
fn of_type(code: u8, shape: &[u32], bytes: usize) -> Vec<u8> {
    let mut file = vec![0, 0, code, shape.len() as u8];
    file.extend(shape.iter().flat_map(|d| d.to_be_bytes()));
    file.resize(file.len() + bytes, 9);
    file
}

fn gzip(content: impl Read) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    io::copy(&mut { content }, &mut encoder).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn truncated_at_every_byte() {
    let file = plain(&[2, 3, 4], 24);
    for file in [file.clone(), gzip(&file[..])] {
        assert!(read(&file).is_ok());
        for length in 0..file.len() {
            refused(&file[..length], 3, read);
        }
    }
}

#[test]
fn every_bit_flipped_once() {
    let file = plain(&[2, 3, 4], 24);
    // One bit makes the bytes signed.
    assert_eq!(every_bit_flipped(&file, 0..16 * 8, 3, read), 1);
    let packed = gzip(&file[..]);
    // Time, flags and operating system in gzip's header do not affect the content.
    let accepted = every_bit_flipped(&packed, 0..packed.len() * 8, 3, read);
    assert!(accepted < 10 * 8, "{accepted}");
}

#[test]
fn dimensions_of_none_and_of_all() {
    for dimensions in 1..=8 {
        for hostile in [0, 1, u32::MAX] {
            for place in 0..dimensions {
                for rest in [0, 1, 2, u32::MAX] {
                    let mut shape = vec![rest; dimensions];
                    shape[place] = hostile;
                    let file = plain(&shape, 1000);
                    for file in [file.clone(), gzip(&file[..])] {
                        refused(&file, 3, read);
                    }
                }
            }
        }
    }
}

#[test]
fn empty_arrays_are_arrays_but_no_images() {
    for shape in [[0, 3, 4], [2, 0, 4], [2, 3, 0], [0, u32::MAX, 1]] {
        let array = read(&plain(&shape, 0)).unwrap();
        assert!(array.bytes.is_empty());
        assert!(idx::image_set("d", array, None).is_err(), "{shape:?}");
    }
}

/// A header that claims 4 GiB costs no more memory than the file.
#[test]
fn a_megabyte_that_claims_gigabytes() {
    let file = plain(&[1 << 22, 1 << 10], 1 << 20);
    assert!(refused(&file, 3, read).contains("expected 4294967296, found 1048576"));
    let file = plain(&[u32::MAX, u32::MAX], 1 << 20);
    refused(&file, 3, read);
}

/// A megabyte of gzip that inflates to a gigabyte, as it announces, is refused before much of it is inflated.
#[test]
fn a_megabyte_that_inflates_to_a_gigabyte() {
    let elements = 1_u64 << 30;
    let header = plain(&[1 << 20, 1 << 10], 0);
    let bomb = gzip(header.chain(io::repeat(0).take(elements)));
    assert!(bomb.len() > 1_000_000);
    let mut stream = Counted { stream: &bomb[..], bytes: 0 };
    let (result, held) = peak(|| idx::read_array(&mut stream, "file"));
    let error = result.unwrap_err().to_string();
    assert!(error.contains("more than 100 times its size"), "{error}");
    assert!(stream.bytes <= 1 << 17, "{} of {} bytes read", stream.bytes, bomb.len());
    assert!(held < 64 << 20, "{held} bytes");
}

/// Blank images are not mistaken for a bomb: 20,000 white images of 28 x 28.
#[test]
fn blank_images_are_no_bomb() {
    let file = gzip(&plain(&[20_000, 28, 28], 20_000 * 28 * 28)[..]);
    assert!(file.len() < 100_000);
    assert_eq!(read(&file).unwrap().bytes.len(), 15_680_000);
}

#[test]
fn a_bomb_behind_the_elements_is_not_inflated() {
    let file = plain(&[10], 10);
    let bomb = gzip(file.chain(io::repeat(0).take(1 << 28)));
    let mut stream = Counted { stream: &bomb[..], bytes: 0 };
    let (result, held) = peak(|| idx::read_array(&mut stream, "file"));
    assert!(result.unwrap_err().to_string().contains("end: expected nothing after the elements"));
    assert!(held < FIXED && stream.bytes <= 1 << 17, "{held} bytes, {} read", stream.bytes);
}

#[test]
fn gzip_in_gzip_is_not_opened() {
    let file = gzip(&gzip(&plain(&[10], 10)[..])[..]);
    assert!(refused(&file, 3, read).contains("gzip within gzip"));
}

/// Every type of elements, truncated and with a header that claims gigabytes; images need no more memory than the file.
#[test]
fn elements_of_every_type() {
    for (code, size) in [(0x08, 1), (0x09, 1), (0x0b, 2), (0x0c, 4), (0x0d, 4), (0x0e, 8)] {
        let file = of_type(code, &[2, 3, 4], 24 * size);
        assert_eq!(read(&file).unwrap().bytes.len(), 24 * size);
        for length in 0..file.len() {
            refused(&file[..length], 3, read);
        }
        let images = |file: &[u8]| read(file)?.images("images", None);
        every_bit_flipped(&file, 0..file.len() * 8, 3, images);
        refused(&of_type(code, &[1 << 22, 1 << 10], 1 << 20), 3, read);
        refused(&of_type(code, &[1 << 31, 1 << 31, 4], 1 << 20), 3, read);
        let blank = [of_type(code, &[1000, 28, 28], 0), vec![0; 784_000 * size]].concat();
        let (found, held) = peak(|| images(&blank));
        assert_eq!(found.unwrap().len(), 1000);
        assert!(held <= FIXED + 3 * blank.len(), "{code:#x}: {held} for {}", blank.len());
    }
}

/// Zeros behind gzip are skipped, but not without end.
#[test]
fn zeros_without_end_behind_gzip() {
    let sound = gzip(&plain(&[100], 100)[..]);
    let mut stream = Counted { stream: sound.chain(io::repeat(0)), bytes: 0 };
    let (result, held) = peak(|| idx::read_array(&mut stream, "file"));
    assert!(result.unwrap_err().to_string().contains("zeros behind the end"));
    assert!(held < FIXED && stream.bytes <= 1 << 21, "{held} bytes, {} read", stream.bytes);
}

#[test]
fn ten_thousand_gzip_members_in_a_row() {
    let content = plain(&[9_995], 9_995);
    let mut file: Vec<u8> = content.chunks(1).flat_map(gzip).collect();
    assert_eq!(read(&file).unwrap().bytes, [9; 9_995]);
    let sound = file.len();
    for _ in 0..10_000 {
        file.extend(gzip(io::empty()));
    }
    assert_eq!(read(&file).unwrap().bytes.len(), 9_995);
    file.truncate(file.len() - 1);
    refused(&file, 3, read);
    file.truncate(sound - 1);
    refused(&file, 3, read);
}

/// An endless stream is read only as far as needed.
#[test]
fn streams_without_end() {
    let sound = plain(&[100], 100);
    let mut zip_header = vec![0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3]; // a zero-terminated name follows
    zip_header.extend([b'n'; 10]);
    for (start, byte) in [(vec![], 0), (vec![], 255), (sound, 1), (zip_header, b'n'), (vec![0x1f, 0x8b], 8)] {
        let mut stream = Counted { stream: start.chain(io::repeat(byte)), bytes: 0 };
        let (result, held) = peak(|| idx::read_array(&mut stream, "file"));
        assert!(matches!(result, Err(Error::Format { .. })));
        assert!(held < 2 * FIXED && stream.bytes <= 1 << 18, "{held} bytes, {} read", stream.bytes);
    }
}

/// The fields of an array are public, so its shape may not be that of its bytes.
#[test]
fn a_shape_that_does_not_fit_its_bytes() {
    for shape in [vec![3, 2, 2], vec![2, 2, 1], vec![0, 2, 2], vec![usize::MAX, 2, 2], vec![usize::MAX; 3]] {
        let mut array = read(&plain(&[2, 2, 2], 8)).unwrap();
        array.shape = shape.clone();
        let error = idx::image_set("d", array, None).unwrap_err().to_string();
        assert!(error.starts_with("file: ") && error.contains(&format!("{shape:?}")), "{error}");
    }
}

#[test]
fn writing_and_reading_agree_on_gzip_of_noise() {
    let bytes: Vec<u8> = (0..100_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut file = Vec::new();
    idx::write_array(&mut file, "memory", &[100_000], &bytes, Encoding::Gzip).unwrap();
    file.flush().unwrap();
    let (array, held) = peak(|| read(&file));
    assert_eq!(array.unwrap().bytes, bytes);
    assert!(held <= FIXED + 3 * bytes.len(), "{held}");
}
