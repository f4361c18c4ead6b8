//! The model: layers that go forward and backward by hand, losses, penalties, initialisation, files.

mod activation;
mod autoencoder;
mod builder;
mod dense;
mod dropout;
pub(crate) mod file;
mod init;
mod loss;
#[cfg(feature = "onnx")]
mod onnx;
mod penalty;
mod tensors;

pub use activation::Activation;
pub(crate) use autoencoder::inference_block_rows;
pub use autoencoder::{Autoencoder, Layer};
pub use builder::AutoencoderBuilder;
pub use dense::Dense;
pub use dropout::Dropout;
pub use init::Init;
pub use loss::{Loss, RowLoss};
#[cfg(feature = "onnx")]
pub use onnx::OnnxPart;
pub use penalty::{Penalty, Scope};
