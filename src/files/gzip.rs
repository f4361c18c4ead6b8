//! Gzip as people have it: several members in a row, zeros behind the last one, and cut short.

use flate2::bufread::GzDecoder;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};

/// Gzip may always inflate to this many bytes.
const SMALL: u64 = 16 << 20;
/// Beyond that, gzip may inflate to this many times the bytes read. Deflate itself reaches 1032.
const MAX_INFLATION: u64 = 100;
/// Maximum zeros behind a member. Tapes and disks pad files to whole blocks.
const MAX_PADDING: u64 = 1 << 20;

/// Returns whether a file that starts with `start` is gzip.
pub(crate) fn is_gzip(start: &[u8]) -> bool {
    start.starts_with(&[0x1f, 0x8b])
}

/// Returns the content of a stream that may be compressed.
pub(crate) fn decompressed<'a>(stream: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut stream = BufReader::with_capacity(1 << 16, stream);
    if is_gzip(stream.fill_buf()?) { Ok(Box::new(Inflate::new(stream))) } else { Ok(Box::new(stream)) }
}

/// Returns the number of bytes that `compressed` bytes may inflate to.
fn limit(compressed: u64) -> u64 {
    SMALL.max(MAX_INFLATION.saturating_mul(compressed))
}

/// Inflates consecutive gzip members, up to a limit. Zeros behind a member are skipped.
///
/// Every error of the format has the kind [`ErrorKind::InvalidData`] and says what was found.
pub(crate) struct Inflate<R> {
    /// The decoder of the current member. `None` after the last one.
    member: Option<GzDecoder<Counted<R>>>,
    inflated: u64,
}

impl<R: BufRead> Inflate<R> {
    pub(crate) fn new(stream: R) -> Self {
        Self { member: Some(GzDecoder::new(Counted { stream, bytes: 0 })), inflated: 0 }
    }
}

impl<R: BufRead> Read for Inflate<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(mut member) = self.member.take() {
            let count = match member.read(buffer) {
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    return Err(invalid("an early end: the gzip stream is cut short; fetch the file again"));
                }
                Err(error) if error.kind() == ErrorKind::InvalidInput => return Err(invalid(error)),
                count => count?,
            };
            if count == 0 {
                let mut stream = member.into_inner();
                if next_member(&mut stream)? {
                    self.member = Some(GzDecoder::new(stream));
                }
                continue;
            }
            self.inflated += count as u64;
            let limit = limit(member.get_ref().bytes);
            self.member = Some(member);
            if self.inflated > limit {
                let found = format!("more than {MAX_INFLATION} times its size; decompress it first");
                return Err(invalid(found));
            }
            return Ok(count);
        }
        Ok(0)
    }
}

/// Skips zeros. Returns whether another member follows them; any other bytes are an error.
fn next_member(stream: &mut impl BufRead) -> io::Result<bool> {
    let mut zeros = 0;
    loop {
        let bytes = stream.fill_buf()?;
        let Some(&first) = bytes.first() else { return Ok(false) };
        if first == 0x1f {
            return Ok(true);
        }
        let count = bytes.iter().take_while(|&&byte| byte == 0).count();
        if count == 0 {
            let found =
                format!("the byte {first:#04x} behind the end of the gzip stream; remove what follows it");
            return Err(invalid(found));
        }
        zeros += count as u64;
        if zeros > MAX_PADDING {
            return Err(invalid(format!("more than {MAX_PADDING} zeros behind the end of the gzip stream")));
        }
        stream.consume(count);
    }
}

fn invalid(found: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, found)
}

/// Counts the bytes that are consumed.
struct Counted<R> {
    stream: R,
    bytes: u64,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.bytes += count as u64;
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.stream.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.bytes += count as u64;
        self.stream.consume(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, read::GzEncoder};

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut packed = vec![];
        GzEncoder::new(content, Compression::fast()).read_to_end(&mut packed).unwrap();
        packed
    }

    /// Reads through a buffer of `capacity` bytes.
    fn inflate(file: &[u8], capacity: usize) -> io::Result<Vec<u8>> {
        let mut content = vec![];
        Inflate::new(io::BufReader::with_capacity(capacity, file)).read_to_end(&mut content)?;
        Ok(content)
    }

    #[test]
    fn members_and_zeros_are_one_stream() {
        let [first, second] = [gzip(b"one "), gzip(b"two")];
        for zeros in [0, 1, 9, 511, 100_000] {
            let padding = vec![0; zeros];
            let file = [&first[..], &padding, &second, &padding].concat();
            for capacity in [1, 7, 1 << 16] {
                assert_eq!(inflate(&file, capacity).unwrap(), b"one two", "{zeros}");
            }
        }
    }

    #[test]
    fn an_early_end_is_named_wherever_it_is() {
        let file = [gzip(b"one "), gzip(b"two")].concat();
        let first = gzip(b"one ").len();
        for length in (1..file.len()).filter(|&length| length != first) {
            let error = inflate(&file[..length], 1 << 16).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            assert!(error.to_string().contains("the gzip stream is cut short"), "{length}: {error}");
        }
    }

    #[test]
    fn other_bytes_behind_the_end_are_refused() {
        for rest in [&b"\r\n"[..], b"junk", b"\0\0\0x", b"\x1fx", b"\x1f\x8b\x09"] {
            let error = inflate(&[&gzip(b"one "), rest].concat(), 1 << 16).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{rest:?}: {error}");
        }
        let file = [gzip(b"one "), vec![0; (1 << 20) + 1]].concat();
        assert!(inflate(&file, 1 << 16).unwrap_err().to_string().contains("more than 1048576 zeros"));
    }
}
