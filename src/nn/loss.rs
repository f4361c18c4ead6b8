use crate::{
    error::{Error, Result},
    kernels::elementwise,
    nn::{Activation, spelling::Spelling},
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The delta of `huber` without a parameter, as in PyTorch.
const DEFAULT_DELTA: f32 = 1.0;

/// The loss that training minimizes: a mean over all elements of a batch, `batch * features`.
///
/// It prints and parses as `mse`, `mae`, `huber` (delta 1), `huber(delta=0.5)` and `bce`.
///
/// ```
/// use autoencoder::Loss;
/// assert_eq!("huber(delta=0.5)".parse::<Loss>()?, Loss::Huber { delta: 0.5 });
/// assert_eq!(Loss::Huber { delta: 1.0 }.to_string(), "huber");
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Loss {
    /// The mean squared error, `(y - t)^2`.
    #[default]
    Mse,
    /// The mean absolute error, `|y - t|`, with derivative 0 at 0. Outliers count less than in the squared error.
    Mae,
    /// The Huber loss, with PyTorch's factors: `(y - t)^2 / 2` up to a difference of `delta`, and
    /// `delta * (|y - t| - delta / 2)` beyond.
    Huber {
        /// The difference at which the loss turns from quadratic to linear, a finite number above 0. Usually 1, which values
        /// in [0, 1] never exceed.
        delta: f32,
    },
    /// The binary cross-entropy `-t ln y - (1 - t) ln(1 - y)` of a sigmoid output.
    ///
    /// It is computed from the logits z as `max(z, 0) - z t + ln(1 + e^-|z|)`, which cannot overflow.
    Bce,
}

impl Loss {
    /// Checks the parameter of the loss.
    ///
    /// # Errors
    /// [`Error::Setting`] if `delta` is not a finite number above 0.
    pub(crate) fn check(self) -> Result<()> {
        match self {
            Self::Huber { delta } if !(delta > 0.0 && delta.is_finite()) => {
                Err(Error::setting("delta", delta, "a finite number above 0"))
            }
            Self::Mse | Self::Mae | Self::Huber { .. } | Self::Bce => Ok(()),
        }
    }

    /// Checks that the loss fits the activation of the last layer.
    ///
    /// # Errors
    /// [`Error::Setting`] for the cross-entropy of anything but a sigmoid, or for an invalid parameter.
    pub(crate) fn check_fits(self, output: Activation) -> Result<()> {
        self.check()?;
        if self == Self::Bce && output != Activation::Sigmoid {
            let value = format_args!("{self} of a model with output activation {output}");
            return Err(Error::setting("loss", value, "a sigmoid output for bce, or another loss"));
        }
        Ok(())
    }

    /// Returns the loss of one row, summed over its features, if the loss is computed from the logits.
    pub(crate) fn of_logits(self, logits: &[f32], target: &[f32]) -> Option<f64> {
        match self {
            Self::Mse | Self::Mae | Self::Huber { .. } => None,
            Self::Bce => Some(elementwise::cross_entropy(logits, target)),
        }
    }

    /// Returns the loss of one row, summed over its features, if the loss is computed from the outputs and is not their
    /// [`squared error`](elementwise::squared_error), which is needed anyway.
    pub(crate) fn of_outputs(self, outputs: &[f32], target: &[f32]) -> Option<f64> {
        match self {
            Self::Mae => Some(elementwise::absolute_error(outputs, target)),
            Self::Huber { delta } => Some(elementwise::huber(outputs, target, delta)),
            Self::Mse | Self::Bce => None,
        }
    }

    /// Writes the gradient of the mean loss with respect to one row's logits to `delta`.
    ///
    /// `activation` is that of the last layer, `outputs` are its outputs, and `kept` are the values from which its
    /// [derivative](Activation::backward) follows. `share` is the row's weight, 1 if it has none, divided by
    /// `batch * features`.
    pub(crate) fn gradient(
        self,
        delta: &mut [f32],
        activation: Activation,
        [outputs, kept]: [&[f32]; 2],
        target: &[f32],
        share: f32,
    ) {
        match self {
            Self::Mse => {
                elementwise::difference(delta, outputs, target, 2.0 * share);
                activation.backward(delta, kept, 1.0);
            }
            Self::Mae => {
                elementwise::sign_of_difference(delta, outputs, target, share);
                activation.backward(delta, kept, 1.0);
            }
            Self::Huber { delta: limit } => {
                elementwise::clamped_difference(delta, outputs, target, limit, share);
                activation.backward(delta, kept, 1.0);
            }
            // The derivative of the sigmoid cancels against those of the logarithms.
            Self::Bce => elementwise::difference(delta, outputs, target, share),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Mse => f.write_str("mse"),
            Self::Mae => f.write_str("mae"),
            Self::Huber { delta: DEFAULT_DELTA } => f.write_str("huber"),
            Self::Huber { delta } => write!(f, "huber(delta={delta})"),
            Self::Bce => f.write_str("bce"),
        }
    }
}

impl FromStr for Loss {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let mut spelling = Spelling::parse(text)?;
            let loss = match spelling.name() {
                "mse" => Self::Mse,
                "mae" => Self::Mae,
                "huber" => Self::Huber { delta: spelling.take("delta").unwrap_or(DEFAULT_DELTA) },
                "bce" => Self::Bce,
                _ => return None,
            };
            spelling.is_used_up().then_some(loss)
        };
        parse().ok_or_else(|| Error::setting("loss", text, "mse, mae, huber, huber(delta=...) or bce"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        use Loss::{Bce, Huber, Mae, Mse};
        for loss in [Mse, Mae, Huber { delta: 1.0 }, Huber { delta: 0.3 }, Bce] {
            assert_eq!(loss.to_string().parse::<Loss>().unwrap(), loss);
            let json = serde_json::to_string(&loss).unwrap();
            assert_eq!(serde_json::from_str::<Loss>(&json).unwrap(), loss);
        }
        for wrong in ["", "MSE", "mse(delta=1)", "huber(delta=x)", "huber(0.1)", "huber(delta=1"] {
            assert!(wrong.parse::<Loss>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_delta_that_is_no_number_above_0_is_refused() {
        for delta in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert!(Loss::Huber { delta }.check_fits(Activation::Identity).is_err(), "{delta}");
        }
        assert!(Loss::Huber { delta: 1e-3 }.check_fits(Activation::Identity).is_ok());
    }
}
