//! Images in memory, where they come from, and what corrupts them.
//!
//! [`ImageSet`] keeps pixels as bytes; [`idx`] reads and writes its files, [`catalog`] finds MNIST and
//! Fashion-MNIST, `download` fetches them (feature `download`), `npy` reads and writes NumPy's files (feature `npy`),
//! `folder` reads folders of PNG files (feature `png`), [`digits`] draws a data set from nothing. Training takes any
//! [`Dataset`], an [`ImageSet`] or an `Array2<f32>`, so that data which are not images need not become bytes.

pub mod catalog;
mod dataset;
pub mod digits;
#[cfg(feature = "download")]
pub mod download;
#[cfg(feature = "png")]
pub mod folder;
pub mod idx;
mod noise;
#[cfg(feature = "npy")]
pub mod npy;
mod strokes;

pub use dataset::ImageSet;
pub use noise::{Noise, NoiseKind};

use ndarray::{ArrayBase, Data, Ix2};

/// Rows of features to train on or to evaluate.
pub trait Dataset: Sync {
    /// The number of rows.
    fn len(&self) -> usize;

    /// The number of features in a row.
    fn features(&self) -> usize;

    /// Copies a row into `out`, which has [`features`](Self::features) elements.
    ///
    /// # Panics
    /// If there is no such row.
    fn copy_row(&self, row: usize, out: &mut [f32]);

    /// Whether there are no rows.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<S: Data<Elem = f32> + Sync> Dataset for ArrayBase<S, Ix2>
where
    ArrayBase<S, Ix2>: Sync,
{
    fn len(&self) -> usize {
        self.nrows()
    }

    fn features(&self) -> usize {
        self.ncols()
    }

    fn copy_row(&self, row: usize, out: &mut [f32]) {
        for (o, &x) in out.iter_mut().zip(self.row(row)) {
            *o = x;
        }
    }
}
