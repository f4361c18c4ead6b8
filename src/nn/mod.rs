//! The model: layers with their forward and backward passes, losses, penalties, initialization and files.
//!
//! [`Autoencoder`] is a stack of [`Layer`]s. [`AutoencoderBuilder`] makes mirrored ones; [`Autoencoder::from_layers`] accepts
//! any.

mod activation;
mod autoencoder;
mod builder;
mod dense;
mod dropout;
pub(crate) mod files;
mod init;
mod layer;
mod loss;
mod parameters;
mod penalty;
mod spelling;

pub use activation::Activation;
pub use autoencoder::Autoencoder;
pub(crate) use autoencoder::inference_block_rows;
pub use builder::AutoencoderBuilder;
pub use dense::Dense;
pub use dropout::Dropout;
#[cfg(feature = "onnx")]
pub use files::onnx::OnnxPart;
pub use init::Init;
pub use layer::Layer;
pub use loss::Loss;
pub use parameters::{LayerParameters, Parameters};
pub(crate) use parameters::{check_max_norm, clip_factor};
pub use penalty::{Penalty, Scope};
pub(crate) use spelling::Spelling;
