use crate::{
    error::{Error, Result},
    kernels::{self, buffers::Buffer},
    nn::{Activation, AutoencoderBuilder, Layer, files::metadata},
};
use ndarray::{Array2, ArrayRef2, ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2, Axis, s};
use rayon::prelude::*;
use std::{cell::RefCell, collections::BTreeMap};

/// Limits of the rows that pass through all layers together in inference: enough for the kernels to be fast, few enough
/// for the activations to stay in a core's cache.
const MIN_BLOCK_ROWS: usize = 32;
const MAX_BLOCK_ROWS: usize = 128;

/// Rows of each block, if `rows` are distributed over the workers of the current pool. A block of this size is
/// reconstructed on the calling thread.
pub(crate) fn inference_block_rows(rows: usize) -> usize {
    rows.div_ceil(rayon::current_num_threads()).clamp(MIN_BLOCK_ROWS, MAX_BLOCK_ROWS)
}

/// A stack of dense layers: an encoder, whose last layer gives the code, and a decoder.
///
/// Inference takes `&self`, so threads can share a model. It runs on the `rayon` pool in which it is called. The output for
/// a row depends only on the model and that row, to the last bit, whatever the batch and the number of threads.
///
/// ```
/// use autoencoder::{Autoencoder, ndarray::Array2};
/// let model = Autoencoder::builder(784).hidden(&[256]).code(30).build()?;
/// let images = Array2::from_elem((5, 784), 0.5);
/// assert_eq!(model.encode(&images)?.dim(), (5, 30));
/// assert_eq!(model.reconstruct(&images)?.dim(), (5, 784));
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Autoencoder {
    layers: Vec<Layer>,
    encoder_depth: usize,
    metadata: BTreeMap<String, String>,
}

impl Autoencoder {
    /// Starts building a model for rows of `inputs` features.
    pub fn builder(inputs: usize) -> AutoencoderBuilder {
        AutoencoderBuilder::new(inputs)
    }

