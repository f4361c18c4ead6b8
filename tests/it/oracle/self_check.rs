//! Checks the reference against central differences and hand-computed values, with negative controls.

use super::optimizers::{Adam, AdamW, SgdMomentum};
use super::reference::*;

const STEP: f64 = 1e-5;
const TOLERANCE: f64 = 1e-6;
const BATCH: usize = 7;
const THREE_A_SIDE: [usize; 7] = [20, 12, 9, 5, 9, 12, 20];
const FIVE_A_SIDE: [usize; 11] = [12, 10, 8, 7, 6, 4, 6, 7, 8, 10, 12];

/// A linear congruential generator (Knuth's MMIX constants).
struct Lcg(u64);

impl Lcg {
    /// Uniform in `[0, 1)`, from the top 53 bits.
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn matrix(&mut self, rows: usize, columns: usize, low: f64, high: f64) -> Matrix {
        let mut row = || (0..columns).map(|_| low + (high - low) * self.uniform()).collect();
        (0..rows).map(|_| row()).collect()
    }

    fn dropout(&mut self, rows: usize, columns: usize, rate: f64) -> Matrix {
        let mut mask = self.matrix(rows, columns, 0.0, 1.0);
        for entry in mask.iter_mut().flatten() {
            *entry = if *entry < rate { 0.0 } else { 1.0 / (1.0 - rate) };
        }
        mask
    }
}

/// A network with input and target rows.
#[derive(Clone)]
struct Case {
    network: Network,
    input: Matrix,
    target: Matrix,
}

impl Case {
    /// Creates a case with activation `hidden`, a linear code, and `output` at the
    /// end. With a `rate`, all layers except the last have masks, the code too.
    ///
    /// The seed is the first that keeps away from kinks.
    fn new(sizes: &[usize], hidden: Activation, output: Activation, loss: Loss, rate: f64) -> Self {
        (1..100)
            .map(|seed| Self::seeded(seed, sizes, hidden, output, loss, rate))
            .find(Self::is_clear)
            .expect("a seed clear of kinks")
    }

    fn seeded(
        seed: u64,
        sizes: &[usize],
        hidden: Activation,
        output: Activation,
        loss: Loss,
        rate: f64,
    ) -> Self {
        let mut rng = Lcg(seed);
        let count = sizes.len() - 1;
        let code_layer = count / 2 - 1;
        let mut layers = Vec::new();
        for l in 0..count {
            let (ins, outs) = (sizes[l], sizes[l + 1]);
            let limit = (6.0 / (ins + outs) as f64).sqrt();
            layers.push(Layer {
                weight: rng.matrix(ins, outs, -limit, limit),
                bias: rng.matrix(1, outs, -0.2, 0.2).concat(),
                activation: if l == count - 1 {
                    output
                } else if l == code_layer {
                    Activation::Identity
                } else {
                    hidden
                },
                mask: (rate > 0.0 && l < count - 1).then(|| rng.dropout(BATCH, outs, rate)),
            });
        }
        let penalties = Penalties { code_layer, ..Penalties::default() };
        Self {
            network: Network { layers, loss, penalties, weights: vec![] },
            // Different rows: the input of a denoising autoencoder differs
            // from its target, and confusing them must fail.
            input: rng.matrix(BATCH, sizes[0], -1.0, 1.0),
            target: rng.matrix(BATCH, sizes[0], 0.0, 1.0),
        }
    }

    /// The distance to the nearest kink: the smallest pre-activation and the
    /// smallest weight, in magnitude. Differences must not straddle the kink
    /// of a ReLU or of `|x|`.
    fn clearance(&self) -> (f64, f64) {
        let nearest = |m: &Matrix| m.concat().iter().map(|v| v.abs()).fold(1.0, f64::min);
        let passes = self.network.passes(&self.input);
        let z = passes.iter().map(|pass| nearest(&pass.z));
        let w = self.network.layers.iter().map(|l| nearest(&l.weight));
        (z.fold(1.0, f64::min), w.fold(1.0, f64::min))
    }

