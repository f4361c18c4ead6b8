//! The IDX format of MNIST: arrays of bytes, plain or compressed with gzip.
//!
//! A file holds a magic number (0, 0, 8 for bytes, the number of dimensions), the dimensions as big-endian 32-bit
//! integers, then the elements. Gzip is recognized by its first two bytes, whatever the name of the file.
//!
//! Files may be untrusted. Memory grows with the bytes that arrive, not with the sizes that a header claims. Gzip
//! can pack a gigabyte into a megabyte, so content of more than 16 MiB may inflate to at most 100 times its size (MNIST
//! inflates to 5 times). To read a file beyond that limit, decompress it first.

use crate::{
    data::ImageSet,
    error::{Error, Result},
    files::{digest::HashingReader, memory, write_atomic},
};
use byteorder::{BigEndian, ReadBytesExt};
use flate2::{Compression, bufread::MultiGzDecoder, write::GzEncoder};
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
};

const MAX_DIMENSIONS: u8 = 8;
/// Gzip may always inflate to this many bytes.
const SMALL: u64 = 16 << 20;
/// Beyond that, gzip may inflate to this many times the bytes read. Deflate itself reaches 1032.
const MAX_INFLATION: u64 = 100;

/// An array of bytes with its dimensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdxArray {
    /// Name of the file or stream, for errors.
    pub name: String,
    /// The dimensions; the first one counts images or labels.
    pub shape: Vec<usize>,
    /// The elements in row-major order.
    pub bytes: Vec<u8>,
}

/// Loads images and, optionally, their labels from files, plain or gzip. The set is named after the file of the images.
///
/// ```no_run
/// use autoencoder::data::idx;
/// let leaves = idx::load("leaves-images.idx3.gz", Some("leaves-labels.idx1.gz"))?;
/// # Ok::<(), autoencoder::Error>(())
/// ```
///
/// # Errors
/// [`Error::Io`] if a file cannot be read, [`Error::Format`] if it is not an IDX file of images or labels or the numbers
/// of images and labels differ, [`Error::Shape`] if there are no images.
pub fn load<P: AsRef<Path>>(images: P, labels: Option<P>) -> Result<ImageSet> {
    let labels = labels.map(load_array).transpose()?;
    let images = load_array(images)?;
    let name = images.name.clone();
    image_set(&name, images, labels)
}

/// Saves a set in the files that [`load`] reads: its images and, if `labels` is a path, its labels. Each file is
/// [written atomically](write_atomic).
///
/// ```
/// use autoencoder::data::{digits, idx::{self, Encoding}};
/// # let folder = tempfile::tempdir().expect("a scratch folder");
/// # let images = folder.path().join("images-idx3-ubyte.gz");
/// # let labels = folder.path().join("labels-idx1-ubyte.gz");
/// let digits = digits::generate(10, 1)?;
/// idx::save(&images, Some(&labels), &digits, Encoding::Gzip)?;
/// assert_eq!(idx::load(&images, Some(&labels))?.pixels(), digits.pixels());
/// # Ok::<(), autoencoder::Error>(())
/// ```
///
/// # Errors
/// [`Error::Data`] if `labels` is a path and the set has no labels, [`Error::Shape`] if the height, the width or the number
/// of images exceeds 32 bits, [`Error::Io`] if a file cannot be written.
pub fn save<P: AsRef<Path>>(images: P, labels: Option<P>, set: &ImageSet, encoding: Encoding) -> Result<()> {
    if let Some(path) = &labels
        && set.labels().is_none()
    {
        let expected = format!("one per image, to write to {}", path.as_ref().display());
        return Err(Error::data("labels", expected, "none"));
    }
    let (height, width) = set.image_shape();
    save_array(images, &[set.len(), height, width], set.pixels(), encoding)?;
    if let Some((path, labels)) = labels.zip(set.labels()) {
        save_array(path, &[labels.len()], labels, encoding)?;
    }
    Ok(())
}

/// Loads one array from a file, plain or gzip.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Format`] if it is not an IDX file of bytes.
pub fn load_array(path: impl AsRef<Path>) -> Result<IdxArray> {
    let path = path.as_ref();
    let file = File::open(path).map_err(Error::io(path))?;
    read_array(file, &path.display().to_string())
}

/// Loads one array, and the SHA-256 digest of the decompressed file.
pub(crate) fn load_array_and_digest(path: &Path) -> Result<(IdxArray, String)> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(Error::io(path))?;
    let mut stream = HashingReader::new(decompressed(file, &name)?);
    let array = read_plain(&mut stream, &name)?;
    Ok((array, stream.into_hex()))
}

