//! Training: the [`Trainer`] runs epochs over a data set, validates, stops early, writes checkpoints and resumes from them.
//! For your own training loop, [`Step`] is a single step and [`OptimizerState`] the state that it updates.

mod checkpoint;
mod config;
mod early_stopping;
mod history;
mod optimizer;
mod schedule;
mod step;
mod targets;
mod trainer;

pub use crate::random::shuffled;
pub use checkpoint::{Checkpoint, CheckpointPolicy};
pub use config::TrainConfig;
pub use early_stopping::{EarlyStopping, Monitor};
pub use history::{EpochRecord, History};
pub use optimizer::{Optimizer, OptimizerState};
pub use schedule::Schedule;
pub use step::{Batch, BatchLoss, Objective, Step};
pub use trainer::{TrainEvent, Trainer};
