//! Decisions that the trainers of several processes share.

use super::{Checkpoint, CheckpointPolicy};
use crate::{
    error::Result,
    group::{Exchange, Fact, Group},
};
use std::{ops::ControlFlow, sync::Arc};

/// How a process starts and writes checkpoints, as a fact.
pub(super) fn checkpoint_facts(resume: Option<&Checkpoint>, policy: Option<&CheckpointPolicy>) -> [Fact; 2] {
    let start = match resume {
        None => "the first step".to_owned(),
        Some(checkpoint) => format!("epoch {}, batch {}", checkpoint.epoch(), checkpoint.batch()),
    };
    let every = match policy.map(|policy| policy.every) {
        None => "none".to_owned(),
        Some(None) => "one per epoch".to_owned(),
        Some(Some(steps)) => format!("every {steps} steps"),
    };
    [("start", start), ("checkpoints", every)].map(|(what, value)| (what.to_owned(), value))
}

/// The decisions of the first process, whose callbacks alone are called.
#[derive(Debug)]
pub(super) struct Together {
    pub exchange: Exchange,
    has_callback: bool,
    has_score: bool,
}

impl Together {
    /// To be called by every process at the start of a run. The flags count in the first process.
    pub(super) fn start(group: Arc<dyn Group>, mut has_callback: bool, mut has_score: bool) -> Result<Self> {
        let mut exchange = Exchange::new(group);
        exchange.of_first("callbacks", |wire| wire.flags([&mut has_callback, &mut has_score]))?;
        Ok(Self { exchange, has_callback, has_score })
    }

    /// Returns the answer of the first process's callback.
    pub(super) fn flow(&mut self, own: ControlFlow<()>) -> Result<ControlFlow<()>> {
        let mut breaks = own.is_break();
        if self.has_callback {
            self.exchange.of_first("callbacks", |wire| wire.flags([&mut breaks]))?;
        }
        Ok(if breaks { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    /// Returns the score of the first process.
    pub(super) fn score(&mut self, own: Option<f64>) -> Result<Option<f64>> {
        let mut score = [own.unwrap_or_default()];
        if self.has_score {
            self.exchange.of_first("callbacks", |wire| wire.f64s(&mut score))?;
        }
        Ok(self.has_score.then_some(score[0]))
    }
}
