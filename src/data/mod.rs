//! Data sets: where they come from, how they are stored, and the noise that corrupts them.
//!
//! Training and evaluation accept any [`Dataset`]: an [`ImageSet`], whose pixels are bytes, an `Array2<f32>`, or your own
//! type. [`Augmentation`] varies images in training. [`Pairs`] joins inputs and targets that differ, [`Weighted`] gives
//! rows weights, and [`Holdout`] chooses test rows. A [`Standardizer`] scales the columns of a table.
//!
//! | module | feature | contents |
//! |---|---|---|
//! | [`digits`] | | drawn digits, which need no file |
//! | [`catalog`] | | finds, reads and verifies MNIST and Fashion-MNIST |
//! | `download` | `download` | downloads both |
//! | [`idx`] | | reads and writes IDX files, the format of MNIST |
//! | `npy` | `npy` | reads and writes NumPy's `.npy` files |
//! | `npz` | `npz` | reads arrays from NumPy's `.npz` archives |
//! | `csv` | `csv` | reads CSV tables of numbers, images included |
//! | `png` | `png` | reads folders of PNG files, writes grids of images |

mod augmentation;
pub mod catalog;
mod dataset;
pub mod digits;
#[cfg(feature = "download")]
pub mod download;
mod formats;
mod holdout;
mod image_set;
mod noise;
mod pairs;
mod standardizer;
mod strokes;
mod weighted;

pub use augmentation::Augmentation;
pub use dataset::Dataset;
#[cfg(feature = "csv")]
pub use formats::csv;
pub use formats::idx;
#[cfg(feature = "npy")]
pub use formats::npy;
#[cfg(feature = "npz")]
pub use formats::npz;
#[cfg(feature = "png")]
pub use formats::png;
pub use holdout::{Holdout, Subset};
pub use image_set::ImageSet;
pub(crate) use image_set::{COLORS, channels};
pub use noise::{Noise, NoiseKind};
pub use pairs::Pairs;
pub use standardizer::Standardizer;
pub use weighted::Weighted;
pub(crate) use weighted::{check_weight, check_weights};
