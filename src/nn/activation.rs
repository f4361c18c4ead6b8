use crate::{
    error::{Error, Result},
    kernels::elementwise,
    nn::spelling::Spelling,
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The slope of `leaky_relu` without a parameter, as in PyTorch.
const DEFAULT_SLOPE: f32 = 0.01;

/// The activation function of a layer.
///
/// It prints and parses as `identity`, `relu`, `leaky_relu` (slope 0.01), `leaky_relu(slope=0.2)`, `elu`, `silu`,
/// `gelu`, `sigmoid` and `tanh`.
///
/// ```
/// use autoencoder::Activation;
/// let mut values = [-2.0, 3.0];
/// Activation::Relu.apply(&mut values);
/// assert_eq!(values, [0.0, 3.0]);
/// assert_eq!("leaky_relu(slope=0.2)".parse::<Activation>()?, Activation::LeakyRelu { slope: 0.2 });
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Activation {
    /// `x`
    Identity,
    /// `max(x, 0)`, with derivative 0 at 0.
    Relu,
    /// `x` above 0 and `slope * x` below, with derivative `slope` at 0.
    LeakyRelu {
        /// The slope below 0, a finite number above 0. Usually 0.01.
        slope: f32,
    },
    /// `x` above 0 and `e^x - 1` below: the exponential linear unit with alpha 1 (Clevert et al. 2016,
    /// <https://arxiv.org/abs/1511.07289>).
    Elu,
    /// `x / (1 + e^-x)`, also known as swish (Elfwing et al. 2018, <https://arxiv.org/abs/1702.03118>). In training, its
    /// layer keeps the pre-activations, too.
    Silu,
    /// `x Φ(x)` with the normal distribution function Φ (Hendrycks and Gimpel 2016, <https://arxiv.org/abs/1606.08415>):
    /// the exact form, as PyTorch's `GELU()`, to within 1e-7 relative to `x`. In training, its layer keeps the
    /// pre-activations, too.
    Gelu,
    /// `1 / (1 + e^-x)`
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
}

impl Activation {
    /// The values that the function can approach, if it is bounded on both sides.
    pub(crate) fn range(self) -> Option<[f32; 2]> {
        match self {
            Self::Identity | Self::Relu | Self::LeakyRelu { .. } | Self::Elu | Self::Silu | Self::Gelu => {
                None
            }
            Self::Sigmoid => Some([0.0, 1.0]),
            Self::Tanh => Some([-1.0, 1.0]),
        }
    }

    /// Applies the function to each value in place.
    pub fn apply(self, values: &mut [f32]) {
        match self {
            Self::Identity => {}
            Self::Relu => elementwise::relu(values),
            Self::LeakyRelu { slope } => elementwise::leaky_relu(values, slope),
            Self::Elu => elementwise::elu(values),
            Self::Silu => elementwise::silu(values),
            Self::Gelu => elementwise::gelu(values),
            Self::Sigmoid => elementwise::sigmoid(values),
            Self::Tanh => elementwise::tanh(values),
        }
    }

    /// Returns whether the derivative does not follow from the output, so that training keeps the pre-activations.
    pub(crate) fn needs_pre_activations(self) -> bool {
        match self {
            Self::Identity | Self::Relu | Self::LeakyRelu { .. } | Self::Elu | Self::Sigmoid | Self::Tanh => {
                false
            }
            Self::Silu | Self::Gelu => true,
        }
    }

    /// Turns `delta`, the gradient of the loss with respect to the outputs, into the gradient with respect to the
    /// pre-activations, in place.
    ///
    /// `kept` are the pre-activations if the function [needs](Self::needs_pre_activations) them, and else the outputs.
    /// `scale` is the factor by which dropout has multiplied the outputs, or 1.
    pub(crate) fn backward(self, delta: &mut [f32], kept: &[f32], scale: f32) {
        match self {
            Self::Identity => elementwise::identity_backward(delta),
            Self::Relu => elementwise::relu_backward(delta, kept),
            Self::LeakyRelu { slope } => elementwise::leaky_relu_backward(delta, kept, slope),
            Self::Silu => elementwise::silu_backward(delta, kept),
            Self::Gelu => elementwise::gelu_backward(delta, kept),
            Self::Elu => elementwise::elu_backward(delta, kept, scale),
            Self::Sigmoid => elementwise::sigmoid_backward(delta, kept, scale),
            Self::Tanh => elementwise::tanh_backward(delta, kept, scale),
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Identity => f.write_str("identity"),
            Self::Relu => f.write_str("relu"),
            Self::LeakyRelu { slope: DEFAULT_SLOPE } => f.write_str("leaky_relu"),
            Self::LeakyRelu { slope } => write!(f, "leaky_relu(slope={slope})"),
            Self::Elu => f.write_str("elu"),
            Self::Silu => f.write_str("silu"),
            Self::Gelu => f.write_str("gelu"),
            Self::Sigmoid => f.write_str("sigmoid"),
            Self::Tanh => f.write_str("tanh"),
        }
    }
}

impl FromStr for Activation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let expected = "identity, relu, leaky_relu, leaky_relu(slope=...), elu, silu, gelu, sigmoid or tanh";
        let parse = || {
            let mut spelling = Spelling::parse(text)?;
            let activation = match spelling.name() {
                "identity" => Self::Identity,
                "relu" => Self::Relu,
                "leaky_relu" => Self::LeakyRelu { slope: spelling.take("slope").unwrap_or(DEFAULT_SLOPE) },
                "elu" => Self::Elu,
                "silu" => Self::Silu,
                "gelu" => Self::Gelu,
                "sigmoid" => Self::Sigmoid,
                "tanh" => Self::Tanh,
                _ => return None,
            };
            spelling.is_used_up().then_some(activation)
        };
        parse().ok_or_else(|| Error::setting("activation", text, expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_at_0_equal_those_below_0() {
        for (activation, below) in [(Activation::Relu, 0.0), (Activation::LeakyRelu { slope: 0.1 }, 0.1)] {
            let mut delta = [1.0; 3];
            activation.backward(&mut delta, &[-1.0, 0.0, 1.0], 1.0);
            assert_eq!(delta, [below, below, 1.0]);
        }
    }

    #[test]
    fn names_round_trip() {
        use Activation::{Elu, Gelu, Identity, LeakyRelu, Relu, Sigmoid, Silu, Tanh};
        for activation in [
            Identity,
            Relu,
            LeakyRelu { slope: 0.01 },
            LeakyRelu { slope: 0.3 },
            Elu,
            Silu,
            Gelu,
            Sigmoid,
            Tanh,
        ] {
            assert_eq!(activation.to_string().parse::<Activation>().unwrap(), activation);
        }
        for wrong in
            ["", "Relu", "relu(slope=1)", "leaky_relu(slope=x)", "leaky_relu(0.1)", "leaky_relu(slope=1"]
        {
            assert!(wrong.parse::<Activation>().is_err(), "{wrong}");
        }
    }
}
