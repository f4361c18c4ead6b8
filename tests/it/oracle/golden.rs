//! Ten steps compared with PyTorch: losses, first gradients, final weights. `tests/golden/generate.py` wrote the file.

use autoencoder::{
    Autoencoder,
    data::{Dataset, Pairs, Weighted},
    ndarray::{Array1, Array2, ArrayView2},
    nn::{Activation, Dense, Dropout, Layer, Loss, Parameters, Penalty, Scope},
    train::{Batch, Frozen, Objective, Optimizer, OptimizerState, Step},
};
use safetensors::SafeTensors;

/// Far above PyTorch's f32 rounding (3e-7 against the f64 reference), and below the effect of a mistake: missing decay
/// of the biases, or beta2 of 0.99, changes the weights by 1e-4 and the losses by much less.
const TOLERANCE: f64 = 1e-5;
const STEPS: usize = 10;
const ROWS: usize = 7;
const WIDTHS: [usize; 7] = [20, 12, 9, 5, 9, 12, 20];
const CODE_LAYER: usize = 2;

struct Golden<'a>(SafeTensors<'a>);

impl Golden<'_> {
    fn get(&self, name: &str) -> Vec<f32> {
        let data = self.0.tensor(name).unwrap_or_else(|_| panic!("no {name}")).data();
        data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    }

    /// Weights `[in, out]` and biases of layer `index`.
    fn layer(&self, prefix: &str, index: usize) -> (Array2<f32>, Array1<f32>) {
        let (stack, place) =
            if index <= CODE_LAYER { ("encoder", index) } else { ("decoder", index - CODE_LAYER - 1) };
        let name = |kind| format!("{prefix}.{stack}.{}.{kind}", 2 * place);
        let shape = (WIDTHS[index + 1], WIDTHS[index]);
        let weight = Array2::from_shape_vec(shape, self.get(&name("weight"))).unwrap();
        (weight.reversed_axes(), Array1::from_vec(self.get(&name("bias"))))
    }

    fn rows(&self, name: &str) -> Array2<f32> {
        Array2::from_shape_vec((STEPS * ROWS, WIDTHS[0]), self.get(name)).unwrap()
    }

    fn model(&self, output: Activation) -> Autoencoder {
        self.model_of(Activation::Relu, output)
    }

    fn model_of(&self, hidden: Activation, output: Activation) -> Autoencoder {
        let last = WIDTHS.len() - 2;
        let layer = |index| {
            let (weight, bias) = self.layer("initial", index);
            let activation = match index {
                CODE_LAYER => Activation::Identity,
                index if index == last => output,
                _ => hidden,
            };
            Layer { dense: Dense::new(weight, bias).unwrap(), activation, dropout: Dropout::OFF }
        };
        let decoder = (CODE_LAYER + 1..=last).map(layer).collect();
        Autoencoder::from_layers((0..=CODE_LAYER).map(layer).collect(), decoder).unwrap()
    }

    /// Takes the steps of a case and compares losses, first gradients and final weights.
    fn check(
        &self,
        case: &str,
        mut model: Autoencoder,
        samples: &dyn Dataset,
        objective: Objective,
        optimizer: Optimizer,
        rate: f32,
    ) {
        let mut state = OptimizerState::new(optimizer, &model).unwrap();
        let mut step = Step::new(&model, objective, ROWS).unwrap();
        let mut gradients = Parameters::zeros(&model);
        for (index, expected) in self.get(&format!("{case}.losses")).into_iter().enumerate() {
            let rows: Vec<_> = (index * ROWS..(index + 1) * ROWS).collect();
            let batch = Batch { samples, rows: &rows, noise: None, seed: 0, epoch: 1, number: index + 1 };
            step.gradients(&model, &batch, &mut gradients).unwrap();
            let found = step.run(&mut model, &mut state, rate, &batch).unwrap().total();
            assert!((found - f64::from(expected)).abs() < 1e-6, "{case}, step {index}: {found}, {expected}");
            if index == 0 {
                for (layer, gradient) in gradients.clone().into_iter().enumerate() {
                    let (weight, bias) = self.layer(&format!("{case}.gradient"), layer);
                    assert_near(&format!("{case}, gradient {layer}"), &gradient.weight, &weight);
                    assert_near(&format!("{case}, bias gradient {layer}"), &gradient.bias, &bias);
                }
            }
        }
        for (index, layer) in model.layers().iter().enumerate() {
            let (weight, bias) = self.layer(&format!("{case}.final"), index);
            let found: ArrayView2<f32> = layer.dense.weight();
            assert_near(&format!("{case}, weight {index}"), found, &weight);
            assert_near(&format!("{case}, bias {index}"), layer.dense.bias(), &bias);
        }
    }
}

fn assert_near<'a>(
    what: &str,
    found: impl IntoIterator<Item = &'a f32>,
    expected: impl IntoIterator<Item = &'a f32>,
) {
    let (mut difference, mut size) = (0.0, 0.0);
    for (&found, &expected) in found.into_iter().zip(expected) {
        difference += (f64::from(found) - f64::from(expected)).powi(2);
        size += f64::from(expected).powi(2);
    }
    let error = (difference / size).sqrt();
    assert!(error < TOLERANCE, "{what}: {error:e}");
}

