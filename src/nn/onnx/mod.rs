//! Models as ONNX files, for other runtimes (feature `onnx`).
//!
//! Opset 17 (IR version 8, ONNX 1.12): every operator used here has its newest definition by opset 16, so a higher one
//! would gain nothing and shut out older runtimes. A layer is a `Gemm` with PyTorch's weight `[out, in]`, named as in
//! safetensors files, and its activation. Dropout is for training and has no place here.

mod proto;

use super::file::{bytes, names};
use crate::{
    atomic,
    error::{Error, Result},
    nn::{Activation, Autoencoder, Layer},
};
use prost::Message;
use proto::{Attribute, Graph, Model, Node, OperatorSet, Tensor, ValueInfo};
use std::path::Path;

const IR_VERSION: i64 = 8;
const OPSET: i64 = 17;
/// Protocol buffers are read up to this size.
const MAX_BYTES: usize = i32::MAX as usize;

/// What of a model goes into an ONNX file. Rows are f32, their number is free.
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
    /// Writes the model or a part of it as ONNX (opset 17). The file is there whole or not at all.
    ///
    /// ```
    /// use autoencoder::{Autoencoder, nn::OnnxPart};
    /// # let folder = tempfile::tempdir().unwrap();
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
        atomic::write(path.as_ref(), |out| out.write_all(&file))
    }

    /// The bytes of an ONNX file of the model or a part of it.
    ///
    /// # Errors
    /// [`Error::Setting`] if a weight or bias is not finite, or the file would exceed 2 GiB.
    pub fn to_onnx(&self, part: OnnxPart) -> Result<Vec<u8>> {
        let (encoder, decoder) = self.layers().split_at(self.encoder_depth());
        let (stacks, input, output) = match part {
            OnnxPart::Encoder => (&[("encoder", encoder)][..], "input", "code"),
            OnnxPart::Decoder => (&[("decoder", decoder)][..], "code", "output"),
            OnnxPart::Whole => (&[("encoder", encoder), ("decoder", decoder)][..], "input", "output"),
        };
        let layers: Vec<_> = stacks
            .iter()
            .flat_map(|&(stack, layers)| layers.iter().enumerate().map(move |(index, l)| (stack, index, l)))
            .collect();
        if layers.iter().any(|(.., layer)| !layer.is_finite()) {
            return Err(Error::setting("weights to export", "not finite", "finite ones"));
        }
        let weights: usize = layers.iter().map(|(.., l)| l.dense.weight().len() + l.dense.bias().len()).sum();
        check_size(weights.saturating_mul(size_of::<f32>()))?;
        let file = model(&layers, input, output);
        check_size(file.encoded_len())?;
        Ok(file.encode_to_vec())
    }
}

fn check_size(bytes: usize) -> Result<()> {
    if bytes > MAX_BYTES {
        return Err(Error::setting("bytes of the ONNX file", bytes, "less than 2 GiB"));
    }
    Ok(())
}

fn model(layers: &[(&str, usize, &Layer)], input: &str, output: &str) -> Model {
    let mut graph = Graph {
        name: "autoencoder".to_owned(),
        input: vec![ValueInfo::rows(input, layers[0].2.dense.inputs())],
        output: vec![ValueInfo::rows(output, layers[layers.len() - 1].2.dense.outputs())],
        ..Graph::default()
    };
    let mut value = input.to_owned();
    for (place, &(stack, index, layer)) in layers.iter().enumerate() {
        let (inputs, outputs) = (layer.dense.inputs(), layer.dense.outputs());
        let [weight, bias] = names("", stack, index);
        graph.initializer.extend([
            Tensor::f32(&weight, &[outputs, inputs], bytes(layer.dense.weight().t().iter())),
            Tensor::f32(&bias, &[outputs], bytes(layer.dense.bias().iter())),
        ]);
        // Named as the modules of PyTorch's `nn.Sequential`: the sums at even places, activations at odd ones.
        let (linear, after) = (format!("{stack}.{}", 2 * index), format!("{stack}.{}", 2 * index + 1));
        let result = if place + 1 == layers.len() { output.to_owned() } else { format!("{after}.output") };
        let activation = activation(layer.activation);
        let sums = if activation.is_some() { format!("{linear}.output") } else { result.clone() };
        let transposed = vec![Attribute::int("transB", 1)];
        graph.node.push(Node::new("Gemm", &linear, vec![value, weight, bias], &sums, transposed));
        if let Some((operator, attributes)) = activation {
            graph.node.push(Node::new(operator, &after, vec![sums], &result, attributes));
        }
        value = result;
    }
    Model {
        ir_version: IR_VERSION,
        opset_import: vec![OperatorSet { domain: String::new(), version: OPSET }],
        producer_name: "autoencoder".to_owned(),
        graph: Some(graph),
    }
}

/// The operator of an activation and its attributes; none where sums stay as they are.
fn activation(activation: Activation) -> Option<(&'static str, Vec<Attribute>)> {
    match activation {
        Activation::Identity => None,
        Activation::Relu => Some(("Relu", vec![])),
        Activation::LeakyRelu { slope } => Some(("LeakyRelu", vec![Attribute::float("alpha", slope)])),
        Activation::Sigmoid => Some(("Sigmoid", vec![])),
        Activation::Tanh => Some(("Tanh", vec![])),
    }
}

#[cfg(test)]
mod tests;
