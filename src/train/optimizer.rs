use crate::{
    error::{Error, Result},
    kernels::elementwise::{self, AdamStep},
    nn::Autoencoder,
};
use serde::{Deserialize, Serialize};

/// The update rule of the parameters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Optimizer {
    /// Adam (Kingma and Ba 2015, <https://arxiv.org/abs/1412.6980>) as PyTorch computes it: with bias correction, and with
    /// epsilon added outside the root.
    Adam {
        /// Decay of the running mean of the gradient.
        beta1: f32,
        /// Decay of the running mean of the squared gradient.
        beta2: f32,
        /// Added to the root of the second moment.
        epsilon: f32,
    },
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019, <https://arxiv.org/abs/1711.05101>): weights
    /// and biases first shrink by the factor `1 - learning rate * weight_decay`.
    AdamW {
        /// Decay of the running mean of the gradient.
        beta1: f32,
        /// Decay of the running mean of the squared gradient.
        beta2: f32,
        /// Added to the root of the second moment.
        epsilon: f32,
        /// Strength of the weight decay.
        weight_decay: f32,
    },
    /// Gradient descent: `velocity = momentum * velocity + gradient`, `w -= learning rate * velocity`.
    Sgd {
        /// Fraction of the velocity that is kept.
        momentum: f32,
    },
}

impl Default for Optimizer {
    fn default() -> Self {
        Self::adam()
    }
}

impl Optimizer {
    /// Adam with `beta1` 0.9, `beta2` 0.999 and `epsilon` 1e-8.
    pub fn adam() -> Self {
        Self::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
    }

    /// AdamW with `beta1` 0.9, `beta2` 0.999 and `epsilon` 1e-8.
    pub fn adamw(weight_decay: f32) -> Self {
        Self::AdamW { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay }
    }

    /// Checks the coefficients.
    ///
    /// # Errors
    /// If a decay or momentum is outside [0, 1), or epsilon or the weight decay negative or not finite.
    pub fn check(self) -> Result<()> {
        let share = |name, value: f32| match (0.0..1.0).contains(&value) {
            true => Ok(()),
            false => Err(Error::setting(name, value, "a number in [0, 1)")),
        };
        let strength = |name, value: f32| match (0.0..=f32::MAX).contains(&value) {
            true => Ok(()),
            false => Err(Error::setting(name, value, "a finite number of at least 0")),
        };
        match self {
            Self::Sgd { momentum } => share("momentum", momentum),
            Self::Adam { beta1, beta2, epsilon } => {
                share("beta1", beta1)?;
                share("beta2", beta2)?;
                strength("epsilon", epsilon)
            }
            Self::AdamW { beta1, beta2, epsilon, weight_decay } => {
                strength("weight decay", weight_decay)?;
                Self::Adam { beta1, beta2, epsilon }.check()
            }
        }
    }
}

/// The optimizer's state of one tensor: Adam's two moments, or the velocity in `first`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Moments {
    pub first: Vec<f32>,
    pub second: Vec<f32>,
}

impl Moments {
    fn zeros(len: usize) -> Self {
        Self { first: vec![0.0; len], second: vec![0.0; len] }
    }
}

/// The moments of a layer's weights and biases.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LayerMoments {
    pub weight: Moments,
    pub bias: Moments,
}

/// An optimizer with its state for a model's parameters.
///
/// Gradients, moments and weights that are too small to matter become zero before they turn into subnormal numbers, which
/// many CPUs handle slowly: gradients below 1e-15 in magnitude, first moments, velocities and weights below 1e-30, second
/// moments below 1e-36.
#[derive(Debug, Clone, PartialEq)]
pub struct OptimizerState {
    optimizer: Optimizer,
    steps: u64,
    pub(crate) layers: Vec<LayerMoments>,
}

impl OptimizerState {
    /// An optimizer with an empty state.
    ///
    /// # Errors
    /// As [`Optimizer::check`].
    pub fn new(optimizer: Optimizer, model: &Autoencoder) -> Result<Self> {
        optimizer.check()?;
        let moments = |layer: &crate::nn::Layer| LayerMoments {
            weight: Moments::zeros(layer.dense.weight().len()),
            bias: Moments::zeros(layer.dense.bias().len()),
        };
        Ok(Self { optimizer, steps: 0, layers: model.layers().iter().map(moments).collect() })
    }