    /// Creates a model from the layers of an encoder and a decoder, from input to output.
    ///
    /// # Errors
    /// [`Error::Shape`] if there is no encoder or no decoder, the inputs of a layer are not the outputs of the one before, or
    /// the model has more or fewer outputs than inputs. [`Error::Setting`] if the last layer has dropout, or the slope of a
    /// leaky ReLU is not a finite number above 0.
    pub fn from_layers(encoder: Vec<Layer>, decoder: Vec<Layer>) -> Result<Self> {
        let encoder_depth = encoder.len();
        if encoder.is_empty() || decoder.is_empty() {
            let depths = (encoder.len(), decoder.len());
            return Err(Error::shape(
                "layers of (encoder, decoder)",
                format_args!("at least 1 each"),
                depths,
            ));
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
                return Err(Error::setting("slope", slope, "a finite number above 0"));
            }
        }
        let model = Self { layers, encoder_depth, metadata: BTreeMap::new() };
        let output = model.output_layer();
        if output.dense.outputs() != model.inputs() {
            return Err(Error::shape("outputs of the model", model.inputs(), output.dense.outputs()));
        }
        if !output.dropout.is_off() {
            return Err(Error::setting("dropout", output.dropout.rate(), "none in the last layer"));
        }
        Ok(model)
    }

    /// Returns your own entries of the metadata in the model's file.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Adds or replaces an entry of the metadata, which files and checkpoints of the model keep: labels, a threshold, the
    /// version of your data, or how rows were [standardized](crate::data::Standardizer).
    ///
    /// The metadata have no effect on the model. Two models are equal if their metadata are equal, too. A run that resumes
    /// from a checkpoint continues with the checkpoint's metadata. In a safetensors file, the entry is in the metadata under
    /// its key, where `safe_open(path, "np").metadata()` finds it in Python.
    ///
    /// ```
    /// use autoencoder::Autoencoder;
    /// let mut model = Autoencoder::builder(9).code(2).build()?;
    /// model.set_metadata("threshold", 0.02.to_string())?;
    /// let loaded = Autoencoder::from_bytes(&model.to_bytes()?, "a copy")?;
    /// assert_eq!(loaded.metadata()["threshold"], "0.02");
    /// # Ok::<(), autoencoder::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Setting`] if the key is `autoencoder`, `checkpoint`, `optimizer` or `content_sha256`, which the crate itself
    /// uses, or the model would have more than 1,000 entries or more than 10,000,000 bytes of keys and values. The metadata
    /// are then unchanged.
    pub fn set_metadata(&mut self, key: impl Into<String>, value: impl Into<String>) -> Result<()> {
        let (key, value) = (key.into(), value.into());
        if metadata::RESERVED.contains(&key.as_str()) {
            return Err(Error::setting("key", key, "a key that the crate does not use itself"));
        }
        let others = self.metadata.iter().filter(|(other, _)| **other != key);
        if !metadata::fit(others.chain([(&key, &value)])) {
            return Err(Error::setting("metadata", key, metadata::LIMITS));
        }
        self.metadata.insert(key, value);
        Ok(())
    }

    /// Removes an entry of the metadata and returns its value, if it existed.
    pub fn remove_metadata(&mut self, key: &str) -> Option<String> {
        self.metadata.remove(key)
    }

    /// The model with these entries, which a reader has checked.
    pub(crate) fn with_metadata(self, metadata: BTreeMap<String, String>) -> Self {
        Self { metadata, ..self }
    }

    /// Returns all layers, from input to output.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// All layers, mutably. Callers must not change the shapes of their weights.
    pub(crate) fn layers_mut(&mut self) -> &mut [Layer] {
        &mut self.layers
    }

    /// Returns the weights `[in, out]` and biases `[out]` of each layer, from input to output.
    pub fn parameters(&self) -> impl Iterator<Item = (ArrayView2<'_, f32>, ArrayView1<'_, f32>)> {
        self.layers.iter().map(|layer| (layer.dense.weight(), layer.dense.bias()))
    }

    /// Returns the weights `[in, out]` and biases `[out]` of each layer, mutably, for your own updates.
    ///
    /// ```
    /// use autoencoder::Autoencoder;
    /// let mut model = Autoencoder::builder(9).code(2).build()?;
    /// for (mut weight, _) in model.parameters_mut() {
    ///     weight.mapv_inplace(|w| w.clamp(-0.1, 0.1));
    /// }
    /// assert!(model.parameters().all(|(weight, _)| weight.iter().all(|w| w.abs() <= 0.1)));
    /// # Ok::<(), autoencoder::Error>(())
    /// ```
    pub fn parameters_mut(
        &mut self,
    ) -> impl Iterator<Item = (ArrayViewMut2<'_, f32>, ArrayViewMut1<'_, f32>)> {
        self.layers.iter_mut().map(|layer| layer.dense.parameters_mut())
    }

    /// Returns the number of weights and biases.
    pub fn parameter_count(&self) -> usize {
        self.parameters().map(|(weight, bias)| weight.len() + bias.len()).sum()
    }

    /// Checks that all weights and biases are finite.
    pub(crate) fn check_finite(&self) -> Result<()> {
        match self.layers.iter().position(|layer| !layer.is_finite()) {
            None => Ok(()),
            Some(layer) => {
                let found = format_args!("others in layer {layer}");
                Err(Error::data("weights and biases", "finite numbers", found))
            }
        }
    }

    /// Returns the number of layers of the encoder.
    pub fn encoder_depth(&self) -> usize {
        self.encoder_depth
    }

    /// The last layer.
    pub(crate) fn output_layer(&self) -> &Layer {
        // `from_layers` refuses a model without layers.
        &self.layers[self.layers.len() - 1]
    }

    /// Returns the number of features of a row, the same for inputs and reconstructions.
    pub fn inputs(&self) -> usize {
        self.layers[0].dense.inputs()
    }

    /// Returns the width of the code.
    pub fn code_width(&self) -> usize {
        self.layers[self.encoder_depth - 1].dense.outputs()
    }

    /// Returns all widths from input to output, such as `[784, 512, 256, 100, 256, 512, 784]`.
    pub fn widths(&self) -> Vec<usize> {
        std::iter::once(self.inputs()).chain(self.layers.iter().map(|l| l.dense.outputs())).collect()
    }

    /// Computes the codes of rows.
    ///
    /// # Shapes
    /// `inputs` `[batch, features]`, result `[batch, code]`.
    ///
    /// # Errors
    /// [`Error::Shape`] if the number of features is not that of the model.
    pub fn encode(&self, inputs: &ArrayRef2<f32>) -> Result<Array2<f32>> {
        apply(&self.layers[..self.encoder_depth], FEATURES, inputs.view())
    }

    /// Computes the reconstructions of codes.
    ///
    /// # Shapes
    /// `codes` `[batch, code]`, result `[batch, features]`.
    ///
    /// # Errors
    /// [`Error::Shape`] if the width of the codes is not that of the model.
    pub fn decode(&self, codes: &ArrayRef2<f32>) -> Result<Array2<f32>> {
        apply(&self.layers[self.encoder_depth..], "values of a code", codes.view())
    }

    /// Computes the reconstructions of rows: the same as `decode(encode(inputs))`, but faster.
    ///
    /// # Shapes
    /// `inputs` and result `[batch, features]`.
    ///
    /// # Errors
    /// [`Error::Shape`] if the number of features is not that of the model.
    pub fn reconstruct(&self, inputs: &ArrayRef2<f32>) -> Result<Array2<f32>> {
        apply(&self.layers, FEATURES, inputs.view())
    }

    /// Computes the reconstructions of rows into a buffer, for services with low latency.
    ///
    /// A call with up to 128 rows allocates nothing, except for the first one on a thread and the first one with more rows
    /// or a wider model than before.
    ///
    /// ```
    /// use autoencoder::{Autoencoder, ndarray::Array2};
    /// let model = Autoencoder::builder(9).code(2).build()?;
    /// let image = Array2::ones((1, 9));
    /// let mut output = Array2::zeros((1, 9));
    /// model.reconstruct_into(&image, &mut output)?;
    /// assert_eq!(output, model.reconstruct(&image)?);
    /// # Ok::<(), autoencoder::Error>(())
    /// ```
    ///
    /// # Shapes
    /// `inputs` and `output` `[batch, features]`; the rows of `output` must be contiguous.
    ///
    /// # Errors
    /// [`Error::Shape`] if the number of features is not that of the model, `output` has another shape than `inputs`, or its
    /// rows are not contiguous.
    pub fn reconstruct_into(&self, inputs: &ArrayRef2<f32>, output: &mut ArrayRef2<f32>) -> Result<()> {
        apply_into(&self.layers, FEATURES, inputs.view(), output.view_mut())
    }
}

