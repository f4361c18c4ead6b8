use super::{
    elements::{element, rows_first},
    header::{elements, header},
};
use crate::{
    error::{Error, Result},
    files::write_atomic,
};
use ndarray::{Array2, ArrayRef2, CowArray};
use ndarray_npy::{
    WritableElement, WriteNpyExt,
    npy::header::{Header, Layout},
};
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// Loads rows of finite numbers, `[rows, features]`. Floats of 16, 32 or 64 bits and integers become f32, rounded where they
/// have to be. Further dimensions are joined: `[rows, 8, 8]` becomes `[rows, 64]`.
///
/// Bytes (`uint8`) are refused: in images, they mean `byte / 255`, in tables often the number itself. Load images with
/// [`load`](super::load), and convert tables with NumPy's `astype("float32")`.
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
/// let codes = model.encode(&digits::generate(5, 1)?.to_array()?)?;
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

/// Saves rows as [`save_rows`] does, block by block, so that they need not be in memory all at once.
///
/// ```
/// use autoencoder::{data::npy, ndarray::Array2};
/// # let folder = tempfile::tempdir().expect("a scratch folder");
/// # let path = folder.path().join("rows.npy");
/// let blocks = (0..3).map(|block| Ok(Array2::from_elem((100, 5), block as f32)));
/// npy::save_row_blocks(&path, (300, 5), blocks)?;
/// assert_eq!(npy::load_rows(&path)?[[299, 0]], 2.0);
/// # Ok::<(), autoencoder::Error>(())
/// ```
///
/// # Errors
/// The first error among the blocks. [`Error::Shape`] if the blocks do not have `shape` (rows, features) together;
/// [`Error::Io`] if the file cannot be written. After an error, there is no new file.
pub fn save_row_blocks(
    path: impl AsRef<Path>,
    shape: (usize, usize),
    blocks: impl IntoIterator<Item = Result<Array2<f32>>>,
) -> Result<()> {
    let header = Header {
        type_descriptor: f32::type_descriptor(),
        layout: Layout::Standard,
        shape: vec![shape.0, shape.1],
    };
    let mut failure = None;
    let written = write_atomic(path, |out| {
        header.write(&mut *out).map_err(io::Error::other)?;
        let mut rows = 0;
        for block in blocks {
            let block = block.and_then(|block| {
                rows += block.nrows();
                let fits = block.ncols() == shape.1 && rows <= shape.0;
                fits.then_some(block).ok_or_else(|| Error::shape("blocks of rows", shape, (rows, shape.1)))
            });
            let block = block.map_err(|error| stop(&mut failure, error))?;
            for value in &block {
                out.write_all(&value.to_ne_bytes())?;
            }
        }
        if rows < shape.0 {
            return Err(stop(&mut failure, Error::shape("blocks of rows", shape, (rows, shape.1))));
        }
        Ok(())
    });
    failure.map_or(written, Err)
}

/// Keeps an error, and returns one that ends the writing.
fn stop(failure: &mut Option<Error>, error: Error) -> io::Error {
    *failure = Some(error);
    io::Error::other("no more rows")
}

/// Reads rows from a stream as [`load_rows`] does from a file. Errors call the stream `name`.
///
/// # Errors
/// As [`load_rows`].
pub fn read_rows(mut stream: impl Read, name: &str) -> Result<Array2<f32>> {
    let header = header(&mut stream, name)?;
    let Some((&rows, features)) = header.shape.split_first().filter(|(_, features)| !features.is_empty())
    else {
        return Err(Error::format(name, "shape", "(rows, features)", format!("{:?}", header.shape)));
    };
    let element = element(name, &header)?;
    if element.is_byte() {
        let expected = "floats, or integers of more than 8 bits; convert by astype(\"float32\")";
        return Err(Error::format(name, "type of the elements", expected, "uint8"));
    }
    let bytes = elements(&mut stream, name, &header, element.size)?;
    let bytes = rows_first(name, &header, element.size, bytes)?;
    let numbers: Vec<f32> = bytes.chunks_exact(element.size).map(|b| element.number(b) as f32).collect();
    // The product of the dimensions after a 0 was never computed.
    let features =
        features.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim)).unwrap_or(usize::MAX);
    let rows = Array2::from_shape_vec((rows, features), numbers)
        .map_err(|error| Error::format(name, "shape", "a shape that fits in memory", error))?;
    match rows.indexed_iter().find(|(_, value)| !value.is_finite()) {
        Some(((row, column), value)) => {
            let found = format!("{value} at row {row}, column {column}");
            Err(Error::format(name, "number", "a finite f32", found))
        }
        None => Ok(rows),
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
    fn blocks_make_the_file_of_the_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (whole, parts) = (folder.path().join("whole.npy"), folder.path().join("parts.npy"));
        let rows = Array2::from_shape_fn((7, 3), |(row, column)| (row * 3 + column) as f32 / 7.0);
        save_rows(&whole, &rows).unwrap();
        let block = |range: std::ops::Range<usize>| Ok(rows.slice(ndarray::s![range, ..]).to_owned());
        save_row_blocks(&parts, (7, 3), [block(0..2), block(2..2), block(2..7)]).unwrap();
        assert_eq!(std::fs::read(&parts).unwrap(), std::fs::read(&whole).unwrap());
        for (shape, blocks) in [
            ((8, 3), vec![block(0..7)]),
            ((6, 3), vec![block(0..7)]),
            ((7, 2), vec![block(0..7)]),
            ((7, 3), vec![block(0..3), Err(Error::setting("x", 1, "2"))]),
        ] {
            let error = save_row_blocks(&parts, shape, blocks).unwrap_err();
            assert!(!matches!(error, Error::Io { .. }), "{error}");
            assert_eq!(load_rows(&parts).unwrap(), rows);
        }
        assert!(matches!(save_row_blocks("/nowhere/x.npy", (0, 3), []), Err(Error::Io { .. })));
    }

    #[test]
    fn files_without_rows_are_errors_that_say_so() {
        let rows = array![[1.0, 2.0], [3.0, 1e300]].into_dyn();
        for (file, expected) in [
            (bytes(&rows), "inf at row 1, column 1"),
            (bytes(&array![[0.0, f32::NAN]].into_dyn()), "NaN at row 0, column 1"),
            (bytes(&array![[1_u8, 2]].into_dyn()), "found uint8"),
            (bytes(&array![1.0, 2.0].into_dyn()), "(rows, features)"),
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
        for file in [array![[1.0, 2.0], [3.0, 4.0]].into_dyn(), array![[[1.0, 2.0]], [[3.0, 4.0]]].into_dyn()]
        {
            assert_eq!(read_rows(&*bytes(&file), "x").unwrap(), array![[1.0, 2.0], [3.0, 4.0]]);
        }
        let integers = array![[-1_i32, 7]].into_dyn();
        assert_eq!(read_rows(&*bytes(&integers), "x").unwrap(), array![[-1.0, 7.0]]);
    }
}
