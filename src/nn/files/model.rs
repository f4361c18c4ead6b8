//! Models as safetensors files, with the names and layout of PyTorch.
//!
//! Layer i of the encoder is `encoder.{2i}.weight` `[out, in]` and `encoder.{2i}.bias` `[out]`, and likewise for the
//! decoder. These are the names in `nn.Sequential(Linear, activation, Linear, activation, ...)`. The architecture is JSON
//! in the metadata under the key `autoencoder`:
//!
//! ```json
//! {"version": 1, "inputs": 784,
//!  "encoder": [{"outputs": 128, "activation": "relu", "dropout": 0.0},
//!              {"outputs": 32, "activation": "identity", ...}],
//!  "decoder": [{"outputs": 128, "activation": {"leaky_relu": {"slope": 0.01}}, ...}, ...]}
//! ```
//!
//! All other entries of the metadata are the user's own. `python/exchange.py` reads and writes such files in PyTorch.

use super::{
    metadata::{self, RESERVED},
    misnamed,
    safetensors::{Tensor, Tensors, serialize},
    seal,
};
use crate::{
    error::{Error, Result},
    files::write_atomic,
    nn::{Activation, Autoencoder, Dense, Dropout, Layer, LayerParameters, Parameters},
};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::{self, Read},
    path::Path,
};

const KEY: &str = "autoencoder";
const VERSION: u32 = 1;

/// The model as described by the metadata.
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
    /// Saves weights and architecture as a safetensors file, which is [written atomically](write_atomic).
    ///
    /// The names and the layout of the tensors are those of PyTorch; weights round-trip exactly.
    ///
    /// ```
    /// use autoencoder::Autoencoder;
    /// # let folder = tempfile::tempdir().expect("a scratch folder");
    /// # let path = folder.path().join("model.safetensors");
    /// let model = Autoencoder::builder(784).hidden(&[64]).code(16).build()?;
    /// model.save(&path)?;
    /// assert_eq!(Autoencoder::load(&path)?, model);
    /// # Ok::<(), autoencoder::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`to_bytes`](Self::to_bytes), and [`Error::Io`] if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let file = self.to_bytes()?;
        write_atomic(path.as_ref(), |out| out.write_all(&file))
    }

    /// Returns the bytes of the file that [`save`](Self::save) writes, for an object store or a database. Equal models have
    /// the same bytes.
    ///
    /// ```
    /// use autoencoder::Autoencoder;
    /// let model = Autoencoder::builder(784).hidden(&[64]).code(16).build()?;
    /// let bytes = model.to_bytes()?;
    /// assert_eq!(Autoencoder::from_bytes(&bytes, "models/17")?, model);
    /// # Ok::<(), autoencoder::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Data`] if a weight or bias is not finite, or the description of the layers is too long for a file.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.check_finite()?;
        let tensors = tensors("", self.encoder_depth(), self.parameters());
        let file = metadata(self).and_then(|metadata| serialize(&tensors, metadata));
        file.map_err(|error| Error::data("model", "a description that fits a file", error))
    }

    /// Loads a model from a safetensors file that [`save`](Self::save) or another program wrote.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read. [`Error::Format`] if it is not a safetensors file, its metadata do not
    /// describe a model, or a tensor is missing, unknown, of the wrong type or shape, or not finite. Tensors may be `F32`,
    /// `F64`, `F16` or `BF16`; wider ones are rounded to `f32`.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = File::open(path).map_err(Error::io(path))?;
        Self::read_from(file, &path.display().to_string())
    }

    /// Reads a model from the bytes of a safetensors file, which [`to_bytes`](Self::to_bytes) returns. Errors call them
    /// `name`.
    ///
    /// # Errors
    /// [`Error::Format`], as [`load`](Self::load).
    pub fn from_bytes(file: &[u8], name: &str) -> Result<Self> {
        Self::read_from(file, name)
    }

    fn read_from(stream: impl Read, name: &str) -> Result<Self> {
        let contents = Contents::read(stream, name)?;
        contents.check_names(&[""])?;
        contents.model("")
    }
}

/// The tensors of a model's weights and biases, or of values in their shapes. Their names start with `prefix`.
pub(crate) fn tensors<'a>(
    prefix: &str,
    encoder_depth: usize,
    parameters: impl Iterator<Item = (ArrayView2<'a, f32>, ArrayView1<'a, f32>)>,
) -> Vec<Tensor> {
    let mut tensors = Vec::new();
    for (index, (weight, bias)) in parameters.enumerate() {
        let (inputs, outputs) = weight.dim();
        let [weight_name, bias_name] = names(prefix, encoder_depth, index);
        tensors.push(Tensor::f32(weight_name, vec![outputs, inputs], weight.t().iter()));
        tensors.push(Tensor::f32(bias_name, vec![outputs], bias.iter()));
    }
    tensors
}

/// The user's metadata and the architecture of a model.
pub(crate) fn metadata(model: &Autoencoder) -> io::Result<BTreeMap<String, String>> {
    let (encoder, decoder) = model.layers().split_at(model.encoder_depth());
    let architecture = Architecture {
        version: VERSION,
        inputs: model.inputs(),
        encoder: encoder.iter().map(LayerSpec::from).collect(),
        decoder: decoder.iter().map(LayerSpec::from).collect(),
    };
    let mut entries = model.metadata().clone();
    entries.insert(KEY.to_owned(), serde_json::to_string(&architecture)?);
    Ok(entries)
}

/// A valid file with the description of a model and one or more sets of its tensors, which differ in the prefix of their
/// names.
pub(crate) struct Contents {
    tensors: Tensors,
    architecture: Architecture,
}

