//! File formats. `load` and `save` take paths, `read` and `write` streams; what is saved can be loaded.

pub mod idx;
#[cfg(feature = "npy")]
mod layout;
#[cfg(feature = "npy")]
pub mod npy;
#[cfg(feature = "npy")]
mod numbers;
#[cfg(feature = "npy")]
mod pixels;
#[cfg(feature = "png")]
pub mod png;
