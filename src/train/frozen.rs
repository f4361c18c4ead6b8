use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Layers that training leaves as they are, to the bit.
///
/// This is a setting of a run or a [`Step`](crate::train::Step), not a property of the model, so model files do not contain
/// it.
///
/// ```
/// use autoencoder::{Autoencoder, TrainConfig, Trainer, data::digits, train::Frozen};
/// let train = digits::generate(200, 0)?;
/// let before = Autoencoder::builder(784).hidden(&[64]).code(16).build()?;
/// let mut model = before.clone();
/// Trainer::new(TrainConfig::new().epochs(1).freeze(Frozen::Encoder)).fit(&mut model, &train)?;
/// assert_eq!(model.layers()[..2], before.layers()[..2]);
/// assert_ne!(model.layers()[2..], before.layers()[2..]);
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Frozen {
    /// The layers of the encoder.
    Encoder,
    /// The layers of the decoder.
    Decoder,
    /// The layers with these indices, from 0 at the input. An empty list freezes none.
    Layers(Vec<usize>),
}

impl Frozen {
    /// Checks that the layers exist in a model and that one is left to train.
    pub(crate) fn check_fits(&self, depth: usize, encoder_depth: usize) -> Result<()> {
        if let Self::Layers(layers) = self
            && let Some(layer) = layers.iter().find(|layer| **layer >= depth)
        {
            let value = format_args!("layer {layer} of a model of {depth} layers");
            return Err(Error::setting("freeze", value, "layers of the model, from 0 at the input"));
        }
        if (0..depth).all(|layer| self.covers(layer, encoder_depth)) {
            return Err(Error::setting(
                "freeze",
                format_args!("all layers"),
                "at least one layer left to train",
            ));
        }
        Ok(())
    }

    /// Returns true if a layer is frozen.
    pub(crate) fn covers(&self, layer: usize, encoder_depth: usize) -> bool {
        match self {
            Self::Encoder => layer < encoder_depth,
            Self::Decoder => layer >= encoder_depth,
            Self::Layers(layers) => layers.contains(&layer),
        }
    }
}
