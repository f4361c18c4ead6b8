//! Flags that every training command has.

use super::{init, set_threads};
use autoencoder::{Autoencoder, AutoencoderBuilder, Error, Init, Penalty, TrainConfig};
use clap::Args;

/// Flags for the training and the model, whose defaults are the same everywhere.
#[derive(Debug, Args)]
pub struct TrainingFlags {
    #[arg(long, default_value_t = 0.001)]
    pub learning_rate: f32,
    #[arg(long, value_parser = init(), default_value = "he")]
    pub init: Init,
    /// Dropout rate of the hidden layers
    #[arg(long, default_value_t = 0.0)]
    pub dropout: f32,
    /// Strength of the L1 penalty on the encoder's weights
    #[arg(long, default_value_t = 0.0)]
    pub lasso: f32,
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Worker threads [default: one per core]
    #[arg(long)]
    threads: Option<usize>,
}

impl TrainingFlags {
    /// Sets the number of worker threads and returns it.
    pub fn set_threads(&self) -> Result<usize, Error> {
        set_threads(self.threads)
    }

    /// Returns the training settings.
    pub fn config(&self) -> TrainConfig {
        let config = TrainConfig::new().learning_rate(self.learning_rate).seed(self.seed);
        if self.lasso == 0.0 { config } else { config.add_penalty(Penalty::lasso(self.lasso)) }
    }

    /// Returns the untrained model with the widths of the builder.
    pub fn model(&self, widths: AutoencoderBuilder) -> Result<Autoencoder, Error> {
        widths.dropout(self.dropout).init(self.init).seed(self.seed).build()
    }
}
