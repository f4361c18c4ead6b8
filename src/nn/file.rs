//! Models as safetensors files, in PyTorch's names and layout.
//!
//! Layer i of the encoder is `encoder.{2i}.weight` `[out, in]` and `encoder.{2i}.bias` `[out]`, the decoder's
//! likewise: what `nn.Sequential(Linear, activation, Linear, activation, ...)` calls them. The architecture stands
//! as JSON in the metadata under the key `autoencoder`:
//!
//! ```json
//! {"version": 1, "inputs": 784,
//!  "encoder": [{"outputs": 128, "activation": "relu", "dropout": 0.0},
//!              {"outputs": 32, "activation": "identity", ...}],
//!  "decoder": [{"outputs": 128, "activation": {"leaky_relu": {"slope": 0.01}}, ...}, ...]}
//! ```
//!
//! `python/exchange.py` reads and writes such files in PyTorch.

use crate::{
    atomic,
    error::{Error, Result},
    nn::{Activation, Autoencoder, Dense, Dropout, Layer, tensors::Tensors},
};
use ndarray::{Array1, Array2};
use safetensors::{Dtype, tensor::TensorView};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    path::Path,
};

const KEY: &str = "autoencoder";
const VERSION: u32 = 1;

/// What a file's metadata says of the model.
#[derive(Serialize, Deserialize)]
struct Architecture {
    version: u32,
    inputs: usize,
    encoder: Vec<LayerSpec>,
    decoder: Vec<LayerSpec>,
}

#[derive(Serialize, Deserialize)]
struct LayerSpec {
    outputs: usize,
    activation: Activation,
    dropout: Dropout,
}

impl From<&Layer> for LayerSpec {
    fn from(layer: &Layer) -> Self {
        Self { outputs: layer.dense.outputs(), activation: layer.activation, dropout: layer.dropout }
    }
}

impl Autoencoder {
    /// Writes weights and architecture as safetensors. The file is there whole or not at all: it is written to a
    /// scratch file, synced and renamed.
    ///
    /// # Errors
    /// [`Error::Setting`] if a weight or bias is not finite, [`Error::Io`] if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        if self.layers().iter().any(|layer| !layer.is_finite()) {
            return Err(Error::setting("weights to save", "not finite", "finite ones, which can be loaded"));
        }
        let file = serialize(self, &tensors(self, ""), HashMap::new()).map_err(Error::io(path))?;
        atomic::write(path, |out| out.write_all(&file))
    }

    /// Reads a model that [`save`](Self::save) wrote, or that anything else wrote in the same names and layout.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::Format`] if it is not safetensors, its metadata do not
    /// describe a model, or a tensor is missing, superfluous, of another type or shape, or not finite.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = File::open(path).map_err(Error::io(path))?;
        Self::read_from(file, &path.display().to_string())
    }

    /// Reads a model from the bytes of a safetensors file; `name` stands for the file in errors.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_safetensors(file: &[u8], name: &str) -> Result<Self> {
        Self::read_from(file, name)
    }

    fn read_from(stream: impl Read, name: &str) -> Result<Self> {
        let contents = Contents::read(stream, name)?;
        contents.check_models(1)?;
        contents.model("")
    }
}

/// A tensor of a file: name, shape, bytes.
pub(crate) type Tensor = (String, Vec<usize>, Vec<u8>);

/// A model's weights and biases, their names after a prefix.
pub(crate) fn tensors(model: &Autoencoder, prefix: &str) -> Vec<Tensor> {
    let (encoder, decoder) = model.layers().split_at(model.encoder_depth());
    let mut tensors = Vec::new();
    for (stack, layers) in [("encoder", encoder), ("decoder", decoder)] {
        for (index, layer) in layers.iter().enumerate() {
            let (inputs, outputs) = (layer.dense.inputs(), layer.dense.outputs());
            let [weight, bias] = names(prefix, stack, index);
            tensors.push((weight, vec![outputs, inputs], bytes(layer.dense.weight().t().iter())));
            tensors.push((bias, vec![outputs], bytes(layer.dense.bias().iter())));
        }
    }
    tensors
}

