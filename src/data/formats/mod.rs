//! File formats. `load` and `save` take paths, `read` and `write` streams; what is saved can be loaded.

#[cfg(feature = "csv")]
pub mod csv;
pub mod idx;
mod layout;
#[cfg(feature = "npy")]
pub mod npy;
#[cfg(feature = "npz")]
pub mod npz;
mod pixels;
#[cfg(feature = "png")]
pub mod png;
