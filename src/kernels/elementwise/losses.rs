//! Losses and penalties: their values, which are sums in `f64`, and their gradients.

use super::{
    TINY_GRADIENT,
    math::{exp, flush, ln_1p, multiply_or_flush, sign},
};

/// The number of partial sums.
const LANES: usize = 16;

/// Sums `term(i)` in `f64` over fixed lanes, so that the order of the additions is the same on every CPU.
#[inline(always)]
fn lane_sum(len: usize, term: impl Fn(usize) -> f64) -> f64 {
    let mut lanes = [0.0_f64; LANES];
    let whole = len - len % LANES;
    for start in (0..whole).step_by(LANES) {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += term(start + lane);
        }
    }
    let tail: f64 = (whole..len).map(term).sum();
    lanes.iter().sum::<f64>() + tail
}

dispatched! {
    /// Returns the sum of `(a - b)^2`.
    pub fn squared_error(a: &[f32], b: &[f32]) -> f64 {
        assert_eq!(a.len(), b.len());
        lane_sum(a.len(), |i| {
            let error = f64::from(a[i] - b[i]);
            error * error
        })
    }

    /// Returns the sum of `|a - b|`.
    pub fn absolute_error(a: &[f32], b: &[f32]) -> f64 {
        assert_eq!(a.len(), b.len());
        lane_sum(a.len(), |i| f64::from((a[i] - b[i]).abs()))
    }

    /// Returns the sum of the Huber losses of `a - b`: `d^2 / 2` where `|d|` is up to `limit`, and
    /// `limit * (|d| - limit / 2)` beyond.
    pub fn huber(a: &[f32], b: &[f32], limit: f32) -> f64 {
        assert_eq!(a.len(), b.len());
        let limit = f64::from(limit);
        lane_sum(a.len(), |i| {
            let error = f64::from((a[i] - b[i]).abs());
            // Both pieces in one: a NaN stays NaN.
            let near = if error > limit { limit } else { error };
            near * (error - 0.5 * near)
        })
    }

    /// Computes `delta = factor * clamp(output - target, -limit, limit)`. Tiny results become zero as in [`difference`].
    pub fn clamped_difference(delta: &mut [f32], output: &[f32], target: &[f32], limit: f32, factor: f32) {
        assert_eq!((delta.len(), delta.len()), (output.len(), target.len()));
        for ((d, y), t) in delta.iter_mut().zip(output).zip(target) {
            *d = multiply_or_flush((y - t).clamp(-limit, limit), factor);
        }
    }

    /// Computes `delta = factor * sign(output - target)`, where `sign(0)` is 0.
    pub fn sign_of_difference(delta: &mut [f32], output: &[f32], target: &[f32], factor: f32) {
        assert_eq!((delta.len(), delta.len()), (output.len(), target.len()));
        for ((d, y), t) in delta.iter_mut().zip(output).zip(target) {
            *d = multiply_or_flush(sign(y - t), factor);
        }
    }

    /// Computes `delta = factor * (output - target)`. Results below about [`TINY_DELTA`](super::TINY_DELTA) in magnitude
    /// become zero.
    pub fn difference(delta: &mut [f32], output: &[f32], target: &[f32], factor: f32) {
        assert_eq!((delta.len(), delta.len()), (output.len(), target.len()));
        for ((d, y), t) in delta.iter_mut().zip(output).zip(target) {
            *d = multiply_or_flush(y - t, factor);
        }
    }

    /// Returns the binary cross-entropy of `sigmoid(z)`, summed over logits `z` and targets `t`. The terms are
    /// `max(z, 0) - z t + ln(1 + e^-|z|)`, which cannot overflow.
    pub fn cross_entropy(logits: &[f32], target: &[f32]) -> f64 {
        assert_eq!(logits.len(), target.len());
        lane_sum(logits.len(), |i| {
            let z = logits[i];
            let t = target[i];
            let positive = if z < 0.0 { 0.0 } else { z };
            // `ln_1p` squares its argument. Flush arguments that are too small to change the sum.
            let rest = flush(exp(-z.abs()), TINY_GRADIENT);
            f64::from(positive - z * t + ln_1p(rest))
        })
    }

    /// Returns the sum of absolute values.
    pub fn abs_sum(values: &[f32]) -> f64 {
        lane_sum(values.len(), |i| f64::from(values[i].abs()))
    }

    /// Returns the sum of squares.
    pub fn square_sum(values: &[f32]) -> f64 {
        lane_sum(values.len(), |i| f64::from(values[i]) * f64::from(values[i]))
    }

    /// Computes `dst += factor * sign(src)`, where `sign(0)` is 0.
    pub fn add_sign(dst: &mut [f32], factor: f32, src: &[f32]) {
        assert_eq!(dst.len(), src.len());
        for (d, &s) in dst.iter_mut().zip(src) {
            *d += factor * sign(s);
        }
    }

    /// Moves every value toward 0 by `threshold`. Values that would cross 0 become 0.
    pub fn soft_threshold(values: &mut [f32], threshold: f32) {
        for x in values {
            let magnitude = x.abs() - threshold;
            *x = if magnitude < 0.0 { 0.0 } else { magnitude.copysign(*x) };
        }
    }
}
