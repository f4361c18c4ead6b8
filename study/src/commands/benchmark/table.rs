//! Results beside published values, as text and as CSV.

use super::recipe::Trained;
use crate::{
    cli::{Failure, files, say},
    plots::{Chart, Curve, Scale},
};
use autoencoder::{data::png, ndarray::ArrayView2};
use std::path::Path;

/// One line of the table.
pub(super) struct Line {
    pub measure: &'static str,
    pub value: f64,
    pub source: String,
}

impl Line {
    pub fn new(measure: &'static str, value: f64, source: impl Into<String>) -> Self {
        Self { measure, value, source: source.into() }
    }
}

/// Prints the lines and writes them as `results.csv`.
pub(super) fn write(out: &Path, lines: &[Line]) -> Result<(), Failure> {
    for line in lines {
        say(&format!("{:<44} {:>7.2}  {}", line.measure, line.value, line.source))?;
    }
    let row = |line: &Line| vec![line.measure.to_owned(), line.value.to_string(), line.source.clone()];
    files::write_csv(&out.join("results.csv"), &["measure", "value", "source"], lines.iter().map(row))
}

/// Writes the model, the history with its curve, and a picture whose rows are `rows`.
pub(super) fn write_run(out: &Path, trained: &Trained, rows: &[ArrayView2<f32>]) -> Result<(), Failure> {
    trained.model.save(out.join("model.safetensors"))?;
    png::save_grid(out.join("pictures.png"), trained.test.image_shape(), rows, 2)?;
    let history = &trained.history;
    files::write_history(out, history)?;
    let features = trained.train.features() as f64;
    let points = history.epochs.iter().map(|epoch| (epoch.epoch as f64, features * epoch.mse)).collect();
    let chart = Chart {
        title: "Squared error in training".to_owned(),
        x_label: "epoch".to_owned(),
        y_label: "squared error per image".to_owned(),
        y_scale: Scale::Log,
        curves: vec![Curve { label: trained.recipe.text(), points, ..Curve::default() }],
        ..Chart::default()
    };
    Ok(chart.save(out.join("history.svg"))?)
}
