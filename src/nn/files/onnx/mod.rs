//! Models as ONNX files, for other runtimes (feature `onnx`).
//!
//! Opset 17 (IR version 8, ONNX 1.12): all operators used here had their current definitions by opset 16, so a higher opset
//! would only exclude older runtimes. A layer is a `Gemm` with PyTorch's weight `[out, in]`, named as in safetensors files,
//! and its activation. Dropout is only for training and is not exported.

mod proto;

use super::{model::names, safetensors::bytes};
use crate::{
    error::{Error, Result},
    files::write_atomic,
    nn::{Activation, Autoencoder, Layer},
};
use prost::Message;
use proto::{Attribute, Graph, Model, Node, OperatorSet, Tensor, ValueInfo};
use std::path::Path;

const IR_VERSION: i64 = 8;
const OPSET: i64 = 17;
/// Readers of protocol buffers refuse more.
const MAX_BYTES: usize = i32::MAX as usize;

/// The part of a model to export. Inputs are f32 with any batch size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnnxPart {
    /// From `input` `[batch, features]` to `code` `[batch, code]`.
    Encoder,
    /// From `code` `[batch, code]` to `output` `[batch, features]`.
    Decoder,
    /// From `input` to `output`, both `[batch, features]`.
    Whole,
}

impl Autoencoder {
    /// Saves the model or a part of it as an ONNX file (opset 17), which is [written atomically](write_atomic).
    ///
    /// ```
    /// use autoencoder::{Autoencoder, nn::OnnxPart};
    /// # let folder = tempfile::tempdir().expect("a scratch folder");
    /// # let (encoder, whole) = (folder.path().join("encoder.onnx"), folder.path().join("model.onnx"));
    /// let model = Autoencoder::builder(784).hidden(&[256]).code(30).build()?;
    /// model.export_onnx(OnnxPart::Encoder, encoder)?; // "input" [batch, 784] to "code" [batch, 30]
    /// model.export_onnx(OnnxPart::Whole, whole)?; // "input" to "output", both [batch, 784]
    /// # Ok::<(), autoencoder::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`to_onnx`](Self::to_onnx), and [`Error::Io`] if the file cannot be written.
    pub fn export_onnx(&self, part: OnnxPart, path: impl AsRef<Path>) -> Result<()> {
        let file = self.to_onnx(part)?;
        write_atomic(path, |out| out.write_all(&file))
    }

    /// Returns the model or a part of it as the bytes of an ONNX file.
    ///
    /// # Errors
    /// [`Error::Data`] if a weight or bias is not finite, [`Error::Shape`] if the file would exceed 2 GiB.
    pub fn to_onnx(&self, part: OnnxPart) -> Result<Vec<u8>> {
        let depth = self.encoder_depth();
        let (layers, input, output) = match part {
            OnnxPart::Encoder => (0..depth, "input", "code"),
            OnnxPart::Decoder => (depth..self.layers().len(), "code", "output"),
            OnnxPart::Whole => (0..self.layers().len(), "input", "output"),
        };
        let layers: Vec<_> = layers.map(|index| ExportedLayer::new(self, index)).collect();
        if let Some(bad) = layers.iter().find(|exported| !exported.layer.is_finite()) {
            let found = format_args!("others in {}", bad.linear);
            return Err(Error::data("weights and biases", "finite numbers", found));
        }
        let weights: usize =
            layers.iter().map(|l| l.layer.dense.weight().len() + l.layer.dense.bias().len()).sum();
        check_size(weights.saturating_mul(size_of::<f32>()))?;
        let file = model(&layers, input, output);
        check_size(file.encoded_len())?;
        Ok(file.encode_to_vec())
    }
}

fn check_size(bytes: usize) -> Result<()> {
    if bytes > MAX_BYTES {
        return Err(Error::shape("bytes of the ONNX file", 0..=MAX_BYTES, bytes));
    }
    Ok(())
}

/// A layer with its names in the file.
struct ExportedLayer<'a> {
    layer: &'a Layer,
    /// Names of the weights and biases.
    parameters: [String; 2],
    /// Names of the modules in PyTorch's `nn.Sequential`: linear layers have even indices, activations odd ones.
    linear: String,
    activation: String,
}

