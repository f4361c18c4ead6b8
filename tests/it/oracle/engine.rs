//! The f32 engine against the f64 reference: gradients of every layer kind, loss and penalty, and whole training.

use super::optimizers::{Adam, AdamW, SgdMomentum};
use super::reference::{self, Gradients, Matrix, Network, relative_error};
use approx::assert_relative_eq;
use autoencoder::{
    Autoencoder,
    bench::{corrupt_training_row, dropout_mask},
    data::{Dataset, Noise, NoiseKind, Pairs, Weighted},
    ndarray::{Array1, Array2, ArrayView2},
    nn::{Activation, Dense, Dropout, Init, Layer, Loss, Parameters, Penalty, Scope},
    train::{Batch, BatchLoss, Objective, Optimizer, OptimizerState, Step},
};

const TOLERANCE: f64 = 1e-4;
const SEED: u64 = 5;
const EPOCH: usize = 3;

/// A model, an objective and the rows of one step.
#[derive(Clone)]
struct Case {
    model: Autoencoder,
    objective: Objective,
    samples: Array2<f32>,
    /// If the samples are not their own.
    targets: Option<Array2<f32>>,
    /// One per row, if rows have weights.
    weights: Option<Vec<f32>>,
    rows: Vec<usize>,
    noise: Option<Noise>,
}

impl Case {
    /// Creates a case with mirrored `widths`, from the input to the code. The batch is a shuffled subset of the rows.
    fn new(widths: &[usize], hidden: Activation, output: Activation, dropout: f32, batch: usize) -> Self {
        let model = Autoencoder::builder(widths[0])
            .hidden(&widths[1..widths.len() - 1])
            .code(widths[widths.len() - 1])
            .hidden_activation(hidden)
            .output_activation(output)
            .dropout(dropout)
            .init(Init::Pytorch)
            .seed(SEED)
            .build()
            .unwrap();
        let mut samples = Array2::zeros((2 * batch, widths[0]));
        samples.fill(0.5);
        let noise = Noise::new(NoiseKind::Gaussian { variance: 0.05 }).unwrap();
        Self {
            model,
            objective: Objective::default(),
            samples: noise.clone().clamped().corrupt(&samples, SEED),
            targets: None,
            weights: None,
            rows: (0..batch).map(|row| 2 * (batch - 1 - row)).collect(),
            noise: None,
        }
    }

