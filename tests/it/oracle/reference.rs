//! A slow, plain `f64` reference for dense autoencoders: forward pass, losses, penalties, gradients (by
//! backpropagation and by central differences). It shares no code with the engine, and always prefers
//! the plain formula to speed.
//!
//! Matrices are `Vec<Vec<f64>>`: `[batch][feature]` for data, `[in][out]` for
//! weights. Conventions at the kinks: `sign(0) = 0`, `relu'(0) = 0` and
//! `leaky_relu'(0) = slope`.

/// A matrix as rows of equal length.
pub type Matrix = Vec<Vec<f64>>;

/// A layer's activation function.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// `z`
    Identity,
    /// `max(z, 0)`
    Relu,
    /// `z` where `z > 0`, `slope * z` elsewhere.
    LeakyRelu(f64),
    /// `z` where `z > 0`, `exp(z) - 1` elsewhere.
    Elu,
    /// `z / (1 + exp(-z))`
    Silu,
    /// `z (1 + erf(z / sqrt(2))) / 2`
    Gelu,
    /// `1 / (1 + exp(-z))`
    Sigmoid,
    /// `tanh(z)`
    Tanh,
}

impl Activation {
    /// `f(z)`
    pub fn value(self, z: f64) -> f64 {
        match self {
            Self::Identity => z,
            Self::Relu => z.max(0.0),
            Self::LeakyRelu(slope) => z * if z > 0.0 { 1.0 } else { slope },
            Self::Elu => {
                if z > 0.0 {
                    z
                } else {
                    z.exp() - 1.0
                }
            }
            Self::Silu => z / (1.0 + (-z).exp()),
            Self::Gelu => z * normal(z),
            Self::Sigmoid => 1.0 / (1.0 + (-z).exp()),
            Self::Tanh => z.tanh(),
        }
    }

    /// `f'(z)`
    pub fn derivative(self, z: f64) -> f64 {
        let value = self.value(z);
        match self {
            Self::Identity => 1.0,
            Self::Relu => f64::from(u8::from(z > 0.0)),
            Self::LeakyRelu(slope) => {
                if z > 0.0 {
                    1.0
                } else {
                    slope
                }
            }
            Self::Elu => {
                if z > 0.0 {
                    1.0
                } else {
                    z.exp()
                }
            }
            Self::Silu => {
                let sigmoid = 1.0 / (1.0 + (-z).exp());
                sigmoid + z * sigmoid * (1.0 - sigmoid)
            }
            Self::Gelu => normal(z) + z * (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt(),
            Self::Sigmoid => value * (1.0 - value),
            Self::Tanh => 1.0 - value * value,
        }
    }
}

/// One dense layer: `output = f(input * weight + bias) (*) mask`.
#[derive(Clone, Debug)]
pub struct Layer {
    /// `[in][out]`
    pub weight: Matrix,
    /// `[out]`
    pub bias: Vec<f64>,
    pub activation: Activation,
    /// `[batch][out]`, multiplies the activation's output: an inverted-dropout
    /// mask has entries `0` or `1 / (1 - rate)`.
    pub mask: Option<Matrix>,
}

/// The loss of the reconstruction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// `mean (y - t)^2` over all elements, batch times features.
    Mse,
    /// `mean |y - t|`, with derivative 0 at 0.
    Mae,
    /// `mean h(y - t)`, where `h(d)` is `d^2 / 2` for `|d| <= delta` and
    /// `delta (|d| - delta / 2)` elsewhere.
    Huber(f64),
    /// `mean max(z, 0) - z t + ln(1 + exp(-|z|))` over all elements, from the
    /// last layer's logits `z`; that layer must be an unmasked sigmoid.
    Bce,
}

/// Penalties added to the loss; all off by default.
#[derive(Clone, Debug, Default)]
pub struct Penalties {
    /// `lasso * sum |w|` over the weight matrices of `layers[..lasso_layers]`.
    pub lasso: f64,
    pub lasso_layers: usize,
    /// `ridge * sum w^2` over the weight matrices of `layers[..ridge_layers]`.
    pub ridge: f64,
    pub ridge_layers: usize,
    /// `code_l1 * (sum over batch and units of |code|) / batch`, where `code`
    /// is the output of `layers[code_layer]` after its mask.
    pub code_l1: f64,
    pub code_layer: usize,
}

/// A sequence of dense layers and its loss.
#[derive(Clone, Debug)]
pub struct Network {
    pub layers: Vec<Layer>,
    pub loss: Loss,
    pub penalties: Penalties,
    /// One weight per row of the batch; 1 if empty.
    pub weights: Vec<f64>,
}

/// The derivative of the loss with respect to every parameter, in the layout of the parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients {
    pub weight: Vec<Matrix>,
    pub bias: Vec<Vec<f64>>,
}

/// The values of one layer: `z = input * weight + bias`, and its output.
pub struct Pass {
    pub z: Matrix,
    pub output: Matrix,
}

impl Layer {
    /// Returns the mask's factor for row `b` and unit `j`; 1 without a mask.
    fn mask_at(&self, b: usize, j: usize) -> f64 {
        self.mask.as_ref().map_or(1.0, |mask| mask[b][j])
    }

