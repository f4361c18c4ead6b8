use crate::{
    error::{Error, Result},
    kernels::{elementwise, slice},
    nn::Autoencoder,
};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use rayon::prelude::*;

/// One number for each weight and bias of a model: gradients, or the moments of an optimizer.
///
/// ```
/// use autoencoder::{Autoencoder, data::digits, nn::Parameters, train::{Batch, Objective, Step}};
/// let digits = digits::generate(32, 0)?;
/// let model = Autoencoder::builder(784).code(16).build()?;
/// let mut step = Step::new(&model, Objective::default(), 32)?;
/// let rows: Vec<_> = (0..32).collect();
/// let batch = Batch { samples: &digits, rows: &rows, noise: None, seed: 0, epoch: 1, number: 1 };
///
/// let mut gradients = Parameters::zeros(&model);
/// step.gradients(&model, &batch, &mut gradients)?;
/// assert_eq!(gradients.layers()[0].weight.dim(), (784, 16));
/// let norm = gradients.norm();
/// gradients.scale(0.5);
/// assert!((gradients.norm() - norm / 2.0).abs() < 1e-6 * norm);
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    layers: Vec<LayerParameters>,
}

/// The [`Parameters`] of one layer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LayerParameters {
    /// For the weights, `[in, out]` in standard layout.
    pub weight: Array2<f32>,
    /// For the biases, `[out]`.
    pub bias: Array1<f32>,
    /// True for the gradients of a frozen layer, which norms and updates skip.
    pub(crate) frozen: bool,
}

/// Numbers that a worker scales together.
const SCALE_CHUNK: usize = 65_536;

/// Checks the norm to which gradients are clipped.
pub(crate) fn check_max_norm(max_norm: f32) -> Result<()> {
    if max_norm > 0.0 && max_norm.is_finite() {
        Ok(())
    } else {
        Err(Error::setting("clip_norm", max_norm, "a finite number above 0"))
    }
}

/// The factor that clips gradients of this norm to `max_norm`, as in PyTorch's `clip_grad_norm_`.
pub(crate) fn clip_factor(norm: f64, max_norm: f32) -> f32 {
    (f64::from(max_norm) / (norm + 1e-6)).min(1.0) as f32
}

impl Parameters {
    /// Returns zeros in the shapes of a model's parameters.
    pub fn zeros(model: &Autoencoder) -> Self {
        let zeros = |layer: &crate::nn::Layer| LayerParameters {
            weight: Array2::zeros(layer.dense.weight().dim()),
            bias: Array1::zeros(layer.dense.outputs()),
            frozen: false,
        };
        model.layers().iter().map(zeros).collect()
    }

    /// Returns the layers, from input to output.
    pub fn layers(&self) -> &[LayerParameters] {
        &self.layers
    }

    /// Returns the values of each layer's weights, row by row, then those of its biases, from input to output, to be
    /// changed in place.
    pub fn slices_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        let layers = self.layers.iter_mut();
        let slices = layers
            .flat_map(|LayerParameters { weight, bias, .. }| [weight.as_slice_mut(), bias.as_slice_mut()]);
        slices.map(|slice| slice.expect("`from_iter` makes them contiguous"))
    }

    /// Returns the L2 norm of all values together, those of frozen layers excepted. The squares are summed in `f64`, row
    /// by row of the weights.
    pub fn norm(&self) -> f64 {
        let trained = self.layers.iter().filter(|layer| !layer.frozen);
        let square_sum = |row: ArrayView1<f32>| elementwise::square_sum(slice(row));
        let sums = trained.flat_map(|layer| {
            layer.weight.outer_iter().map(square_sum).chain([square_sum(layer.bias.view())])
        });
        sums.sum::<f64>().sqrt()
    }

    /// Multiplies all values by a factor.
    pub fn scale(&mut self, factor: f32) {
        if factor != 1.0 {
            for values in self.slices_mut() {
                values.par_chunks_mut(SCALE_CHUNK).for_each(|chunk| elementwise::scale(chunk, factor));
            }
        }
    }

    /// Clips the values to an L2 norm, as PyTorch's `clip_grad_norm_` does: if their [norm](Self::norm) is larger, all of
    /// them are multiplied by `max_norm / (norm + 1e-6)`. Returns the norm before.
    ///
    /// # Errors
    /// [`Error::Setting`] if `max_norm` is not a finite number above 0. No value is changed then.
    pub fn clip_norm(&mut self, max_norm: f32) -> Result<f64> {
        check_max_norm(max_norm)?;
        let norm = self.norm();
        self.scale(clip_factor(norm, max_norm));
        Ok(norm)
    }

    pub(crate) fn layers_mut(&mut self) -> &mut [LayerParameters] {
        &mut self.layers
    }

    /// Views of the weights and biases of each layer.
    pub(crate) fn views(&self) -> impl Iterator<Item = (ArrayView2<'_, f32>, ArrayView1<'_, f32>)> {
        self.layers.iter().map(|layer| (layer.weight.view(), layer.bias.view()))
    }

    /// All values, layer by layer.
    pub(crate) fn values(&self) -> impl Iterator<Item = f32> {
        self.layers.iter().flat_map(|layer| layer.weight.iter().chain(&layer.bias)).copied()
    }

    /// Checks that gradients have the shapes of a model's parameters.
    pub(crate) fn check_fits(&self, model: &Autoencoder) -> Result<()> {
        if self.fits(model) {
            return Ok(());
        }
        let expected: Vec<_> = model.parameters().map(|(weight, _)| weight.dim()).collect();
        Err(Error::shape("[in, out] of each layer of the gradients", expected, self.shapes()))
    }

    /// The shapes of the layers' weights, `(in, out)`.
    pub(crate) fn shapes(&self) -> Vec<(usize, usize)> {
        self.layers.iter().map(|layer| layer.weight.dim()).collect()
    }

    /// Returns whether the shapes are those of a model's parameters.
    pub(crate) fn fits(&self, model: &Autoencoder) -> bool {
        let found = self.layers.iter().map(|layer| (layer.weight.dim(), layer.bias.len()));
        found.eq(model.parameters().map(|(weight, bias)| (weight.dim(), bias.len())))
    }
}

impl IntoIterator for Parameters {
    type Item = LayerParameters;
    type IntoIter = std::vec::IntoIter<LayerParameters>;

    /// Returns the layers, from input to output.
    fn into_iter(self) -> Self::IntoIter {
        self.layers.into_iter()
    }
}

impl FromIterator<LayerParameters> for Parameters {
    fn from_iter<I: IntoIterator<Item = LayerParameters>>(layers: I) -> Self {
        let contiguous = |mut layer: LayerParameters| {
            if !layer.weight.is_standard_layout() {
                layer.weight = layer.weight.as_standard_layout().into_owned();
            }
            if !layer.bias.is_standard_layout() {
                layer.bias = layer.bias.as_standard_layout().into_owned();
            }
            layer
        };
        Self { layers: layers.into_iter().map(contiguous).collect() }
    }
}
