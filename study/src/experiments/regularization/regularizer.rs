//! The regularizer of a run.

use super::super::{records, short};
use crate::sweep::Run;
use autoencoder::nn::Penalty;

/// The regularizer of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Regularizer {
    None,
    Lasso(f32),
    Dropout(f32),
}

impl Regularizer {
    /// Returns `None` for a strength of 0.
    pub fn lasso(lambda: f32) -> Self {
        if lambda == 0.0 { Self::None } else { Self::Lasso(lambda) }
    }

    /// Returns `None` for a rate of 0.
    pub fn dropout(rate: f32) -> Self {
        if rate == 0.0 { Self::None } else { Self::Dropout(rate) }
    }

    pub fn apply(self, run: Run) -> Run {
        match self {
            Self::None => run,
            Self::Lasso(lambda) => {
                Run { train: run.train.clone().add_penalty(Penalty::lasso(lambda)), ..run }
            }
            Self::Dropout(rate) => Run { dropout: rate, ..run },
        }
    }

    pub fn of(run: &Run) -> Self {
        match (records::lasso(&run.train), run.dropout > 0.0) {
            (Some(lambda), _) => Self::Lasso(lambda),
            (None, true) => Self::Dropout(run.dropout),
            (None, false) => Self::None,
        }
    }

    pub fn name(self) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::Lasso(lambda) => format!("Lasso {}", short(lambda)),
            Self::Dropout(rate) => format!("Dropout {}", short(rate)),
        }
    }

    /// Names the regularizer in a sentence.
    pub fn words(self) -> String {
        self.name().replacen(' ', " at ", 1)
    }
}
