//! NumPy's `.npy` files (feature `npy`): image sets, and rows of any finite numbers.
//!
//! The format is documented at <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

mod header;
mod images;
mod rows;

pub use images::{load, read, save};
pub use rows::{load_rows, read_rows, save_rows};
