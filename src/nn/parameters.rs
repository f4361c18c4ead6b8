use crate::nn::Autoencoder;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

/// One number for each weight and bias of a model: gradients, or the moments of an optimizer.
///
/// ```
/// use autoencoder::{Autoencoder, Loss, Optimizer, data::digits};
/// use autoencoder::train::{Batch, Objective, OptimizerState, Step};
/// let digits = digits::generate(32, 0)?;
/// let mut model = Autoencoder::builder(784).code(16).build()?;
/// let mut optimizer = OptimizerState::new(Optimizer::adam(), &model)?;
/// let objective = Objective { loss: Loss::Bce, penalties: vec![] };
/// let mut step = Step::new(&model, objective, 32)?.keep_gradients();
/// let rows: Vec<_> = (0..32).collect();
/// let batch = Batch { samples: &digits, rows: &rows, noise: None, seed: 0, epoch: 1, number: 1 };
/// step.run(&mut model, &mut optimizer, 0.001, &batch)?;
///
/// let gradients = step.gradients().expect("kept");
/// assert_eq!(gradients.layers()[0].weight.dim(), (784, 16));
/// let square_sum: f32 = gradients.layers().iter().flat_map(|layer| &layer.weight).map(|g| g * g).sum();
/// println!("norm of the gradient: {}", square_sum.sqrt());
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
}

impl Parameters {
    /// Zeros in the shapes of a model's parameters.
    pub(crate) fn zeros(model: &Autoencoder) -> Self {
        let zeros = |layer: &crate::nn::Layer| LayerParameters {
            weight: Array2::zeros(layer.dense.weight().dim()),
            bias: Array1::zeros(layer.dense.outputs()),
        };
        model.layers().iter().map(zeros).collect()
    }

    /// Returns the layers, from input to output.
    pub fn layers(&self) -> &[LayerParameters] {
        &self.layers
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
        Self { layers: layers.into_iter().collect() }
    }
}
