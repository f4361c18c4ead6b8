//! Loops over slices, compiled once for each kind of CPU and chosen at run time.
//!
//! Sums and rounding are the same on every kind: no fused multiply-add, and sums run in fixed lanes.
//! Slices that belong together must have one length, or the functions panic.
//!
//! # Subnormal numbers
//!
//! On many CPUs an operation that reads or produces a subnormal number (below 1.2e-38) takes some 150 cycles. Training
//! makes plenty of them: Adam's moments decay into them wherever a gradient stays zero, and behind a saturated sigmoid
//! the delta of a dark pixel is the square of a tiny output. Rust programs may not switch the CPU to flush them, so the
//! kernels replace magnitudes that are far too small to change a weight by zero, well before they become subnormal:
//! [`TINY_DELTA`], [`TINY_GRADIENT`], [`TINY_MOMENT`], [`TINY_SQUARE`] and [`TINY_WEIGHT`].

#[cfg(target_arch = "x86_64")]
use super::cpu::Isa;

/// Defines a function whose body is compiled for AVX-512, for AVX2 and for the target's baseline. The best that
/// the CPU has runs.
macro_rules! dispatched {
    ($($(#[$doc:meta])* pub fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $out:ty)? $body:block)*) => {$(
        $(#[$doc])*
        #[allow(unsafe_code, clippy::too_many_arguments)]
        pub fn $name($($arg: $type),*) $(-> $out)? {
            #[inline(always)]
            fn baseline($($arg: $type),*) $(-> $out)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
                fn avx512($($arg: $type),*) $(-> $out)? { baseline($($arg),*) }
                #[target_feature(enable = "avx2")]
                fn avx2($($arg: $type),*) $(-> $out)? { baseline($($arg),*) }

                match Isa::best() {
                    // SAFETY: the CPU has every feature that the function is compiled for.
                    Isa::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: likewise.
                    Isa::Avx2 => return unsafe { avx2($($arg),*) },
                    Isa::Portable => {}
                }
            }
            baseline($($arg),*)
        }
    )*};
}

/// Deltas (gradients with respect to pre-activations) and outputs of the sigmoid below this magnitude become zero. It
/// is small against [`TINY_GRADIENT`], and products with weights down to 1e-12 stay normal.
pub const TINY_DELTA: f32 = 1e-25;
/// Gradients below this magnitude count as zero in an optimizer: they are a ten-millionth of Adam's usual epsilon, and
/// their square is still a normal number.
pub const TINY_GRADIENT: f32 = 1e-15;
/// First moments and velocities below this magnitude become zero. A learning rate of 1e-7 keeps the update normal.
pub const TINY_MOMENT: f32 = 1e-30;
/// Second moments below this become zero. Its root is 1e-18, invisible beside Adam's epsilon; it is less than what
/// [`TINY_GRADIENT`] adds with the usual `beta2`, so that a first moment does not outlive its second one.
pub const TINY_SQUARE: f32 = 1e-36;
/// Weights below this magnitude become zero, as under a long weight decay.
pub const TINY_WEIGHT: f32 = 1e-30;

/// The coefficients of one Adam step, the same for every parameter.
#[derive(Debug, Clone, Copy)]
pub struct AdamStep {
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Learning rate over the first moment's bias correction.
    pub rate: f32,
    /// One over the root of the second moment's bias correction.
    pub root_correction: f32,
    /// Added to the root.
    pub epsilon: f32,
    /// What a weight is multiplied by before the step: 1, or 1 - learning rate * decay for AdamW.
    pub shrink: f32,
}

const LANES: usize = 16;

/// Sums `term(i)` in f64 over fixed lanes, so that the sum has one order on every CPU.
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

/// `x`, or zero where its magnitude is below `limit`. NaN stays NaN.
#[inline(always)]
fn flush(x: f32, limit: f32) -> f32 {
    if x.abs() < limit { 0.0 } else { x }
}

/// `x * y`, or zero where the product's magnitude is below about [`TINY_DELTA`]. NaN stays NaN.
///
/// Flushing the product itself would come too late, as computing a subnormal number is what takes time. Bit patterns of
/// floats are near their binary logarithms, so the sum of two is near that of the product, to within a factor of 1.13.
#[inline(always)]
fn multiply_or_flush(x: f32, y: f32) -> f32 {
    const LIMIT: u32 = TINY_DELTA.to_bits() + 1.0_f32.to_bits();
    let magnitude = x.abs().to_bits() + y.abs().to_bits();
    let x = if magnitude < LIMIT { 0.0 } else { x };
    x * y
}

/// `e^x` to within 2 ulp; NaN stays NaN. The argument is clamped to where the result is a normal number.
#[inline(always)]
fn exp(x: f32) -> f32 {
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
    let value = poly * r * r + r + 1.0;
    value * f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000))
}

