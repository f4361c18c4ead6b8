use crate::metrics::{self, Evaluation};
use serde::{Deserialize, Serialize};

/// The results of one epoch.
///
/// Losses, MSE and PSNR are training values: those of each batch before its update, with noise and dropout applied, and
/// means over the rows with their [weights](crate::data::Weighted).
/// `validation` holds the results of the finished epoch on other rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EpochRecord {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Loss plus penalties, which training minimizes.
    pub loss: f64,
    /// Loss without penalties.
    pub data_loss: f64,
    /// Mean squared error.
    pub mse: f64,
    /// PSNR of that error, in dB, for a data range of 1.
    #[serde(with = "metrics::nonfinite")]
    pub psnr_db: f64,
    /// Rows per second in training, without validation.
    #[serde(with = "metrics::nonfinite", rename = "images_per_second")]
    pub rows_per_second: f64,
    /// Seconds of training, without validation and checkpoints.
    pub seconds: f64,
    /// Results on the validation rows, if there are any.
    pub validation: Option<Evaluation>,
}

/// The epochs of a training run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct History {
    /// One record per finished epoch.
    pub epochs: Vec<EpochRecord>,
}

impl History {
    /// Returns the median over epochs of rows per second, or `None` if no epoch was finished.
    pub fn rows_per_second(&self) -> Option<f64> {
        let mut speeds: Vec<_> = self.epochs.iter().map(|e| e.rows_per_second).collect();
        speeds.sort_by(f64::total_cmp);
        let upper = *speeds.get(speeds.len() / 2)?;
        let lower = speeds[(speeds.len() - 1) / 2];
        Some((lower + upper) / 2.0)
    }
}
