//! The images of a folder or a file, and what is known about each of them.

use crate::cli::{self, Failure, files, say};
use autoencoder::{
    Error, ImageSet,
    data::{
        idx, npy,
        png::{self, Background},
    },
};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

/// How files are read.
#[derive(Debug, Args)]
pub(super) struct LoadFlags {
    /// Height and width, such as 32x24, of the images in a NumPy file [images, features]
    #[arg(long, value_parser = shape)]
    shape: Option<(usize, usize)>,
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

impl LoadFlags {
    /// Loads a folder or a file and says what was converted.
    pub fn load(&self, path: &Path) -> Result<Loaded, Failure> {
        let mut loaded = self.read(path)?;
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

    fn read(&self, path: &Path) -> Result<Loaded, Failure> {
        let no_shape = |expected| match self.shape {
            Some(shape) => Err(Error::Setting { name: "shape", value: format!("{shape:?}"), expected }),
            None => Ok(()),
        };
        if path.is_dir() {
            no_shape("no shape: PNG files state their own")?;
            let background = match self.background {
                Color::Black => Background::Black,
                Color::White => Background::White,
            };
            let png::Folder { images, classes, files, .. } = png::load_folder(path, background)?;
            if !classes.is_empty() {
                say(&format!("{} classes", classes.len()))?;
            }
            return Ok(Loaded { images, classes, files });
        }
        let one_file = |images| Loaded { images, classes: vec![], files: vec![] };
        if files::start(path)?.starts_with(b"\x93NUMPY") {
            return Ok(one_file(npy::load(path, self.shape)?));
        }
        no_shape("no shape: IDX files state their own")?;
        Ok(one_file(idx::image_set(&path.display().to_string(), read_idx(path)?, None)?))
    }
}

/// Loads one label per image from a NumPy or IDX file.
pub(super) fn load_labels(path: &Path) -> Result<Vec<u8>, Failure> {
    if files::start(path)?.starts_with(b"\x93NUMPY") {
        return Ok(npy::load_labels(path)?);
    }
    let labels = read_idx(path)?;
    if labels.shape.len() != 1 {
        let found = format!("{} dimensions", labels.shape.len());
        return Err(Error::Shape { what: "labels", expected: "1 dimension".to_owned(), found }.into());
    }
    Ok(labels.bytes)
}

fn read_idx(path: &Path) -> Result<idx::IdxArray, Failure> {
    Ok(idx::load_array(path)?)
}
