//! The IDX format of MNIST: arrays of bytes, plain or gzip.
//!
//! A file is a magic number (0, 0, 8 for bytes, the number of dimensions), the dimensions as big-endian 32-bit
//! integers, then the elements. Gzip is told by its first two bytes, not by the file's name.
//!
//! A header is never trusted: memory grows with the bytes that arrive, never with what a header claims. Nor is gzip,
//! which can pack a gigabyte into a megabyte: beyond 16 MiB it may inflate to 100 times its size (MNIST's to 5 times);
//! what does more is refused there, and can be decompressed before.

use crate::{
    atomic,
    data::ImageSet,
    error::{Error, Result},
    memory,
};
use byteorder::{BigEndian, ReadBytesExt, WriteBytesExt};
use flate2::{Compression, bufread::MultiGzDecoder, write::GzEncoder};
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
};

const MAX_DIMENSIONS: u8 = 8;
/// What gzip may always inflate to, in bytes.
const SMALL: u64 = 16 << 20;
/// How many times the bytes read gzip may inflate to beyond that. Deflate itself goes up to 1032.
const MAX_INFLATION: u64 = 100;

/// An array of bytes with its dimensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdxArray {
    /// Where it came from, for errors.
    pub name: String,
    /// The dimensions, the first counting items.
    pub shape: Vec<usize>,
    /// The elements, the last dimension running fastest.
    pub bytes: Vec<u8>,
}

/// Reads one array, plain or gzip, up to the stream's end. `name` stands for the stream in errors.
///
/// # Errors
/// [`Error::Format`] if the magic number, a dimension or the number of elements does not hold, or gzip is
/// damaged; [`Error::Io`] if the stream fails.
pub fn read(stream: impl Read, name: &str) -> Result<IdxArray> {
    let mut stream = BufReader::with_capacity(1 << 16, stream);
    let start = stream.fill_buf().map_err(Error::io(name))?;
    if start.starts_with(&[0x1f, 0x8b]) {
        read_plain(Inflate { decoder: MultiGzDecoder::new(Counted { stream, bytes: 0 }), bytes: 0 }, name)
    } else {
        read_plain(stream, name)
    }
}

/// Inflates gzip members in a row, up to a limit.
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

fn read_plain(mut stream: impl Read, name: &str) -> Result<IdxArray> {
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
        Error::format(name, "dimensions", "a product that fits memory", format_args!("{shape:?}"))
    })?;

    let bytes =
        memory::read(&mut stream, elements).map_err(truncated(name, "elements", "a readable stream"))?;
    if bytes.len() < elements {
        return Err(Error::format(name, "elements", elements, bytes.len()));
    }
    // A decoder checks gzip's CRC when it reaches the end, so the end is always read.
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

/// Turns a stream's error into one that names the field: what ends early or is damaged is the file's fault.
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
        _ => Error::Io { path: name.into(), source },
    }
}

/// How [`write()`] stores an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Plain,
    /// Compressed by gzip.
    Gzip,
}