/// A file of tensors, with the model's architecture among the metadata.
pub(crate) fn serialize(
    model: &Autoencoder,
    tensors: &[Tensor],
    mut metadata: HashMap<String, String>,
) -> io::Result<Vec<u8>> {
    let (encoder, decoder) = model.layers().split_at(model.encoder_depth());
    let architecture = Architecture {
        version: VERSION,
        inputs: model.inputs(),
        encoder: encoder.iter().map(LayerSpec::from).collect(),
        decoder: decoder.iter().map(LayerSpec::from).collect(),
    };
    metadata.insert(KEY.to_owned(), serde_json::to_string(&architecture)?);
    let views: Result<Vec<_>, _> = tensors
        .iter()
        .map(|(name, shape, data)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), data)?)))
        .collect();
    views.and_then(|views| safetensors::serialize(views, Some(metadata))).map_err(io::Error::other)
}

/// A file that is sound and says what model it holds, once or several times under different prefixes.
pub(crate) struct Contents {
    tensors: Tensors,
    architecture: Architecture,
}

impl Contents {
    /// Reads a file; `name` stands for it in errors.
    pub(crate) fn read(stream: impl Read, name: &str) -> Result<Self> {
        let tensors = Tensors::read(stream, name)?;
        let json = tensors.metadata(KEY).unwrap_or_default();
        let architecture: Architecture = serde_json::from_str(json)
            .map_err(|error| Error::format(name, "metadata `autoencoder`", "an architecture", error))?;
        if architecture.version != VERSION {
            return Err(Error::format(
                name,
                "metadata `autoencoder`, version",
                VERSION,
                architecture.version,
            ));
        }
        Ok(Self { tensors, architecture })
    }

    /// What the metadata have under a key; empty if nothing.
    pub(crate) fn metadata(&self, key: &str) -> &str {
        self.tensors.metadata(key).unwrap_or_default()
    }

    /// Checks that there are the tensors of so many models and no more.
    pub(crate) fn check_models(&self, models: usize) -> Result<()> {
        let layers = self.architecture.encoder.len() + self.architecture.decoder.len();
        let (expected, found) = (2 * layers * models, self.tensors.len());
        if found == expected {
            Ok(())
        } else {
            Err(Error::format(self.tensors.file(), "number of tensors", expected, found))
        }
    }

    /// The model whose tensors' names are after a prefix.
    pub(crate) fn model(&self, prefix: &str) -> Result<Autoencoder> {
        let mut inputs = self.architecture.inputs;
        let mut stack = |stack, specs: &[LayerSpec]| {
            let layer = |(index, spec): (usize, &LayerSpec)| {
                let names = names(prefix, stack, index);
                let dense = dense(&self.tensors, names, (inputs, spec.outputs))?;
                inputs = spec.outputs;
                Ok(Layer { dense, activation: spec.activation, dropout: spec.dropout })
            };
            specs.iter().enumerate().map(layer).collect::<Result<Vec<_>>>()
        };
        let encoder = stack("encoder", &self.architecture.encoder)?;
        let decoder = stack("decoder", &self.architecture.decoder)?;
        Autoencoder::from_layers(encoder, decoder)
            .map_err(|error| Error::format(self.tensors.file(), "metadata `autoencoder`", "a model", error))
    }
}

pub(super) fn names(prefix: &str, stack: &str, index: usize) -> [String; 2] {
    ["weight", "bias"].map(|kind| format!("{prefix}{stack}.{}.{kind}", 2 * index))
}

pub(super) fn bytes<'a>(values: impl Iterator<Item = &'a f32>) -> Vec<u8> {
    values.flat_map(|value| value.to_le_bytes()).collect()
}

fn dense(tensors: &Tensors, [weight, bias]: [String; 2], (inputs, outputs): (usize, usize)) -> Result<Dense> {
    let file = tensors.file();
    let weight = tensors.f32(&weight, &[outputs, inputs])?;
    let bias = tensors.f32(&bias, &[outputs])?;
    let weight = Array2::from_shape_vec((outputs, inputs), weight)
        .map_err(|error| Error::format(file, "weight", "its shape", error))?;
    Dense::new(weight.reversed_axes(), Array1::from_vec(bias))
        .map_err(|error| Error::format(file, "metadata `autoencoder`", "layers", error))
}
