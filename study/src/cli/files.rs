//! Writing the result files.

use super::Failure;
use autoencoder::{Error, data::ImageSet, ndarray::Array2, train::History};
use serde::Serialize;
use std::{
    env, fs,
    io::{self, Read},
    path::Path,
};
use tempfile::TempDir;

/// Columns of `history.csv`. Validation uses the test images, which are noisy if the run has noise.
pub const HISTORY_COLUMNS: [&str; 10] = [
    "epoch",
    "loss",
    "data_loss",
    "mse",
    "psnr_db",
    "images_per_second",
    "seconds",
    "validation_mse",
    "validation_psnr_mean_db",
    "validation_psnr_pooled_db",
];

/// Returns one row per epoch.
pub fn history_rows(history: &History) -> impl Iterator<Item = Vec<String>> {
    history.epochs.iter().map(|record| {
        let validation = record.validation.map(|validation| validation.output);
        let training = [
            record.loss,
            record.data_loss,
            record.mse,
            record.psnr_db,
            record.rows_per_second,
            record.seconds,
        ];
        let mut row = vec![record.epoch.to_string()];
        row.extend(training.map(|figure| figure.to_string()));
        let figures = validation.map(|q| [q.mse, q.psnr_mean_db, q.psnr_pooled_db].map(|x| x.to_string()));
        row.extend(figures.unwrap_or_default());
        row
    })
}

/// Writes the history of a run as `history.csv`.
pub fn write_history(out: &Path, history: &History) -> Result<(), Failure> {
    write_csv(&out.join("history.csv"), &HISTORY_COLUMNS, history_rows(history))
}

/// Writes a table as CSV.
pub fn write_csv(
    path: &Path,
    columns: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
) -> Result<(), Failure> {
    let write = || -> csv::Result<()> {
        let mut file = csv::Writer::from_path(path)?;
        file.write_record(columns)?;
        rows.into_iter().try_for_each(|row| file.write_record(row))?;
        Ok(file.flush()?)
    };
    write().map_err(|error| failure(path)(io::Error::other(error)))
}

/// Writes a value as JSON.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Failure> {
    let json = serde_json::to_string_pretty(value).map_err(io::Error::from).map_err(failure(path))?;
    fs::write(path, json + "\n").map_err(failure(path))
}

/// Reads a file.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(failure(path))
}

/// Returns the first bytes of a file, by which its format is recognized. The file is opened again to be read.
pub fn start(path: &Path) -> Result<Vec<u8>, Failure> {
    let metadata = fs::metadata(path).map_err(failure(path))?;
    if !metadata.is_file() {
        return Err(failure(path)(io::Error::other(
            "not a regular file; a pipe's content must be saved to one first",
        )));
    }
    let mut start = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(16).read_to_end(&mut start));
    read.map(|_| start).map_err(failure(path))
}

/// Writes text.
pub fn write_text(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(failure(path))
}

/// Removes a file that an earlier run may have left.
pub fn remove(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failure(path)(error)),
        _ => Ok(()),
    }
}

/// Creates a folder if it does not exist, and checks that files can be created in it: better now than after training.
pub fn create_folder(path: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::File(format!("cannot create the folder {}", path.display()), error);
    fs::create_dir_all(path).map_err(failed)?;
    let probe = path.join(".autoencoder-write-test");
    fs::write(&probe, []).and_then(|()| fs::remove_file(&probe)).map_err(failure(path))
}

/// Creates a temporary folder for files that nobody needs. It is removed with the value.
pub fn scratch() -> Result<TempDir, Failure> {
    tempfile::tempdir().map_err(failure(&env::temp_dir()))
}

/// Returns whether a path, which need not exist, is a folder or in it.
pub fn is_inside(path: &Path, folder: &Path) -> bool {
    let Ok(folder) = fs::canonicalize(folder) else { return false };
    let existing = path.ancestors().find_map(|ancestor| {
        let ancestor = if ancestor.as_os_str().is_empty() { Path::new(".") } else { ancestor };
        fs::canonicalize(ancestor).ok()
    });
    existing.is_some_and(|existing| existing.starts_with(&folder))
}

fn failure(path: &Path) -> impl FnOnce(io::Error) -> Failure {
    let name = path.display().to_string();
    move |error| Failure::File(name, error)
}

/// Returns the first image of each class, or the first ten images if there are no labels: `[images, features]`.
pub fn one_a_class(images: &ImageSet) -> Result<Array2<f32>, Error> {
    images.select(&places_of_classes(images))?.to_array()
}

/// Returns the indices of those images.
pub fn places_of_classes(images: &ImageSet) -> Vec<usize> {
    let mut rows: Vec<usize> = match images.labels() {
        Some(labels) => (0..=u8::MAX).filter_map(|class| labels.iter().position(|&l| l == class)).collect(),
        None => (0..images.len()).collect(),
    };
    rows.truncate(10);
    rows
}
