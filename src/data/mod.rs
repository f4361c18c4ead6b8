//! Data sets: where they come from, how they are stored, and the noise that corrupts them.
//!
//! Training and evaluation accept any [`Dataset`]: an [`ImageSet`], whose pixels are bytes, an `Array2<f32>`, or your own
//! type. [`Pairs`] joins inputs and targets that differ, and [`Weighted`] gives rows weights. A [`Standardizer`] scales
//! the columns of a table.
//!
//! | module | feature | contents |
//! |---|---|---|
//! | [`digits`] | | drawn digits, which need no file |
//! | [`catalog`] | | finds, reads and verifies MNIST and Fashion-MNIST |
//! | `download` | `download` | downloads both |
//! | [`idx`] | | reads and writes IDX files, the format of MNIST |
//! | `npy` | `npy` | reads and writes NumPy's `.npy` files |
//! | `png` | `png` | reads folders of PNG files, writes grids of images |

pub mod catalog;
mod dataset;
pub mod digits;
#[cfg(feature = "download")]
pub mod download;
mod formats;
mod image_set;
mod noise;
mod pairs;
mod standardizer;
mod strokes;
mod transpose;
mod weighted;

pub use dataset::Dataset;
pub use formats::idx;
#[cfg(feature = "npy")]
pub use formats::npy;
#[cfg(feature = "png")]
pub use formats::png;
pub use image_set::ImageSet;
pub use noise::{Noise, NoiseKind};
pub use pairs::Pairs;
pub use standardizer::Standardizer;
pub use weighted::Weighted;
pub(crate) use weighted::{check_weight, check_weights};
