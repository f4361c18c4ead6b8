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
    /// Loss on the validation rows, without penalties and dropout, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_loss: Option<f64>,
    /// Value of the [function that scores epochs](crate::Trainer::score), if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Results on the validation rows, if there are any.
    pub validation: Option<Evaluation>,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunEnd {
    /// It took all its epochs.
    AllEpochs,
    /// [Early stopping](crate::train::EarlyStopping) ended it before the last epoch.
    EarlyStopping,
    /// A callback stopped it.
    Callback,
}

/// The epochs of a training run and how it ended.
///
/// ```
/// use autoencoder::{Autoencoder, TrainConfig, Trainer, data::digits, train::{EarlyStopping, Monitor, RunEnd}};
/// let train = digits::generate(200, 0)?;
/// let mut model = Autoencoder::builder(784).code(16).build()?;
/// // No epoch improves by 1000 over the first.
/// let stopping = EarlyStopping::new(2).monitor(Monitor::TrainingLoss).min_improvement(1000.0).restore_best();
/// let history = Trainer::new(TrainConfig::new().early_stopping(stopping)).fit(&mut model, &train)?;
/// assert_eq!(history.epochs.len(), 3);
/// assert_eq!(history.end, Some(RunEnd::EarlyStopping));
/// assert_eq!((history.best_epoch, history.restored_epoch), (Some(1), Some(1)));
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct History {
    /// One record per finished epoch.
    pub epochs: Vec<EpochRecord>,
    /// Reason why the run ended; `None` in a checkpoint, which belongs to a run in progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<RunEnd>,
    /// Best epoch, from 1, by the metric and the minimum improvement of early stopping. Without early stopping, the first
    /// epoch with the lowest validation MSE, or without validation the lowest training loss. `None` in a checkpoint, and if
    /// no epoch was finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_epoch: Option<usize>,
    /// Epoch, from 1, whose weights the model has because they [were
    /// restored](crate::train::EarlyStopping::restore_best). `None` if the model has the last weights because nothing was
    /// to be restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_epoch: Option<usize>,
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
