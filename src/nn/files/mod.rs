//! Models in files.

pub(super) mod metadata;
mod misnamed;
pub(crate) mod model;
#[cfg(feature = "onnx")]
pub(super) mod onnx;
pub(crate) mod safetensors;
pub(crate) mod seal;