impl Contents {
    /// Reads a file, which errors call `name`.
    pub(crate) fn read(stream: impl Read, name: &str) -> Result<Self> {
        let tensors = Tensors::read(stream, name)?;
        let invalid = |found: &dyn fmt::Display| {
            Error::format(name, "metadata `autoencoder`", "the description of a model", found)
        };
        let json = tensors.metadata(KEY);
        let json =
            json.ok_or_else(|| invalid(&"none; save the model with python/exchange.py, which adds it"))?;
        let architecture: Architecture = serde_json::from_str(json).map_err(|error| invalid(&error))?;
        if architecture.version != VERSION {
            return Err(Error::format(
                name,
                "metadata `autoencoder`, version",
                VERSION,
                architecture.version,
            ));
        }
        let contents = Self { tensors, architecture };
        if !metadata::fit(contents.own_metadata()) {
            let found = format_args!("{} entries", contents.own_metadata().count());
            return Err(Error::format(name, "metadata", metadata::LIMITS, found));
        }
        Ok(contents)
    }

    /// The entries of the metadata that are not the crate's.
    fn own_metadata(&self) -> impl Iterator<Item = (&String, &String)> {
        self.tensors.all_metadata().iter().filter(|(key, _)| !RESERVED.contains(&key.as_str()))
    }

    /// The entry of the metadata for a key; empty if there is none.
    pub(crate) fn metadata(&self, key: &str) -> &str {
        self.tensors.metadata(key).unwrap_or_default()
    }

    /// Checks that the content has the digest written with it.
    pub(crate) fn check_intact(&self) -> Result<()> {
        if seal::is_intact(&self.tensors) {
            return Ok(());
        }
        let found = "another; the file is damaged: resume from an older checkpoint";
        Err(Error::format(self.tensors.file(), "content", "the digest written with it", found))
    }

    /// Checks that there are the tensors of a model for each prefix, and no others.
    pub(crate) fn check_names(&self, prefixes: &[&str]) -> Result<()> {
        let depth = self.architecture.encoder.len();
        let layers = depth + self.architecture.decoder.len();
        let of_set = |prefix| (0..layers).flat_map(move |layer| names(prefix, depth, layer));
        let mut expected = prefixes.iter().flat_map(|prefix| of_set(prefix));
        if self.tensors.len() == 2 * layers * prefixes.len() && expected.all(|name| self.tensors.has(&name)) {
            return Ok(());
        }
        let file = self.tensors.file();
        if prefixes == [""] {
            let reader = [("checkpoint", "Checkpoint::load"), ("optimizer", "OptimizerState::load")];
            if let Some((_, reader)) = reader.iter().find(|(key, _)| !self.metadata(key).is_empty()) {
                let found = format!("a checkpoint; load it with {reader} and save its model");
                return Err(Error::format(file, "content", "a model", found));
            }
        }
        let expected: Vec<_> = prefixes.iter().flat_map(|prefix| of_set(prefix)).collect();
        Err(misnamed::error(file, &expected, &self.tensors.names()))
    }

    /// The values of the tensors whose names start with `prefix`.
    pub(crate) fn parameters(&self, prefix: &str) -> Result<Parameters> {
        self.layers(prefix).map(|layer| Ok(layer?.1)).collect()
    }

    /// The model with the weights and biases whose names start with `prefix`.
    pub(crate) fn model(&self, prefix: &str) -> Result<Autoencoder> {
        let invalid = |error| Error::format(self.tensors.file(), "metadata `autoencoder`", "a model", error);
        let layer = |layer: Result<(&LayerSpec, LayerParameters)>| {
            let (spec, parameters) = layer?;
            let dense = Dense::new(parameters.weight, parameters.bias).map_err(invalid)?;
            Ok(Layer { dense, activation: spec.activation, dropout: spec.dropout })
        };
        let mut encoder = self.layers(prefix).map(layer).collect::<Result<Vec<_>>>()?;
        let decoder = encoder.split_off(self.architecture.encoder.len());
        let model = Autoencoder::from_layers(encoder, decoder).map_err(invalid)?;
        let own = self.own_metadata().map(|(key, value)| (key.clone(), value.clone()));
        Ok(model.with_metadata(own.collect()))
    }

    /// Each layer's description and its values.
    fn layers(&self, prefix: &str) -> impl Iterator<Item = Result<(&LayerSpec, LayerParameters)>> {
        let Architecture { inputs, encoder, decoder, .. } = &self.architecture;
        let mut inputs = *inputs;
        encoder.iter().chain(decoder).enumerate().map(move |(index, spec)| {
            let names = names(prefix, encoder.len(), index);
            let parameters = layer_parameters(&self.tensors, names, inputs, spec.outputs)?;
            inputs = spec.outputs;
            Ok((spec, parameters))
        })
    }
}

/// The names of the weights and biases of a layer, counted from the input.
pub(super) fn names(prefix: &str, encoder_depth: usize, layer: usize) -> [String; 2] {
    let (stack, index) = match layer.checked_sub(encoder_depth) {
        None => ("encoder", layer),
        Some(index) => ("decoder", index),
    };
    ["weight", "bias"].map(|kind| format!("{prefix}{stack}.{}.{kind}", 2 * index))
}

fn layer_parameters(
    tensors: &Tensors,
    [weight, bias]: [String; 2],
    inputs: usize,
    outputs: usize,
) -> Result<LayerParameters> {
    let weight = tensors.f32(&weight, &[outputs, inputs])?;
    let bias = tensors.f32(&bias, &[outputs])?;
    let weight = Array2::from_shape_vec((outputs, inputs), weight)
        .map_err(|error| Error::format(tensors.file(), "weight", "a shape that fits in memory", error))?;
    let weight = weight.reversed_axes().as_standard_layout().into_owned();
    Ok(LayerParameters { weight, bias: Array1::from_vec(bias), frozen: false })
}
