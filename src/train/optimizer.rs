use crate::{
    error::{Error, Result},
    kernels::{
        elementwise::{self, AdamStep},
        slice, slice_mut,
    },
    nn::{Autoencoder, Parameters, Spelling},
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The usual coefficients of Adam, and PyTorch's weight decay for AdamW.
const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;
const WEIGHT_DECAY: f32 = 0.01;

/// The rule by which parameters follow their gradients.
///
/// It prints and parses as `adam`, `adamw` (weight decay 0.01) and `sgd` (without momentum), with other coefficients in
/// brackets: `sgd(momentum=0.9)`, `adamw(weight_decay=0.1, beta2=0.99)`. `adamw(decay_biases=0)` spares the biases.
///
/// ```
/// use autoencoder::Optimizer;
/// assert_eq!("sgd(momentum=0.9)".parse::<Optimizer>()?, Optimizer::sgd(0.9));
/// assert_eq!(Optimizer::adamw(0.1).to_string(), "adamw(weight_decay=0.1)");
/// assert_eq!(Optimizer::adamw_sparing_biases(0.1).to_string(), "adamw(weight_decay=0.1, decay_biases=0)");
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Optimizer {
    /// Adam (Kingma and Ba 2015, <https://arxiv.org/abs/1412.6980>) as in PyTorch: with bias correction, and epsilon
    /// outside the root.
    Adam {
        /// Decay of the mean of the gradient, in [0, 1).
        beta1: f32,
        /// Decay of the mean of the squared gradient, in [0, 1).
        beta2: f32,
        /// Number added to the root, at least 0.
        epsilon: f32,
    },
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019, <https://arxiv.org/abs/1711.05101>): weights,
    /// and biases unless they are spared, first shrink by the factor `1 - learning rate * weight_decay`.
    AdamW {
        /// Decay of the mean of the gradient, in [0, 1).
        beta1: f32,
        /// Decay of the mean of the squared gradient, in [0, 1).
        beta2: f32,
        /// Number added to the root, at least 0.
        epsilon: f32,
        /// Weight decay, at least 0.
        weight_decay: f32,
        /// Decay of the biases, as that of the weights. Default: true, as in PyTorch with one group of parameters.
        #[serde(default = "yes", skip_serializing_if = "is_yes")]
        decay_biases: bool,
    },
    /// Gradient descent: `velocity = momentum * velocity + gradient`, `w -= learning rate * velocity`.
    Sgd {
        /// Decay of the velocity, in [0, 1).
        momentum: f32,
    },
}

fn yes() -> bool {
    true
}

/// Skips the default value, so that files and run ids are those of versions without the setting.
fn is_yes(setting: &bool) -> bool {
    *setting
}

impl Default for Optimizer {
    fn default() -> Self {
        Self::adam()
    }
}

impl Optimizer {
    /// Adam with `beta1` 0.9, `beta2` 0.999 and `epsilon` 1e-8.
    pub fn adam() -> Self {
        Self::Adam { beta1: BETA1, beta2: BETA2, epsilon: EPSILON }
    }

    /// AdamW with `beta1` 0.9, `beta2` 0.999 and `epsilon` 1e-8. Weights and biases decay.
    pub fn adamw(weight_decay: f32) -> Self {
        Self::AdamW { beta1: BETA1, beta2: BETA2, epsilon: EPSILON, weight_decay, decay_biases: true }
    }

    /// AdamW with `beta1` 0.9, `beta2` 0.999 and `epsilon` 1e-8. Only weights decay: biases are few, and pulling them
    /// to zero shifts every output.
    pub fn adamw_sparing_biases(weight_decay: f32) -> Self {
        Self::AdamW { beta1: BETA1, beta2: BETA2, epsilon: EPSILON, weight_decay, decay_biases: false }
    }

    /// Creates gradient descent with this momentum; 0 for none.
    pub fn sgd(momentum: f32) -> Self {
        Self::Sgd { momentum }
    }

    /// Checks the coefficients.
    ///
    /// # Errors
    /// [`Error::Setting`] if a decay or momentum is outside [0, 1), or epsilon or the weight decay negative or not finite.
    pub(crate) fn check(self) -> Result<()> {
        let check_decay = |name, value: f32| {
            if (0.0..1.0).contains(&value) {
                Ok(())
            } else {
                Err(Error::setting(name, value, "a number in [0, 1)"))
            }
        };
        let check_not_negative = |name, value: f32| {
            if (0.0..=f32::MAX).contains(&value) {
                Ok(())
            } else {
                Err(Error::setting(name, value, "a finite number of at least 0"))
            }
        };
        match self {
            Self::Sgd { momentum } => check_decay("momentum", momentum),
            Self::Adam { beta1, beta2, epsilon } => {
                check_decay("beta1", beta1)?;
                check_decay("beta2", beta2)?;
                check_not_negative("epsilon", epsilon)
            }
            Self::AdamW { beta1, beta2, epsilon, weight_decay, decay_biases: _ } => {
                check_not_negative("weight_decay", weight_decay)?;
                Self::Adam { beta1, beta2, epsilon }.check()
            }
        }
    }
}

impl fmt::Display for Optimizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, parameters) = match *self {
            Self::Adam { beta1, beta2, epsilon } => (
                "adam",
                vec![("beta1", beta1, BETA1), ("beta2", beta2, BETA2), ("epsilon", epsilon, EPSILON)],
            ),
            Self::AdamW { beta1, beta2, epsilon, weight_decay, decay_biases } => (
                "adamw",
                vec![
                    ("beta1", beta1, BETA1),
                    ("beta2", beta2, BETA2),
                    ("epsilon", epsilon, EPSILON),
                    ("weight_decay", weight_decay, WEIGHT_DECAY),
                    ("decay_biases", f32::from(u8::from(decay_biases)), 1.0),
                ],
            ),
            Self::Sgd { momentum } => ("sgd", vec![("momentum", momentum, 0.0)]),
        };
        f.write_str(name)?;
        let mut separator = "(";
        for (key, value, default) in parameters {
            if value != default {
                write!(f, "{separator}{key}={value}")?;
                separator = ", ";
            }
        }
        f.write_str(if separator == "(" { "" } else { ")" })
    }
}

