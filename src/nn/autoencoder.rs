use crate::{
    error::{Error, Result},
    kernels::{self, buffers::Buffer},
    nn::{Activation, AutoencoderBuilder, Dense, Dropout},
};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};
use rayon::prelude::*;
use std::cell::RefCell;

/// Limits of the rows that go through all layers together in inference: enough for the products' kernels, few enough
/// that activations stay in a core's cache.
const MIN_BLOCK_ROWS: usize = 32;
const MAX_BLOCK_ROWS: usize = 128;

/// Rows of each block where `rows` are shared out among the workers of the current pool. A block of that many rows is
/// reconstructed on the calling thread.
pub(crate) fn inference_block_rows(rows: usize) -> usize {
    rows.div_ceil(rayon::current_num_threads()).clamp(MIN_BLOCK_ROWS, MAX_BLOCK_ROWS)
}

/// A dense layer, what follows it, and its dropout in training.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Weights and biases.
    pub dense: Dense,
    /// The function of the sums.
    pub activation: Activation,
    /// Dropout of the outputs, in training only.
    pub dropout: Dropout,
}

impl Layer {
    /// Whether all weights and biases are finite.
    pub(crate) fn is_finite(&self) -> bool {
        self.dense.weight().iter().chain(&self.dense.bias()).all(|w| w.is_finite())
    }
}

/// A stack of dense layers that encodes to a code and decodes to a reconstruction.
///
/// All methods that apply the model take `&self`: one model serves many threads. They run on the `rayon` pool
/// that they are called in. What comes out of a row depends on that row alone, to the bit: not on the size of the
/// batch it comes in, nor on the number of threads.
///
/// ```
/// use autoencoder::{Autoencoder, ndarray::Array2};
/// let model = Autoencoder::builder(784).hidden(&[256]).code(30).build()?;
/// let images = Array2::from_elem((5, 784), 0.5);
/// assert_eq!(model.encode(images.view())?.dim(), (5, 30));
/// assert_eq!(model.reconstruct(images.view())?.dim(), (5, 784));
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Autoencoder {
    layers: Vec<Layer>,
    encoder_depth: usize,
}

impl Autoencoder {
    /// Starts to build a model for rows of `inputs` features.
    pub fn builder(inputs: usize) -> AutoencoderBuilder {
        AutoencoderBuilder::new(inputs)
    }

    /// A model of an encoder's and a decoder's layers, from input to output.
    ///
    /// # Errors
    /// If either is empty, a layer does not take what the one before gives, the output is not as wide as the
    /// input, the output has dropout, or a leaky ReLU's slope is not positive.
    pub fn from_layers(encoder: Vec<Layer>, decoder: Vec<Layer>) -> Result<Self> {
        let encoder_depth = encoder.len();
        if encoder.is_empty() || decoder.is_empty() {
            let depths = (encoder.len(), decoder.len());
            return Err(Error::shape("layers of (encoder, decoder)", "at least 1 each", depths));
        }
        let layers: Vec<_> = encoder.into_iter().chain(decoder).collect();
        for pair in layers.windows(2) {
            if pair[0].dense.outputs() != pair[1].dense.inputs() {
                return Err(Error::shape(
                    "inputs of a layer",
                    pair[0].dense.outputs(),
                    pair[1].dense.inputs(),
                ));
            }
        }
        for layer in &layers {
            if let Activation::LeakyRelu { slope } = layer.activation
                && !(slope > 0.0 && slope.is_finite())
            {
                return Err(Error::setting("leaky ReLU's slope", slope, "a finite number above 0"));
            }
        }
        let model = Self { layers, encoder_depth };
        let output = model.output_layer();
        if output.dense.outputs() != model.inputs() {
            return Err(Error::shape("outputs of the model", model.inputs(), output.dense.outputs()));
        }
        if !output.dropout.is_off() {
            return Err(Error::setting("dropout of the output", output.dropout.rate(), "none"));
        }
        Ok(model)
    }

    /// All layers, from input to output.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// All layers, to be changed by a training step. Their shapes cannot change.
    pub(crate) fn layers_mut(&mut self) -> &mut [Layer] {
        &mut self.layers
    }

    /// How many layers the encoder has; its last gives the code.
    pub fn encoder_depth(&self) -> usize {
        self.encoder_depth
    }

    /// The last layer.
    pub(crate) fn output_layer(&self) -> &Layer {
        // Not empty: `from_layers` checks.
        &self.layers[self.layers.len() - 1]
    }

    /// Features of a row, the same for input and reconstruction.
    pub fn inputs(&self) -> usize {
        self.layers[0].dense.inputs()
    }

    /// Width of the code.
    pub fn code_width(&self) -> usize {
        self.layers[self.encoder_depth - 1].dense.outputs()
    }

    /// All widths, from input to output: 784, 512, 256, 100, 256, 512, 784 for instance.
    pub fn widths(&self) -> Vec<usize> {
        std::iter::once(self.inputs()).chain(self.layers.iter().map(|l| l.dense.outputs())).collect()
    }

    /// The number of weights and biases.
    pub fn parameter_count(&self) -> usize {
        self.layers.iter().map(|l| l.dense.weight().len() + l.dense.bias().len()).sum()
    }

    /// The share of the encoder's weights, biases apart, whose magnitude is at most `threshold`.
    pub fn encoder_sparsity(&self, threshold: f32) -> f64 {
        let weights = || self.layers[..self.encoder_depth].iter().flat_map(|layer| layer.dense.weight());
        weights().filter(|w| w.abs() <= threshold).count() as f64 / weights().count() as f64
    }

