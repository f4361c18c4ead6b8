use crate::nn::{Activation, Dense, Dropout};
use ndarray::{ArrayView2, ArrayViewMut2};

/// A dense layer with its activation, and its dropout in training.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Weights and biases.
    pub dense: Dense,
    /// Activation function.
    pub activation: Activation,
    /// Dropout of the outputs, in training only.
    pub dropout: Dropout,
}

impl Layer {
    /// Computes the outputs `f(x W + b)`, without dropout.
    ///
    /// # Shapes
    /// `input` `[batch, in]`, `output` `[batch, columns]` with contiguous rows, for the outputs from index `start` on.
    #[track_caller]
    pub(crate) fn forward(&self, input: ArrayView2<f32>, start: usize, output: ArrayViewMut2<f32>) {
        self.dense.forward(input, self.activation, start, output);
    }

    /// Computes the pre-activations `x W + b`: for the last layer the logits, from which a loss may be more exact.
    ///
    /// # Shapes
    /// As [`forward`](Self::forward).
    #[track_caller]
    pub(crate) fn logits(&self, input: ArrayView2<f32>, start: usize, output: ArrayViewMut2<f32>) {
        self.dense.forward(input, Activation::Identity, start, output);
    }

    /// Returns whether all weights and biases are finite.
    pub(crate) fn is_finite(&self) -> bool {
        self.dense.weight().iter().chain(&self.dense.bias()).all(|w| w.is_finite())
    }
}
