//! Models in files.

pub(super) mod metadata;
pub(crate) mod model;
#[cfg(feature = "onnx")]
pub(super) mod onnx;
pub(crate) mod safetensors;
