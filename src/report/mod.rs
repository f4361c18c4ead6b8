//! Pictures of what a model does (feature `png`).

mod grid;

pub use grid::save_grid;
