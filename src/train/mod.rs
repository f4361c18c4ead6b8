//! Training: the [`Trainer`] runs epochs over a data set, validates, stops early, writes checkpoints and resumes from them.
//! For your own training loop, [`Step`] is a single step and [`OptimizerState`] the state that it updates.

mod checkpoint;
mod config;
mod early_stopping;
mod evaluate;
mod history;
mod optimizer;
mod schedule;
mod step;
mod trainer;

pub use checkpoint::{Checkpoint, CheckpointPolicy};
pub use config::TrainConfig;
pub use early_stopping::{EarlyStopping, Monitor};
pub use evaluate::{Evaluation, evaluate, reconstruction_errors};
pub use history::{EpochRecord, History};
pub use optimizer::{Optimizer, OptimizerState};
pub use schedule::Schedule;
pub use step::{Batch, BatchLoss, Gradient, Objective, Step};
pub use trainer::{TrainEvent, Trainer};
