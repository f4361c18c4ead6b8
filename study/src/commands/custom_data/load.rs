//! The images of a folder or a file, and what is known about each of them.

use super::order::{self, Order};
use crate::cli::{self, Failure, files, say};
use autoencoder::{
    Error, ImageSet,
    data::{
        csv::{self, CsvOptions},
        idx, npy, npz,
        png::{self, Background},
    },
};
use clap::{Args, ValueEnum};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// How files are read.
#[derive(Debug, Args)]
pub(super) struct LoadFlags {
    /// Height and width, such as 32x24, of images that are stored as flat rows
    #[arg(long, value_parser = shape)]
    shape: Option<(usize, usize)>,
    /// Name of the images in a NumPy archive (.npz)
    #[arg(long)]
    array: Option<String>,
    /// Name of the labels in a NumPy archive (.npz)
    #[arg(long)]
    label_array: Option<String>,
    /// Column of the labels in a table: its name, or its number from 1 if there is no header [default: `label`]
    #[arg(long)]
    label_column: Option<String>,
    /// Order of the images of a folder, if --labels or --targets is one file [default: text]
    #[arg(long, value_enum)]
    pub order: Option<Order>,
    /// Exchanges rows and columns of each image, as EMNIST's files need
    #[arg(long)]
    transpose: bool,
    /// Converts color to gray
    #[arg(long)]
    gray: bool,
    /// Color behind the transparent pixels of PNG files
    #[arg(long, value_enum, default_value = "black")]
    background: Color,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    Black,
    White,
}

impl From<Color> for Background {
    fn from(color: Color) -> Self {
        match color {
            Color::Black => Self::Black,
            Color::White => Self::White,
        }
    }
}

fn shape(text: &str) -> Result<(usize, usize), String> {
    let sides = text.split_once('x').ok_or("expected HEIGHTxWIDTH, such as 32x24")?;
    let side = |text: &str| text.parse().map_err(|error| format!("`{text}`: {error}"));
    Ok((side(sides.0)?, side(sides.1)?))
}

/// Images with the names that they have in a folder.
pub(super) struct Loaded {
    pub images: ImageSet,
    /// Names of classes by label; empty if there are none.
    pub classes: Vec<String>,
    /// The file of each image; empty if they are in one file.
    pub files: Vec<PathBuf>,
}

/// The kinds of files, recognized by their first bytes.
enum Kind {
    Npy,
    Npz,
    Csv,
    Idx,
}

impl Kind {
    fn find(path: &Path) -> Result<Self, Failure> {
        let start = files::start(path)?;
        Ok(match start.as_slice() {
            [0x93, b'N', b'U', b'M', ..] => Self::Npy,
            [b'P', b'K', 3 | 5, ..] => Self::Npz,
            // IDX begins with zeros, a table with a number, a quote, a name or a byte-order mark.
            [0x20..=0x7e | b'\t' | b'\r' | b'\n', ..] | [0xef, 0xbb, 0xbf, ..]
                if !start.starts_with(b"<") =>
            {
                Self::Csv
            }
            _ => Self::Idx,
        })
    }
}

impl LoadFlags {
    /// Loads a folder or a file and says what was converted.
    pub fn load(&self, path: &Path) -> Result<Loaded, Failure> {
        let mut loaded = if path.is_dir() { self.folder(path)? } else { self.file(path)? };
        loaded.images.notices().iter().try_for_each(|notice| say(notice))?;
        if self.transpose {
            loaded.images = loaded.images.transpose();
        }
        if self.gray && loaded.images.channels() > 1 {
            loaded.images = loaded.images.into_gray();
            say(&format!("{}: color was converted to gray", path.display()))?;
        }
        cli::warn_if_blank(&loaded.images);
        Ok(loaded)
    }

    fn folder(&self, path: &Path) -> Result<Loaded, Failure> {
        if let Some(shape) = self.shape {
            let (value, expected) = (format!("{shape:?}"), "no shape: PNG files state their own");
            return Err(Error::Setting { name: "shape", value, expected }.into());
        }
        let png::Folder { images, classes, files, .. } = png::load_folder(path, self.background.into())?;
        if !classes.is_empty() {
            say(&format!("{}: {} classes", path.display(), classes.len()))?;
        }
        if self.order != Some(Order::Number) {
            return Ok(Loaded { images, classes, files });
        }
        let order = order::by_number(&files);
        let files = order.iter().map(|&row| files[row].clone()).collect();
        Ok(Loaded { images: images.select(&order)?, classes, files })
    }

