//! Curves and differences of several runs that differ only in their seed.

use crate::{
    plots::{Chart, Curve, Mark, Scale},
    report::Spread,
    sweep::Record,
};
use autoencoder::train::EpochRecord;

/// Returns first minus second for each seed that both have.
pub fn paired(first: &[&Record], second: &[&Record], value: fn(&Record) -> f64) -> Vec<f64> {
    let partner = |record: &Record| second.iter().find(|other| other.run.train.seed == record.run.train.seed);
    first.iter().filter_map(|record| Some(value(record) - value(partner(record)?))).collect()
}

/// Returns the pooled PSNR on the test images, in dB.
pub fn psnr(record: &Record) -> f64 {
    record.test.output.psnr_pooled_db
}

/// A test PSNR that is further below the training PSNR, in dB, means overfitting.
pub const OVERFITTING: f64 = 0.5;

/// Returns how far the test PSNR is below the training PSNR, in dB.
pub fn gap(record: &Record) -> Option<f64> {
    Some(record.history.epochs.last()?.psnr_db - psnr(record))
}

/// Returns the structural similarity on the test images, or NaN.
pub fn ssim(record: &Record) -> f64 {
    record.test_ssim.unwrap_or(f64::NAN)
}

/// Returns the curve of the means over seeds, with their range as the band.
pub fn banded(label: String, values: impl Iterator<Item = (f64, Vec<f64>)>) -> Curve {
    let mut curve = Curve { label, ..Curve::default() };
    for (x, values) in values {
        if let Some(spread) = Spread::of(values) {
            curve.points.push((x, spread.mean));
            curve.band.push((x, spread.low, spread.high));
        }
    }
    curve
}

/// Returns a value by epoch.
pub fn by_epoch(label: String, records: &[&Record], value: impl Fn(&EpochRecord) -> Option<f64>) -> Curve {
    let epochs = records.iter().map(|record| record.history.epochs.len()).max().unwrap_or(0);
    let at = |epoch: usize| records.iter().filter_map(|r| value(r.history.epochs.get(epoch)?)).collect();
    banded(label, (0..epochs).map(|epoch| (epoch as f64 + 1.0, at(epoch))))
}

/// Returns a chart of training errors (dashed) and test errors by epoch, without penalties. Each group of runs has a name.
pub fn errors_by_epoch(title: String, groups: &[(String, Vec<&Record>)]) -> Chart {
    let mut curves = Vec::new();
    for (color, (name, records)) in groups.iter().enumerate() {
        let test = |epoch: &EpochRecord| Some(epoch.validation?.output.mse);
        let training = by_epoch(String::new(), records, |epoch| Some(epoch.mse));
        let test = by_epoch(name.clone(), records, test);
        curves.push(Curve { color: Some(color), ..test });
        curves.push(Curve { color: Some(color), mark: Mark::Dashed, band: Vec::new(), ..training });
    }
    Chart {
        title,
        x_label: "epoch".to_owned(),
        y_label: "mean squared error per pixel".to_owned(),
        y_scale: Scale::Log,
        curves,
        ..Chart::default()
    }
}
