use crate::{
    Result, metrics,
    nn::Autoencoder,
    train::{BatchLoss, EpochRecord, History, OptimizerState, TrainConfig},
};
use serde::{Deserialize, Serialize};
use std::{mem, time::Instant};

/// How far a run is. Together with the model's weights it determines all further steps.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Progress {
    pub optimizer: OptimizerState,
    /// The finished epochs. Early stopping is a function of them.
    pub history: History,
    /// Sums over the finished batches of the unfinished epoch.
    pub sums: Sums,
    /// The model after the best epoch, if it is to be restored.
    pub best: Option<Autoencoder>,
}

impl Progress {
    /// The start of a run.
    pub(crate) fn new(config: &TrainConfig, model: &Autoencoder) -> Result<Self> {
        let optimizer = OptimizerState::new(config.optimizer, model)?;
        Ok(Self { optimizer, history: History::default(), sums: Sums::default(), best: None })
    }

    /// The epoch that the next step belongs to, from 1.
    pub(crate) fn epoch(&self) -> usize {
        self.history.epochs.len() + 1
    }

    /// The number of its batches that are done, where an epoch has `batches`.
    pub(crate) fn batches_done(&self, batches: usize) -> usize {
        let before = self.history.epochs.len() as u64 * batches as u64;
        self.optimizer.steps().saturating_sub(before) as usize
    }

    /// Returns true if the moments and all weights, those of `model` included, are finite.
    pub(crate) fn is_finite(&self, model: &Autoencoder) -> bool {
        let models = [Some(model), self.best.as_ref()];
        self.optimizer.is_finite() && models.into_iter().flatten().all(|model| model.check_finite().is_ok())
    }

    /// Returns true after the last step.
    pub(crate) fn is_over(&self, config: &TrainConfig) -> bool {
        let epochs = &self.history.epochs;
        epochs.len() >= config.epochs
            || config.early_stopping.is_some_and(|stopping| stopping.is_over(epochs))
    }

    /// Adds the record of an epoch; `model` is the model after it.
    pub(crate) fn finish_epoch(&mut self, record: EpochRecord, config: &TrainConfig, model: &Autoencoder) {
        self.sums = Sums::default();
        self.history.epochs.push(record);
        let epochs = &self.history.epochs;
        if let Some(stopping) = config.early_stopping.filter(|stopping| stopping.restore_best)
            && stopping.best_epoch(epochs) == Some(epochs.len())
        {
            self.best = Some(model.clone());
        }
    }
}

/// Sums over the rows of an epoch, so that a short last batch counts by its rows or by their weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sums {
    pub rows: f64,
    pub weight: f64,
    pub data: f64,
    pub penalty: f64,
    pub mse: f64,
    /// Of training.
    pub seconds: f64,
}

impl Sums {
    /// Adds a batch and the time since `clock`, which is reset.
    pub(crate) fn add(&mut self, loss: &BatchLoss, rows: usize, clock: &mut Instant) {
        let now = Instant::now();
        self.seconds += now.duration_since(mem::replace(clock, now)).as_secs_f64();
        let weight = loss.weight;
        self.rows += rows as f64;
        self.weight += weight;
        self.data += weight * loss.data;
        self.penalty += weight * loss.penalty;
        self.mse += weight * loss.mse;
    }

    pub(crate) fn record(&self, epoch: usize) -> EpochRecord {
        let mse = self.mse / self.weight;
        EpochRecord {
            epoch,
            loss: (self.data + self.penalty) / self.weight,
            data_loss: self.data / self.weight,
            mse,
            psnr_db: metrics::psnr_db(mse, 1.0),
            rows_per_second: self.rows / self.seconds,
            seconds: self.seconds,
            validation_loss: None,
            score: None,
            validation: None,
        }
    }
}
