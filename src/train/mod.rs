//! Training: the [`Trainer`] runs epochs over a data set, validates, stops early, writes checkpoints and resumes from them.
//! For your own training loop, [`Step`] is a single step, or the gradients before it, and [`OptimizerState`] the state that
//! it updates.

mod checkpoint;
mod config;
mod early_stopping;
mod frozen;
mod history;
mod optimizer;
mod schedule;
mod step;
mod targets;
mod together;
mod trainer;

pub use crate::random::shuffled;
pub use checkpoint::{Checkpoint, CheckpointPolicy, Damaged};
pub use config::TrainConfig;
pub use early_stopping::{EarlyStopping, Monitor};
pub use frozen::Frozen;
pub use history::{EpochRecord, History, RunEnd};
pub use optimizer::{Optimizer, OptimizerState};
pub use schedule::Schedule;
pub use step::{Batch, BatchLoss, Objective, Step};
pub use trainer::{TrainEvent, Trainer};
