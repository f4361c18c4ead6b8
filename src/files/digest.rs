//! SHA-256 digests as lines of hexadecimal digits.

use sha2::{Digest, Sha256};
use std::io::{self, Read};

/// Returns the SHA-256 digest of `bytes` as 64 hexadecimal digits in lower case.
///
/// ```
/// use autoencoder::files::sha256_hex;
/// assert!(sha256_hex(b"abc").starts_with("ba7816bf8f01cfea"));
/// ```
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(Sha256::digest(bytes))
}

/// The hexadecimal digits of a digest.
pub(crate) fn hex(digest: impl AsRef<[u8]>) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A reader that computes the digest of what is read through it.
pub(crate) struct HashingReader<R> {
    stream: R,
    digest: Sha256,
}

impl<R: Read> HashingReader<R> {
    pub(crate) fn new(stream: R) -> Self {
        Self { stream, digest: Sha256::new() }
    }

    /// The digest of everything read so far.
    pub(crate) fn into_hex(self) -> String {
        hex(self.digest.finalize())
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.digest.update(&buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_has_the_digest_of_what_was_read() {
        let mut reader = HashingReader::new(&b"abcdef"[..]);
        reader.read_exact(&mut [0; 3]).unwrap();
        assert_eq!(reader.into_hex(), sha256_hex(b"abc"));
    }
}