/// The width of a model's inputs in errors.
const FEATURES: &str = "features of a row";

/// Applies some layers to inputs; errors call the width of the inputs `what`.
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
    let features = layers[0].dense.inputs();
    let output_shape = (inputs.nrows(), layers[layers.len() - 1].dense.outputs());
    if inputs.ncols() != features {
        return Err(Error::shape(what, features, inputs.ncols()));
    }
    if output.dim() != output_shape {
        return Err(Error::shape("buffer for the output", output_shape, output.dim()));
    }
    if !kernels::has_contiguous_rows(output.view()) {
        return Err(Error::shape(
            "buffer for the output",
            format_args!("contiguous rows"),
            format_args!("strided ones"),
        ));
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

/// Two buffers to which the hidden layers write alternately. Each thread keeps its own, for the most rows and the widest
/// layer so far.
struct Scratch {
    front: Buffer,
    back: Buffer,
}

impl Scratch {
    fn forward(&mut self, layers: &[Layer], input: ArrayView2<f32>, output: ArrayViewMut2<f32>) {
        let rows = input.nrows();
        let Some((last, hidden)) = layers.split_last() else { return };
        let Some((first, rest)) = hidden.split_first() else { return last.forward(input, 0, output) };
        let width = hidden.iter().map(|layer| layer.dense.outputs()).max().unwrap_or(0);
        self.front.grow(rows, width);
        self.back.grow(rows, width);
        first.forward(input, 0, outputs(&mut self.front, rows, first));
        let mut before = first;
        for layer in rest {
            let input = outputs(&mut self.front, rows, before);
            layer.forward(input.view(), 0, outputs(&mut self.back, rows, layer));
            std::mem::swap(&mut self.front, &mut self.back);
            before = layer;
        }
        last.forward(outputs(&mut self.front, rows, before).view(), 0, output);
    }
}

/// The part of a buffer for a layer's outputs, `[rows, out]`.
fn outputs<'a>(buffer: &'a mut Buffer, rows: usize, layer: &Layer) -> ArrayViewMut2<'a, f32> {
    buffer.view_mut(rows).slice_move(s![.., ..layer.dense.outputs()])
}
