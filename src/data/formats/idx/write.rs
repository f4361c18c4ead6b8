use super::MAX_DIMENSIONS;
use crate::error::{Error, Result};
use flate2::{Compression, write::GzEncoder};
use std::io::Write;

/// Compression of a saved file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Not compressed.
    Plain,
    /// Compressed with gzip.
    Gzip,
}

/// Writes one array of bytes to a stream. Errors call the stream `name`.
///
/// # Errors
/// As [`save_array`](super::save_array).
pub fn write_array(
    stream: impl Write,
    name: &str,
    shape: &[usize],
    bytes: &[u8],
    encoding: Encoding,
) -> Result<()> {
    let header = header(shape)?;
    if shape.iter().try_fold(1_usize, |product, &d| product.checked_mul(d)) != Some(bytes.len()) {
        return Err(Error::Shape {
            what: "elements of an IDX array",
            expected: format!("the product of {shape:?}"),
            found: bytes.len().to_string(),
        });
    }
    let write_all = |mut stream: &mut dyn Write| {
        stream.write_all(&header)?;
        stream.write_all(bytes)?;
        Write::flush(&mut stream)
    };
    let mut stream = stream;
    match encoding {
        Encoding::Plain => write_all(&mut stream),
        Encoding::Gzip => {
            let mut encoder = GzEncoder::new(stream, Compression::best());
            write_all(&mut encoder).and_then(|()| encoder.finish().map(drop))
        }
    }
    .map_err(Error::io(name))
}

/// The magic number and the dimensions as bytes of a file.
fn header(shape: &[usize]) -> Result<Vec<u8>> {
    let dimensions = u8::try_from(shape.len()).ok().filter(|count| (1..=MAX_DIMENSIONS).contains(count));
    let Some(dimensions) = dimensions else {
        return Err(Error::shape("dimensions of an IDX array", 1..=MAX_DIMENSIONS, shape.len()));
    };
    let mut header = vec![0, 0, 8, dimensions];
    for &dimension in shape {
        let Ok(dimension) = u32::try_from(dimension) else {
            return Err(Error::shape("dimension of an IDX array", 0..=u32::MAX, dimension));
        };
        header.extend(dimension.to_be_bytes());
    }
    Ok(header)
}