impl FromStr for Optimizer {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let expected = "adam, adamw or sgd, with coefficients such as sgd(momentum=0.9)";
        let parse = || {
            let mut spelling = Spelling::parse(text)?;
            let name = spelling.name();
            let mut take = |key, default| spelling.take(key).unwrap_or(default);
            let optimizer = match name {
                "adam" => Self::Adam {
                    beta1: take("beta1", BETA1),
                    beta2: take("beta2", BETA2),
                    epsilon: take("epsilon", EPSILON),
                },
                "adamw" => Self::AdamW {
                    beta1: take("beta1", BETA1),
                    beta2: take("beta2", BETA2),
                    epsilon: take("epsilon", EPSILON),
                    weight_decay: take("weight_decay", WEIGHT_DECAY),
                    decay_biases: match take("decay_biases", 1.0) {
                        0.0 => false,
                        1.0 => true,
                        _ => return None,
                    },
                },
                "sgd" => Self::sgd(take("momentum", 0.0)),
                _ => return None,
            };
            spelling.is_used_up().then_some(optimizer)
        };
        parse().ok_or_else(|| Error::setting("optimizer", text, expected))
    }
}

/// An optimizer with its state for a model's parameters.
///
/// Gradients, moments and weights that are too small to matter become zero before they turn into subnormal numbers, which
/// Intel CPUs handle slowly: gradients below 1e-15 in magnitude, first moments, velocities and weights below 1e-30, second
/// moments below 1e-36.
#[derive(Debug, Clone, PartialEq)]
pub struct OptimizerState {
    optimizer: Optimizer,
    steps: u64,
    /// Adam's first moments, or the velocities of gradient descent.
    pub(crate) first: Parameters,
    /// Adam's second moments; zeros for gradient descent.
    pub(crate) second: Parameters,
    /// True if other processes have updated some of the moments since they were last gathered.
    pub(crate) is_partial: bool,
}

impl OptimizerState {
    /// Creates an optimizer for a model, before its first step.
    ///
    /// # Errors
    /// [`Error::Setting`] if a decay or momentum is outside [0, 1), or epsilon or the weight decay negative or not finite.
    pub fn new(optimizer: Optimizer, model: &Autoencoder) -> Result<Self> {
        optimizer.check()?;
        let [first, second] = [Parameters::zeros(model), Parameters::zeros(model)];
        Ok(Self { optimizer, steps: 0, first, second, is_partial: false })
    }