    fn batch(&self) -> Batch<'_> {
        let (samples, rows) = (&self.samples as &dyn Dataset, &self.rows);
        Batch { samples, rows, noise: self.noise.as_ref(), seed: SEED, epoch: EPOCH, number: 1 }
    }

    /// Returns the engine's loss and gradients.
    fn engine(&self) -> (BatchLoss, Gradients) {
        let mut found = Parameters::zeros(&self.model);
        let mut step = Step::new(&self.model, self.objective.clone(), self.rows.len()).unwrap();
        let pairs = self.targets.as_ref().map(|targets| Pairs::new(&self.samples, targets).unwrap());
        let samples = pairs.as_ref().map_or(&self.samples as &dyn Dataset, |pairs| pairs);
        let weights = self.weights.clone().unwrap_or_else(|| vec![1.0; samples.len()]);
        let weighted = Weighted::new(samples, weights).unwrap();
        let batch = Batch { samples: &weighted, ..self.batch() };
        let loss = step.gradients(&self.model, &batch, &mut found).unwrap();
        let gradients = Gradients {
            weight: found.layers().iter().map(|g| matrix(g.weight.view())).collect(),
            bias: found.layers().iter().map(|g| vector(&g.bias)).collect(),
        };
        (loss, gradients)
    }

    /// Returns the reference network, with the masks that the engine draws.
    fn network(&self) -> Network {
        let layers = self.model.layers().iter().enumerate();
        let layers = layers.map(|(index, layer)| reference::Layer {
            weight: matrix(layer.dense.weight()),
            bias: vector(&layer.dense.bias().to_owned()),
            activation: match layer.activation {
                Activation::Relu => reference::Activation::Relu,
                Activation::LeakyRelu { slope } => reference::Activation::LeakyRelu(slope.into()),
                Activation::Elu => reference::Activation::Elu,
                Activation::Silu => reference::Activation::Silu,
                Activation::Gelu => reference::Activation::Gelu,
                Activation::Sigmoid => reference::Activation::Sigmoid,
                Activation::Tanh => reference::Activation::Tanh,
                _ => reference::Activation::Identity,
            },
            mask: (!layer.dropout.is_off()).then(|| self.mask(index, layer)),
        });
        let mut penalties =
            reference::Penalties { code_layer: self.model.encoder_depth() - 1, ..Default::default() };
        let covered = |scope| match scope {
            Scope::Encoder => self.model.encoder_depth(),
            Scope::All => self.model.layers().len(),
        };
        for penalty in &self.objective.penalties {
            match *penalty {
                Penalty::Lasso { lambda, scope } => {
                    (penalties.lasso, penalties.lasso_layers) = (lambda.into(), covered(scope));
                }
                Penalty::L2 { lambda, scope } => {
                    (penalties.ridge, penalties.ridge_layers) = (lambda.into(), covered(scope));
                }
                Penalty::CodeL1 { lambda } => penalties.code_l1 = lambda.into(),
                other => panic!("the reference has no {other:?}"),
            }
        }
        let loss = match self.objective.loss {
            Loss::Bce => reference::Loss::Bce,
            Loss::Mae => reference::Loss::Mae,
            Loss::Huber { delta } => reference::Loss::Huber(delta.into()),
            _ => reference::Loss::Mse,
        };
        let weight = |weights: &Vec<f32>| self.rows.iter().map(|&row| weights[row].into()).collect();
        let weights = self.weights.as_ref().map(weight).unwrap_or_default();
        Network { layers: layers.collect(), loss, penalties, weights }
    }

    fn mask(&self, index: usize, layer: &Layer) -> Matrix {
        let mask = |&row: &usize| {
            let mut mask = Array1::zeros(layer.dense.outputs());
            dropout_mask(layer.dropout, mask.as_slice_mut().unwrap(), SEED, index, EPOCH, row);
            vector(&mask)
        };
        self.rows.iter().map(mask).collect()
    }

    /// Returns the inputs of the batch, with noise, and its targets.
    fn input_and_target(&self) -> (Matrix, Matrix) {
        let noisy = |&row: &usize| {
            let mut values = self.samples.row(row).to_vec();
            if let Some(noise) = &self.noise {
                corrupt_training_row(noise, &mut values, SEED, EPOCH, row);
            }
            values.into_iter().map(f64::from).collect()
        };
        let targets = self.targets.as_ref().unwrap_or(&self.samples);
        let clean = |&row: &usize| vector(&targets.row(row).to_owned());
        (self.rows.iter().map(noisy).collect(), self.rows.iter().map(clean).collect())
    }

    fn check(&self) {
        let (input, target) = self.input_and_target();
        let network = self.network();
        let (loss, gradients) = self.engine();
        let error = relative_error(&gradients, &network.gradients(&input, &target));
        assert!(error < TOLERANCE, "{:?}: gradients {error:e}", self.model.widths());
        close(loss.data, network.data_loss(&input, &target));
        close(loss.total(), network.loss(&input, &target));
        let squares = reference::Loss::Mse;
        close(loss.mse, Network { loss: squares, ..network }.data_loss(&input, &target));
    }
}

fn close(found: f64, expected: f64) {
    assert_relative_eq!(found, expected, max_relative = 1e-5);
}

fn matrix(array: ArrayView2<f32>) -> Matrix {
    array.outer_iter().map(|row| vector(&row.to_owned())).collect()
}

fn vector(array: &Array1<f32>) -> Vec<f64> {
    array.iter().map(|&x| x.into()).collect()
}

const ACTIVATIONS: [Activation; 8] = [
    Activation::Identity,
    Activation::Relu,
    Activation::LeakyRelu { slope: 0.1 },
    Activation::Elu,
    Activation::Silu,
    Activation::Gelu,
    Activation::Sigmoid,
    Activation::Tanh,
];

#[test]
fn every_activation_with_and_without_dropout() {
    for hidden in ACTIVATIONS {
        for output in ACTIVATIONS {
            for dropout in [0.0, 0.3] {
                Case::new(&[11, 7, 5], hidden, output, dropout, 9).check();
            }
        }
    }
}

#[test]
fn every_loss_and_penalty() {
    let penalties = [
        Penalty::lasso(0.01),
        Penalty::Lasso { lambda: 0.01, scope: Scope::All },
        Penalty::L2 { lambda: 0.02, scope: Scope::Encoder },
        Penalty::L2 { lambda: 0.02, scope: Scope::All },
        Penalty::CodeL1 { lambda: 0.03 },
    ];
    for loss in [Loss::Mse, Loss::Bce] {
        let mut case = Case::new(&[11, 7, 5], Activation::Tanh, Activation::Sigmoid, 0.3, 9);
        case.objective.loss = loss;
        case.check();
        for penalty in penalties {
            case.objective.penalties = vec![penalty];
            case.check();
        }
        case.objective.penalties = vec![penalties[0], penalties[3], penalties[4]];
        case.check();
    }
}