    /// The codes `[batch, code]` of inputs `[batch, features]`.
    ///
    /// # Errors
    /// If the inputs have another number of features than the model.
    pub fn encode(&self, inputs: ArrayView2<f32>) -> Result<Array2<f32>> {
        apply(&self.layers[..self.encoder_depth], ROW, inputs)
    }

    /// The reconstructions `[batch, features]` of codes `[batch, code]`.
    ///
    /// # Errors
    /// If the codes have another width than the model's.
    pub fn decode(&self, codes: ArrayView2<f32>) -> Result<Array2<f32>> {
        apply(&self.layers[self.encoder_depth..], "values of a code", codes)
    }

    /// The reconstructions of inputs, both `[batch, features]`: `decode(encode(inputs))` in one go.
    ///
    /// # Errors
    /// If the inputs have another number of features than the model.
    pub fn reconstruct(&self, inputs: ArrayView2<f32>) -> Result<Array2<f32>> {
        apply(&self.layers, ROW, inputs)
    }

    /// As [`reconstruct`](Self::reconstruct), into a buffer `[batch, features]` with contiguous rows. Up to 128 rows
    /// allocate nothing, once a thread has had as many and layers as wide before: for services that answer image by
    /// image.
    ///
    /// ```
    /// use autoencoder::Autoencoder;
    /// use ndarray::Array2;
    /// let model = Autoencoder::builder(9).code(2).build()?;
    /// let (image, mut output) = (Array2::ones((1, 9)), Array2::zeros((1, 9)));
    /// model.reconstruct_into(image.view(), output.view_mut())?;
    /// assert_eq!(output, model.reconstruct(image.view())?);
    /// # Ok::<(), autoencoder::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the inputs have another number of features than the model, or the buffer another shape than the inputs.
    pub fn reconstruct_into(&self, inputs: ArrayView2<f32>, output: ArrayViewMut2<f32>) -> Result<()> {
        apply_into(&self.layers, ROW, inputs, output)
    }
}

/// What a row of a model's inputs has, for errors.
const ROW: &str = "features of a row";

/// Inputs through some layers. `what` names the width of a row of them in errors.
fn apply(layers: &[Layer], what: &'static str, inputs: ArrayView2<f32>) -> Result<Array2<f32>> {
    let mut output = Array2::zeros((inputs.nrows(), layers[layers.len() - 1].dense.outputs()));
    apply_into(layers, what, inputs, output.view_mut())?;
    Ok(output)
}

fn apply_into(
    layers: &[Layer],
    what: &'static str,
    inputs: ArrayView2<f32>,
    mut output: ArrayViewMut2<f32>,
) -> Result<()> {
    let (features, outputs) = (layers[0].dense.inputs(), layers[layers.len() - 1].dense.outputs());
    if inputs.ncols() != features {
        return Err(Error::shape(what, features, inputs.ncols()));
    }
    if output.dim() != (inputs.nrows(), outputs) {
        return Err(Error::shape("buffer for the output", (inputs.nrows(), outputs), output.dim()));
    }
    if !kernels::has_contiguous_rows(output.view()) {
        return Err(Error::shape("buffer for the output", "contiguous rows", "strided ones"));
    }
    let block = |input: ArrayView2<f32>, output: ArrayViewMut2<f32>| {
        SCRATCH.with_borrow_mut(|scratch| scratch.forward(layers, input, output));
    };
    if inputs.nrows() <= MAX_BLOCK_ROWS {
        block(inputs, output);
    } else {
        let rows = inference_block_rows(inputs.nrows());
        let outputs = output.axis_chunks_iter_mut(Axis(0), rows).into_par_iter();
        outputs.zip(inputs.axis_chunks_iter(Axis(0), rows)).for_each(|(o, i)| block(i, o));
    }
    Ok(())
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch { front: Buffer::new(0, 0), back: Buffer::new(0, 0) });
}

/// Two buffers that hidden layers write to in turn. Each thread keeps its own, for the most rows and the widest layer
/// that it has had.
struct Scratch {
    front: Buffer,
    back: Buffer,
}

impl Scratch {
    fn forward(&mut self, layers: &[Layer], input: ArrayView2<f32>, output: ArrayViewMut2<f32>) {
        let rows = input.nrows();
        let (last, hidden) = (&layers[layers.len() - 1], &layers[..layers.len() - 1]);
        let Some((first, rest)) = hidden.split_first() else {
            return last.dense.forward(input, last.activation, output);
        };
        let width = hidden.iter().map(|layer| layer.dense.outputs()).max().unwrap_or(0);
        self.front.grow(rows, width);
        self.back.grow(rows, width);
        first.dense.forward(input, first.activation, outputs(&mut self.front, rows, first));
        let mut before = first;
        for layer in rest {
            let input = outputs(&mut self.front, rows, before);
            layer.dense.forward(input.view(), layer.activation, outputs(&mut self.back, rows, layer));
            std::mem::swap(&mut self.front, &mut self.back);
            before = layer;
        }
        last.dense.forward(outputs(&mut self.front, rows, before).view(), last.activation, output);
    }
}

/// Where a layer's outputs `[rows, out]` are in a buffer.
fn outputs<'a>(buffer: &'a mut Buffer, rows: usize, layer: &Layer) -> ArrayViewMut2<'a, f32> {
    buffer.view_mut(rows).slice_move(s![.., ..layer.dense.outputs()])
}
