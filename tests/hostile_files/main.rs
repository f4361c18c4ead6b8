//! Files from anywhere: any bytes give a typed error or a valid result, with memory in proportion to the file and no
//! more bytes read than needed.

#[cfg(feature = "csv")]
mod csv;
mod idx;
mod idx_format;
mod idx_kinds;
mod model;
mod model_kinds;
#[cfg(feature = "npy")]
mod npy;
#[cfg(feature = "npz")]
mod npz;
#[path = "../common/peak.rs"]
mod peak;
#[cfg(feature = "png")]
mod png;

use autoencoder::Error;
use peak::peak;
use std::io::{self, Read};

/// A reader that counts bytes.
struct Counted<R> {
    stream: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.bytes += count as u64;
        Ok(count)
    }
}

/// Memory for buffers, decoders and errors, independent of the file.
const FIXED: usize = 300_000;

/// Returns the error, which must be one short line, with peak memory of at most `times` the file.
#[track_caller]
fn refused<T>(file: &[u8], times: usize, read: impl FnOnce(&[u8]) -> Result<T, Error>) -> String {
    let (result, held) = peak(|| read(file));
    let error = result.err().expect("should be refused");
    assert!(!matches!(error, Error::Io { .. }), "{error}");
    let error = error.to_string();
    assert!(error.len() < 600 && !error.contains('\n'), "{error}");
    assert!(held <= FIXED + times * file.len(), "{held} bytes for {}: {error}", file.len());
    error
}

/// Reads the file with each bit flipped in turn: an error or a result, with peak memory of at most `times` the file.
fn every_bit_flipped<T>(
    file: &[u8],
    bits: std::ops::Range<usize>,
    times: usize,
    read: impl Fn(&[u8]) -> Result<T, Error>,
) -> usize {
    let mut accepted = 0;
    for bit in bits {
        let mut damaged = file.to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let (result, held) = peak(|| read(&damaged));
        assert!(held <= FIXED + times * file.len(), "bit {bit}: {held} bytes");
        match result {
            Ok(_) => accepted += 1,
            Err(error) => assert!(!matches!(error, Error::Io { .. }), "bit {bit}: {error}"),
        }
    }
    accepted
}