    /// An optimiser that goes on after `steps`, its first and second moments in the shapes of the parameters.
    pub(crate) fn from_moments(optimizer: Optimizer, steps: u64, [first, second]: [&Autoencoder; 2]) -> Self {
        fn values<'a>(moments: impl IntoIterator<Item = &'a f32>) -> Vec<f32> {
            moments.into_iter().copied().collect()
        }
        let layers = first.layers().iter().zip(second.layers()).map(|(first, second)| {
            let (first, second) = (&first.dense, &second.dense);
            LayerMoments {
                weight: Moments { first: values(first.weight()), second: values(second.weight()) },
                bias: Moments { first: values(first.bias()), second: values(second.bias()) },
            }
        });
        Self { optimizer, steps, layers: layers.collect() }
    }

    /// The first and the second moments in the shapes of the model's parameters.
    pub(crate) fn moments(&self, model: &Autoencoder) -> [Autoencoder; 2] {
        let part: [fn(&Moments) -> &Vec<f32>; 2] = [|moments| &moments.first, |moments| &moments.second];
        part.map(|part| {
            let mut moments = model.clone();
            for (layer, state) in moments.layers_mut().iter_mut().zip(&self.layers) {
                let (weight, bias) = layer.dense.parameters_mut();
                let values = part(&state.weight).iter().chain(part(&state.bias));
                weight.into_iter().chain(bias).zip(values).for_each(|(place, value)| *place = *value);
            }
            moments
        })
    }

    /// Checks that there are moments for every parameter.
    pub(crate) fn check_fits(&self, model: &Autoencoder) -> Result<()> {
        let found = self.layers.iter().map(|moments| (moments.weight.first.len(), moments.bias.first.len()));
        let dense = model.layers().iter().map(|layer| &layer.dense);
        if found.eq(dense.map(|dense| (dense.weight().len(), dense.bias().len()))) {
            return Ok(());
        }
        Err(Error::shape("layers of the optimiser", "those of the model", self.layers.len()))
    }

    /// The number of steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Counts one step of the whole model and returns its coefficients, which all tensors share.
    pub(crate) fn begin_step(&mut self, learning_rate: f32) -> Update {
        self.steps += 1;
        match self.optimizer {
            Optimizer::Sgd { momentum } => Update::Sgd { rate: learning_rate, momentum },
            Optimizer::Adam { beta1, beta2, epsilon } => {
                Update::Adam(self.adam_step(learning_rate, (beta1, beta2, epsilon), 0.0))
            }
            Optimizer::AdamW { beta1, beta2, epsilon, weight_decay } => {
                Update::Adam(self.adam_step(learning_rate, (beta1, beta2, epsilon), weight_decay))
            }
        }
    }

    fn adam_step(&self, rate: f32, (beta1, beta2, epsilon): (f32, f32, f32), decay: f32) -> AdamStep {
        let correction = |beta: f32| 1.0 - f64::from(beta).powf(self.steps as f64);
        AdamStep {
            beta1,
            beta2,
            epsilon,
            rate: (f64::from(rate) / correction(beta1)) as f32,
            root_correction: (1.0 / correction(beta2).sqrt()) as f32,
            shrink: 1.0 - rate * decay,
        }
    }
}

/// The update of one step, the same for every tensor.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Update {
    Adam(AdamStep),
    Sgd { rate: f32, momentum: f32 },
}

impl Update {
    /// Updates some parameters. Returns false if one of them is not finite afterwards.
    pub(crate) fn apply(
        self,
        parameters: &mut [f32],
        first: &mut [f32],
        second: &mut [f32],
        gradient: &[f32],
    ) -> bool {
        match self {
            Self::Adam(step) => elementwise::adam(parameters, first, second, gradient, step),
            Self::Sgd { rate, momentum } => elementwise::sgd(parameters, first, gradient, rate, momentum),
        }
    }
}
