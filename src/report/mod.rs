//! Pictures of what a model does (feature `png`) and curves of how it got there (feature `plots`).

#[cfg(feature = "plots")]
mod curves;
#[cfg(feature = "png")]
mod grid;

#[cfg(feature = "plots")]
pub use curves::{Chart, Curve, Mark};
#[cfg(feature = "png")]
pub use grid::save_grid;
