use super::{
    elements::{element, rows_first},
    header::{elements, header},
};
use crate::{
    error::{Error, Result},
    files::{memory, write_atomic},
};
use ndarray::{ArrayD, ArrayView1, ArrayViewD, IxDyn};
use ndarray_npy::WriteNpyExt;
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// Loads integers of any type and shape, `bool` included.
///
/// ```
/// use autoencoder::{data::npy, ndarray::array};
/// # let folder = tempfile::tempdir().expect("a scratch folder");
/// # let path = folder.path().join("counts.npy");
/// let counts = array![[1, -2], [3, i64::MAX]].into_dyn();
/// npy::save_integers(&path, counts.view())?; // in Python: numpy.load("counts.npy"), int64
/// assert_eq!(npy::load_integers(&path)?, counts);
/// # Ok::<(), autoencoder::Error>(())
/// ```
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Format`] if it is not an NPY file of integers, or one exceeds the range
/// of i64.
pub fn load_integers(path: impl AsRef<Path>) -> Result<ArrayD<i64>> {
    let path = path.as_ref();
    let file = File::open(path).map_err(Error::io(path))?;
    read_integers(file, &path.display().to_string())
}

/// Saves integers as `int64`. The file is [written atomically](write_atomic).
///
/// # Errors
/// [`Error::Io`] if the file cannot be written.
pub fn save_integers(path: impl AsRef<Path>, integers: ArrayViewD<i64>) -> Result<()> {
    // The writer panics on an empty view with non-standard strides.
    let integers = integers.as_standard_layout();
    write_atomic(path, |out| integers.write_npy(out).map_err(io::Error::other))
}

/// Loads one label per row, `[rows]` or `[rows, 1]`: integers of any type from 0 to 255.
///
/// ```
/// use autoencoder::data::npy;
/// # let folder = tempfile::tempdir().expect("a scratch folder");
/// # let path = folder.path().join("labels.npy");
/// npy::save_labels(&path, &[3, 1, 255])?;
/// assert_eq!(npy::load_labels(&path)?, [3, 1, 255]);
/// # Ok::<(), autoencoder::Error>(())
/// ```
///
/// # Errors
/// As [`load_integers`]; the range is that of a label.
pub fn load_labels(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    let path = path.as_ref();
    let file = File::open(path).map_err(Error::io(path))?;
    read_labels(file, &path.display().to_string())
}

/// Saves labels as `uint8` `[rows]`. The file is [written atomically](write_atomic).
///
/// # Errors
/// [`Error::Io`] if the file cannot be written.
pub fn save_labels(path: impl AsRef<Path>, labels: &[u8]) -> Result<()> {
    write_atomic(path, |out| ArrayView1::from(labels).write_npy(out).map_err(io::Error::other))
}

/// Reads integers from a stream as [`load_integers`] does from a file. Errors call the stream `name`.
///
/// # Errors
/// As [`load_integers`].
pub fn read_integers(mut stream: impl Read, name: &str) -> Result<ArrayD<i64>> {
    let header = header(&mut stream, name)?;
    let element = element(name, &header)?;
    if !element.is_integer() {
        return Err(Error::format(name, "type of the elements", "integers", element.name()));
    }
    let bytes = elements(&mut stream, name, &header, element.size)?;
    let bytes = rows_first(name, &header, element.size, bytes)?;
    let count = bytes.len() / element.size;
    memory::check("integers", count, count.checked_mul(2))?;
    let integer = |(index, bytes): (usize, &[u8])| {
        let integer = element.integer(bytes);
        i64::try_from(integer).map_err(|_| {
            Error::format(name, "integer", "at most 2^63 - 1", format!("{integer} at element {index}"))
        })
    };
    let integers = bytes.chunks_exact(element.size).enumerate().map(integer).collect::<Result<Vec<_>>>()?;
    ArrayD::from_shape_vec(IxDyn(&header.shape), integers)
        .map_err(|error| Error::format(name, "shape", "a shape that fits in memory", error))
}

/// Reads labels from a stream as [`load_labels`] does from a file. Errors call the stream `name`.
///
/// # Errors
/// As [`load_labels`].
pub fn read_labels(stream: impl Read, name: &str) -> Result<Vec<u8>> {
    let integers = read_integers(stream, name)?;
    let rows = integers.shape().first().copied().unwrap_or(0);
    if integers.ndim() == 0 || integers.len() != rows {
        let found = format!("{:?}", integers.shape());
        return Err(Error::format(name, "shape", "(rows), one label each", found));
    }
    let label = |(row, &label): (usize, &i64)| {
        let found =
            || Error::format(name, "label", "an integer from 0 to 255", format!("{label} at row {row}"));
        u8::try_from(label).map_err(|_| found())
    };
    integers.iter().enumerate().map(label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array, Dimension, ShapeBuilder, array};
    use ndarray_npy::WritableElement;

    fn bytes<A: WritableElement, D: Dimension>(array: &Array<A, D>) -> Vec<u8> {
        let mut bytes = Vec::new();
        array.write_npy(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn every_type_of_integer_is_read() {
        let expected = array![[0, 1, 1], [1, 0, 100]].into_dyn();
        let mut columns_first = Array::zeros((2, 3).f());
        columns_first.assign(&array![[0_i32, 1, 1], [1, 0, 100]]);
        for file in [
            bytes(&expected),
            bytes(&expected.mapv(|x| x as u8)),
            bytes(&expected.mapv(|x| x as i8)),
            bytes(&expected.mapv(|x| x as u16)),
            bytes(&expected.mapv(|x| x as u64)),
            bytes(&columns_first),
        ] {
            assert_eq!(read_integers(&file[..], "x").unwrap(), expected);
        }
        let truths = bytes(&array![true, false]);
        assert_eq!(read_integers(&truths[..], "x").unwrap(), array![1, 0].into_dyn());
        let empty = bytes(&Array::<i64, _>::zeros((0, 3)));
        assert_eq!(read_integers(&empty[..], "x").unwrap().shape(), [0, 3]);
    }

    #[test]
    fn what_is_no_integer_or_label_is_an_error() {
        let error = read_integers(&*bytes(&array![1_u64, u64::MAX]), "x.npy").unwrap_err().to_string();
        assert!(error.contains("18446744073709551615 at element 1"), "{error}");
        let error = read_integers(&*bytes(&array![1.0]), "x.npy").unwrap_err().to_string();
        assert!(error.contains("expected integers, found float64"), "{error}");
        let file = bytes(&array![1_u64, 2]);
        for length in 0..file.len() {
            assert!(read_integers(&file[..length], "x").is_err(), "{length} bytes");
        }

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.npy");
        for (labels, expected) in [
            (array![1, 256].into_dyn(), "256 at row 1"),
            (array![-1].into_dyn(), "-1 at row 0"),
            (array![[1, 0], [0, 1]].into_dyn(), "one label each, found [2, 2]"),
            (Array::from_elem((), 1).into_dyn(), "one label each, found []"),
        ] {
            save_integers(&path, labels.view()).unwrap();
            let error = load_labels(&path).unwrap_err().to_string();
            assert!(error.contains("labels.npy: ") && error.contains(expected), "{error}");
        }
        save_integers(&path, array![[1], [7]].into_dyn().view()).unwrap();
        assert_eq!(load_labels(&path).unwrap(), [1, 7]);
        save_integers(&path, Array::zeros((0, 2)).into_dyn().view().reversed_axes()).unwrap();
        assert_eq!(load_integers(&path).unwrap().shape(), [2, 0]);
    }
}
