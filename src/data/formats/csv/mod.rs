//! CSV tables of numbers (feature `csv`), with or without a header and a column of labels.
//!
//! Cells are separated by commas, semicolons or tabs, and may be in double quotes. The first line is the header if it has a
//! cell that is neither a number nor missing, or if it counts at least three columns: 0, 1, 2, ... or 1, 2, 3, ..., as pandas
//! and other programs write it for columns without names. A column of the header called `label` has the labels.
//!
//! The text is UTF-8, with or without a byte-order mark, plain or gzip. Every cell outside the column of labels must be
//! a finite number with a decimal point. Missing cells are refused, because only you know what should be in their place.
//!
//! Tables may be untrusted. Memory grows with the bytes that arrive, and gzip is limited as for [`idx`](super::idx).

mod cells;
mod first_line;
mod images;
mod read;

use crate::error::{Error, Result};
use ndarray::Array2;
use std::{fs::File, io::Read, path::Path};

/// How a table is read. The default detects everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CsvOptions {
    /// Separator of the cells. Default: a tab, semicolon or comma, the first of these that the first line has.
    pub delimiter: Option<u8>,
    /// `true` if the first line is a header. Default: it is one if it has a cell that is neither a number nor missing,
    /// or if it is 0, 1, 2, ... or 1, 2, 3, ... with at least three cells.
    pub header: Option<bool>,
    /// Column of labels: its name in the header or, in a table without one, its number from 1. Default: the column `label`
    /// of the header, if it exists.
    pub label: Option<String>,
}

/// A table of numbers.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Table {
    /// Name of the file or stream, for errors.
    pub name: String,
    /// The numbers, without the labels.
    pub rows: Array2<f32>,
    /// Names of the columns of `rows`. It is empty if there is no header.
    pub columns: Vec<String>,
    /// One label per row, if there is a column of labels.
    pub labels: Option<Vec<String>>,
}

/// Loads a table.
///
/// ```
/// use autoencoder::data::{Standardizer, csv::{self, CsvOptions}};
/// # let folder = tempfile::tempdir().expect("a scratch folder");
/// # let path = folder.path().join("iris.csv");
/// std::fs::write(&path, "length,width,species\n5.1,3.5,setosa\n7.0,3.2,versicolor\n").expect("space");
/// let options = CsvOptions { label: Some("species".to_owned()), ..CsvOptions::default() };
/// let table = csv::load(&path, &options)?;
/// assert_eq!((table.rows.dim(), table.columns.join(" ")), ((2, 2), "length width".to_owned()));
/// assert_eq!(table.labels.as_ref().map(|labels| labels.join(" ")), Some("setosa versicolor".to_owned()));
/// let scaled = Standardizer::fit(&table.rows)?.transform(&table.rows)?;
/// # assert_eq!(scaled.dim(), (2, 2));
/// # Ok::<(), autoencoder::Error>(())
/// ```
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Format`] if it is not a table of finite numbers, has no rows or lacks
/// the column of labels; the error names line and column. [`Error::Setting`] if the delimiter is a quote or the end of a
/// line.
pub fn load(path: impl AsRef<Path>, options: &CsvOptions) -> Result<Table> {
    let path = path.as_ref();
    let file = File::open(path).map_err(Error::io(path))?;
    read(file, &path.display().to_string(), options)
}

/// Reads a table from a stream as [`load`] does from a file. Errors call the stream `name`.
///
/// # Errors
/// As [`load`].
pub fn read(stream: impl Read, name: &str, options: &CsvOptions) -> Result<Table> {
    read::table(stream, name, options)
}
