use crate::{
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

/// How weights and biases start. `in` and `out` are a layer's numbers of inputs and outputs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Init {
    /// Normal of variance `2 / in`, biases 0 (He et al. 2015, <https://arxiv.org/abs/1502.01852>).
    #[default]
    He,
    /// Uniform on `±sqrt(6 / (in + out))`, biases 0 (Glorot and Bengio 2010).
    Glorot,
    /// What PyTorch's `Linear` starts with: weights and biases uniform on `±1 / sqrt(in)`.
    Pytorch,
}

impl Init {
    /// A layer's first weights and biases: a function of seed and layer.
    ///
    /// # Errors
    /// If a dimension is 0 or the parameters do not fit memory.
    pub fn dense(self, (inputs, outputs): (usize, usize), seed: u64, layer: usize) -> crate::Result<Dense> {
        let parameters = inputs.checked_add(1).and_then(|rows| rows.checked_mul(outputs));
        crate::memory::check("shape of a layer", (inputs, outputs), parameters)?;
        let rng = &mut random::rng(seed, Stream::Init, 0, layer);
        let shape = (inputs, outputs);
        let (fan_in, fan_out) = (inputs as f32, outputs as f32);
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

/// Uniform on `[-limit, limit)`.
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
    fn weights_have_the_spread_of_their_formula() {
        let (inputs, outputs) = (200, 300);
        for (init, variance, limit) in [
            (Init::He, 2.0_f64 / 200.0, f64::INFINITY),
            (Init::Glorot, 6.0 / 500.0 / 3.0, (6.0_f64 / 500.0).sqrt()),
            (Init::Pytorch, 1.0 / 200.0 / 3.0, (1.0_f64 / 200.0).sqrt()),
        ] {
            let dense = init.dense((inputs, outputs), 1, 0).unwrap();
            let (mean, found, max) = moments(dense.weight().iter().copied());
            assert!(mean.abs() < 6.0 * (variance / 60_000.0).sqrt(), "{init:?}: mean {mean}");
            assert!((found / variance - 1.0).abs() < 6.0 * (2.0_f64 / 60_000.0).sqrt(), "{init:?}: {found}");
            assert!(f64::from(max) <= limit * 1.000_001, "{init:?}: {max}");
            assert_eq!(dense.bias().iter().any(|&b| b != 0.0), init == Init::Pytorch);
        }
    }

    #[test]
    fn seed_and_layer_decide() {
        let dense = |seed, layer| Init::He.dense((3, 4), seed, layer).unwrap();
        assert_eq!(dense(1, 0), dense(1, 0));
        assert_ne!(dense(1, 0), dense(2, 0));
        assert_ne!(dense(1, 0), dense(1, 1));
    }
}