#[test]
fn ten_steps_equal_pytorchs() {
    let file = include_bytes!("../../golden/pytorch.safetensors");
    let golden = Golden(SafeTensors::deserialize(file).unwrap());
    let samples = golden.rows("batches");
    let lasso = vec![Penalty::lasso(1e-3)];
    for (case, loss, penalties, optimizer, rate) in [
        ("mse_adam", Loss::Mse, vec![], Optimizer::adam(), 1e-3),
        ("bce_adam", Loss::Bce, vec![], Optimizer::adam(), 1e-3),
        ("lasso_adam", Loss::Mse, lasso, Optimizer::adam(), 1e-3),
        ("mse_adamw", Loss::Mse, vec![], Optimizer::adamw(0.01), 1e-3),
        ("mse_sgd", Loss::Mse, vec![], Optimizer::Sgd { momentum: 0.9 }, 0.1),
    ] {
        let model = golden.model(Activation::Sigmoid);
        golden.check(case, model, &samples, Objective { loss, penalties }, optimizer, rate);
    }
}

#[test]
fn activations_and_decay_of_the_weights_alone_equal_pytorchs() {
    let file = include_bytes!("../../golden/pytorch-variants.safetensors");
    let golden = Golden(SafeTensors::deserialize(file).unwrap());
    let samples = golden.rows("batches");
    let (sgd, relu) = (Optimizer::Sgd { momentum: 0.9 }, Activation::Relu);
    for (case, hidden, optimizer, rate) in [
        ("elu", Activation::Elu, sgd, 0.1),
        ("silu", Activation::Silu, sgd, 0.1),
        ("gelu", Activation::Gelu, sgd, 0.1),
        ("decay_of_weights", relu, Optimizer::adamw_sparing_biases(0.5), 0.01),
    ] {
        let model = golden.model_of(hidden, Activation::Sigmoid);
        golden.check(case, model, &samples, Objective::default(), optimizer, rate);
    }
}

#[test]
fn losses_of_pairs_with_weights_equal_pytorchs() {
    let file = include_bytes!("../../golden/pytorch-losses.safetensors");
    let golden = Golden(SafeTensors::deserialize(file).unwrap());
    let (inputs, targets) = (golden.rows("batches"), golden.rows("targets"));
    let pairs = Pairs::new(&inputs, &targets).unwrap();
    let weighted = Weighted::new(&pairs, golden.get("weights")).unwrap();
    let huber = Loss::Huber { delta: 0.2 };
    for (case, loss, output, samples) in [
        ("huber", huber, Activation::Sigmoid, &pairs as &dyn Dataset),
        ("huber_identity", huber, Activation::Identity, &pairs),
        ("mae", Loss::Mae, Activation::Sigmoid, &pairs),
        ("weighted_huber", huber, Activation::Sigmoid, &weighted),
        ("weighted_mse", Loss::Mse, Activation::Sigmoid, &weighted),
        ("weighted_bce", Loss::Bce, Activation::Sigmoid, &weighted),
    ] {
        let objective = Objective { loss, penalties: vec![] };
        golden.check(case, golden.model(output), samples, objective, Optimizer::adam(), 1e-3);
    }
}

/// `tests/golden/clipping.py` wrote the file. In two of the cases, some steps are clipped and some are not.
#[test]
fn clipped_and_frozen_steps_equal_pytorchs() {
    let initial =
        Golden(SafeTensors::deserialize(include_bytes!("../../golden/pytorch.safetensors")).unwrap());
    let golden =
        Golden(SafeTensors::deserialize(include_bytes!("../../golden/clipping.safetensors")).unwrap());
    let samples = Array2::from_shape_vec((STEPS * ROWS, WIDTHS[0]), initial.get("batches")).unwrap();
    let lasso = vec![Penalty::Lasso { lambda: 1e-3, scope: Scope::All }];
    for (case, loss, penalties, optimizer, rate, max_norm, frozen) in [
        ("lasso_sgd", Loss::Mse, lasso, Optimizer::sgd(0.9), 0.1, 0.01, None),
        ("bce_adam", Loss::Bce, vec![], Optimizer::adam(), 1e-3, 0.03, None),
        ("mse_adamw", Loss::Mse, vec![], Optimizer::adamw(0.01), 1e-3, 0.015, Some(Frozen::Encoder)),
    ] {
        let mut model = initial.model(Activation::Sigmoid);
        let mut state = OptimizerState::new(optimizer, &model).unwrap();
        let new_step = || {
            let step = Step::new(&model, Objective { loss, penalties: penalties.clone() }, ROWS).unwrap();
            frozen.iter().fold(step, |step, frozen| step.freeze(frozen).unwrap())
        };
        let mut plain = new_step();
        let mut clipping = new_step().clip_norm(&model, max_norm).unwrap();
        let mut gradients = Parameters::zeros(&model);
        let expected =
            golden.get(&format!("{case}.losses")).into_iter().zip(golden.get(&format!("{case}.norms")));
        for (index, (loss, norm)) in expected.enumerate() {
            let rows: Vec<_> = (index * ROWS..(index + 1) * ROWS).collect();
            let batch =
                Batch { samples: &samples, rows: &rows, noise: None, seed: 0, epoch: 1, number: index + 1 };
            plain.gradients(&model, &batch, &mut gradients).unwrap();
            let difference = (gradients.norm() / f64::from(norm) - 1.0).abs();
            assert!(difference < TOLERANCE, "{case}, step {index}: norm {difference:e}");
            let found = clipping.run(&mut model, &mut state, rate, &batch).unwrap().total();
            assert!((found - f64::from(loss)).abs() < 1e-6, "{case}, step {index}: {found}, {loss}");
        }
        for (index, layer) in model.layers().iter().enumerate() {
            let (weight, bias) = golden.layer(&format!("{case}.final"), index);
            assert_near(&format!("{case}, weight {index}"), layer.dense.weight(), &weight);
            assert_near(&format!("{case}, bias {index}"), layer.dense.bias(), &bias);
            if frozen.is_some() {
                let same = layer == &initial.model(Activation::Sigmoid).layers()[index];
                assert_eq!(same, index <= CODE_LAYER, "{case}, layer {index}");
            }
        }
    }
}
