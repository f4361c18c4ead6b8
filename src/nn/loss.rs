use crate::{
    error::{Error, Result},
    kernels::elementwise,
    nn::Activation,
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The loss that training minimizes: a mean over all elements of a batch, `batch * features`.
///
/// It prints and parses as `mse` and `bce`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Loss {
    /// The mean squared error, `(y - t)^2`.
    #[default]
    Mse,
    /// The binary cross-entropy `-t ln y - (1 - t) ln(1 - y)` of a sigmoid output. Targets must be in [0, 1].
    ///
    /// It is computed from the logits z as `max(z, 0) - z t + ln(1 + e^-|z|)`, which cannot overflow.
    Bce,
}

impl Loss {
    /// Checks that the loss fits the activation of the last layer.
    ///
    /// # Errors
    /// [`Error::Setting`] for the cross-entropy of anything but a sigmoid.
    pub(crate) fn check(self, output: Activation) -> Result<()> {
        if self == Self::Bce && output != Activation::Sigmoid {
            let value = format_args!("{self} of a model with output activation {output}");
            return Err(Error::setting("loss", value, "mse, or a sigmoid output for bce"));
        }
        Ok(())
    }

    /// Returns whether the loss is defined for a target: the cross-entropy only for values in [0, 1].
    pub(crate) fn is_defined_for(self, target: &[f32]) -> bool {
        self == Self::Mse || elementwise::in_unit_interval(target)
    }

    /// Returns the loss of one row, summed over its features, if the loss is computed from the logits; `None` if it is
    /// the [`squared error`](elementwise::squared_error) of the outputs.
    pub(crate) fn of_logits(self, logits: &[f32], target: &[f32]) -> Option<f64> {
        match self {
            Self::Mse => None,
            Self::Bce => Some(elementwise::cross_entropy(logits, target)),
        }
    }

    /// Writes the gradient of the mean loss with respect to one row's logits to `delta`.
    ///
    /// `activation` is that of the last layer, `outputs` are its outputs, and `share` is the row's weight, 1 if it has none,
    /// divided by `batch * features`.
    pub(crate) fn gradient(
        self,
        delta: &mut [f32],
        activation: Activation,
        outputs: &[f32],
        target: &[f32],
        share: f32,
    ) {
        match self {
            Self::Mse => {
                elementwise::difference(delta, outputs, target, 2.0 * share);
                activation.backward(delta, outputs, 1.0);
            }
            // The derivative of the sigmoid cancels against those of the logarithms.
            Self::Bce => elementwise::difference(delta, outputs, target, share),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mse => "mse",
            Self::Bce => "bce",
        })
    }
}

impl FromStr for Loss {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "mse" => Ok(Self::Mse),
            "bce" => Ok(Self::Bce),
            _ => Err(Error::setting("loss", text, "mse or bce")),
        }
    }
}
