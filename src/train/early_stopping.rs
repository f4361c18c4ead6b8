use crate::{
    error::{Error, Result},
    train::EpochRecord,
};
use serde::{Deserialize, Serialize};

/// The metric that decides which epoch is the best.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Monitor {
    /// Validation MSE.
    #[default]
    ValidationMse,
    /// Mean of the rows' validation PSNRs, in dB, each of them at most [100 dB](crate::metrics::PSNR_CAP_DB).
    ValidationPsnrMean,
    /// Validation PSNR of the pooled error, in dB.
    ValidationPsnrPooled,
    /// The loss that is trained on, on the validation rows, without penalties and dropout. For the mean squared error it
    /// is the validation MSE.
    ValidationLoss,
    /// Training loss, penalties included. Needs no validation rows.
    TrainingLoss,
    /// The value of [your function](crate::Trainer::score); higher is better. Needs no validation rows.
    Score,
}

impl Monitor {
    pub(crate) fn needs_validation(self) -> bool {
        !matches!(self, Self::TrainingLoss | Self::Score)
    }

    /// The metric, negated if lower is better. `None` without the validation or the function that it needs.
    fn value(self, record: &EpochRecord) -> Option<f64> {
        let output = record.validation.map(|validation| validation.output);
        match self {
            Self::ValidationMse => output.map(|quality| -quality.mse),
            Self::ValidationPsnrMean => output.map(|quality| quality.psnr_mean_db),
            Self::ValidationPsnrPooled => output.map(|quality| quality.psnr_pooled_db),
            Self::ValidationLoss => record.validation_loss.map(|loss| -loss),
            Self::TrainingLoss => Some(-record.loss),
            Self::Score => record.score,
        }
    }

    /// The best epoch, from 1: the last one that was better than the best before it by more than `min_improvement`.
    /// `None` if no epoch has the metric.
    pub(crate) fn best_epoch(self, min_improvement: f64, epochs: &[EpochRecord]) -> Option<usize> {
        let mut best: Option<(f64, usize)> = None;
        for record in epochs {
            if let Some(value) = self.value(record)
                && best.is_none_or(|(best, _)| value > best + min_improvement)
            {
                best = Some((value, record.epoch));
            }
        }
        best.map(|(_, epoch)| epoch)
    }
}

/// When a run stops before its last epoch. A function of the history alone.
///
/// ```
/// use autoencoder::{Autoencoder, data::digits, train::{EarlyStopping, Monitor, TrainConfig, Trainer}};
/// let (train, test) = (digits::generate(200, 0)?, digits::generate(50, 1)?);
/// let mut model = Autoencoder::builder(784).hidden(&[64]).code(16).build()?;
/// let stopping = EarlyStopping::new(2).monitor(Monitor::ValidationPsnrMean).min_improvement(0.5).restore_best();
/// let config = TrainConfig::new().epochs(200).early_stopping(stopping);
/// let history = Trainer::new(config).validation(&test).fit(&mut model, &train)?;
/// assert!(history.epochs.len() < 200);
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[must_use]
pub struct EarlyStopping {
    /// Consecutive epochs without improvement after which the run stops.
    pub patience: usize,
    /// Metric that must improve. Default: validation MSE.
    pub monitor: Monitor,
    /// Minimum improvement over the best epoch so far, in the metric's unit. An epoch becomes the best only if it is better
    /// by more than this; the first one always does. Default: 0.
    ///
    /// It also decides which epoch is restored. Many small improvements that never add up to more than this over the best
    /// epoch do not count, so the restored epoch can be slightly worse than a later one.
    pub min_improvement: f64,
    /// True to restore the best epoch's weights when training ends or a callback stops it. Default: false.
    pub restore_best: bool,
}

impl EarlyStopping {
    /// Stops after `patience` consecutive epochs without improvement.
    pub fn new(patience: usize) -> Self {
        Self { patience, monitor: Monitor::default(), min_improvement: 0.0, restore_best: false }
    }

    /// Sets the metric that must improve.
    pub fn monitor(mut self, monitor: Monitor) -> Self {
        self.monitor = monitor;
        self
    }

    /// Sets the minimum improvement over the best epoch so far, for [stopping and restoring](Self::min_improvement).
    pub fn min_improvement(mut self, improvement: f64) -> Self {
        self.min_improvement = improvement;
        self
    }