    /// The distance of the errors to the kink of the loss, or of its derivative.
    fn loss_clearance(&self) -> f64 {
        let kink = match self.network.loss {
            Loss::Mae => 0.0,
            Loss::Huber(delta) => delta,
            Loss::Mse | Loss::Bce => return 1.0,
        };
        let (output, target) = (self.network.forward(&self.input).concat(), self.target.concat());
        output.iter().zip(target).map(|(y, t)| ((y - t).abs() - kink).abs()).fold(1.0, f64::min)
    }

    fn is_clear(&self) -> bool {
        let (z, w) = self.clearance();
        self.loss_clearance() > 1e-4 && z > 1e-4 && w > 2.0 * STEP
    }

    fn backprop(&self) -> Gradients {
        self.network.gradients(&self.input, &self.target)
    }

    fn numeric(&self) -> Gradients {
        self.network.numeric_gradients(&self.input, &self.target, STEP)
    }

    fn check(&self, name: &str) {
        assert!(self.is_clear(), "{name}: near a kink, {:?}", self.clearance());
        let error = relative_error(&self.backprop(), &self.numeric());
        println!("{name}: {error:.1e}");
        assert!(error < TOLERANCE, "{name}: {error:e}");
    }
}

const ACTIVATIONS: [Activation; 8] = [
    Activation::Identity,
    Activation::Relu,
    Activation::LeakyRelu(0.1),
    Activation::Elu,
    Activation::Silu,
    Activation::Gelu,
    Activation::Sigmoid,
    Activation::Tanh,
];

fn close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-12, "{a} is not {b}");
}

#[test]
fn backprop_agrees_for_every_activation_and_loss() {
    for activation in ACTIVATIONS {
        for rate in [0.0, 0.3] {
            let case = |output, loss| Case::new(&[8, 6, 3, 6, 8], activation, output, loss, rate);
            let name = format!("{activation:?}, rate {rate}");
            case(activation, Loss::Mse).check(&format!("mse, {name}"));
            case(Activation::Sigmoid, Loss::Mse).check(&format!("mse of sigmoid, {name}"));
            case(Activation::Sigmoid, Loss::Bce).check(&format!("bce, {name}"));
            for loss in [Loss::Mae, Loss::Huber(0.3)] {
                case(Activation::Identity, loss).check(&format!("{loss:?}, {name}"));
                case(Activation::Sigmoid, loss).check(&format!("{loss:?} of sigmoid, {name}"));
            }
        }
    }
}

#[test]
fn backprop_agrees_for_every_penalty() {
    for rate in [0.0, 0.3] {
        for loss in [Loss::Mse, Loss::Bce] {
            for which in 0..4 {
                let mut case = Case::new(&[8, 6, 3, 6, 8], Activation::Tanh, Activation::Sigmoid, loss, rate);
                let on = |k: usize| if which == k || which == 3 { 0.05 } else { 0.0 };
                let plain = case.backprop();
                case.network.penalties = Penalties {
                    lasso: on(0),
                    lasso_layers: 2,
                    ridge: on(1),
                    ridge_layers: 4,
                    code_l1: on(2),
                    code_layer: 1,
                };
                case.check(&format!("{loss:?}, penalty {which}, rate {rate}"));
                // Without the penalty the check must fail.
                assert!(relative_error(&plain, &case.backprop()) > 1e-2);
            }
        }
    }
}

#[test]
fn backprop_agrees_with_weights() {
    for loss in [Loss::Mse, Loss::Mae, Loss::Huber(0.3), Loss::Bce] {
        let mut case = whole(&THREE_A_SIDE, Activation::Tanh, loss);
        let plain = case.backprop();
        case.network.weights = vec![0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 10.0];
        case.check(&format!("{loss:?}, weights"));
        assert!(relative_error(&plain, &case.backprop()) > 1e-2);
    }
}