/// `ln(1 + u)` for u in [0, 1], to within 2 ulp, by the series of atanh(u / (2 + u)).
#[inline(always)]
fn ln_1p(u: f32) -> f32 {
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

/// `tanh x` to within 4 ulp.
#[inline(always)]
fn hyperbolic_tangent(x: f32) -> f32 {
    // Cephes' tanhf: near 0 a polynomial, where 1 - e^-2|x| would cancel.
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

/// -1, 0 or 1.
#[inline(always)]
fn sign(x: f32) -> f32 {
    f32::from(u8::from(x > 0.0)) - f32::from(u8::from(x < 0.0))
}

#[inline(always)]
fn is_finite(x: f32) -> bool {
    x.to_bits() & 0x7f80_0000 != 0x7f80_0000
}

dispatched! {
    /// `dst = bytes / 255`.
    pub fn unit_from_bytes(dst: &mut [f32], bytes: &[u8]) {
        assert_eq!(dst.len(), bytes.len());
        for (d, &b) in dst.iter_mut().zip(bytes) {
            *d = f32::from(b) / 255.0;
        }
    }

    /// `dst += src`.
    pub fn add(dst: &mut [f32], src: &[f32]) {
        assert_eq!(dst.len(), src.len());
        for (d, s) in dst.iter_mut().zip(src) {
            *d += s;
        }
    }

    /// `dst += factor * src`.
    pub fn add_scaled(dst: &mut [f32], factor: f32, src: &[f32]) {
        assert_eq!(dst.len(), src.len());
        for (d, s) in dst.iter_mut().zip(src) {
            *d += factor * s;
        }
    }

    /// `dst += factor * sign(src)`, where sign(0) = 0.
    pub fn add_sign(dst: &mut [f32], factor: f32, src: &[f32]) {
        assert_eq!(dst.len(), src.len());
        for (d, &s) in dst.iter_mut().zip(src) {
            *d += factor * sign(s);
        }
    }

    /// `dst *= src`.
    pub fn multiply(dst: &mut [f32], src: &[f32]) {
        assert_eq!(dst.len(), src.len());
        for (d, s) in dst.iter_mut().zip(src) {
            *d *= s;
        }
    }

    /// Limits every value to [0, 1].
    pub fn clamp_unit(values: &mut [f32]) {
        for x in values {
            *x = x.clamp(0.0, 1.0);
        }
    }

    /// Whether every value is in [0, 1].
    pub fn in_unit_interval(values: &[f32]) -> bool {
        let mut inside = true;
        for &x in values {
            inside &= (0.0..=1.0).contains(&x);
        }
        inside
    }

    /// `max(x, 0)`; NaN stays NaN.
    pub fn relu(values: &mut [f32]) {
        for x in values {
            *x = if *x < 0.0 { 0.0 } else { *x };
        }
    }

    /// `x` above 0, `slope * x` below.
    pub fn leaky_relu(values: &mut [f32], slope: f32) {
        for x in values {
            *x = if *x > 0.0 { *x } else { slope * *x };
        }
    }

    /// `1 / (1 + e^-x)`, or zero where that is below [`TINY_DELTA`].
    pub fn sigmoid(values: &mut [f32]) {
        for x in values {
            *x = flush(1.0 / (1.0 + exp(-*x)), TINY_DELTA);
        }
    }

    /// The hyperbolic tangent.
    pub fn tanh(values: &mut [f32]) {
        for x in values {
            *x = hyperbolic_tangent(*x);
        }
    }

    /// Values below [`TINY_DELTA`] become zero: the derivative of the identity, as it were.
    pub fn identity_backward(delta: &mut [f32]) {
        for d in delta {
            *d = flush(*d, TINY_DELTA);
        }
    }

    /// Multiplies by ReLU's derivative, given its output. Results below [`TINY_DELTA`] become zero.
    pub fn relu_backward(delta: &mut [f32], output: &[f32]) {
        assert_eq!(delta.len(), output.len());
        for (d, &y) in delta.iter_mut().zip(output) {
            *d = if y > 0.0 { flush(*d, TINY_DELTA) } else { 0.0 };
        }
    }

    /// Multiplies by leaky ReLU's derivative, given its output. Results below about [`TINY_DELTA`] become zero.
    pub fn leaky_relu_backward(delta: &mut [f32], output: &[f32], slope: f32) {
        assert_eq!(delta.len(), output.len());
        for (d, &y) in delta.iter_mut().zip(output) {
            *d = multiply_or_flush(*d, if y > 0.0 { 1.0 } else { slope });
        }
    }

    /// Multiplies by the sigmoid's derivative y (1 - y), given its output times `scale`. Results below about
    /// [`TINY_DELTA`] become zero.
    pub fn sigmoid_backward(delta: &mut [f32], output: &[f32], scale: f32) {
        assert_eq!(delta.len(), output.len());
        for (d, &y) in delta.iter_mut().zip(output) {
            let y = y / scale;
            *d = multiply_or_flush(*d, y * (1.0 - y));
        }
    }

    /// Multiplies by tanh's derivative 1 - y^2, given its output times `scale`. Results below about [`TINY_DELTA`]
    /// become zero.
    pub fn tanh_backward(delta: &mut [f32], output: &[f32], scale: f32) {
        assert_eq!(delta.len(), output.len());
        for (d, &y) in delta.iter_mut().zip(output) {
            let y = y / scale;
            *d = multiply_or_flush(*d, 1.0 - y * y);
        }
    }

    /// The sum of `(a - b)^2`.
    pub fn squared_error(a: &[f32], b: &[f32]) -> f64 {
        assert_eq!(a.len(), b.len());
        lane_sum(a.len(), |i| {
            let error = f64::from(a[i] - b[i]);
            error * error
        })
    }

    /// `delta = factor * (output - target)`, or zero where that is below about [`TINY_DELTA`].
    pub fn difference(delta: &mut [f32], output: &[f32], target: &[f32], factor: f32) {
        assert_eq!((delta.len(), delta.len()), (output.len(), target.len()));
        for ((d, y), t) in delta.iter_mut().zip(output).zip(target) {
            *d = multiply_or_flush(y - t, factor);
        }
    }

    /// The sum of `max(z, 0) - z t + ln(1 + e^-|z|)` over logits z and targets t: the cross-entropy of
    /// sigmoid(z), without its overflow.
    pub fn cross_entropy(logits: &[f32], target: &[f32]) -> f64 {
        assert_eq!(logits.len(), target.len());
        lane_sum(logits.len(), |i| {
            let (z, t) = (logits[i], target[i]);
            let positive = if z < 0.0 { 0.0 } else { z };
            // Where it is too small to change the sum, ln(1 + e^-|z|) would compute the square of a tiny number.
            let rest = flush(exp(-z.abs()), TINY_GRADIENT);
            f64::from(positive - z * t + ln_1p(rest))
        })
    }

    /// The sum of absolute values.
    pub fn abs_sum(values: &[f32]) -> f64 {
        lane_sum(values.len(), |i| f64::from(values[i].abs()))
    }

    /// The sum of squares.
    pub fn square_sum(values: &[f32]) -> f64 {
        lane_sum(values.len(), |i| f64::from(values[i]) * f64::from(values[i]))
    }

    /// Moves every value towards 0 by `threshold`, and to 0 where it would cross.
    pub fn soft_threshold(values: &mut [f32], threshold: f32) {
        for x in values {
            let magnitude = x.abs() - threshold;
            *x = if magnitude < 0.0 { 0.0 } else { magnitude.copysign(*x) };
        }
    }

    /// An inverted-dropout mask from random numbers: 0 below `threshold`, `scale` from there on.
    pub fn dropout_mask(mask: &mut [f32], random: &[[u8; 2]], threshold: u16, scale: f32) {
        assert_eq!(mask.len(), random.len());
        for (m, &r) in mask.iter_mut().zip(random) {
            *m = if u16::from_le_bytes(r) < threshold { 0.0 } else { scale };
        }
    }

    /// One Adam or AdamW step (Kingma and Ba 2015; Loshchilov and Hutter 2019), as PyTorch computes it.
    /// Gradients, moments and weights that are too small to matter become zero. False if a parameter is not finite
    /// afterwards.
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

    /// One step of gradient descent with momentum, as PyTorch computes it. Gradients, velocities and weights that are too
    /// small to matter become zero. False if a parameter is not finite afterwards.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::cpu::tests::on_every_isa;

    fn ulps(found: f32, exact: f64) -> f64 {
        ((f64::from(found) - exact) / exact).abs() / f64::from(f32::EPSILON)
    }

    #[test]
    fn exp_ln_1p_and_tanh_are_accurate() {
        for i in -87_000..88_000 {
            let x = i as f32 / 1000.0;
            assert!(ulps(exp(x), f64::from(x).exp()) < 2.0, "exp({x}) = {}", exp(x));
        }
        for i in 1..=100_000 {
            let u = i as f32 / 100_000.0;
            assert!(ulps(ln_1p(u), f64::from(u).ln_1p()) < 2.0, "ln_1p({u}) = {}", ln_1p(u));
        }
        for i in (-20_000..20_000).filter(|&i| i != 0) {
            for scale in [1e-3, 1e-7, 1e-12] {
                let x = i as f32 * scale;
                assert!(ulps(hyperbolic_tangent(x), f64::from(x).tanh()) < 4.0, "tanh({x})");
            }
        }
        assert!(exp(f32::NAN).is_nan());
        assert_eq!((ln_1p(0.0), exp(0.0)), (0.0, 1.0));
    }

    #[test]
    fn activations_keep_nan_and_saturate() {
        let mut values = [-1000.0, -1.0, 0.0, 1.0, 1000.0, f32::NAN];
        sigmoid(&mut values);
        assert!(values[0] < 1e-37 && values[2] == 0.5 && values[4] == 1.0 && values[5].is_nan());
        let mut values = [-1000.0, -0.5, 0.0, 0.5, f32::NAN];
        tanh(&mut values);
        assert_eq!((values[0], values[2]), (-1.0, 0.0));
        assert!((values[3] - 0.5_f32.tanh()).abs() < 2e-7 && values[4].is_nan());
        let mut values = [-1.0, 2.0, f32::NAN];
        relu(&mut values);
        assert!(values[..2] == [0.0, 2.0] && values[2].is_nan());
    }

    #[test]
    fn sums_reach_every_element() {
        for len in [0, 1, 15, 16, 17, 33, 100] {
            let values: Vec<f32> = (0..len).map(|i| i as f32 - 20.0).collect();
            let exact: f64 = values.iter().map(|&v| f64::from(v * v)).sum();
            assert_eq!(square_sum(&values), exact);
            assert_eq!(squared_error(&values, &vec![0.0; len]), exact);
            assert_eq!(abs_sum(&values), values.iter().map(|&v| f64::from(v.abs())).sum::<f64>());
        }
    }

    #[test]
    fn soft_threshold_gives_exact_zeros() {
        let mut values = [-1.0, -0.1, 0.0, 0.1, 1.0];
        soft_threshold(&mut values, 0.25);
        assert_eq!(values, [-0.75, 0.0, 0.0, 0.0, 0.75]);
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let magnitude = |i: i32| if i % 5 == 0 { 2.0_f32.powi(-i) } else { 1.0 };
        let input: Vec<f32> = (0..101).map(|i| magnitude(i) * ((i * 37 % 101) as f32 - 50.0) / 7.0).collect();
        let other: Vec<f32> = input.iter().rev().map(|x| x / 3.0).collect();
        let run = || {
            let apply = |kernel: &dyn Fn(&mut [f32])| {
                let mut values = input.clone();
                kernel(&mut values);
                values
            };
            let step = AdamStep {
                beta1: 0.9,
                beta2: 0.999,
                rate: 0.1,
                root_correction: 1.5,
                epsilon: 1e-8,
                shrink: 0.99,
            };
            let arrays = [
                apply(&sigmoid),
                apply(&tanh),
                apply(&relu),
                apply(&|x| leaky_relu(x, 0.1)),
                apply(&identity_backward),
                apply(&|x| relu_backward(x, &other)),
                apply(&|x| leaky_relu_backward(x, &other, 0.1)),
                apply(&|x| sigmoid_backward(x, &other, 1.25)),
                apply(&|x| tanh_backward(x, &other, 1.25)),
                apply(&|x| add_sign(x, 0.1, &other)),
                apply(&|x| soft_threshold(x, 0.5)),
                apply(&|x| difference(x, &input, &other, 0.3)),
                apply(&|x| assert!(adam(x, &mut [0.1; 101], &mut [0.2; 101], &other, step))),
                apply(&|x| assert!(sgd(x, &mut [0.1; 101], &other, 0.1, 0.9))),
            ];
            let sums = [
                squared_error(&input, &other),
                cross_entropy(&input, &other),
                abs_sum(&input),
                square_sum(&input),
            ];
            (arrays.map(|values| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>()), sums)
        };
        let expected = run();
        on_every_isa(|isa| assert_eq!(run(), expected, "{isa:?}"));
    }

    /// Values from 1 down to subnormal ones, of both signs, and some that are not finite.
    fn all_magnitudes() -> Vec<f32> {
        let powers = (0..149).flat_map(|power| [1.37 * 2.0_f32.powi(-power), -2.0_f32.powi(-power)]);
        powers.chain([0.0, -0.0, f32::NAN, f32::INFINITY]).collect()
    }

    #[test]
    fn tiny_numbers_become_zero_and_others_stay() {
        for x in all_magnitudes() {
            for y in all_magnitudes() {
                let (found, exact) = (multiply_or_flush(x, y), x * y);
                let equal = found == exact || found.is_nan() && exact.is_nan();
                let flushed = found == 0.0 && exact.abs() < 1.2 * TINY_DELTA;
                assert!(
                    flushed || equal && (exact.is_nan() || exact.abs() > 0.8 * TINY_DELTA || exact == 0.0),
                    "{x} * {y} = {found}"
                );
            }
            let mut values = [x];
            identity_backward(&mut values);
            assert!(
                values[0] == if x.abs() < TINY_DELTA { 0.0 } else { x } || x.is_nan() && values[0].is_nan()
            );
        }
    }

    #[test]
    fn kernels_make_no_subnormal_numbers() {
        let values = all_magnitudes().into_iter().filter(|x| x.is_finite() && !x.is_subnormal());
        let values: Vec<f32> = values.collect();
        let step = AdamStep {
            beta1: 0.9,
            beta2: 0.999,
            rate: 1e-3,
            root_correction: 1.0,
            epsilon: 1e-8,
            shrink: 0.5,
        };
        let logits: Vec<f32> = (-1200..1200).map(|i| i as f32 / 10.0).collect();
        let mut outputs = logits.clone();
        sigmoid(&mut outputs);
        let ones = vec![1.0; values.len()];
        for factor in [1.0, 1e-5, 1e-8] {
            let mut found = vec![outputs.clone()];
            for &y in &outputs {
                let mut delta: Vec<_> = values.iter().map(|_| 0.0).collect();
                difference(&mut delta, &vec![y; values.len()], &values, factor);
                sigmoid_backward(&mut delta, &vec![y; values.len()], 1.0);
                found.push(delta);
            }
            let mut delta = values.clone();
            leaky_relu_backward(&mut delta, &vec![-1.0; values.len()], factor);
            found.push(delta);
            let (mut w, mut m, mut v) = (values.clone(), values.clone(), ones.clone());
            assert!(adam(&mut w, &mut m, &mut v, &values, step));
            found.extend([w, m, v]);
            let (mut w, mut m) = (values.clone(), values.clone());
            assert!(sgd(&mut w, &mut m, &values, factor, 0.9));
            found.extend([w, m]);
            let mut v: Vec<_> = values.iter().map(|v| v.abs()).collect();
            assert!(adam(&mut ones.clone(), &mut ones.clone(), &mut v, &vec![0.0; values.len()], step));
            found.push(v);
            assert!(found.iter().flatten().all(|x| !x.is_subnormal()), "factor {factor}");
        }
    }

    #[test]
    fn a_parameter_that_is_not_finite_is_seen() {
        let step = AdamStep {
            beta1: 0.9,
            beta2: 0.999,
            rate: 0.1,
            root_correction: 1.0,
            epsilon: 1e-8,
            shrink: 1.0,
        };
        for bad in [f32::NAN, f32::INFINITY, 1e30] {
            let mut gradient = [0.5; 40];
            assert!(adam(&mut [1.0; 40], &mut [0.0; 40], &mut [0.0; 40], &gradient, step));
            gradient[37] = bad;
            assert!(!adam(&mut [1.0; 40], &mut [0.0; 40], &mut [0.0; 40], &gradient, step));
        }
        assert!(!sgd(&mut [1.0; 40], &mut [0.0; 40], &[f32::NAN; 40], 0.1, 0.9));
    }
}
