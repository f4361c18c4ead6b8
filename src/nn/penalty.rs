use crate::{
    error::{Error, Result},
    kernels::elementwise,
};
use serde::{Deserialize, Serialize};

/// Which dense layers a penalty on weights covers. Biases are never penalised.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The encoder's layers.
    #[default]
    Encoder,
    /// All layers.
    All,
}

impl Scope {
    fn covers(self, in_encoder: bool) -> bool {
        in_encoder || self == Self::All
    }
}

/// A term added to the loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Penalty {
    /// `lambda * sum |w|` over weights (Tibshirani 1996). Its gradient is `lambda * sign(w)`, sign(0) = 0.
    Lasso {
        /// The strength.
        lambda: f32,
        /// The layers.
        scope: Scope,
    },
    /// The Lasso as a proximal step: no gradient, but after each update every weight moves towards 0 by
    /// `learning rate * lambda` and stays at 0 where it would cross, which gives exact zeros (Parikh and Boyd
    /// 2014, section 6.5.2).
    ProximalLasso {
        /// The strength.
        lambda: f32,
        /// The layers.
        scope: Scope,
    },
    /// `lambda * sum w^2` over weights.
    L2 {
        /// The strength.
        lambda: f32,
        /// The layers.
        scope: Scope,
    },
    /// `lambda *` the batch's mean of `sum |code|`: sparse codes.
    CodeL1 {
        /// The strength.
        lambda: f32,
    },
}

impl Penalty {
    /// The Lasso on the encoder's weights, through the gradient.
    pub fn lasso(lambda: f32) -> Self {
        Self::Lasso { lambda, scope: Scope::Encoder }
    }

    /// Checks the strength.
    ///
    /// # Errors
    /// If it is negative or not finite.
    pub fn check(self) -> Result<()> {
        let (Self::Lasso { lambda, .. }
        | Self::ProximalLasso { lambda, .. }
        | Self::L2 { lambda, .. }
        | Self::CodeL1 { lambda }) = self;
        if (0.0..=f32::MAX).contains(&lambda) {
            Ok(())
        } else {
            Err(Error::setting("penalty's lambda", lambda, "a finite number of at least 0"))
        }
    }

    /// The term's value over some weights of a layer.
    pub(crate) fn of_weights(self, weights: &[f32], in_encoder: bool) -> f64 {
        match self {
            Self::Lasso { lambda, scope } | Self::ProximalLasso { lambda, scope }
                if scope.covers(in_encoder) =>
            {
                f64::from(lambda) * elementwise::abs_sum(weights)
            }
            Self::L2 { lambda, scope } if scope.covers(in_encoder) => {
                f64::from(lambda) * elementwise::square_sum(weights)
            }
            _ => 0.0,
        }
    }

    /// Adds the term's derivative by some weights of a layer.
    pub(crate) fn add_weight_gradient(self, gradient: &mut [f32], weights: &[f32], in_encoder: bool) {
        match self {
            Self::Lasso { lambda, scope } if scope.covers(in_encoder) => {
                elementwise::add_sign(gradient, lambda, weights);
            }
            Self::L2 { lambda, scope } if scope.covers(in_encoder) => {
                elementwise::add_scaled(gradient, 2.0 * lambda, weights);
            }
            _ => {}
        }
    }

    /// What is left to do once an optimiser has updated some weights of a layer.
    pub(crate) fn after_update(self, weights: &mut [f32], in_encoder: bool, learning_rate: f32) {
        match self {
            Self::ProximalLasso { lambda, scope } if scope.covers(in_encoder) => {
                elementwise::soft_threshold(weights, learning_rate * lambda);
            }
            _ => {}
        }
    }

    /// The term's value over one row's code, of `batch` rows.
    pub(crate) fn of_code(self, code: &[f32], batch: usize) -> f64 {
        match self {
            Self::CodeL1 { lambda } => f64::from(lambda) * elementwise::abs_sum(code) / batch as f64,
            _ => 0.0,
        }
    }

    /// Adds the term's derivative by one row's code, of `batch` rows.
    pub(crate) fn add_code_gradient(self, delta: &mut [f32], code: &[f32], batch: usize) {
        if let Self::CodeL1 { lambda } = self {
            elementwise::add_sign(delta, lambda / batch as f32, code);
        }
    }
}
