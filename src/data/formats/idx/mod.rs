//! The IDX format of MNIST: arrays of numbers, plain or compressed with gzip.
//!
//! A file holds a magic number (0, 0, the type of the elements, the number of dimensions), the dimensions as big-endian
//! 32-bit integers, then the elements, also big-endian. Gzip is recognized by its first two bytes, whatever the name of
//! the file; several members in a row are one stream, and zeros behind the last one are ignored.
//!
//! [`load`] reads images [images, height, width] with one label each. For other files, there is
//! [`IdxArray::images`], which takes the shape of flat images, and [`IdxArray::labels`]. EMNIST's images are stored
//! column by column: [`ImageSet::transpose`] turns them upright.
//!
//! Files may be untrusted. Memory grows with the bytes that arrive, not with the sizes that a header claims. Gzip
//! can pack a gigabyte into a megabyte, so content of more than 16 MiB may inflate to at most 100 times its size (MNIST
//! inflates to 5 times). To read a file beyond that limit, decompress it first.

mod images;
mod labels;
mod read;
mod write;

pub(crate) use read::load_array_and_digest;
pub use read::{load_array, read_array};
pub use write::{Encoding, write_array};

use crate::{
    data::ImageSet,
    error::{Error, Result},
    files::{numbers::Element, write_atomic},
};
use std::path::Path;

const MAX_DIMENSIONS: u8 = 8;

/// An array of numbers with its dimensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdxArray {
    /// Name of the file or stream, for errors.
    pub name: String,
    /// The dimensions; the first one counts images or labels.
    pub shape: Vec<usize>,
    /// The elements in row-major order, each with the most significant byte first.
    pub bytes: Vec<u8>,
    element: Element,
}

impl IdxArray {
    /// Returns the type of the elements in NumPy's words, such as `uint8` or `float32`.
    pub fn type_name(&self) -> String {
        self.element.name()
    }
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
/// [`Error::Io`] if a file cannot be read; [`Error::Format`] if it is not an IDX file of images or labels, a value is not a
/// pixel or a label, there are no images, or the numbers of images and labels differ.
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

/// Saves one array of bytes in a file, which is [written atomically](write_atomic).
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

/// Makes a set of an array of images, `[images, height, width]` or in color, and optionally one of labels. See [`IdxArray::images`]
/// and [`IdxArray::labels`].
///
/// # Errors
/// [`Error::Format`] if one of these functions fails, or the numbers of images and labels differ.
pub fn image_set(name: &str, images: IdxArray, labels: Option<IdxArray>) -> Result<ImageSet> {
    let file = images.name.clone();
    let set = images.images(name, None)?;
    let Some(labels) = labels else { return Ok(set) };
    let (labels, labels_file) = (labels.labels()?, labels.name);
    if labels.len() != set.len() {
        let expected = format!("{}, as many as images in {file}", set.len());
        return Err(Error::format(&labels_file, "number of labels", expected, labels.len()));
    }
    set.with_labels(labels)
}