impl<'a> ExportedLayer<'a> {
    fn new(model: &'a Autoencoder, index: usize) -> Self {
        let [weight, bias] = names("", model.encoder_depth(), index);
        let linear = weight.trim_end_matches(".weight").to_owned();
        let (stack, module) = linear.split_once('.').unwrap_or_default();
        let activation = format!("{stack}.{}", module.parse::<usize>().unwrap_or_default() + 1);
        Self { layer: &model.layers()[index], parameters: [weight, bias], linear, activation }
    }
}

fn model(layers: &[ExportedLayer], input: &str, output: &str) -> Model {
    let mut graph = Graph {
        name: "autoencoder".to_owned(),
        input: vec![ValueInfo::rows(input, layers[0].layer.dense.inputs())],
        output: vec![ValueInfo::rows(output, layers[layers.len() - 1].layer.dense.outputs())],
        ..Graph::default()
    };
    let mut value = input.to_owned();
    for (position, exported) in layers.iter().enumerate() {
        let dense = &exported.layer.dense;
        let [weight, bias] = exported.parameters.clone();
        graph.initializer.extend([
            Tensor::f32(&weight, &[dense.outputs(), dense.inputs()], bytes(dense.weight().t().iter())),
            Tensor::f32(&bias, &[dense.outputs()], bytes(dense.bias().iter())),
        ]);
        let is_last = position + 1 == layers.len();
        let result = if is_last { output.to_owned() } else { format!("{}.output", exported.activation) };
        let activation = exported.layer.activation;
        let has_nodes = activation != Activation::Identity;
        let logits = if has_nodes { format!("{}.output", exported.linear) } else { result.clone() };
        let transposed = vec![Attribute::int("transB", 1)];
        graph.node.push(Node::new("Gemm", &exported.linear, vec![value, weight, bias], &logits, transposed));
        add_activation(&mut graph, activation, &exported.activation, logits, &result);
        value = result;
    }
    Model {
        ir_version: IR_VERSION,
        opset_import: vec![OperatorSet { domain: String::new(), version: OPSET }],
        producer_name: "autoencoder".to_owned(),
        graph: Some(graph),
    }
}

/// Adds the nodes of an activation from `input` to `output`. The identity has none.
fn add_activation(graph: &mut Graph, activation: Activation, name: &str, input: String, output: &str) {
    let mut one = |operator, attributes| {
        graph.node.push(Node::new(operator, name, vec![input.clone()], output, attributes));
    };
    match activation {
        Activation::Identity => {}
        Activation::Relu => one("Relu", vec![]),
        Activation::LeakyRelu { slope } => one("LeakyRelu", vec![Attribute::float("alpha", slope)]),
        Activation::Elu => one("Elu", vec![]),
        Activation::Sigmoid => one("Sigmoid", vec![]),
        Activation::Tanh => one("Tanh", vec![]),
        Activation::Silu => add_silu(graph, name, input, output),
        Activation::Gelu => add_gelu(graph, name, input, output),
    }
}

/// `x sigmoid(x)`
fn add_silu(graph: &mut Graph, name: &str, input: String, output: &str) {
    let sigmoid = format!("{name}.sigmoid");
    graph.node.extend([
        Node::new("Sigmoid", &sigmoid, vec![input.clone()], &sigmoid, vec![]),
        Node::new("Mul", name, vec![input, sigmoid], output, vec![]),
    ]);
}

/// `x / 2 (1 + erf(x / sqrt 2))`. The operator `Gelu` came with opset 20.
fn add_gelu(graph: &mut Graph, name: &str, input: String, output: &str) {
    let part = |part: &str| format!("{name}.{part}");
    let [half, one, root_half] = ["half", "one", "root_half"].map(part);
    let [scaled, erf, sum, halved] = ["scaled", "erf", "sum", "halved"].map(part);
    for (constant, value) in [(&half, 0.5), (&one, 1.0), (&root_half, std::f32::consts::FRAC_1_SQRT_2)] {
        graph.initializer.push(Tensor::f32(constant, &[1], bytes([value].iter())));
    }
    graph.node.extend([
        Node::new("Mul", &scaled, vec![input.clone(), root_half], &scaled, vec![]),
        Node::new("Erf", &erf, vec![scaled.clone()], &erf, vec![]),
        Node::new("Add", &sum, vec![erf.clone(), one], &sum, vec![]),
        Node::new("Mul", &halved, vec![input, half], &halved, vec![]),
        Node::new("Mul", name, vec![halved.clone(), sum.clone()], output, vec![]),
    ]);
}

#[cfg(test)]
mod tests;