    fn file(&self, path: &Path) -> Result<Loaded, Failure> {
        let name = path.display().to_string();
        let kind = Kind::find(path)?;
        if let Some(array) = self.array.as_ref().filter(|_| !matches!(kind, Kind::Npz)) {
            let expected = "no name: only archives (.npz) have several arrays";
            return Err(Error::Setting { name: "array", value: array.clone(), expected }.into());
        }
        let images = match kind {
            Kind::Npy => npy::load(path, self.shape)?,
            Kind::Npz => npz::load(path, self.array.as_deref(), self.shape)?,
            Kind::Csv => return self.table(path),
            Kind::Idx => idx::load_array(path)?.images(&name, self.shape)?,
        };
        Ok(Loaded { images, classes: vec![], files: vec![] })
    }

    /// One image per line, perhaps with a label.
    fn table(&self, path: &Path) -> Result<Loaded, Failure> {
        let options = CsvOptions { label: self.label_column.clone(), ..CsvOptions::default() };
        let mut table = csv::load(path, &options)?;
        let Some(shape) = self.shape else {
            let found = format!("{} numbers per line", table.rows.ncols());
            let expected = "the height and width of the images (--shape)".to_owned();
            return Err(Error::Format { file: table.name, field: "shape", expected, found }.into());
        };
        // The table understands numbers as labels; names become numbers here.
        let names =
            table.labels.take_if(|labels| labels.iter().any(|label| label.trim().parse::<u8>().is_err()));
        let images = table.images(&table.name, shape)?;
        let Some(names) = names else {
            return Ok(Loaded { images, classes: vec![], files: vec![] });
        };
        let classes: Vec<String> = names.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect();
        if classes.len() > usize::from(u8::MAX) + 1 {
            let (expected, found) = ("at most 256 different ones".to_owned(), classes.len().to_string());
            return Err(Error::Data { what: "labels", expected, found }.into());
        }
        let number = |name: &String| classes.binary_search(name).unwrap_or_default() as u8;
        let images = images.with_labels(names.iter().map(number).collect())?;
        Ok(Loaded { images, classes, files: vec![] })
    }

    /// Loads one label per image from a NumPy or IDX file, or from the only column of a table.
    pub fn labels(&self, path: &Path) -> Result<Vec<u8>, Failure> {
        Ok(match Kind::find(path)? {
            Kind::Npy => npy::load_labels(path)?,
            Kind::Npz => self.labels_of_archive(path)?,
            Kind::Csv => labels_of_table(path)?,
            Kind::Idx => idx::load_array(path)?.labels()?,
        })
    }

    fn labels_of_archive(&self, path: &Path) -> Result<Vec<u8>, Failure> {
        let labels = npz::load_labels(path, self.label_array.as_deref());
        Ok(labels.map_err(|error| match error {
            Error::Format { file, field: "array", expected, found } => {
                let expected = expected.replace("--array", "--label-array");
                Error::Format { file, field: "array", expected, found }
            }
            error => error,
        })?)
    }
}

fn labels_of_table(path: &Path) -> Result<Vec<u8>, Failure> {
    let table = csv::load(path, &CsvOptions::default())?;
    let wrong = |field, expected: &str, found: String| {
        Error::Format { file: table.name.clone(), field, expected: expected.to_owned(), found }.into()
    };
    let texts: Vec<String> = match &table.labels {
        Some(labels) => labels.clone(),
        None if table.rows.ncols() == 1 => table.rows.iter().map(f32::to_string).collect(),
        None => {
            let found = format!("{} columns", table.rows.ncols());
            return Err(wrong(
                "labels",
                "one column of integers, or a column with the header `label`",
                found,
            ));
        }
    };
    let label = |(row, text): (usize, &String)| {
        text.trim()
            .parse()
            .map_err(|_| wrong("label", "an integer from 0 to 255", format!("{text} in row {row}")))
    };
    texts.iter().enumerate().map(label).collect()
}
