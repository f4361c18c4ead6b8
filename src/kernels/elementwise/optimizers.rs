//! Optimizer steps.

use super::{
    TINY_GRADIENT, TINY_MOMENT, TINY_SQUARE, TINY_WEIGHT,
    math::{flush, is_finite},
};

/// The coefficients of one Adam step. They are the same for every parameter.
#[derive(Debug, Clone, Copy)]
pub struct AdamStep {
    /// Decay rate of the first moment.
    pub beta1: f32,
    /// Decay rate of the second moment.
    pub beta2: f32,
    /// Learning rate divided by the first moment's bias correction.
    pub rate: f32,
    /// Reciprocal square root of the second moment's bias correction.
    pub root_correction: f32,
    /// Added to the square root of the second moment.
    pub epsilon: f32,
    /// Factor of the weight before the step: 1 for Adam, `1 - learning_rate * weight_decay` for AdamW.
    pub shrink: f32,
}

dispatched! {
    /// Performs one Adam or AdamW step (Kingma and Ba 2015; Loshchilov and Hutter 2019), as PyTorch computes it. Gradients,
    /// moments and weights that are too small to matter become zero. Returns whether all weights and second moments are
    /// finite afterwards.
    pub fn adam(w: &mut [f32], first: &mut [f32], second: &mut [f32], gradient: &[f32], step: AdamStep) -> bool {
        let len = w.len();
        assert_eq!((first.len(), second.len(), gradient.len()), (len, len, len));
        let mut finite = true;
        for i in 0..len {
            let g = flush(gradient[i], TINY_GRADIENT);
            let m = flush(step.beta1 * first[i] + (1.0 - step.beta1) * g, TINY_MOMENT);
            let v = flush(step.beta2 * second[i] + (1.0 - step.beta2) * g * g, TINY_SQUARE);
            let change = step.rate * m / (v.sqrt() * step.root_correction + step.epsilon);
            let updated = flush(w[i] * step.shrink - change, TINY_WEIGHT);
            (first[i], second[i], w[i]) = (m, v, updated);
            finite &= is_finite(updated) & is_finite(v);
        }
        finite
    }

    /// Performs one step of gradient descent with momentum, as PyTorch computes it. Gradients, velocities and weights that
    /// are too small to matter become zero. Returns whether all weights are finite afterwards.
    pub fn sgd(w: &mut [f32], velocity: &mut [f32], gradient: &[f32], rate: f32, momentum: f32) -> bool {
        let len = w.len();
        assert_eq!((velocity.len(), gradient.len()), (len, len));
        let mut finite = true;
        for i in 0..len {
            velocity[i] = flush(momentum * velocity[i] + flush(gradient[i], TINY_GRADIENT), TINY_MOMENT);
            w[i] = flush(w[i] - rate * velocity[i], TINY_WEIGHT);
            finite &= is_finite(w[i]);
        }
        finite
    }
}
