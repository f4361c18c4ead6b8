//! The images of a folder or a file, and what is known about each of them.

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
    /// Name of the array in a NumPy archive (.npz)
    #[arg(long)]
    array: Option<String>,
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
        // Text has no bytes that mark it, so the name of the file counts.
        let is_table = path.extension().is_some_and(|extension| {
            ["csv", "tsv"].iter().any(|known| extension.eq_ignore_ascii_case(known))
        });
        Ok(match start.as_slice() {
            [0x93, b'N', b'U', b'M', ..] => Self::Npy,
            [b'P', b'K', 3 | 5, ..] => Self::Npz,
            _ if is_table && !start.starts_with(b"<") => Self::Csv,
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
        Ok(Loaded { images, classes, files })
    }

    fn file(&self, path: &Path) -> Result<Loaded, Failure> {
        let name = path.display().to_string();
        let images = match Kind::find(path)? {
            Kind::Npy => npy::load(path, self.shape)?,
            Kind::Npz => npz::load(path, self.array.as_deref(), self.shape)?,
            Kind::Csv => return self.table(path),
            Kind::Idx => idx::load_array(path)?.images(&name, self.shape)?,
        };
        Ok(Loaded { images, classes: vec![], files: vec![] })
    }

    /// One image per line, perhaps with a label.
    fn table(&self, path: &Path) -> Result<Loaded, Failure> {
        let mut table = csv::load(path, &CsvOptions::default())?;
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
}

/// Loads one label per image from a NumPy or IDX file.
pub(super) fn load_labels(path: &Path) -> Result<Vec<u8>, Failure> {
    Ok(match Kind::find(path)? {
        Kind::Npy => npy::load_labels(path)?,
        Kind::Npz => npz::load_labels(path, None)?,
        Kind::Csv | Kind::Idx => idx::load_array(path)?.labels()?,
    })
}
