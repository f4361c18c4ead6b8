use super::header::{element, elements, header};
use crate::{
    error::{Error, Result},
    files::write_atomic,
};
use ndarray::{Array2, ArrayRef2, CowArray, ShapeBuilder};
use ndarray_npy::{WriteNpyExt, npy::header::Layout};
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// Loads rows of finite numbers, `[rows, features]`, of type `float32` or `float64`, which is rounded to f32.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Format`] if it is not an NPY file of rows or a number is not finite
/// as f32.
pub fn load_rows(path: impl AsRef<Path>) -> Result<Array2<f32>> {
    let path = path.as_ref();
    let file = File::open(path).map_err(Error::io(path))?;
    read_rows(file, &path.display().to_string())
}

/// Saves rows, such as codes or reconstructions, as `float32` `[rows, features]`. The file is
/// [written atomically](write_atomic).
///
/// ```
/// use autoencoder::{Autoencoder, data::{digits, npy}};
/// # let folder = tempfile::tempdir().expect("a scratch folder");
/// # let path = folder.path().join("codes.npy");
/// let model = Autoencoder::builder(784).code(10).build()?;
/// let codes = model.encode(&digits::generate(5, 1)?.to_array())?;
/// npy::save_rows(&path, &codes)?; // in Python: numpy.load("codes.npy")
/// assert_eq!(npy::load_rows(&path)?, codes);
/// # Ok::<(), autoencoder::Error>(())
/// ```
///
/// # Errors
/// [`Error::Io`] if the file cannot be written.
pub fn save_rows(path: impl AsRef<Path>, rows: &ArrayRef2<f32>) -> Result<()> {
    // The writer panics on an empty view with non-standard strides.
    let rows = if rows.is_empty() { Array2::zeros(rows.dim()).into() } else { CowArray::from(rows.view()) };
    write_atomic(path, |out| rows.write_npy(out).map_err(io::Error::other))
}

/// Reads rows from a stream as [`load_rows`] does from a file. Errors call the stream `name`.
///
/// # Errors
/// As [`load_rows`].
pub fn read_rows(mut stream: impl Read, name: &str) -> Result<Array2<f32>> {
    let header = header(&mut stream, name)?;
    let &[rows, features] = header.shape.as_slice() else {
        return Err(Error::format(name, "shape", "(rows, features)", format!("{:?}", header.shape)));
    };
    // In images a byte means value/255, so the scale of `uint8` rows would be ambiguous.
    let (size, decode) = element(&header).filter(|(size, _)| *size > 1).ok_or_else(|| {
        let found = &header.type_descriptor;
        Error::format(name, "type of the elements", "float32 or float64", found)
    })?;
    let bytes = elements(&mut stream, name, &header, size)?;
    let shape = (rows, features).set_f(header.layout == Layout::Fortran);
    let rows = Array2::from_shape_vec(shape, bytes.chunks_exact(size).map(decode).collect())
        .map_err(|error| Error::format(name, "shape", "a shape that fits in memory", error))?;
    match rows.indexed_iter().find(|(_, value)| !value.is_finite()) {
        Some(((row, column), value)) => {
            let found = format!("{value} at row {row}, column {column}");
            Err(Error::format(name, "number", "a finite f32", found))
        }
        None => Ok(rows.as_standard_layout().into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn bytes<A: ndarray_npy::WritableElement>(array: &ndarray::ArrayD<A>) -> Vec<u8> {
        let mut bytes = Vec::new();
        array.write_npy(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn rows_round_trip_exactly_from_any_layout() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.npy");
        let rows = array![[1.5, -0.0, 1e-45], [f32::MAX, -3.25, 0.1]];
        for view in
            [rows.view(), rows.t(), rows.slice(ndarray::s![.., ..;2]), rows.slice(ndarray::s![..0, ..])]
        {
            save_rows(&path, &view).unwrap();
            let found = load_rows(&path).unwrap();
            assert_eq!(found.dim(), view.dim());
            assert!(found.iter().zip(view).all(|(a, b)| a.to_bits() == b.to_bits()));
        }
        assert!(matches!(save_rows("/nowhere/rows.npy", &rows), Err(Error::Io { .. })));
    }

    #[test]
    fn files_without_rows_are_errors_that_say_so() {
        let rows = array![[1.0, 2.0], [3.0, 1e300]].into_dyn();
        for (file, expected) in [
            (bytes(&rows), "inf at row 1, column 1"),
            (bytes(&array![[0.0, f32::NAN]].into_dyn()), "NaN at row 0, column 1"),
            (bytes(&array![[1_u8, 2]].into_dyn()), "|u1"),
            (bytes(&array![[1_i32, 2]].into_dyn()), "<i4"),
            (bytes(&array![1.0, 2.0].into_dyn()), "(rows, features)"),
            (bytes(&array![[[1.0]]].into_dyn()), "(rows, features)"),
            ([&bytes(&rows)[..], &[0]].concat(), "nothing after"),
            (b"\x93NUMPY\x02\0\xff\xff\xff\xff   ".to_vec(), "header"),
            (b"rows".to_vec(), "found text"),
        ] {
            let error = read_rows(&file[..], "x.npy").unwrap_err().to_string();
            assert!(error.starts_with("x.npy: ") && error.contains(expected), "{expected}: {error}");
        }
        let file = bytes(&rows);
        for length in 0..file.len() {
            assert!(read_rows(&file[..length], "x.npy").is_err(), "{length} bytes");
        }
        assert_eq!(read_rows(&*bytes(&array![[1.0, 2.0]].into_dyn()), "x").unwrap(), array![[1.0, 2.0]]);
    }
}
