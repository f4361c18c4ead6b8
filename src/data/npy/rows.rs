use super::{element, elements, header};
use crate::{
    atomic,
    data::ImageSet,
    error::{Error, Result},
};
use ndarray::{Array2, ArrayView2, ArrayView3, CowArray, ShapeBuilder};
use ndarray_npy::{WriteNpyExt, npy::header::Layout};
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// Reads rows `[rows, features]` of any finite numbers, of `float32` or `float64` (rounded to f32).
///
/// # Errors
/// [`Error::Format`] if the bytes are not such a file, or a number is not finite as f32. `name` stands for the file.
pub fn read_rows(bytes: &[u8], name: &str) -> Result<Array2<f32>> {
    read_rows_from(bytes, name)
}

/// Reads rows from a file, as [`read_rows`] does.
///
/// # Errors
/// As [`read_rows`], and [`Error::Io`] if the file cannot be read.
pub fn load_rows(path: impl AsRef<Path>) -> Result<Array2<f32>> {
    let path = path.as_ref();
    let file = File::open(path).map_err(Error::io(path))?;
    read_rows_from(file, &path.display().to_string())
}

fn read_rows_from(mut stream: impl Read, name: &str) -> Result<Array2<f32>> {
    let header = header(&mut stream, name)?;
    let &[rows, features] = header.shape.as_slice() else {
        return Err(Error::format(name, "shape", "(rows, features)", format!("{:?}", header.shape)));
    };
    // Bytes are no numbers of a size of their own: images count them as shares of 255.
    let (size, decode) = element(&header).filter(|(size, _)| *size > 1).ok_or_else(|| {
        let found = &header.type_descriptor;
        Error::format(name, "type of the elements", "float32 or float64", found)
    })?;
    let bytes = elements(&mut stream, name, &header, size)?;
    let shape = (rows, features).set_f(header.layout == Layout::Fortran);
    let rows = Array2::from_shape_vec(shape, bytes.chunks_exact(size).map(decode).collect())
        .map_err(|error| Error::format(name, "shape", "that of rows", error))?;
    match rows.indexed_iter().find(|(_, value)| !value.is_finite()) {
        Some(((row, column), value)) => {
            let found = format!("{value} at row {row}, column {column}");
            Err(Error::format(name, "number", "a finite f32", found))
        }
        None => Ok(rows.as_standard_layout().into_owned()),
    }
}

/// Writes rows, codes or reconstructions for instance, as `float32` `[rows, features]`. The file is there whole or not
/// at all.
///
/// ```
/// use autoencoder::{Autoencoder, data::{digits, npy}};
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("codes.npy");
/// let model = Autoencoder::builder(784).code(10).build()?;
/// let codes = model.encode(digits::generate(5, 1)?.to_array().view())?;
/// npy::save_rows(&path, codes.view())?; // numpy.load("codes.npy")
/// assert_eq!(npy::load_rows(&path)?, codes);
/// # Ok::<(), autoencoder::Error>(())
/// ```
///
/// # Errors
/// [`Error::Io`] if the file cannot be written.
pub fn save_rows(path: impl AsRef<Path>, rows: ArrayView2<f32>) -> Result<()> {
    // Of a view without elements whose strides are another array's the writer would panic.
    let rows = if rows.is_empty() { Array2::zeros(rows.dim()).into() } else { CowArray::from(rows) };
    atomic::write(path.as_ref(), |out| rows.write_npy(out).map_err(io::Error::other))
}

/// Writes images as `uint8` `[images, height, width]`, without their labels. The file is there whole or not at all.
///
/// # Errors
/// [`Error::Io`] if the file cannot be written.
pub fn save(path: impl AsRef<Path>, images: &ImageSet) -> Result<()> {
    let (height, width) = images.image_shape();
    let pixels = ArrayView3::from_shape((images.len(), height, width), images.pixels());
    atomic::write(path.as_ref(), |out| {
        pixels.map_err(io::Error::other)?.write_npy(out).map_err(io::Error::other)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::npy;
    use ndarray::array;
    use std::fs;

    fn bytes<A: ndarray_npy::WritableElement>(array: &ndarray::ArrayD<A>) -> Vec<u8> {
        let mut bytes = Vec::new();
        array.write_npy(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn rows_come_back_bit_for_bit_from_any_layout() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.npy");
        let rows = array![[1.5, -0.0, 1e-45], [f32::MAX, -3.25, 0.1]];
        for view in
            [rows.view(), rows.t(), rows.slice(ndarray::s![.., ..;2]), rows.slice(ndarray::s![..0, ..])]
        {
            save_rows(&path, view).unwrap();
            let found = load_rows(&path).unwrap();
            assert_eq!(found.dim(), view.dim());
            assert!(found.iter().zip(view).all(|(a, b)| a.to_bits() == b.to_bits()));
        }
        assert!(matches!(save_rows("/nowhere/rows.npy", rows.view()), Err(Error::Io { .. })));
    }

    #[test]
    fn images_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images.npy");
        let name = path.display().to_string();
        let images = ImageSet::new(name, (2, 3), (0..24).collect()).unwrap();
        save(&path, &images).unwrap();
        assert_eq!(npy::load(&path, None).unwrap(), images);
        assert!(fs::read(&path).unwrap().windows(12).any(|part| part == b"'descr': '|u"));
    }

    #[test]
    fn what_are_not_rows_is_an_error_that_says_so() {
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
            (b"rows".to_vec(), "NPY's"),
        ] {
            let error = read_rows(&file, "x.npy").unwrap_err().to_string();
            assert!(error.starts_with("x.npy: ") && error.contains(expected), "{expected}: {error}");
        }
        let file = bytes(&rows);
        for length in 0..file.len() {
            assert!(read_rows(&file[..length], "x.npy").is_err(), "{length} bytes");
        }
        assert_eq!(read_rows(&bytes(&array![[1.0, 2.0]].into_dyn()), "x").unwrap(), array![[1.0, 2.0]]);
    }
}
