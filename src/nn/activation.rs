use crate::kernels::elementwise;
use serde::{Deserialize, Serialize};

/// What a layer does to each of its sums. The derivative is taken from the output, so that backward needs no
/// copy of the sums.
///
/// ```
/// use autoencoder::nn::Activation;
/// let mut values = [-2.0, 3.0];
/// Activation::Relu.apply(&mut values);
/// assert_eq!(values, [0.0, 3.0]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Activation {
    /// `x`
    Identity,
    /// `max(x, 0)`; its derivative at 0 is 0.
    Relu,
    /// `x` above 0, `slope * x` below; its derivative at 0 is the slope.
    LeakyRelu {
        /// The slope below 0, which must be positive; 0.01 is usual.
        slope: f32,
    },
    /// `1 / (1 + e^-x)`
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
}

impl Activation {
    /// Replaces sums by outputs.
    pub fn apply(self, values: &mut [f32]) {
        match self {
            Self::Identity => {}
            Self::Relu => elementwise::relu(values),
            Self::LeakyRelu { slope } => elementwise::leaky_relu(values, slope),
            Self::Sigmoid => elementwise::sigmoid(values),
            Self::Tanh => elementwise::tanh(values),
        }
    }

    /// Multiplies `delta`, the loss's derivative by the outputs, by the derivative of the outputs by the sums.
    ///
    /// Where dropout has scaled the outputs, `scale` is its factor, else 1.
    pub fn backward(self, delta: &mut [f32], output: &[f32], scale: f32) {
        match self {
            Self::Identity => elementwise::identity_backward(delta),
            Self::Relu => elementwise::relu_backward(delta, output),
            Self::LeakyRelu { slope } => elementwise::leaky_relu_backward(delta, output, slope),
            Self::Sigmoid => elementwise::sigmoid_backward(delta, output, scale),
            Self::Tanh => elementwise::tanh_backward(delta, output, scale),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_at_0_are_those_below() {
        for (activation, below) in [(Activation::Relu, 0.0), (Activation::LeakyRelu { slope: 0.1 }, 0.1)] {
            let mut delta = [1.0; 3];
            activation.backward(&mut delta, &[-1.0, 0.0, 1.0], 1.0);
            assert_eq!(delta, [below, below, 1.0]);
        }
    }
}