    /// Restores an optimizer from the moments in `file`.
    pub(crate) fn from_file(
        optimizer: Optimizer,
        steps: u64,
        first: Parameters,
        second: Parameters,
        file: &str,
    ) -> Result<Self> {
        if let Some(negative) = second.values().find(|value| *value < 0.0) {
            return Err(Error::format(file, "second moments", "numbers of at least 0", negative));
        }
        Ok(Self { optimizer, steps, first, second, is_partial: false })
    }

    /// Returns true if all moments are finite.
    pub(crate) fn is_finite(&self) -> bool {
        [&self.first, &self.second].into_iter().all(|moments| moments.values().all(f32::is_finite))
    }

    /// Checks that the memory has the shapes of the model's parameters.
    pub(crate) fn check_fits(&self, model: &Autoencoder) -> Result<()> {
        if self.first.fits(model) {
            return Ok(());
        }
        let expected: Vec<_> = model.parameters().map(|(weight, _)| weight.dim()).collect();
        Err(Error::shape("[in, out] of each layer of the optimizer", expected, self.first.shapes()))
    }

    /// Checks that the moments are those of the whole model.
    pub(crate) fn check_whole(&self) -> Result<()> {
        if self.is_partial {
            let found = "those of this process alone; call `Step::gather_moments` first";
            return Err(Error::data(
                "moments of the optimizer",
                "those of all processes of the group",
                found,
            ));
        }
        Ok(())
    }

    /// Returns the number of steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Returns the optimizer's rule and coefficients.
    pub fn optimizer(&self) -> Optimizer {
        self.optimizer
    }

    /// Updates a model by gradients: those of [`Step::gradients`](crate::train::Step::gradients), as they are or changed.
    /// Layers that the step has frozen keep their bits and their moments.
    ///
    /// The result has the same bits for any number of threads, and those of [`Step::run`](crate::train::Step::run) for
    /// gradients that were not changed. It allocates nothing.
    ///
    /// # Errors
    /// [`Error::Setting`] if the learning rate is negative or not finite, [`Error::Shape`] if model or gradients do not have
    /// the shapes of the optimizer, [`Error::Data`] if moments are missing after steps in a [group](crate::train::Step::group); nothing is changed then. [`Error::Data`] also if a weight, bias or moment is not finite after the update.
    pub fn update(
        &mut self,
        model: &mut Autoencoder,
        gradients: &Parameters,
        learning_rate: f32,
    ) -> Result<()> {
        check_rate(learning_rate)?;
        self.check_fits(model)?;
        gradients.check_fits(model)?;
        self.check_whole()?;
        match self.apply(model, gradients, learning_rate) {
            None => Ok(()),
            Some(layer) => {
                let found = format_args!("others in layer {layer} after step {}", self.steps);
                Err(Error::data("weights and biases", "finite numbers", found))
            }
        }
    }

    /// Updates all layers whose gradients are not frozen. Returns the first layer that is not finite afterwards.
    pub(crate) fn apply(
        &mut self,
        model: &mut Autoencoder,
        gradients: &Parameters,
        learning_rate: f32,
    ) -> Option<usize> {
        let update = self.begin_step(learning_rate);
        let moments = self.first.layers_mut().iter_mut().zip(self.second.layers_mut());
        let layers = model.layers_mut().iter_mut().zip(gradients.layers()).zip(moments).enumerate();
        let mut not_finite = None;
        for (index, ((layer, gradient), (first, second))) in layers.filter(|(_, layer)| !layer.0.1.frozen) {
            let (weight, bias) = layer.dense.parameters_mut();
            let finite = [
                update.weights.apply_parallel(
                    slice_mut(weight),
                    slice_mut(first.weight.view_mut()),
                    slice_mut(second.weight.view_mut()),
                    slice(gradient.weight.view()),
                ),
                update.biases.apply_parallel(
                    slice_mut(bias),
                    slice_mut(first.bias.view_mut()),
                    slice_mut(second.bias.view_mut()),
                    slice(gradient.bias.view()),
                ),
            ];
            if finite != [true, true] {
                not_finite = not_finite.or(Some(index));
            }
        }
        not_finite
    }

