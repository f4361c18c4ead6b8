use super::*;
use crate::{
    data::digits,
    nn::{Activation, Loss, Penalty},
    train::Optimizer,
};
use ndarray::{Array2, Axis};

/// Rows of 49 pixels with a dark border, in two halves: pixels that only the first half has stay dark for the second.
fn pixels() -> Array2<f32> {
    let images = digits::generate(1024, 3).unwrap().to_array().unwrap();
    let coarse: Vec<_> = (0..784).filter(|pixel| pixel / 28 % 4 == 2 && pixel % 4 == 2).collect();
    let mut pixels = images.select(Axis(1), &coarse);
    pixels.slice_mut(ndarray::s![512.., ..21]).fill(0.0);
    pixels
}

fn has_subnormal<'a>(values: impl IntoIterator<Item = &'a f32>) -> bool {
    values.into_iter().any(|value| value.is_subnormal())
}

#[test]
fn no_number_becomes_subnormal() {
    let pixels = pixels();
    let rows: Vec<_> = (0..pixels.nrows()).collect();
    let optimizers = [
        (Optimizer::adam(), 0.01),
        (Optimizer::adamw(20.0), 0.005),
        (Optimizer::Sgd { momentum: 0.9 }, 0.5),
        (Optimizer::Sgd { momentum: 0.0 }, 0.5),
    ];
    for (optimizer, rate) in optimizers {
        for loss in [Loss::Mse, Loss::Bce, Loss::Huber { delta: 0.1 }] {
            for hidden in [Activation::Relu, Activation::Sigmoid, Activation::Identity] {
                let builder = Autoencoder::builder(49).hidden(&[16]).code(4).hidden_activation(hidden);
                let mut model = builder.build().unwrap();
                let mut state = OptimizerState::new(optimizer, &model).unwrap();
                let penalties = vec![Penalty::L2 { lambda: 1e-3, scope: crate::nn::Scope::All }];
                let mut step = Step::new(&model, Objective { loss, penalties }, 512).unwrap();
                for number in 1..=2_000 {
                    let rows = if number <= 1_000 { &rows[..512] } else { &rows[512..] };
                    let batch = Batch { samples: &pixels, rows, noise: None, seed: 0, epoch: 1, number };
                    step.run(&mut model, &mut state, rate, &batch).unwrap();
                    if number % 250 != 0 {
                        continue;
                    }
                    let place = format!("{optimizer:?}, {loss:?}, {hidden:?}, step {number}");
                    for layer in model.layers() {
                        assert!(!has_subnormal(layer.dense.weight()), "weights, {place}");
                        assert!(!has_subnormal(layer.dense.bias()), "biases, {place}");
                    }
                    for (name, moments) in [("first", &state.first), ("second", &state.second)] {
                        for layer in moments.layers() {
                            assert!(!has_subnormal(&layer.weight), "{name} moments of weights, {place}");
                            assert!(!has_subnormal(&layer.bias), "{name} moments of biases, {place}");
                        }
                    }
                    for block in &step.blocks {
                        for layer in 0..model.layers().len() {
                            assert!(!has_subnormal(block.delta(layer)), "deltas, {place}");
                            assert!(!has_subnormal(block.layer_input(layer)), "outputs, {place}");
                        }
                    }
                    assert!(!has_subnormal(&model.reconstruct(&pixels).unwrap()), "outputs, {place}");
                }
            }
        }
    }
}
