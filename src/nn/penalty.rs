use crate::{
    error::{Error, Result},
    kernels::elementwise,
};
use serde::{Deserialize, Serialize};

/// The layers whose weights a penalty covers. Biases are never penalized.
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

/// A term that is added to the loss.
///
/// ```
/// use autoencoder::{Penalty, TrainConfig};
/// let config = TrainConfig::new().add_penalty(Penalty::lasso(1e-5)).add_penalty(Penalty::code_l1(1e-4));
/// assert_eq!(config.penalties.len(), 2);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Penalty {
    /// `lambda * sum |w|` over weights (Tibshirani 1996). Its gradient is `lambda * sign(w)`, sign(0) = 0.
    Lasso {
        /// Coefficient of the term, at least 0.
        lambda: f32,
        /// The penalized layers.
        scope: Scope,
    },
    /// The Lasso as a proximal step, which gives exact zeros (Parikh and Boyd 2014, section 6.5.2). It has no gradient.
    /// Instead, each update is followed by moving every weight towards 0 by `learning rate * lambda`, but not across 0.
    ProximalLasso {
        /// Coefficient of the term, at least 0.
        lambda: f32,
        /// The penalized layers.
        scope: Scope,
    },
    /// `lambda * sum w^2` over weights.
    L2 {
        /// Coefficient of the term, at least 0.
        lambda: f32,
        /// The penalized layers.
        scope: Scope,
    },
    /// `lambda` times the batch mean of `sum |code|`, for sparse codes.
    CodeL1 {
        /// Coefficient of the term, at least 0.
        lambda: f32,
    },
}

impl Penalty {
    /// Creates a Lasso on the weights of the encoder.
    pub fn lasso(lambda: f32) -> Self {
        Self::Lasso { lambda, scope: Scope::Encoder }
    }

    /// Creates a proximal Lasso on the weights of the encoder.
    pub fn proximal_lasso(lambda: f32) -> Self {
        Self::ProximalLasso { lambda, scope: Scope::Encoder }
    }

    /// Creates an L2 penalty on the weights of the encoder.
    pub fn l2(lambda: f32) -> Self {
        Self::L2 { lambda, scope: Scope::Encoder }
    }

    /// Creates an L1 penalty on the code.
    pub fn code_l1(lambda: f32) -> Self {
        Self::CodeL1 { lambda }
    }

    /// Checks the coefficient.
    ///
    /// # Errors
    /// [`Error::Setting`] if it is negative or not finite.
    pub(crate) fn check(self) -> Result<()> {
        let (Self::Lasso { lambda, .. }
        | Self::ProximalLasso { lambda, .. }
        | Self::L2 { lambda, .. }
        | Self::CodeL1 { lambda }) = self;
        if (0.0..=f32::MAX).contains(&lambda) {
            Ok(())
        } else {
            Err(Error::setting("lambda", lambda, "a finite number of at least 0"))
        }
    }

    /// The value of the term for some weights of a layer.
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

    /// Adds the gradient of the term with respect to some weights of a layer.
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

    /// Applies the proximal step after the optimizer has updated some weights of a layer.
    pub(crate) fn after_update(self, weights: &mut [f32], in_encoder: bool, learning_rate: f32) {
        if let Self::ProximalLasso { lambda, scope } = self
            && scope.covers(in_encoder)
        {
            elementwise::soft_threshold(weights, learning_rate * lambda);
        }
    }

    /// The value of the term for the code of one of `batch` rows.
    pub(crate) fn of_code(self, code: &[f32], batch: usize) -> f64 {
        match self {
            Self::CodeL1 { lambda } => f64::from(lambda) * elementwise::abs_sum(code) / batch as f64,
            _ => 0.0,
        }
    }

    /// Adds the gradient of the term with respect to the code of one of `batch` rows.
    pub(crate) fn add_code_gradient(self, delta: &mut [f32], code: &[f32], batch: usize) {
        if let Self::CodeL1 { lambda } = self {
            elementwise::add_sign(delta, lambda / batch as f32, code);
        }
    }
}