#[test]
fn whole_models_over_several_blocks_with_noise_and_dropout() {
    for widths in [&[20, 12, 9, 5][..], &[23, 17, 13, 11, 7, 4]] {
        for (loss, batch) in [(Loss::Mse, 7), (Loss::Bce, 64), (Loss::Mse, 150)] {
            let mut case = Case::new(widths, Activation::Relu, Activation::Sigmoid, 0.3, batch);
            case.objective =
                Objective { loss, penalties: vec![Penalty::lasso(1e-3), Penalty::CodeL1 { lambda: 1e-2 }] };
            case.noise = Some(Noise::gaussian(0.5).unwrap());
            case.check();
        }
    }
}

#[test]
fn pairs_with_and_without_noise() {
    for (loss, batch) in [(Loss::Mse, 7), (Loss::Bce, 64), (Loss::Mse, 150)] {
        let mut case = Case::new(&[20, 12, 5], Activation::Relu, Activation::Sigmoid, 0.3, batch);
        case.objective.loss = loss;
        case.targets = Some(case.samples.mapv(|x| 1.0 - x * x));
        case.check();
        case.noise = Some(Noise::gaussian(0.5).unwrap());
        case.check();
    }
}

#[test]
fn huber_and_absolute_error_of_every_output() {
    for loss in [Loss::Mae, Loss::Huber { delta: 0.1 }, Loss::Huber { delta: 1.0 }] {
        for output in ACTIVATIONS {
            let mut case = Case::new(&[11, 7, 5], Activation::Tanh, output, 0.3, 9);
            case.objective.loss = loss;
            case.check();
        }
    }
}

#[test]
fn rows_with_weights() {
    let huber = Loss::Huber { delta: 0.1 };
    for (loss, batch) in [(Loss::Mse, 7), (Loss::Bce, 64), (huber, 150), (Loss::Mae, 64), (Loss::Mse, 150)] {
        let mut case = Case::new(&[20, 12, 5], Activation::Relu, Activation::Sigmoid, 0.3, batch);
        case.objective = Objective { loss, penalties: vec![Penalty::CodeL1 { lambda: 1e-2 }] };
        for scale in [1.0, 1e-30, 1e30] {
            let weight = |row: usize| scale * [0.0, 0.3, 1.0, 7.0, 2.5][row / 2 % 5];
            case.weights = Some((0..2 * batch).map(weight).collect());
            case.check();
        }
        case.targets = Some(case.samples.mapv(|x| 1.0 - x * x));
        case.check();
    }
}

#[test]
fn dropout_of_the_code_and_unequal_stacks() {
    let layer = |(inputs, outputs), activation, index, dropout| Layer {
        dense: Init::Glorot.dense(inputs, outputs, SEED, index).unwrap(),
        activation,
        dropout: Dropout::new(dropout).unwrap(),
    };
    let mut case = Case::new(&[11, 4], Activation::Tanh, Activation::Identity, 0.0, 9);
    case.model = Autoencoder::from_layers(
        vec![layer((11, 4), Activation::Tanh, 0, 0.3)],
        vec![
            layer((4, 6), Activation::Sigmoid, 1, 0.5),
            layer((6, 3), Activation::Relu, 2, 0.0),
            layer((3, 11), Activation::Identity, 3, 0.0),
        ],
    )
    .unwrap();
    case.objective.penalties = vec![Penalty::CodeL1 { lambda: 0.1 }];
    case.check();
}

/// Negative controls: dropout without its scale, a missing mask, a penalty on too many layers, the noisy row as target.
#[test]
fn wrong_gradients_fail() {
    let mut case = Case::new(&[20, 12, 9, 5], Activation::Relu, Activation::Sigmoid, 0.3, 9);
    case.objective.penalties = vec![Penalty::lasso(1e-3)];
    case.noise = Some(Noise::gaussian(0.1).unwrap());
    let (input, target) = case.input_and_target();
    let (_, gradients) = case.engine();
    let network = case.network();
    let error = |network: &Network, target| relative_error(&gradients, &network.gradients(&input, target));
    assert!(error(&network, &target) < TOLERANCE);

    let mut unscaled = network.clone();
    for mask in unscaled.layers.iter_mut().filter_map(|layer| layer.mask.as_mut()) {
        mask.iter_mut().flatten().for_each(|m| *m = m.min(1.0));
    }
    let mut unmasked = network.clone();
    unmasked.layers[0].mask = None;
    let mut penalised = network.clone();
    penalised.penalties.lasso_layers += 1;
    for wrong in [&unscaled, &unmasked, &penalised] {
        assert!(error(wrong, &target) > TOLERANCE);
    }
    assert!(error(&network, &input) > TOLERANCE);
}

/// One optimizer step: parameters and their gradient.
type TensorStep = Box<dyn FnMut(&mut [f64], &[f64])>;