    /// Restores the best epoch's weights when training ends: after all epochs, early, or because a callback stops it. A run
    /// that a callback stops in its first epoch, or an error at any time, keeps the last weights.
    ///
    /// [`History::restored_epoch`](crate::train::History::restored_epoch) says which epoch was restored. To restore without
    /// stopping early, set the patience to `usize::MAX`.
    pub fn restore_best(mut self) -> Self {
        self.restore_best = true;
        self
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// [`Error::Setting`] if the patience is 0, or the improvement negative or not finite.
    pub(crate) fn check(self) -> Result<()> {
        if self.patience == 0 {
            return Err(Error::setting("patience", self.patience, "at least 1"));
        }
        if !(0.0..=f64::MAX).contains(&self.min_improvement) {
            let expected = "a finite number of at least 0";
            return Err(Error::setting("min_improvement", self.min_improvement, expected));
        }
        Ok(())
    }

    pub(crate) fn best_epoch(self, epochs: &[EpochRecord]) -> Option<usize> {
        self.monitor.best_epoch(self.min_improvement, epochs)
    }

    /// Returns true if a run with these epochs is over.
    pub(crate) fn is_over(self, epochs: &[EpochRecord]) -> bool {
        self.best_epoch(epochs).is_some_and(|best| epochs.len() >= best.saturating_add(self.patience))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Evaluation, ImageQuality};

    fn epochs(losses: &[f64]) -> Vec<EpochRecord> {
        let record = |(index, &loss): (usize, &f64)| {
            // Validation gets worse where training gets better.
            let mse = 1.0 / loss;
            let output = ImageQuality { mse, psnr_mean_db: loss, psnr_pooled_db: -loss };
            EpochRecord {
                epoch: index + 1,
                loss,
                data_loss: loss,
                mse,
                psnr_db: 0.0,
                rows_per_second: 1.0,
                seconds: 1.0,
                validation_loss: Some(mse),
                score: Some(-loss),
                validation: Some(Evaluation { output, noisy_input: None }),
            }
        };
        losses.iter().enumerate().map(record).collect()
    }

    #[test]
    fn each_metric_has_its_best_epoch() {
        let epochs = epochs(&[3.0, 2.0, 4.0, 2.0, 4.0]);
        let best = |monitor: Monitor| monitor.best_epoch(0.0, &epochs);
        assert_eq!(best(Monitor::TrainingLoss), Some(2));
        assert_eq!(best(Monitor::ValidationMse), Some(3));
        assert_eq!(best(Monitor::ValidationPsnrMean), Some(3));
        assert_eq!(best(Monitor::ValidationPsnrPooled), Some(2));
        assert_eq!(best(Monitor::ValidationLoss), Some(3));
        assert_eq!(best(Monitor::Score), Some(2));
        assert_eq!(Monitor::TrainingLoss.best_epoch(0.0, &[]), None);
        let unvalidated: Vec<_> = epochs.into_iter().map(|e| EpochRecord { validation: None, ..e }).collect();
        assert_eq!(Monitor::ValidationMse.best_epoch(0.0, &unvalidated), None);
        assert_eq!(Monitor::TrainingLoss.best_epoch(0.0, &unvalidated), Some(2));
    }

    /// 0.4 and 0.4 better than the first is better by 0.8, but no step of 0.4 counts by itself.
    #[test]
    fn small_improvements_count_once_they_add_up() {
        let best = |losses: &[f64]| Monitor::TrainingLoss.best_epoch(0.5, &epochs(losses));
        assert_eq!(best(&[3.0, 2.6]), Some(1));
        assert_eq!(best(&[3.0, 2.6, 2.2]), Some(3));
        assert_eq!(best(&[3.0, 2.6, 2.2, 1.8]), Some(3));
        assert_eq!(best(&[3.0, 2.5]), Some(1));
    }

    #[test]
    fn patience_counts_epochs_since_the_last_improvement() {
        let stopping = EarlyStopping::new(2).monitor(Monitor::TrainingLoss);
        let over = |losses: &[f64]| stopping.is_over(&epochs(losses));
        assert!(!over(&[]) && !over(&[3.0]) && !over(&[3.0, 3.0]) && over(&[3.0, 3.0, 3.0]));
        assert!(!over(&[3.0, 3.0, 2.9]) && !over(&[3.0, 3.0, 2.9, 2.9]) && over(&[3.0, 4.0, 2.9, 5.0, 2.9]));
        let coarse = stopping.min_improvement(0.5);
        assert!(coarse.is_over(&epochs(&[3.0, 2.8, 2.6])) && !coarse.is_over(&epochs(&[3.0, 2.8, 2.4])));
        assert!(!EarlyStopping { patience: usize::MAX, ..stopping }.is_over(&epochs(&[3.0; 9])));
    }
}