/// All features, masks included, at the depths of real models.
fn whole(sizes: &[usize], hidden: Activation, loss: Loss) -> Case {
    let mut case = Case::new(sizes, hidden, Activation::Sigmoid, loss, 0.3);
    case.network.penalties = Penalties {
        lasso: 1e-3,
        lasso_layers: sizes.len() / 2,
        ridge: 1e-3,
        ridge_layers: sizes.len() - 1,
        code_l1: 1e-2,
        ..case.network.penalties
    };
    case
}

#[test]
fn backprop_agrees_on_whole_models() {
    for loss in [Loss::Mse, Loss::Bce] {
        for hidden in [Activation::Relu, Activation::LeakyRelu(0.01), Activation::Tanh] {
            whole(&THREE_A_SIDE, hidden, loss).check(&format!("3 a side, {hidden:?}, {loss:?}"));
            whole(&FIVE_A_SIDE, hidden, loss).check(&format!("5 a side, {hidden:?}, {loss:?}"));
        }
    }
    // Without penalties, so that they do not hide errors of the data's gradient.
    for sizes in [&THREE_A_SIDE[..], &FIVE_A_SIDE[..]] {
        let hidden = Activation::LeakyRelu(0.1);
        Case::new(sizes, hidden, Activation::Sigmoid, Loss::Mse, 0.3).check("no penalties");
    }
}

#[test]
fn corrupted_gradients_fail_the_check() {
    let case = whole(&THREE_A_SIDE, Activation::Relu, Loss::Mse);
    case.check("uncorrupted");
    let numeric = case.numeric();
    let backprop = case.backprop();
    let fails = |g: &Gradients| relative_error(g, &numeric) > TOLERANCE;
    for l in 0..case.network.layers.len() {
        let mut g = backprop.clone();
        g.weight[l][0][0] += 1e-4;
        assert!(fails(&g), "one weight of layer {l}");
        let mut g = backprop.clone();
        g.bias[l].iter_mut().for_each(|x| *x *= 1.0001);
        assert!(fails(&g), "the biases of layer {l}");
        let mut g = backprop.clone();
        g.weight[l][0][0] = f64::NAN;
        assert!(fails(&g), "a NaN in layer {l}");
    }
    for l in 0..case.network.layers.len() - 1 {
        let mut unmasked = case.clone();
        unmasked.network.layers[l].mask = None;
        assert!(fails(&unmasked.backprop()), "layer {l}'s mask forgotten");
    }
    let mut swapped = case.clone();
    std::mem::swap(&mut swapped.input, &mut swapped.target);
    assert!(fails(&swapped.backprop()), "input and target swapped");
}

