//! Scalar functions that the loops inline, so that the compiler can vectorize them.

use super::TINY_DELTA;

/// Returns `x`, or zero if its magnitude is below `limit`. NaN stays NaN.
#[inline(always)]
pub(super) fn flush(x: f32, limit: f32) -> f32 {
    if x.abs() < limit { 0.0 } else { x }
}

/// Returns `x * y`, or zero if the product's magnitude is below about [`TINY_DELTA`]. NaN stays NaN.
///
/// Flushing the product itself would be too late, because computing a subnormal number is what takes time. The bit pattern
/// of a float approximates its binary logarithm, so the sum of two patterns approximates that of the product. The limit is
/// met to within a factor of 1.13.
#[inline(always)]
pub(super) fn multiply_or_flush(x: f32, y: f32) -> f32 {
    const LIMIT: u32 = TINY_DELTA.to_bits() + 1.0_f32.to_bits();
    let magnitude = x.abs().to_bits() + y.abs().to_bits();
    let x = if magnitude < LIMIT { 0.0 } else { x };
    x * y
}

/// Returns `e^x` to within 2 ulp. NaN stays NaN. Arguments are clamped so that the result is a normal number.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    let (mantissa_minus_1, power) = exp_parts(x);
    (mantissa_minus_1 + 1.0) * power
}

/// Returns `e^x - 1` to within 3 ulp, as [`exp`].
#[inline(always)]
pub(super) fn exp_minus_1(x: f32) -> f32 {
    // Near 0, the power is 1 and the second term is 0, so nothing cancels.
    let (mantissa_minus_1, power) = exp_parts(x);
    mantissa_minus_1 * power + (power - 1.0)
}

/// Returns `m - 1` and a power of 2, whose product with `m` is `e^x`.
#[inline(always)]
fn exp_parts(x: f32) -> (f32, f32) {
    // Cephes' expf: x = n ln 2 + r with |r| <= ln(2) / 2, then a polynomial in r.
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to the nearest integer
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let poly = 1.987_569_2e-4;
    let poly = poly * r + 1.398_2e-3;
    let poly = poly * r + 8.333_452e-3;
    let poly = poly * r + 4.166_579_6e-2;
    let poly = poly * r + 1.666_666_5e-1;
    let poly = poly * r + 0.5;
    (poly * r * r + r, f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000)))
}

/// Returns `ln(1 + u)` for `u` in [0, 1] to within 2 ulp, from the series of `2 atanh(u / (2 + u))`.
#[inline(always)]
pub(super) fn ln_1p(u: f32) -> f32 {
    let s = u / (2.0 + u);
    let s2 = s * s;
    let poly = 1.0 / 13.0;
    let poly = poly * s2 + 1.0 / 11.0;
    let poly = poly * s2 + 1.0 / 9.0;
    let poly = poly * s2 + 1.0 / 7.0;
    let poly = poly * s2 + 1.0 / 5.0;
    let poly = poly * s2 + 1.0 / 3.0;
    2.0 * s * (1.0 + poly * s2)
}

/// Returns `tanh x` to within 4 ulp.
#[inline(always)]
pub(super) fn hyperbolic_tangent(x: f32) -> f32 {
    // Cephes' tanhf: a polynomial near 0, where 1 - e^-2|x| would cancel.
    let e = exp(-2.0 * x.abs());
    let far = ((1.0 - e) / (1.0 + e)).copysign(x);
    let x2 = x * x;
    let poly = -5.704_988_7e-3;
    let poly = poly * x2 + 2.063_909e-2;
    let poly = poly * x2 - 5.373_971_6e-2;
    let poly = poly * x2 + 1.333_144_2e-1;
    let poly = poly * x2 - 3.333_328e-1;
    let near = poly * x2 * x + x;
    if x.abs() < 0.625 { near } else { far }
}

/// Returns the distribution function of the normal distribution to within 1e-7, and its density. Both are zero below
/// [`TINY_DELTA`].
#[inline(always)]
pub(super) fn normal(x: f32) -> (f32, f32) {
    // Abramowitz and Stegun's 7.1.26 for erfc(|x| / sqrt 2). Its tail has no cancellation.
    let e = flush(exp(-0.5 * x * x), TINY_DELTA);
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let poly = 1.061_405_4;
    let poly = poly * t - 1.453_152;
    let poly = poly * t + 1.421_413_7;
    let poly = poly * t - 0.284_496_74;
    let poly = poly * t + 0.254_829_6;
    let tail = 0.5 * poly * t * e;
    (if x < 0.0 { tail } else { 1.0 - tail }, 0.398_942_3 * e)
}

/// Returns -1, 0 or 1. The sign of NaN is 0.
#[inline(always)]
pub(super) fn sign(x: f32) -> f32 {
    f32::from(u8::from(x > 0.0)) - f32::from(u8::from(x < 0.0))
}

/// Returns whether `x` is finite, by integer operations that vectorize on every instruction set.
#[inline(always)]
pub(super) fn is_finite(x: f32) -> bool {
    x.to_bits() & 0x7f80_0000 != 0x7f80_0000
}
