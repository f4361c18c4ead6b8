//! Accuracy, bits on every instruction set, non-finite and subnormal numbers.

use super::{
    math::{exp, exp_minus_1, hyperbolic_tangent, ln_1p, multiply_or_flush},
    *,
};
use crate::kernels::cpu::tests::on_every_isa;

fn ulps(found: f32, exact: f64) -> f64 {
    ((f64::from(found) - exact) / exact).abs() / f64::from(f32::EPSILON)
}

#[test]
fn scalar_functions_are_accurate() {
    for i in -87_000..88_000 {
        let x = i as f32 / 1000.0;
        assert!(ulps(exp(x), f64::from(x).exp()) < 2.0, "exp({x}) = {}", exp(x));
        if i != 0 {
            let found = exp_minus_1(x);
            assert!(ulps(found, f64::from(x).exp_m1()) < 3.0, "exp_minus_1({x}) = {found}");
        }
    }
    for i in 1..=100_000 {
        let u = i as f32 / 100_000.0;
        assert!(ulps(ln_1p(u), f64::from(u).ln_1p()) < 2.0, "ln_1p({u}) = {}", ln_1p(u));
    }
    for i in (-20_000..20_000).filter(|&i| i != 0) {
        for scale in [1e-3, 1e-7, 1e-12] {
            let x = i as f32 * scale;
            assert!(ulps(hyperbolic_tangent(x), f64::from(x).tanh()) < 4.0, "tanh({x})");
            assert!(ulps(exp_minus_1(x), f64::from(x).exp_m1()) < 3.0, "exp_minus_1({x})");
        }
    }
    assert!(exp(f32::NAN).is_nan());
    assert_eq!((ln_1p(0.0), exp(0.0), exp_minus_1(0.0)), (0.0, 1.0, 0.0));
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
    for apply in [silu, gelu] {
        let mut values = [-1000.0, 0.0, 1000.0, f32::NAN];
        apply(&mut values);
        assert!(values[..3] == [0.0, 0.0, 1000.0] && values[3].is_nan(), "{values:?}");
    }
    let mut values = [-1000.0, 0.0, 2.0, f32::INFINITY, f32::NAN];
    elu(&mut values);
    assert!(values[..4] == [-1.0, 0.0, 2.0, f32::INFINITY] && values[4].is_nan());
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
            apply(&elu),
            apply(&silu),
            apply(&gelu),
            apply(&identity_backward),
            apply(&|x| relu_backward(x, &other)),
            apply(&|x| leaky_relu_backward(x, &other, 0.1)),
            apply(&|x| elu_backward(x, &other, 1.25)),
            apply(&|x| silu_backward(x, &other)),
            apply(&|x| gelu_backward(x, &other)),
            apply(&|x| sigmoid_backward(x, &other, 1.25)),
            apply(&|x| tanh_backward(x, &other, 1.25)),
            apply(&|x| add_sign(x, 0.1, &other)),
            apply(&|x| soft_threshold(x, 0.5)),
            apply(&|x| difference(x, &input, &other, 0.3)),
            apply(&|x| clamped_difference(x, &input, &other, 1.5, 0.3)),
            apply(&|x| sign_of_difference(x, &input, &other, 0.3)),
            apply(&|x| assert!(adam(x, &mut [0.1; 101], &mut [0.2; 101], &other, step))),
            apply(&|x| assert!(sgd(x, &mut [0.1; 101], &other, 0.1, 0.9))),
        ];
        let sums = [
            squared_error(&input, &other),
            cross_entropy(&input, &other),
            absolute_error(&input, &other),
            huber(&input, &other, 1.5),
            abs_sum(&input),
            square_sum(&input),
        ];
        (arrays.map(|values| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>()), sums)
    };
    let expected = run();
    on_every_isa(|isa| assert_eq!(run(), expected, "{isa:?}"));
}

/// Returns values of both signs from 1 down to the subnormal range, zeros, and non-finite values.
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
        assert!(values[0] == if x.abs() < TINY_DELTA { 0.0 } else { x } || x.is_nan() && values[0].is_nan());
    }
}

#[test]
fn kernels_make_no_subnormal_numbers() {
    let values = all_magnitudes().into_iter().filter(|x| x.is_finite() && !x.is_subnormal());
    let values: Vec<f32> = values.collect();
    let step =
        AdamStep { beta1: 0.9, beta2: 0.999, rate: 1e-3, root_correction: 1.0, epsilon: 1e-8, shrink: 0.5 };
    let logits: Vec<f32> = (-1200..1200).map(|i| i as f32 / 10.0).collect();
    let mut outputs = logits.clone();
    sigmoid(&mut outputs);
    for apply in [silu, gelu] {
        let mut outputs = [values.clone(), logits.clone()].concat();
        apply(&mut outputs);
        assert!(outputs.iter().all(|x| !x.is_subnormal()));
    }
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
        for y in [-1.0, -1.0 + f32::EPSILON, -factor] {
            let mut delta = values.clone();
            elu_backward(&mut delta, &vec![y; values.len()], 1.0);
            found.push(delta);
        }
        for &z in logits.iter().step_by(7) {
            for backward in [silu_backward, gelu_backward] {
                let mut delta = values.clone();
                backward(&mut delta, &vec![z; values.len()]);
                found.push(delta);
            }
        }
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
fn non_finite_parameters_are_reported() {
    let step =
        AdamStep { beta1: 0.9, beta2: 0.999, rate: 0.1, root_correction: 1.0, epsilon: 1e-8, shrink: 1.0 };
    for bad in [f32::NAN, f32::INFINITY, 1e30] {
        let mut gradient = [0.5; 40];
        assert!(adam(&mut [1.0; 40], &mut [0.0; 40], &mut [0.0; 40], &gradient, step));
        gradient[37] = bad;
        assert!(!adam(&mut [1.0; 40], &mut [0.0; 40], &mut [0.0; 40], &gradient, step));
    }
    assert!(!sgd(&mut [1.0; 40], &mut [0.0; 40], &[f32::NAN; 40], 0.1, 0.9));
}
