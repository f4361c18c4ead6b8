//! Models in files.

pub(crate) mod model;
#[cfg(feature = "onnx")]
pub(super) mod onnx;
pub(crate) mod safetensors;
