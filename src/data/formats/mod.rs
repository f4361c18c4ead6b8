//! File formats. `load` and `save` take paths, `read` and `write` streams; what is saved can be loaded.

pub mod idx;
mod layout;
#[cfg(feature = "npy")]
pub mod npy;
mod pixels;
#[cfg(feature = "png")]
pub mod png;