/// Writes one array.
///
/// # Errors
/// [`Error::Shape`] if the elements are not as many as the dimensions say, there is no dimension or more than
/// eight, or one exceeds 32 bits; [`Error::Io`] if the stream fails. `name` stands for the stream in errors.
pub fn write(
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

/// Writes one array to a file that is there whole or not at all: a scratch file beside it is synced and renamed.
///
/// # Errors
/// As [`write()`].
pub fn save(path: impl AsRef<Path>, shape: &[usize], bytes: &[u8], encoding: Encoding) -> Result<()> {
    let path = path.as_ref();
    let mut file = Vec::new();
    write(&mut file, &path.display().to_string(), shape, bytes, encoding)?;
    atomic::write(path, |out| out.write_all(&file))
}

/// The magic number and the dimensions as they stand in a file.
pub(crate) fn header(shape: &[usize]) -> Result<Vec<u8>> {
    let dimensions = u8::try_from(shape.len()).ok().filter(|d| (1..=MAX_DIMENSIONS).contains(d));
    let dimensions = dimensions
        .ok_or_else(|| Error::setting("number of dimensions of an IDX array", shape.len(), "1 to 8"))?;
    let mut header = vec![0, 0, 8, dimensions];
    for &dimension in shape {
        let dimension = u32::try_from(dimension)
            .map_err(|_| Error::setting("dimension of an IDX array", dimension, "at most 2^32 - 1"))?;
        header.write_u32::<BigEndian>(dimension).map_err(Error::io("header"))?;
    }
    Ok(header)
}

/// Makes a data set of an array of images `[images, height, width]` and, if given, one of labels `[images]`.
///
/// # Errors
/// [`Error::Format`] if an array has another number of dimensions or there are not as many labels as images;
/// [`Error::Shape`] or [`Error::Setting`] if there are no images or no pixels in one.
pub fn dataset(name: &str, images: IdxArray, labels: Option<IdxArray>) -> Result<ImageSet> {
    let &[count, height, width] = images.shape.as_slice() else {
        let found = images.shape.len();
        return Err(Error::format(&images.name, "dimensions", "3 (images, height, width)", found));
    };
    let dataset = ImageSet::new(name, (height, width), images.bytes)?;
    if dataset.len() != count {
        return Err(Error::format(&images.name, "number of images", count, dataset.len()));
    }
    let Some(labels) = labels else { return Ok(dataset) };
    if labels.shape.len() != 1 {
        return Err(Error::format(&labels.name, "dimensions", "1 (labels)", labels.shape.len()));
    }
    if labels.bytes.len() != count {
        let expected = format!("{count}, as many as images in {}", images.name);
        return Err(Error::format(&labels.name, "number of labels", expected, labels.bytes.len()));
    }
    dataset.with_labels(labels.bytes)
}

/// Reads an array from a file, plain or gzip.
///
/// # Errors
/// As [`read`].
pub fn read_file(path: &Path) -> Result<IdxArray> {
    let file = File::open(path).map_err(Error::io(path))?;
    read(file, &path.display().to_string())
}

/// Reads a data set from files, plain or gzip.
///
/// # Errors
/// As [`read`] and [`dataset`].
///
/// ```no_run
/// use autoencoder::data::idx;
/// let leaves = idx::load("leaves", "leaves-images.idx3.gz", Some("leaves-labels.idx1.gz"))?;
/// # Ok::<(), autoencoder::Error>(())
/// ```
pub fn load<P: AsRef<Path>>(name: &str, images: P, labels: Option<P>) -> Result<ImageSet> {
    let labels = labels.map(|path| read_file(path.as_ref())).transpose()?;
    dataset(name, read_file(images.as_ref())?, labels)
}

/// Writes a data set to files that [`load`] reads: images and, where `labels` names a file, labels. Each file is there
/// whole or not at all.
///
/// ```
/// use autoencoder::data::{digits, idx::{self, Encoding}};
/// # let folder = tempfile::tempdir().unwrap();
/// # let (images, labels) = (folder.path().join("images-idx3-ubyte.gz"), folder.path().join("labels-idx1-ubyte.gz"));
/// let digits = digits::generate(10, 1)?;
/// idx::save_dataset(&digits, &images, Some(&labels), Encoding::Gzip)?;
/// assert_eq!(idx::load(digits.name(), &images, Some(&labels))?, digits);
/// # Ok::<(), autoencoder::Error>(())
/// ```
///
/// # Errors
/// As [`save`], and [`Error::Setting`] if `labels` names a file and there are no labels.
pub fn save_dataset<P: AsRef<Path>>(
    dataset: &ImageSet,
    images: P,
    labels: Option<P>,
    encoding: Encoding,
) -> Result<()> {
    let labels = match (labels, dataset.labels()) {
        (Some(path), None) => {
            let path = path.as_ref().display().to_string();
            return Err(Error::setting("file for labels", path, "none, for the data set has no labels"));
        }
        (path, labels) => path.zip(labels),
    };
    let (height, width) = dataset.image_shape();
    save(images, &[dataset.len(), height, width], dataset.pixels(), encoding)?;
    labels.map_or(Ok(()), |(path, labels)| save(path, &[labels.len()], labels, encoding))
}
