//! PNG files (feature `png`): folders of images as data sets, and grids of images.

mod decode;
mod folder;
mod grid;

pub use folder::{Background, Folder, load_folder};
pub use grid::save_grid;