    /// Counts one step of the whole model and returns its coefficients, which all layers share.
    pub(crate) fn begin_step(&mut self, learning_rate: f32) -> Updates {
        self.steps += 1;
        let adam = |betas, decay| Update::Adam(self.adam_step(learning_rate, betas, decay));
        match self.optimizer {
            Optimizer::Sgd { momentum } => Updates::same(Update::Sgd { rate: learning_rate, momentum }),
            Optimizer::Adam { beta1, beta2, epsilon } => Updates::same(adam([beta1, beta2, epsilon], 0.0)),
            Optimizer::AdamW { beta1, beta2, epsilon, weight_decay, decay_biases } => {
                let bias_decay = if decay_biases { weight_decay } else { 0.0 };
                let of_decay = |decay| adam([beta1, beta2, epsilon], decay);
                Updates { weights: of_decay(weight_decay), biases: of_decay(bias_decay) }
            }
        }
    }

    fn adam_step(&self, rate: f32, [beta1, beta2, epsilon]: [f32; 3], weight_decay: f32) -> AdamStep {
        let correction = |beta: f32| 1.0 - f64::from(beta).powf(self.steps as f64);
        AdamStep {
            beta1,
            beta2,
            epsilon,
            rate: (f64::from(rate) / correction(beta1)) as f32,
            root_correction: (1.0 / correction(beta2).sqrt()) as f32,
            shrink: 1.0 - rate * weight_decay,
        }
    }
}

/// Checks the learning rate of one step. At 0, as at the end of a schedule, it changes no weight.
pub(super) fn check_rate(learning_rate: f32) -> Result<()> {
    if learning_rate >= 0.0 && learning_rate.is_finite() {
        Ok(())
    } else {
        Err(Error::setting("learning_rate", learning_rate, "a finite number of at least 0"))
    }
}

/// The updates of one step, the same in every layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Updates {
    pub weights: Update,
    pub biases: Update,
}

impl Updates {
    fn same(update: Update) -> Self {
        Self { weights: update, biases: update }
    }
}

/// The update of a tensor.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Update {
    Adam(AdamStep),
    Sgd { rate: f32, momentum: f32 },
}

/// Parameters that a worker updates together.
const UPDATE_CHUNK: usize = 16_384;

impl Update {
    /// As [`apply`](Self::apply), on the workers of the current pool: every parameter has its own update.
    fn apply_parallel(
        self,
        parameters: &mut [f32],
        first: &mut [f32],
        second: &mut [f32],
        gradient: &[f32],
    ) -> bool {
        if parameters.len() <= UPDATE_CHUNK {
            return self.apply(parameters, first, second, gradient);
        }
        let moments = first.par_chunks_mut(UPDATE_CHUNK).zip(second.par_chunks_mut(UPDATE_CHUNK));
        let read = moments.zip(gradient.par_chunks(UPDATE_CHUNK));
        parameters
            .par_chunks_mut(UPDATE_CHUNK)
            .zip(read)
            .map(|(parameters, ((first, second), gradient))| self.apply(parameters, first, second, gradient))
            .reduce(|| true, |a, b| a & b)
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for optimizer in [
            Optimizer::adam(),
            Optimizer::Adam { beta1: 0.8, beta2: 0.99, epsilon: 1e-6 },
            Optimizer::adamw(0.01),
            Optimizer::AdamW { beta1: 0.9, beta2: 0.9, epsilon: 1e-8, weight_decay: 0.5, decay_biases: true },
            Optimizer::adamw_sparing_biases(0.03),
            Optimizer::sgd(0.0),
            Optimizer::sgd(0.9),
        ] {
            assert_eq!(optimizer.to_string().parse::<Optimizer>().unwrap(), optimizer, "{optimizer}");
        }
        assert_eq!(Optimizer::adam().to_string(), "adam");
        for wrong in [
            "",
            "Adam",
            "sgd(0.9)",
            "adam(momentum=0.9)",
            "sgd(beta1=0.9)",
            "adam(beta1=0.9",
            "adamw(decay_biases=0.5)",
        ] {
            assert!(wrong.parse::<Optimizer>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn decaying_biases_are_no_part_of_files() {
        let text = serde_json::to_string(&Optimizer::adamw(0.5)).unwrap();
        assert!(!text.contains("biases"), "{text}");
        for optimizer in [Optimizer::adamw(0.5), Optimizer::adamw_sparing_biases(0.5)] {
            let text = serde_json::to_string(&optimizer).unwrap();
            assert_eq!(serde_json::from_str::<Optimizer>(&text).unwrap(), optimizer);
        }
    }
}