/// Saves one array in a file, which is [written atomically](write_atomic).
///
/// # Errors
/// [`Error::Shape`] if the number of elements is not the product of the dimensions, there are no dimensions or more
/// than eight, or one exceeds 32 bits; [`Error::Io`] if the file cannot be written.
pub fn save_array(path: impl AsRef<Path>, shape: &[usize], bytes: &[u8], encoding: Encoding) -> Result<()> {
    let path = path.as_ref();
    let mut file = Vec::new();
    write_array(&mut file, &path.display().to_string(), shape, bytes, encoding)?;
    write_atomic(path, |out| out.write_all(&file))
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
/// [`Error::Format`] if the stream is not an IDX file of bytes, [`Error::Io`] if it cannot be read.
pub fn read_array(stream: impl Read, name: &str) -> Result<IdxArray> {
    read_plain(&mut decompressed(stream, name)?, name)
}

/// The content of a stream that may be compressed.
fn decompressed<'a>(stream: impl Read + 'a, name: &str) -> Result<Box<dyn Read + 'a>> {
    let mut stream = BufReader::with_capacity(1 << 16, stream);
    let start = stream.fill_buf().map_err(Error::io(name))?;
    if start.starts_with(&[0x1f, 0x8b]) {
        Ok(Box::new(Inflate { decoder: MultiGzDecoder::new(Counted { stream, bytes: 0 }), bytes: 0 }))
    } else {
        Ok(Box::new(stream))
    }
}

/// Inflates consecutive gzip members, up to a limit.
struct Inflate<R> {
    decoder: MultiGzDecoder<Counted<R>>,
    bytes: u64,
}

impl<R: BufRead> Read for Inflate<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.decoder.read(buffer)?;
        self.bytes += count as u64;
        if self.bytes > SMALL.max(MAX_INFLATION.saturating_mul(self.decoder.get_ref().bytes)) {
            let limit = format!("more than {MAX_INFLATION} times its size; decompress it first");
            return Err(io::Error::new(io::ErrorKind::InvalidData, limit));
        }
        Ok(count)
    }
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

fn read_plain(stream: &mut impl Read, name: &str) -> Result<IdxArray> {
    let magic = stream.read_u32::<BigEndian>().map_err(truncated(name, "magic number", "4 bytes"))?;
    let dimensions = (magic & 0xff) as u8;
    if magic >> 8 != 0x08 || !(1..=MAX_DIMENSIONS).contains(&dimensions) {
        let expected = format!("0x00000801 to 0x0000080{MAX_DIMENSIONS}");
        return Err(Error::format(name, "magic number", expected, format_args!("{magic:#010x}")));
    }
    let mut shape = Vec::with_capacity(dimensions.into());
    for _ in 0..dimensions {
        let dimension =
            stream.read_u32::<BigEndian>().map_err(truncated(name, "dimensions", "4 bytes each"))?;
        shape.push(dimension as usize);
    }
    let elements = shape.iter().try_fold(1_usize, |product, &d| product.checked_mul(d));
    let elements = elements.filter(|&n| n <= isize::MAX as usize).ok_or_else(|| {
        Error::format(name, "dimensions", "a product that fits in memory", format_args!("{shape:?}"))
    })?;

    let bytes = memory::read(stream, elements).map_err(truncated(name, "elements", "a readable stream"))?;
    if bytes.len() < elements {
        return Err(Error::format(name, "elements", elements, bytes.len()));
    }
    // Reading to the end makes the decoder check gzip's CRC.
    let rest = io::copy(&mut stream.take(1 << 16), &mut io::sink());
    match rest.map_err(truncated(name, "end", "the end of the stream"))? {
        0 => Ok(IdxArray { name: name.to_owned(), shape, bytes }),
        more => Err(Error::format(
            name,
            "end",
            "nothing after the elements",
            format_args!("{more} bytes or more"),
        )),
    }
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

/// Compression of a saved file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Not compressed.
    Plain,
    /// Compressed with gzip.
    Gzip,
}

/// Writes one array to a stream. Errors call the stream `name`.
///
/// # Errors
/// As [`save_array`].
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

/// Makes a set of an array of images, `[images, height, width]`, and optionally one of labels, `[images]`.
///
/// # Errors
/// [`Error::Format`] if an array has the wrong number of dimensions, or the numbers of images and labels differ;
/// [`Error::Shape`] if there are no images or they have no pixels.
pub fn image_set(name: &str, images: IdxArray, labels: Option<IdxArray>) -> Result<ImageSet> {
    let &[count, height, width] = images.shape.as_slice() else {
        let found = images.shape.len();
        return Err(Error::format(&images.name, "dimensions", "3 (images, height, width)", found));
    };
    let set = ImageSet::new(name, (height, width), images.bytes)?;
    if set.len() != count {
        return Err(Error::format(&images.name, "number of images", count, set.len()));
    }
    let Some(labels) = labels else { return Ok(set) };
    if labels.shape.len() != 1 {
        return Err(Error::format(&labels.name, "dimensions", "1 (labels)", labels.shape.len()));
    }
    if labels.bytes.len() != count {
        let expected = format!("{count}, as many as images in {}", images.name);
        return Err(Error::format(&labels.name, "number of labels", expected, labels.bytes.len()));
    }
    set.with_labels(labels.bytes)
}
