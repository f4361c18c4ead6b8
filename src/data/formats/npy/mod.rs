//! NumPy's `.npy` files (feature `npy`): image sets, rows of any finite numbers, and integers such as labels.
//!
//! The format is documented at <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

mod elements;
mod header;
mod images;
mod integers;
mod rows;

#[cfg(feature = "npz")]
pub(super) use elements::{can_be_images, describe};
pub use images::{load, read, save};
pub use integers::{load_integers, load_labels, read_integers, read_labels, save_integers, save_labels};
pub use rows::{load_rows, read_rows, save_row_blocks, save_rows};