    fn pass(&self, input: &[Vec<f64>]) -> Pass {
        let (ins, outs, batch) = (self.weight.len(), self.bias.len(), input.len());
        assert_shape(&self.weight, ins, outs);
        assert_shape(input, batch, ins);
        if let Some(mask) = &self.mask {
            assert_shape(mask, batch, outs);
        }
        let z = matrix(batch, outs, |b, j| {
            self.bias[j] + (0..ins).map(|i| input[b][i] * self.weight[i][j]).sum::<f64>()
        });
        let output = matrix(batch, outs, |b, j| self.activation.value(z[b][j]) * self.mask_at(b, j));
        Pass { z, output }
    }
}

impl Network {
    /// Returns the reconstruction `[batch][feature]`.
    pub fn forward(&self, input: &[Vec<f64>]) -> Matrix {
        self.passes(input).pop().expect("a layer").output
    }

    /// Returns the loss of the reconstruction, without penalties.
    pub fn data_loss(&self, input: &[Vec<f64>], target: &[Vec<f64>]) -> f64 {
        self.data_loss_of(&self.passes(input), target)
    }

    /// Returns the loss of the reconstruction plus the penalties.
    pub fn loss(&self, input: &[Vec<f64>], target: &[Vec<f64>]) -> f64 {
        let p = &self.penalties;
        let passes = self.passes(input);
        let weights = |layers: usize| self.layers[..layers].iter().flat_map(|l| l.weight.concat());
        let lasso: f64 = weights(p.lasso_layers).map(f64::abs).sum();
        let ridge: f64 = weights(p.ridge_layers).map(|w| w * w).sum();
        let code = passes[p.code_layer].output.concat();
        let code_l1 = code.iter().map(|c| c.abs()).sum::<f64>() / input.len() as f64;
        self.data_loss_of(&passes, target) + p.lasso * lasso + p.ridge * ridge + p.code_l1 * code_l1
    }

    /// Returns the gradients of [`Network::loss`], by backpropagation.
    ///
    /// From the last layer to the first, with `g = dL/doutput`:
    /// `delta = dL/dz = g (*) mask (*) f'(z)`, `dL/dW = input^T delta`,
    /// `dL/db = sum over batch of delta`, and `g = delta W^T` for the layer
    /// below. BCE enters at the last `z` as `(sigmoid(z) - t) / elements`.
    pub fn gradients(&self, input: &[Vec<f64>], target: &[Vec<f64>]) -> Gradients {
        let p = &self.penalties;
        let passes = self.passes(input);
        let batch = input.len();
        let last = self.layers.len() - 1;
        let features = self.layers[last].bias.len();
        let share = self.shares(batch, features);
        assert_shape(target, batch, features);

        let mut gradients = self.zero_gradients();
        let mut g = match self.loss {
            Loss::Mse => {
                matrix(batch, features, |b, j| 2.0 * (passes[last].output[b][j] - target[b][j]) * share[b])
            }
            Loss::Mae => {
                matrix(batch, features, |b, j| sign(passes[last].output[b][j] - target[b][j]) * share[b])
            }
            Loss::Huber(delta) => matrix(batch, features, |b, j| {
                let d = passes[last].output[b][j] - target[b][j];
                share[b] * if d.abs() <= delta { d } else { delta * sign(d) }
            }),
            Loss::Bce => matrix(batch, features, |_, _| 0.0),
        };
        for l in (0..=last).rev() {
            let layer = &self.layers[l];
            let Pass { z, output } = &passes[l];
            let below = if l == 0 { input } else { &passes[l - 1].output };
            let (ins, outs) = (layer.weight.len(), layer.bias.len());

            if l == p.code_layer {
                g = matrix(batch, outs, |b, j| g[b][j] + p.code_l1 * sign(output[b][j]) / batch as f64);
            }
            let delta = matrix(batch, outs, |b, j| {
                let through = g[b][j] * layer.mask_at(b, j) * layer.activation.derivative(z[b][j]);
                let direct = if l == last && self.loss == Loss::Bce {
                    (Activation::Sigmoid.value(z[b][j]) - target[b][j]) * share[b]
                } else {
                    0.0
                };
                through + direct
            });
            gradients.weight[l] = matrix(ins, outs, |i, j| {
                let w = layer.weight[i][j];
                let data: f64 = (0..batch).map(|b| below[b][i] * delta[b][j]).sum();
                let lasso = if l < p.lasso_layers { p.lasso * sign(w) } else { 0.0 };
                let ridge = if l < p.ridge_layers { p.ridge * 2.0 * w } else { 0.0 };
                data + lasso + ridge
            });
            gradients.bias[l] = (0..outs).map(|j| (0..batch).map(|b| delta[b][j]).sum()).collect();
            g = matrix(batch, ins, |b, i| (0..outs).map(|j| delta[b][j] * layer.weight[i][j]).sum());
        }
        gradients
    }

