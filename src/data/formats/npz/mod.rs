//! NumPy's `.npz` archives (feature `npz`): several arrays in one ZIP file, compressed or not.
//!
//! An archive of one array is read without a name, and so are images if only one array can be images; a notice then names it.
//! Otherwise the error lists the arrays, as [`arrays`] does. A name may end with `.npy` and differ in case if only one array
//! is meant. Each array is read as the functions of [`npy`] read a file.
//!
//! Archives may be untrusted. Memory grows with the bytes that arrive, up to the size that the header of the array states;
//! deflate cannot pack more than 1,032 bytes into one. Names are only compared: nothing is extracted to the disk.

mod archive;

use super::npy;
use crate::{
    data::ImageSet,
    error::{Error, Result},
};
use archive::Archive;
use ndarray::Array2;
use std::{
    fmt,
    fs::File,
    io::{Read, Seek},
    path::Path,
};

/// An array of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArrayInfo {
    /// Name of the array, as in `numpy.load(path)[name]`.
    pub name: String,
    /// Dimensions of the array.
    pub shape: Vec<usize>,
    /// Type of the elements in NumPy's words, such as `uint8`.
    pub type_name: String,
}

/// Formats an array as in `x_train (60000, 28, 28) uint8`.
impl fmt::Display for ArrayInfo {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let shape: Vec<_> = self.shape.iter().map(usize::to_string).collect();
        let comma = if shape.len() == 1 { "," } else { "" };
        write!(f, "{} ({}{comma}) {}", archive::printable(&self.name), shape.join(", "), self.type_name)
    }
}

/// Lists the arrays of an archive, in the order of the file.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Format`] if it is not an NPZ file.
pub fn arrays(path: impl AsRef<Path>) -> Result<Vec<ArrayInfo>> {
    open(path.as_ref())?.infos()
}

/// Loads images as [`npy::load`] does. `array` names the array; `None` means the only one, or the only one that can be images.
///
/// ```
/// use autoencoder::data::npz;
/// # use autoencoder::data::{digits, npy};
/// # use std::{fs, io::{self, Write}};
/// # let folder = tempfile::tempdir().expect("a scratch folder");
/// # let (path, one) = (folder.path().join("mnist.npz"), folder.path().join("one.npy"));
/// # let digits = digits::generate(10, 1)?;
/// # npy::save(&one, &digits)?;
/// # let mut archive = zip::ZipWriter::new(fs::File::create(&path).expect("a file"));
/// # for name in ["x_train.npy", "x_test.npy"] {
/// #     archive.start_file(name, zip::write::SimpleFileOptions::default()).expect("an entry");
/// #     archive.write_all(&fs::read(&one).expect("bytes")).expect("space");
/// # }
/// # archive.finish().expect("space");
/// assert_eq!(npz::arrays(&path)?[0].to_string(), "x_train (10, 28, 28) uint8");
/// let images = npz::load(&path, Some("x_train"), None)?;
/// # assert_eq!(images.pixels(), digits.pixels());
/// # Ok::<(), autoencoder::Error>(())
/// ```
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Format`] if it is not an NPZ file, there is no such array or no name
/// and several arrays, or the array is not one of images.
pub fn load(path: impl AsRef<Path>, array: Option<&str>, shape: Option<(usize, usize)>) -> Result<ImageSet> {
    open(path.as_ref())?.images(array, shape)
}

/// Loads rows of finite numbers as [`npy::load_rows`] does. `array` names the array; `None` means the only one.
///
/// # Errors
/// As [`load`]; the array must be one of rows.
pub fn load_rows(path: impl AsRef<Path>, array: Option<&str>) -> Result<Array2<f32>> {
    open(path.as_ref())?.read(array, |stream, name| npy::read_rows(stream, name))
}

/// Loads labels as [`npy::load_labels`] does. `array` names the array; `None` means the only one.
///
/// # Errors
/// As [`load`]; the array must be one of labels.
pub fn load_labels(path: impl AsRef<Path>, array: Option<&str>) -> Result<Vec<u8>> {
    open(path.as_ref())?.read(array, |stream, name| npy::read_labels(stream, name))
}

/// Lists the arrays of a stream as [`arrays`] does those of a file. Errors call the stream `name`.
///
/// # Errors
/// As [`arrays`].
pub fn read_arrays(stream: impl Read + Seek, name: &str) -> Result<Vec<ArrayInfo>> {
    Archive::new(stream, name)?.infos()
}

/// Reads images from a stream as [`load`] does from a file. Errors call the stream `name`.
///
/// # Errors
/// As [`load`].
pub fn read(
    stream: impl Read + Seek,
    name: &str,
    array: Option<&str>,
    shape: Option<(usize, usize)>,
) -> Result<ImageSet> {
    Archive::new(stream, name)?.images(array, shape)
}

fn open(path: &Path) -> Result<Archive<File>> {
    Archive::new(File::open(path).map_err(Error::io(path))?, &path.display().to_string())
}
