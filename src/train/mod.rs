//! Training: one step in two phases, the optimisers, epochs, and what they reached.
//!
//! [`Trainer`] runs epochs over a data set, keeps [`CheckpointPolicy`] if asked to and goes on from one; [`Step`] is one step,
//! for loops of one's own.

mod checkpoint;
mod checkpoints;
mod config;
mod early_stopping;
mod history;
mod identity;
mod optimizer;
mod progress;
mod schedule;
mod step;
mod trainer;

pub use crate::random::shuffled;
pub use checkpoint::Checkpoint;
pub use checkpoints::CheckpointPolicy;
pub use config::TrainConfig;
pub use early_stopping::{EarlyStopping, Monitor};
pub use history::{EpochRecord, History};
pub use optimizer::{Optimizer, OptimizerState};
pub use schedule::Schedule;
pub use step::{Batch, BatchLoss, Objective, Step};
pub use trainer::{TrainEvent, Trainer};
