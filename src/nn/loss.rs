use crate::{
    error::{Error, Result},
    kernels::elementwise,
    nn::Activation,
};
use serde::{Deserialize, Serialize};

/// What training minimises: a mean over all elements of a batch, `batch * features`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Loss {
    /// The mean squared error, `(y - t)^2`.
    #[default]
    Mse,
    /// The binary cross-entropy `-t ln y - (1 - t) ln(1 - y)` of a sigmoid output, computed from its logits z as
    /// `max(z, 0) - z t + ln(1 + e^-|z|)`, which overflows nowhere. Targets must be in [0, 1].
    Bce,
}

/// The sums over one row that a loss leaves behind.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RowLoss {
    /// The loss, summed over the features.
    pub loss: f64,
    /// The squared error, summed over the features.
    pub squared_error: f64,
}

impl Loss {
    /// Checks that the loss goes with the model's output.
    ///
    /// # Errors
    /// If the cross-entropy meets another output than the sigmoid.
    pub fn check(self, output: Activation) -> Result<()> {
        match (self, output) {
            (Self::Bce, Activation::Sigmoid) | (Self::Mse, _) => Ok(()),
            (Self::Bce, _) => {
                Err(Error::setting("loss", self, "a loss that fits the output; bce needs a sigmoid output"))
            }
        }
    }

    /// Whether the loss is defined for a target: the cross-entropy for numbers in [0, 1] only.
    pub fn allows(self, target: &[f32]) -> bool {
        match self {
            Self::Mse => true,
            Self::Bce => elementwise::in_unit_interval(target),
        }
    }

    /// Value and gradient of one row in one pass.
    ///
    /// On entry `output` holds the last layer's sums, on return its outputs; `delta` becomes the loss's
    /// derivative by the sums. `elements` is `batch * features`, by which the derivative of the mean is divided.
    pub fn row(
        self,
        activation: Activation,
        output: &mut [f32],
        target: &[f32],
        elements: f32,
        delta: &mut [f32],
    ) -> RowLoss {
        let cross_entropy = match self {
            Self::Mse => 0.0,
            Self::Bce => elementwise::cross_entropy(output, target),
        };
        activation.apply(output);
        let squared_error = elementwise::squared_error(output, target);
        match self {
            Self::Mse => {
                elementwise::difference(delta, output, target, 2.0 / elements);
                activation.backward(delta, output, 1.0);
                RowLoss { loss: squared_error, squared_error }
            }
            Self::Bce => {
                // The sigmoid's derivative cancels against that of the logarithms.
                elementwise::difference(delta, output, target, 1.0 / elements);
                RowLoss { loss: cross_entropy, squared_error }
            }
        }
    }
}
