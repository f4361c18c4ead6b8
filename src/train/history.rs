use crate::metrics::{self, Evaluation};
use serde::{Deserialize, Serialize};

/// What one epoch reached.
///
/// Losses, MSE and PSNR are those of training: of each batch before its update, with noise and dropout on. Figures
/// of the finished epoch on other rows are in `validation`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EpochRecord {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Loss and penalties: what training minimises.
    pub loss: f64,
    /// The loss without penalties.
    pub data_loss: f64,
    /// The mean squared error.
    pub mse: f64,
    /// The PSNR in dB of that error, for values that span [0, 1].
    #[serde(with = "metrics::nonfinite")]
    pub psnr_db: f64,
    /// Rows a second in training, validation apart.
    #[serde(with = "metrics::nonfinite", rename = "images_per_second")]
    pub rows_per_second: f64,
    /// Seconds of training, validation and checkpoints apart.
    pub seconds: f64,
    /// How the model does on the rows given for validation.
    pub validation: Option<Evaluation>,
}

/// The epochs of a training run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct History {
    /// A record for each epoch that was finished.
    pub epochs: Vec<EpochRecord>,
}

impl History {
    /// The median over epochs of rows a second; `None` if no epoch was finished.
    pub fn rows_per_second(&self) -> Option<f64> {
        let mut speeds: Vec<_> = self.epochs.iter().map(|e| e.rows_per_second).collect();
        speeds.sort_by(f64::total_cmp);
        let upper = *speeds.get(speeds.len() / 2)?;
        let lower = speeds[(speeds.len() - 1) / 2];
        Some((lower + upper) / 2.0)
    }
}
