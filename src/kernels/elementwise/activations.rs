//! Activations, their derivatives, and dropout.

use super::{
    TINY_DELTA,
    math::{exp, exp_minus_1, flush, hyperbolic_tangent, multiply_or_flush, normal},
};

dispatched! {
    /// Applies `max(x, 0)`. NaN stays NaN.
    pub fn relu(values: &mut [f32]) {
        for x in values {
            *x = if *x < 0.0 { 0.0 } else { *x };
        }
    }

    /// Multiplies values that are not above 0 by `slope`.
    pub fn leaky_relu(values: &mut [f32], slope: f32) {
        for x in values {
            *x = if *x > 0.0 { *x } else { slope * *x };
        }
    }

    /// Applies `x` above 0 and `e^x - 1` below.
    pub fn elu(values: &mut [f32]) {
        for x in values {
            *x = if *x > 0.0 { *x } else { exp_minus_1(*x) };
        }
    }

    /// Applies `x / (1 + e^-x)`. Results below about [`TINY_DELTA`] in magnitude become zero.
    pub fn silu(values: &mut [f32]) {
        for x in values {
            *x = multiply_or_flush(*x, flush(1.0 / (1.0 + exp(-*x)), TINY_DELTA));
        }
    }

    /// Multiplies by the distribution function of the normal distribution. Results below about [`TINY_DELTA`] in magnitude
    /// become zero.
    pub fn gelu(values: &mut [f32]) {
        for x in values {
            let (below, _) = normal(*x);
            *x = multiply_or_flush(*x, below);
        }
    }

    /// Applies `1 / (1 + e^-x)`. Results below [`TINY_DELTA`] become zero.
    pub fn sigmoid(values: &mut [f32]) {
        for x in values {
            *x = flush(1.0 / (1.0 + exp(-*x)), TINY_DELTA);
        }
    }

    /// Applies the hyperbolic tangent.
    pub fn tanh(values: &mut [f32]) {
        for x in values {
            *x = hyperbolic_tangent(*x);
        }
    }

    /// Multiplies by the identity's derivative, 1. Results below [`TINY_DELTA`] in magnitude become zero.
    pub fn identity_backward(delta: &mut [f32]) {
        for d in delta {
            *d = flush(*d, TINY_DELTA);
        }
    }

    /// Multiplies by ReLU's derivative, given its output. Results below [`TINY_DELTA`] in magnitude become zero.
    pub fn relu_backward(delta: &mut [f32], output: &[f32]) {
        assert_eq!(delta.len(), output.len());
        for (d, &y) in delta.iter_mut().zip(output) {
            *d = if y > 0.0 { flush(*d, TINY_DELTA) } else { 0.0 };
        }
    }

    /// Multiplies by leaky ReLU's derivative, given its output. Results below about [`TINY_DELTA`] in magnitude become
    /// zero.
    pub fn leaky_relu_backward(delta: &mut [f32], output: &[f32], slope: f32) {
        assert_eq!(delta.len(), output.len());
        for (d, &y) in delta.iter_mut().zip(output) {
            *d = multiply_or_flush(*d, if y > 0.0 { 1.0 } else { slope });
        }
    }

    /// Multiplies by ELU's derivative, 1 above 0 and `y + 1` below, given `output = scale * y`. Results below about
    /// [`TINY_DELTA`] in magnitude become zero.
    pub fn elu_backward(delta: &mut [f32], output: &[f32], scale: f32) {
        assert_eq!(delta.len(), output.len());
        for (d, &y) in delta.iter_mut().zip(output) {
            *d = multiply_or_flush(*d, if y > 0.0 { 1.0 } else { y / scale + 1.0 });
        }
    }

    /// Multiplies by SiLU's derivative `s (1 + z (1 - s))`, where `s` is the sigmoid of the pre-activation `z`. Results below
    /// about [`TINY_DELTA`] in magnitude become zero.
    pub fn silu_backward(delta: &mut [f32], pre_activation: &[f32]) {
        assert_eq!(delta.len(), pre_activation.len());
        for (d, &z) in delta.iter_mut().zip(pre_activation) {
            let s = flush(1.0 / (1.0 + exp(-z)), TINY_DELTA);
            *d = multiply_or_flush(*d, s * (1.0 + z * (1.0 - s)));
        }
    }

    /// Multiplies by GELU's derivative at the pre-activation `z`: the normal distribution function plus `z` times its
    /// density. Results below about [`TINY_DELTA`] in magnitude become zero.
    pub fn gelu_backward(delta: &mut [f32], pre_activation: &[f32]) {
        assert_eq!(delta.len(), pre_activation.len());
        for (d, &z) in delta.iter_mut().zip(pre_activation) {
            let (below, density) = normal(z);
            *d = multiply_or_flush(*d, below + multiply_or_flush(z, density));
        }
    }

    /// Multiplies by the sigmoid's derivative `y (1 - y)`, given `output = scale * y`. Results below about [`TINY_DELTA`]
    /// in magnitude become zero.
    pub fn sigmoid_backward(delta: &mut [f32], output: &[f32], scale: f32) {
        assert_eq!(delta.len(), output.len());
        for (d, &y) in delta.iter_mut().zip(output) {
            let y = y / scale;
            *d = multiply_or_flush(*d, y * (1.0 - y));
        }
    }

    /// Multiplies by tanh's derivative `1 - y^2`, given `output = scale * y`. Results below about [`TINY_DELTA`] in
    /// magnitude become zero.
    pub fn tanh_backward(delta: &mut [f32], output: &[f32], scale: f32) {
        assert_eq!(delta.len(), output.len());
        for (d, &y) in delta.iter_mut().zip(output) {
            let y = y / scale;
            *d = multiply_or_flush(*d, 1.0 - y * y);
        }
    }

    /// Computes an inverted-dropout mask from random 16-bit numbers: 0 below `threshold`, otherwise `scale`.
    pub fn dropout_mask(mask: &mut [f32], random: &[[u8; 2]], threshold: u16, scale: f32) {
        assert_eq!(mask.len(), random.len());
        for (m, &r) in mask.iter_mut().zip(random) {
            *m = if u16::from_le_bytes(r) < threshold { 0.0 } else { scale };
        }
    }
}