/// Several steps of each optimizer on tensors of different sizes, to detect steps that are counted per tensor.
#[test]
fn optimizers_follow_the_reference() {
    for (optimizer, rate) in [
        (Optimizer::adam(), 0.01),
        (Optimizer::adamw(0.1), 0.01),
        (Optimizer::adamw_sparing_biases(0.1), 0.01),
        (Optimizer::Sgd { momentum: 0.9 }, 0.5),
    ] {
        let case = Case::new(&[11, 7, 5], Activation::Tanh, Activation::Sigmoid, 0.3, 9);
        let (input, target) = case.input_and_target();
        let mut network = case.network();
        let flat = |network: &Network| -> Vec<Vec<f64>> {
            network.layers.iter().flat_map(|l| [l.weight.concat(), l.bias.clone()]).collect()
        };
        let mut steps: Vec<TensorStep> = flat(&network)
            .iter()
            .enumerate()
            .map(|(index, _)| -> TensorStep {
                let is_bias = index % 2 == 1;
                let rate = f64::from(rate);
                match optimizer {
                    Optimizer::AdamW { weight_decay, decay_biases, .. } if decay_biases || !is_bias => {
                        let mut state = AdamW::new(rate, weight_decay.into());
                        Box::new(move |p, g| state.step(p, g))
                    }
                    Optimizer::Sgd { momentum } => {
                        let mut state = SgdMomentum::new(rate, momentum.into());
                        Box::new(move |p, g| state.step(p, g))
                    }
                    _ => {
                        let mut state = Adam::new(rate);
                        Box::new(move |p, g| state.step(p, g))
                    }
                }
            })
            .collect();

        let mut model = case.model.clone();
        let mut state = OptimizerState::new(optimizer, &model).unwrap();
        let mut step = Step::new(&model, Objective::default(), case.rows.len()).unwrap();
        for _ in 0..20 {
            step.run(&mut model, &mut state, rate, &case.batch()).unwrap();
            let gradients = network.gradients(&input, &target);
            for (index, layer) in network.layers.iter_mut().enumerate() {
                let columns = layer.bias.len();
                let mut weight = layer.weight.concat();
                steps[2 * index](&mut weight, &gradients.weight[index].concat());
                steps[2 * index + 1](&mut layer.bias, &gradients.bias[index]);
                layer.weight = weight.chunks(columns).map(<[f64]>::to_vec).collect();
            }
        }
        assert_eq!(state.steps(), 20);
        let trained = Case { model, ..case }.network();
        let parameters = |network: &Network| Gradients {
            weight: network.layers.iter().map(|l| l.weight.clone()).collect(),
            bias: network.layers.iter().map(|l| l.bias.clone()).collect(),
        };
        let error = relative_error(&parameters(&trained), &parameters(&network));
        assert!(error < TOLERANCE, "{optimizer:?}: {error:e}");
    }
}

/// The proximal Lasso is the plain update, followed by moving every encoder weight toward 0 by rate * lambda.
#[test]
fn the_proximal_lasso_gives_exact_zeros() {
    let (rate, lambda) = (0.01, 4.0);
    let case = Case::new(&[11, 7, 5], Activation::Tanh, Activation::Sigmoid, 0.0, 9);
    let updated = |penalties| {
        let mut model = case.model.clone();
        let mut state = OptimizerState::new(Optimizer::adam(), &model).unwrap();
        let mut step = Step::new(&model, Objective { loss: Loss::Mse, penalties }, 9).unwrap();
        let loss = step.run(&mut model, &mut state, rate, &case.batch()).unwrap();
        (model, loss)
    };
    let (plain, _) = updated(vec![]);
    let (proximal, loss) = updated(vec![Penalty::ProximalLasso { lambda, scope: Scope::Encoder }]);
    let mut zeros = 0;
    let mut absolute = 0.0;
    for (index, (plain, proximal)) in plain.layers().iter().zip(proximal.layers()).enumerate() {
        let threshold = if index < case.model.encoder_depth() { rate * lambda } else { 0.0 };
        for (&before, &after) in plain.dense.weight().iter().zip(proximal.dense.weight()) {
            let expected = before.signum() * (before.abs() - threshold).max(0.0);
            assert_eq!(after, expected);
            zeros += usize::from(after == 0.0);
        }
        assert_eq!(plain.dense.bias(), proximal.dense.bias());
        if threshold > 0.0 {
            absolute += case.model.layers()[index].dense.weight().mapv(|w| f64::from(w.abs())).sum();
        }
    }
    assert!(zeros > 5, "{zeros}");
    close(loss.penalty, f64::from(lambda) * absolute);
}

/// A layer made from an array in another memory layout gives the same results.
#[test]
fn layouts_do_not_matter() {
    let weight = Init::He.dense(6, 4, 1, 0).unwrap().weight().to_owned();
    let transposed = weight.t().as_standard_layout().into_owned().reversed_axes();
    assert_ne!(weight.strides(), transposed.strides());
    let make = |weight| Dense::new(weight, Array1::zeros(4)).unwrap();
    assert_eq!(make(weight).weight().strides(), make(transposed).weight().strides());
}