    /// Returns the same gradients by central differences, for every parameter `p`:
    /// `(loss(p + step) - loss(p - step)) / (2 step)`.
    pub fn numeric_gradients(&self, input: &[Vec<f64>], target: &[Vec<f64>], step: f64) -> Gradients {
        let slope = |nudge: &dyn Fn(&mut Network, f64)| {
            let loss_at = |by: f64| {
                let mut network = self.clone();
                nudge(&mut network, by);
                network.loss(input, target)
            };
            (loss_at(step) - loss_at(-step)) / (2.0 * step)
        };
        let mut gradients = self.zero_gradients();
        for (l, layer) in self.layers.iter().enumerate() {
            gradients.weight[l] = matrix(layer.weight.len(), layer.bias.len(), |i, j| {
                slope(&|network, by| network.layers[l].weight[i][j] += by)
            });
            gradients.bias[l] = (0..layer.bias.len())
                .map(|j| slope(&|network, by| network.layers[l].bias[j] += by))
                .collect();
        }
        gradients
    }

    /// Returns the values of every layer.
    pub fn passes(&self, input: &[Vec<f64>]) -> Vec<Pass> {
        let mut passes: Vec<Pass> = Vec::new();
        for layer in &self.layers {
            let below = passes.last().map_or(input, |pass| &pass.output);
            passes.push(layer.pass(below));
        }
        passes
    }

    fn data_loss_of(&self, passes: &[Pass], target: &[Vec<f64>]) -> f64 {
        let layer = self.layers.last().expect("a layer");
        let Pass { z, output } = passes.last().expect("a layer");
        assert_shape(target, output.len(), layer.bias.len());
        let share = self.shares(target.len(), layer.bias.len());
        let per_element = |k: usize| share[k / layer.bias.len()];
        let (z, y, t) = (z.concat(), output.concat(), target.concat());
        match self.loss {
            Loss::Mse => (0..t.len()).map(|k| per_element(k) * (y[k] - t[k]).powi(2)).sum(),
            Loss::Mae => (0..t.len()).map(|k| per_element(k) * (y[k] - t[k]).abs()).sum(),
            Loss::Huber(delta) => {
                let huber = |d: f64| {
                    if d.abs() <= delta { d * d / 2.0 } else { delta * (d.abs() - delta / 2.0) }
                };
                (0..t.len()).map(|k| per_element(k) * huber(y[k] - t[k])).sum()
            }
            Loss::Bce => {
                assert_eq!(layer.activation, Activation::Sigmoid, "BCE needs logits");
                assert!(layer.mask.is_none(), "BCE takes no mask on the output");
                let entropy = |k: usize| z[k].max(0.0) - z[k] * t[k] + (-z[k].abs()).exp().ln_1p();
                (0..t.len()).map(|k| per_element(k) * entropy(k)).sum()
            }
        }
    }

    /// The factor of each row's elements in the mean: `weight / (sum of weights * features)`.
    fn shares(&self, batch: usize, features: usize) -> Vec<f64> {
        let weights = if self.weights.is_empty() { vec![1.0; batch] } else { self.weights.clone() };
        assert_eq!(weights.len(), batch, "weights");
        let elements = weights.iter().sum::<f64>() * features as f64;
        weights.iter().map(|weight| weight / elements).collect()
    }

    fn zero_gradients(&self) -> Gradients {
        Gradients {
            weight: vec![Matrix::new(); self.layers.len()],
            bias: vec![Vec::new(); self.layers.len()],
        }
    }
}

/// Returns the largest `|a - b| / max(|a|, |b|, tiny)` over the weight matrices and bias
/// vectors, each taken as one vector with its Euclidean norm. Infinite if a
/// gradient is not finite.
pub fn relative_error(a: &Gradients, b: &Gradients) -> f64 {
    let flat = |g: &Gradients| -> Vec<Vec<f64>> {
        let weights = g.weight.iter().map(|w| w.concat());
        weights.chain(g.bias.iter().cloned()).collect()
    };
    let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
    let (a, b) = (flat(a), flat(b));
    assert_eq!(a.len(), b.len());
    let mut worst: f64 = 0.0;
    for (a, b) in a.iter().zip(&b) {
        assert_eq!(a.len(), b.len());
        let difference: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
        let error = norm(&difference) / norm(a).max(norm(b)).max(1e-12);
        if !error.is_finite() {
            return f64::INFINITY;
        }
        worst = worst.max(error);
    }
    worst
}

/// The normal distribution function: `1/2 + phi(x) (x + x^3 / 3 + x^5 / (3 * 5) + ...)` with the density `phi`.
fn normal(x: f64) -> f64 {
    if x.abs() > 12.0 {
        return if x > 0.0 { 1.0 } else { 0.0 };
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..400 {
        term *= x * x / f64::from(2 * n + 1);
        sum += term;
    }
    0.5 + sum * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

pub fn sign(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x.signum() }
}

fn matrix(rows: usize, columns: usize, at: impl Fn(usize, usize) -> f64) -> Matrix {
    (0..rows).map(|r| (0..columns).map(|c| at(r, c)).collect()).collect()
}

fn assert_shape(m: &[Vec<f64>], rows: usize, columns: usize) {
    assert_eq!(m.len(), rows, "rows");
    assert!(m.iter().all(|row| row.len() == columns), "columns");
}
