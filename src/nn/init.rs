use crate::{
    error::{Error, Result},
    files::memory,
    nn::Dense,
    random::{self, Stream},
};
use ndarray::{Array, Array1, Dimension, ShapeBuilder};
use ndarray_rand::{
    RandomExt,
    rand_distr::{StandardNormal, StandardUniform},
};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The initialization of weights and biases. `in` and `out` are the numbers of inputs and outputs of a layer.
///
/// It prints and parses as `he`, `glorot` and `pytorch`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Init {
    /// Normal with variance `2 / in`, biases 0 (He et al. 2015, <https://arxiv.org/abs/1502.01852>).
    #[default]
    He,
    /// Uniform on `±sqrt(6 / (in + out))`, biases 0 (Glorot and Bengio 2010).
    Glorot,
    /// The default of PyTorch's `Linear`: weights and biases uniform on `±1 / sqrt(in)`.
    Pytorch,
}

impl Init {
    /// Creates a layer with initial weights and biases, which are a function of the seed and the index of the layer.
    ///
    /// ```
    /// use autoencoder::Init;
    /// let dense = Init::He.dense(784, 128, 1, 0)?;
    /// assert_eq!((dense.inputs(), dense.outputs()), (784, 128));
    /// # Ok::<(), autoencoder::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Shape`] if a dimension is 0, [`Error::Setting`] if the parameters do not fit in memory.
    pub fn dense(self, inputs: usize, outputs: usize, seed: u64, layer: usize) -> Result<Dense> {
        let shape = (inputs, outputs);
        let parameters = inputs.checked_add(1).and_then(|rows| rows.checked_mul(outputs));
        memory::check("[in, out] of a layer", shape, parameters)?;
        let rng = &mut random::rng(seed, Stream::Init, 0, layer);
        let fan_in = inputs as f32;
        let fan_out = outputs as f32;
        let zeros = Array1::zeros(outputs);
        match self {
            Self::He => {
                let normal = Array::random_using(shape, StandardNormal, rng);
                Dense::new(normal * (2.0 / fan_in).sqrt(), zeros)
            }
            Self::Glorot => Dense::new(uniform(shape, (6.0 / (fan_in + fan_out)).sqrt(), rng), zeros),
            Self::Pytorch => {
                let limit = 1.0 / fan_in.sqrt();
                let weight = uniform(shape, limit, rng);
                Dense::new(weight, uniform(outputs, limit, rng))
            }
        }
    }
}

impl fmt::Display for Init {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::He => "he",
            Self::Glorot => "glorot",
            Self::Pytorch => "pytorch",
        })
    }
}

impl FromStr for Init {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "he" => Ok(Self::He),
            "glorot" => Ok(Self::Glorot),
            "pytorch" => Ok(Self::Pytorch),
            _ => Err(Error::setting("init", text, "he, glorot or pytorch")),
        }
    }
}

/// Values uniform on `[-limit, limit)`.
fn uniform<Sh: ShapeBuilder>(shape: Sh, limit: f32, rng: &mut ChaCha8Rng) -> Array<f32, Sh::Dim>
where
    Sh::Dim: Dimension,
{
    Array::random_using(shape, StandardUniform, rng).mapv_into(|u: f32| (2.0 * u - 1.0) * limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(values: impl Iterator<Item = f32> + Clone) -> (f64, f64, f32) {
        let count = values.clone().count() as f64;
        let mean = values.clone().map(f64::from).sum::<f64>() / count;
        let variance = values.clone().map(|v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count;
        (mean, variance, values.fold(0.0, |max, v| max.max(v.abs())))
    }

    #[test]
    fn weights_have_the_variance_of_their_formula() {
        let (inputs, outputs) = (200, 300);
        for (init, variance, limit) in [
            (Init::He, 2.0_f64 / 200.0, f64::INFINITY),
            (Init::Glorot, 6.0 / 500.0 / 3.0, (6.0_f64 / 500.0).sqrt()),
            (Init::Pytorch, 1.0 / 200.0 / 3.0, (1.0_f64 / 200.0).sqrt()),
        ] {
            let dense = init.dense(inputs, outputs, 1, 0).unwrap();
            let (mean, found, max) = moments(dense.weight().iter().copied());
            assert!(mean.abs() < 6.0 * (variance / 60_000.0).sqrt(), "{init:?}: mean {mean}");
            assert!((found / variance - 1.0).abs() < 6.0 * (2.0_f64 / 60_000.0).sqrt(), "{init:?}: {found}");
            assert!(f64::from(max) <= limit * 1.000_001, "{init:?}: {max}");
            assert_eq!(dense.bias().iter().any(|&b| b != 0.0), init == Init::Pytorch);
        }
    }

    #[test]
    fn weights_depend_on_seed_and_layer() {
        let dense = |seed, layer| Init::He.dense(3, 4, seed, layer).unwrap();
        assert_eq!(dense(1, 0), dense(1, 0));
        assert_ne!(dense(1, 0), dense(2, 0));
        assert_ne!(dense(1, 0), dense(1, 1));
    }
}
