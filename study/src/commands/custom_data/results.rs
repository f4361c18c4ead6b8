//! The files that the command writes.

use super::load::Loaded;
use crate::{
    cli::{Failure, files},
    plots::{Chart, Curve},
};
use autoencoder::{
    Autoencoder, Dataset, Result,
    data::{Holdout, npy, png},
    ndarray::{Array2, ArrayView2},
    train::{EpochRecord, History},
};
use std::path::Path;

/// Rows that are encoded at a time, so that memory does not grow with their number.
const BLOCK_ROWS: usize = 1_024;

/// Writes `codes.npy` and `reconstructions.npy`, of all rows in the order of the input files.
pub(super) fn write_arrays(out: &Path, model: &Autoencoder, rows: &dyn Dataset) -> Result<()> {
    // Codes are computed twice: kept in memory, they could be as large as the images.
    let codes = blocks(rows).map(|block| model.encode(&block));
    npy::save_row_blocks(out.join("codes.npy"), (rows.len(), model.code_width()), codes)?;
    let outputs = blocks(rows).map(|block| model.reconstruct(&block));
    npy::save_row_blocks(out.join("reconstructions.npy"), (rows.len(), rows.features()), outputs)
}

fn blocks(rows: &dyn Dataset) -> impl Iterator<Item = Array2<f32>> {
    (0..rows.len()).step_by(BLOCK_ROWS).map(|start| rows.block(start..rows.len().min(start + BLOCK_ROWS)))
}

/// Writes `rows.csv`: what is known about each row of the arrays.
pub(super) fn write_rows(
    out: &Path,
    loaded: &Loaded,
    holdout: &Holdout,
    errors: &[f64],
) -> Result<(), Failure> {
    let mut held_out = vec![false; errors.len()];
    holdout.test.iter().for_each(|&row| held_out[row] = true);
    let row = |row: usize| {
        let label = loaded.images.labels().map(|labels| labels[row]);
        let class = label.and_then(|label| loaded.classes.get(usize::from(label)));
        let file = loaded.files.get(row).map(|file| file.display().to_string());
        vec![
            row.to_string(),
            label.map_or_else(String::new, |label| label.to_string()),
            class.cloned().unwrap_or_default(),
            file.unwrap_or_default(),
            held_out[row].to_string(),
            errors[row].to_string(),
        ]
    };
    let columns = ["row", "label", "class", "file", "held_out", "mse"];
    files::write_csv(&out.join("rows.csv"), &columns, (0..errors.len()).map(row))
}

/// Writes `history.csv` and `history.svg`.
pub(super) fn write_history(out: &Path, history: &History) -> Result<(), Failure> {
    files::write_history(out, history)?;
    let curve = |label: &str, value: fn(&EpochRecord) -> Option<f64>| {
        let point = |record: &EpochRecord| Some((record.epoch as f64, value(record)?));
        Curve {
            label: label.to_owned(),
            points: history.epochs.iter().filter_map(point).collect(),
            ..Curve::default()
        }
    };
    let chart = Chart {
        title: "PSNR of the output".to_owned(),
        x_label: "epoch".to_owned(),
        y_label: "PSNR (dB)".to_owned(),
        curves: vec![
            curve("training images", |record| Some(record.psnr_db)),
            curve("test images", |record| record.validation.map(|found| found.output.psnr_pooled_db)),
        ],
        ..Chart::default()
    };
    let path = out.join("history.svg");
    // A model that reproduces its images exactly has no finite PSNR to draw.
    if chart.curves.iter().any(|curve| curve.points.iter().any(|point| point.1.is_finite())) {
        return Ok(chart.save(path)?);
    }
    files::remove(&path)
}

/// Writes a picture with one row per array, and removes the one that a run of the other kind left.
pub(super) fn write_picture(
    out: &Path,
    shape: (usize, usize),
    rows: &[ArrayView2<f32>],
) -> Result<&'static str, Failure> {
    let names = ["reconstructed.png", "denoised.png"];
    let (name, other) = if rows.len() == 2 { (names[0], names[1]) } else { (names[1], names[0]) };
    files::remove(&out.join(other))?;
    png::save_grid(out.join(name), shape, rows, 2)?;
    Ok(name)
}