/// Hand-computed values: central differences cannot detect a wrong scale
/// of the loss itself.
#[test]
fn losses_and_penalties_by_hand() {
    let layer = |weight: Matrix, activation, mask| Layer {
        bias: vec![0.5; weight[0].len()],
        weight,
        activation,
        mask,
    };
    let mut network = Network {
        layers: vec![
            layer(
                vec![vec![1.0, -2.0], vec![3.0, 1.0]],
                Activation::LeakyRelu(0.1),
                Some(vec![vec![2.0, 2.0], vec![0.0, 2.0]]),
            ),
            layer(vec![vec![1.0, 0.0], vec![0.0, -1.0]], Activation::Identity, None),
        ],
        loss: Loss::Mse,
        penalties: Penalties::default(),
        weights: vec![],
    };
    // z = [1.5, -1.5], [3.5, 1.5]; f(z) = [1.5, -0.15], [3.5, 1.5];
    // masked [3, -0.3], [0, 3]; then [3.5, 0.8], [0.5, -2.5].
    let input = vec![vec![1.0, 0.0], vec![0.0, 1.0]];
    let target = vec![vec![3.0, 0.8], vec![0.5, -1.5]];
    for (row, expected) in network.forward(&input).iter().zip([[3.5, 0.8], [0.5, -2.5]]) {
        close(row[0], expected[0]);
        close(row[1], expected[1]);
    }
    close(network.data_loss(&input, &target), (0.25 + 1.0) / 4.0);
    // Errors of 0.5, 0, 0 and -1.
    network.loss = Loss::Mae;
    close(network.data_loss(&input, &target), 1.5 / 4.0);
    network.loss = Loss::Huber(0.5);
    close(network.data_loss(&input, &target), (0.125 + 0.5 * 0.75) / 4.0);
    network.loss = Loss::Mse;
    network.weights = vec![3.0, 1.0];
    close(network.data_loss(&input, &target), (3.0 * 0.25 + 1.0) / (4.0 * 2.0));
    network.weights = vec![];
    network.penalties = Penalties {
        lasso: 0.1,
        lasso_layers: 1,
        ridge: 0.01,
        ridge_layers: 2,
        code_l1: 0.001,
        code_layer: 0,
    };
    let penalties = 0.1 * 7.0 + 0.01 * (15.0 + 2.0) + 0.001 * 6.3 / 2.0;
    close(network.data_loss(&input, &target), 0.3125);
    close(network.loss(&input, &target), 0.3125 + penalties);

    network.layers[1].activation = Activation::Sigmoid;
    network.loss = Loss::Bce;
    let target = vec![vec![1.0, 0.0], vec![0.25, 1.0]];
    let y = network.forward(&input).concat();
    let t = target.concat();
    let entropy = |k: usize| -t[k] * y[k].ln() - (1.0 - t[k]) * (1.0 - y[k]).ln();
    let expected = (0..4).map(entropy).sum::<f64>() / 4.0;
    close(network.data_loss(&input, &target), expected);
}

#[test]
fn kinks_follow_the_conventions() {
    assert_eq!(Activation::Relu.derivative(0.0), 0.0);
    assert_eq!(Activation::LeakyRelu(0.1).derivative(0.0), 0.1);
    assert_eq!([sign(0.0), sign(-0.0), sign(-3.0), sign(2.0)], [0.0, 0.0, -1.0, 1.0]);
}

/// With a constant gradient `g` the bias-corrected moments are `g` and `g^2`,
/// so each of Adam's steps is `lr * g / (|g| + eps)`.
#[test]
fn optimizers_in_closed_form() {
    let gradient = [0.5, -2.0, 0.0];
    let start = [1.0, 1.0, 1.0];
    let (mut adam, mut adam_p) = (Adam::new(0.1), start);
    let (mut adamw, mut adamw_p) = (AdamW::new(0.1, 0.5), start);
    let (mut sgd, mut sgd_p) = (SgdMomentum::new(0.1, 0.9), start);
    let (mut decayed, mut velocity, mut moved) = (start, 0.0, 0.0);
    for t in 1..=20 {
        adam.step(&mut adam_p, &gradient);
        adamw.step(&mut adamw_p, &gradient);
        sgd.step(&mut sgd_p, &gradient);
        velocity = 0.9 * velocity + 1.0;
        moved += 0.1 * velocity;
        for (k, g) in gradient.iter().enumerate() {
            let step = 0.1 * g / (g.abs() + 1e-8);
            decayed[k] = decayed[k] * 0.95 - step;
            close(adam_p[k], 1.0 - f64::from(t) * step);
            close(adamw_p[k], decayed[k]);
            close(sgd_p[k], 1.0 - moved * g);
        }
    }
    // A gradient that changes: m = 0.9 * 0.1 - 0.1 * 3, v = 0.999 * 0.001 + 0.001 * 9.
    let (mut adam, mut p) = (Adam::new(0.1), [0.0]);
    adam.step(&mut p, &[1.0]);
    adam.step(&mut p, &[-3.0]);
    let second = (0.09 - 0.3) / 0.19 / ((0.009_999_f64 / 0.001_999).sqrt() + 1e-8);
    close(p[0], -0.1 / (1.0 + 1e-8) - 0.1 * second);
}
