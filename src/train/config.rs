use crate::{
    data::{Augmentation, Noise},
    error::{Error, Result},
    nn::{Loss, Penalty, check_max_norm},
    train::{EarlyStopping, Frozen, Optimizer, Schedule},
};
use serde::{Deserialize, Serialize};

const MAX_THREADS: usize = 1024;

/// The settings of a training run, with public fields, defaults and a method to set each of them.
///
/// [`Trainer::fit`](crate::Trainer::fit) checks them. Every value but the number of threads, which changes no result, and the
/// number of epochs must stay the same when a run is resumed.
///
/// ```
/// use autoencoder::{Loss, Noise, TrainConfig};
/// let config = TrainConfig::new().epochs(20).loss(Loss::Bce).noise(Noise::gaussian(0.25)?);
/// let same = TrainConfig {
///     epochs: 20,
///     loss: Loss::Bce,
///     noise: Some(Noise::gaussian(0.25)?),
///     ..TrainConfig::default()
/// };
/// assert_eq!(config, same);
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[must_use]
pub struct TrainConfig {
    /// Passes over the training rows. Default: 10.
    pub epochs: usize,
    /// Rows per batch. Default: 128.
    pub batch_size: usize,
    /// Learning rate of the optimizer. Default: 0.001.
    pub learning_rate: f32,
    /// Loss. Default: mean squared error.
    pub loss: Loss,
    /// Penalties added to the loss. Default: none.
    pub penalties: Vec<Penalty>,
    /// Optimizer. Default: Adam.
    pub optimizer: Optimizer,
    /// Noise applied to the inputs in training and validation. Default: none.
    pub noise: Option<Noise>,
    /// Seed of the order of rows, augmentation, noise and dropout. Default: 0.
    pub seed: u64,
    /// Worker threads of the run's own pool. `None` uses the current `rayon` pool. Default: `None`.
    pub threads: Option<usize>,
    /// Learning-rate schedule. Default: constant.
    #[serde(skip_serializing_if = "is_default")]
    pub schedule: Schedule,
    /// Criterion for stopping before the last epoch. Default: none.
    #[serde(skip_serializing_if = "is_default")]
    pub early_stopping: Option<EarlyStopping>,
    /// L2 norm to which the gradients of a step are clipped, as PyTorch's `clip_grad_norm_` does. Default: none.
    #[serde(skip_serializing_if = "is_default")]
    pub clip_norm: Option<f32>,
    /// Layers that keep their weights and biases. Default: none.
    #[serde(skip_serializing_if = "is_default")]
    pub freeze: Option<Frozen>,
    /// Random affine changes of the training images. Default: none.
    #[serde(skip_serializing_if = "is_default")]
    pub augmentation: Option<Augmentation>,
}

/// Skips default values, so that adding a setting does not change existing files or run ids.
fn is_default<T: Default + PartialEq>(setting: &T) -> bool {
    *setting == T::default()
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 10,
            batch_size: 128,
            learning_rate: 0.001,
            loss: Loss::default(),
            penalties: Vec::new(),
            optimizer: Optimizer::default(),
            noise: None,
            seed: 0,
            threads: None,
            schedule: Schedule::default(),
            early_stopping: None,
            clip_norm: None,
            freeze: None,
            augmentation: None,
        }
    }
}

impl TrainConfig {
    /// Returns the default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the number of epochs.
    pub fn epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
        self
    }

    /// Sets the rows per batch.
    pub fn batch_size(mut self, rows: usize) -> Self {
        self.batch_size = rows;
        self
    }

    /// Sets the learning rate.
    pub fn learning_rate(mut self, rate: f32) -> Self {
        self.learning_rate = rate;
        self
    }

    /// Sets the loss.
    pub fn loss(mut self, loss: Loss) -> Self {
        self.loss = loss;
        self
    }

    /// Adds a penalty to the loss.
    pub fn add_penalty(mut self, penalty: Penalty) -> Self {
        self.penalties.push(penalty);
        self
    }

    /// Sets the optimizer.
    pub fn optimizer(mut self, optimizer: Optimizer) -> Self {
        self.optimizer = optimizer;
        self
    }

    /// Sets the noise on the inputs, which makes a denoising autoencoder.
    pub fn noise(mut self, noise: Noise) -> Self {
        self.noise = Some(noise);
        self
    }

    /// Sets the seed of the order of rows, augmentation, noise and dropout. Initial weights depend on the builder's seed.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the number of threads, 1 to 1024.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Sets the learning-rate schedule.
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Sets early stopping.
    pub fn early_stopping(mut self, stopping: EarlyStopping) -> Self {
        self.early_stopping = Some(stopping);
        self
    }

    /// Sets the L2 norm to which the gradients of a step are clipped; see [`Step::clip_norm`](crate::train::Step::clip_norm).
    pub fn clip_norm(mut self, max_norm: f32) -> Self {
        self.clip_norm = Some(max_norm);
        self
    }

    /// Sets the layers that keep their weights and biases; see [`Step::freeze`](crate::train::Step::freeze).
    pub fn freeze(mut self, frozen: Frozen) -> Self {
        self.freeze = Some(frozen);
        self
    }

    /// Sets random affine changes of the training images, drawn anew in each epoch. The training loss and MSE are those
    /// of the changed images.
    pub fn augmentation(mut self, augmentation: Augmentation) -> Self {
        self.augmentation = Some(augmentation);
        self
    }

    /// Checks every setting. Training does so before it starts.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first setting that is outside its range.
    pub fn check(&self) -> Result<()> {
        if self.epochs == 0 {
            return Err(Error::setting("epochs", self.epochs, "at least 1"));
        }
        if self.batch_size == 0 {
            return Err(Error::setting("batch_size", self.batch_size, "at least 1"));
        }
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return Err(Error::setting("learning_rate", self.learning_rate, "a finite number above 0"));
        }
        if let Some(threads) = self.threads.filter(|threads| !(1..=MAX_THREADS).contains(threads)) {
            return Err(Error::setting("threads", threads, "1 to 1024"));
        }
        self.loss.check()?;
        self.penalties.iter().try_for_each(|penalty| penalty.check())?;
        self.schedule.check()?;
        if let Some(stopping) = self.early_stopping {
            stopping.check()?;
        }
        self.clip_norm.map_or(Ok(()), check_max_norm)?;
        self.augmentation.map_or(Ok(()), |augmentation| augmentation.check())?;
        self.optimizer.check()
    }
}
