use super::{IdxArray, MAX_DIMENSIONS};
use crate::{
    error::{Error, Result},
    files::{
        content,
        digest::HashingReader,
        gzip::{decompressed, is_gzip},
        memory,
        numbers::{Element, Kind},
    },
};
use byteorder::{BigEndian, ReadBytesExt};
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

/// Loads one array from a file, plain or gzip.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Format`] if it is not an IDX file. If it is a file of another format,
/// the error names it.
pub fn load_array(path: impl AsRef<Path>) -> Result<IdxArray> {
    let path = path.as_ref();
    let file = File::open(path).map_err(Error::io(path))?;
    read_array(file, &path.display().to_string())
}

/// Loads one array, and the SHA-256 digest of the decompressed file.
pub(crate) fn load_array_and_digest(path: &Path) -> Result<(IdxArray, String)> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(Error::io(path))?;
    let mut stream = HashingReader::new(decompressed(file).map_err(Error::io(path))?);
    let array = read_plain(&mut stream, &name, false)?;
    Ok((array, stream.into_hex()))
}

/// Reads one array from a stream, plain or gzip, to the end of the stream. Errors call the stream `name`.
///
/// ```
/// use autoencoder::data::idx;
/// let labels = idx::read_array(&[0, 0, 8, 1, 0, 0, 0, 2, 7, 9][..], "labels")?;
/// assert_eq!((labels.shape, labels.bytes), (vec![2], vec![7, 9]));
/// # Ok::<(), autoencoder::Error>(())
/// ```
///
/// # Errors
/// [`Error::Format`] if the stream is not an IDX file, [`Error::Io`] if it cannot be read.
pub fn read_array(stream: impl Read, name: &str) -> Result<IdxArray> {
    let mut stream = BufReader::new(stream);
    let packed = is_gzip(stream.fill_buf().map_err(Error::io(name))?);
    read_plain(&mut decompressed(stream).map_err(Error::io(name))?, name, packed)
}

/// Reads an array of a stream that was perhaps `packed` with gzip before.
fn read_plain(stream: &mut impl Read, name: &str, packed: bool) -> Result<IdxArray> {
    let start = memory::read(stream, 4).map_err(truncated(name, "magic number", "4 bytes"))?;
    let Some((element, dimensions)) = magic_number(&start) else {
        return Err(another_format(stream, name, start, packed));
    };
    let mut shape = Vec::with_capacity(dimensions.into());
    for _ in 0..dimensions {
        let dimension =
            stream.read_u32::<BigEndian>().map_err(truncated(name, "dimensions", "4 bytes each"))?;
        shape.push(dimension as usize);
    }
    let size = element.size;
    let length = |shape: &[usize]| {
        let length = shape.iter().try_fold(size, |product, &d| product.checked_mul(d));
        length.filter(|&n| n <= isize::MAX as usize)
    };
    let reversed: Vec<_> = shape.iter().map(|&d| (d as u32).swap_bytes() as usize).collect();
    let Some(expected) = length(&shape) else {
        let remedy = if length(&reversed).is_some() { "; are they in reversed byte order?" } else { "" };
        let found = format!("{shape:?}{remedy}");
        return Err(Error::format(name, "dimensions", "a product that fits in memory", found));
    };

    let bytes = memory::read(stream, expected).map_err(truncated(name, "elements", "a readable stream"))?;
    if bytes.len() < expected {
        if length(&reversed) == Some(bytes.len()) {
            let found = format!("{shape:?}, which is {reversed:?} in reversed byte order");
            return Err(Error::format(name, "dimensions", "big-endian numbers", found));
        }
        let found = format!("{}; the file is cut short; fetch it again", bytes.len() / size);
        return Err(Error::format(name, "elements", expected / size, found));
    }
    // Reading to the end makes the decoder check gzip's CRC.
    let rest = io::copy(&mut stream.take(1 << 16), &mut io::sink());
    match rest.map_err(truncated(name, "end", "the end of the stream"))? {
        0 => Ok(IdxArray { name: name.to_owned(), shape, bytes, element }),
        more => Err(Error::format(
            name,
            "end",
            "nothing after the elements",
            format_args!("{more} bytes or more"),
        )),
    }
}

/// The type of the elements and the number of dimensions.
fn magic_number(start: &[u8]) -> Option<(Element, u8)> {
    let &[0, 0, code, dimensions] = start else { return None };
    (1..=MAX_DIMENSIONS).contains(&dimensions).then_some(())?;
    let (kind, size) = match code {
        0x08 => (Kind::Unsigned, 1),
        0x09 => (Kind::Signed, 1),
        0x0b => (Kind::Signed, 2),
        0x0c => (Kind::Signed, 4),
        0x0d => (Kind::Float, 4),
        0x0e => (Kind::Float, 8),
        _ => return None,
    };
    Some((Element { kind, size, big_endian: true }, dimensions))
}

/// The error for a stream that starts with another magic number.
fn another_format(stream: &mut impl Read, name: &str, mut start: Vec<u8>, packed: bool) -> Error {
    let magic: String = start.iter().map(|byte| format!("{byte:02x}")).collect();
    // What cannot be read does not help to name the format.
    let _ = stream.take(content::START as u64).read_to_end(&mut start);
    if is_gzip(&start) {
        return Error::format(name, "content", "IDX", "gzip within gzip; decompress it first");
    }
    if packed && start.starts_with(b"\x93NUMPY") {
        return Error::format(name, "content", "IDX", "a NumPy .npy file within gzip; decompress it first");
    }
    if let Some(found) = content::describe(&start) {
        return Error::format(name, "content", "IDX", found);
    }
    let expected =
        format!("0000TTDD with type TT of 08, 09 or 0b to 0e and DD of 01 to 0{MAX_DIMENSIONS} dimensions");
    if magic.len() < 8 {
        return Error::format(name, "magic number", expected, "the end of the stream");
    }
    Error::format(name, "magic number", expected, magic)
}

/// Turns an error of a stream into one that names the field. A stream that ends early or is damaged has an invalid format;
/// any other error is the system's.
fn truncated<'a>(
    name: &'a str,
    field: &'static str,
    expected: &'static str,
) -> impl FnOnce(io::Error) -> Error + 'a {
    move |source| match source.kind() {
        io::ErrorKind::UnexpectedEof => Error::format(name, field, expected, "the end of the stream"),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            Error::format(name, field, "sound gzip", source)
        }
        _ => Error::Io { path: name.into(), cause: source },
    }
}
