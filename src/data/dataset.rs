use crate::{files::digest, kernels};
use ndarray::{Array2, ArrayBase, Data, Ix2};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::ops::Range;

/// Rows that one task of a fingerprint digests. Part of the fingerprint's definition.
const FINGERPRINT_ROWS: usize = 1_024;

/// Rows of features to train on or to evaluate.
///
/// A model is trained to reproduce each row, or the row's own target, if there is one (see [`Pairs`](super::Pairs)).
///
/// ```
/// use autoencoder::{Autoencoder, Dataset};
///
/// /// The first `count` points of a sine wave, in windows of 16.
/// struct Sine {
///     count: usize,
/// }
///
/// impl Dataset for Sine {
///     fn len(&self) -> usize {
///         self.count - 15
///     }
///
///     fn features(&self) -> usize {
///         16
///     }
///
///     fn copy_row(&self, row: usize, out: &mut [f32]) {
///         for (offset, value) in out.iter_mut().enumerate() {
///             *value = 0.5 + 0.5 * ((row + offset) as f32 / 10.0).sin();
///         }
///     }
/// }
///
/// let model = Autoencoder::builder(16).code(2).build()?;
/// assert_eq!(model.reconstruction_errors(&Sine { count: 100 })?.len(), 85);
/// # Ok::<(), autoencoder::Error>(())
/// ```
pub trait Dataset: Sync {
    /// Returns the number of rows.
    fn len(&self) -> usize;

    /// Returns the number of features of each row.
    fn features(&self) -> usize;

    /// Copies a row into `out`, which has [`features`](Self::features) elements. It is called from many threads, and
    /// must always return the same values for the same row.
    ///
    /// # Panics
    /// May panic if there is no such row.
    fn copy_row(&self, row: usize, out: &mut [f32]);

    /// Returns whether rows have targets of their own. Default: false, and [`copy_target`](Self::copy_target) is never
    /// called.
    fn has_targets(&self) -> bool {
        false
    }

    /// Copies the target of a row into `out`: what a model should make of the row. Default: the row itself. A type that
    /// implements it also implements [`has_targets`](Self::has_targets). The conditions are those of
    /// [`copy_row`](Self::copy_row).
    ///
    /// # Panics
    /// May panic if there is no such row.
    fn copy_target(&self, row: usize, out: &mut [f32]) {
        self.copy_row(row, out);
    }

    /// Copies some rows into an array, `[rows, features]`.
    ///
    /// ```
    /// use autoencoder::{Dataset, data::digits};
    /// let digits = digits::generate(20, 1)?;
    /// assert_eq!(digits.block(5..8).row(0), digits.to_array()?.row(5));
    /// # Ok::<(), autoencoder::Error>(())
    /// ```
    ///
    /// # Panics
    /// As [`copy_row`](Self::copy_row).
    fn block(&self, rows: Range<usize>) -> Array2<f32> {
        let mut block = Array2::zeros((rows.len(), self.features()));
        kernels::rows_mut(block.view_mut()).zip(rows).for_each(|(out, row)| self.copy_row(row, out));
        block
    }

    /// Copies the targets of some rows into an array, `[rows, features]`. Without targets of their own, these are the rows.
    ///
    /// # Panics
    /// As [`copy_target`](Self::copy_target).
    fn target_block(&self, rows: Range<usize>) -> Array2<f32> {
        if !self.has_targets() {
            return self.block(rows);
        }
        let mut block = Array2::zeros((rows.len(), self.features()));
        kernels::rows_mut(block.view_mut()).zip(rows).for_each(|(out, row)| self.copy_target(row, out));
        block
    }

    /// Returns the weight of a row in training, a finite number of at least 0. Default: 1. See
    /// [`Weighted`](super::Weighted). The conditions are those of [`copy_row`](Self::copy_row).
    ///
    /// # Panics
    /// May panic if there is no such row.
    fn weight(&self, _row: usize) -> f32 {
        1.0
    }

    /// Returns whether there are no rows.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns a digest of all values, targets and weights included, as 64 hexadecimal digits. Sets of rows with the same values have
    /// the same fingerprint, whatever their type, name or labels. Checkpoints use it to recognize their data set.
    ///
    /// ```
    /// use autoencoder::{Dataset, data::digits};
    /// let digits = digits::generate(100, 1)?;
    /// assert_eq!(digits.fingerprint(), digits.to_array()?.fingerprint());
    /// # Ok::<(), autoencoder::Error>(())
    /// ```
    fn fingerprint(&self) -> String {
        let rows = self.len();
        let features = self.features();
        let block = |block: usize| {
            let mut digest = Sha256::new();
            let mut row = vec![0.0_f32; features];
            let mut bytes = Vec::with_capacity(size_of_val(row.as_slice()));
            for index in block * FINGERPRINT_ROWS..rows.min((block + 1) * FINGERPRINT_ROWS) {
                bytes.clear();
                self.copy_row(index, &mut row);
                bytes.extend(row.iter().flat_map(|value| value.to_le_bytes()));
                if self.has_targets() {
                    self.copy_target(index, &mut row);
                    bytes.extend(row.iter().flat_map(|value| value.to_le_bytes()));
                }
                digest.update(&bytes);
            }
            digest.finalize()
        };
        let blocks: Vec<_> = (0..rows.div_ceil(FINGERPRINT_ROWS)).into_par_iter().map(block).collect();
        let mut digest = Sha256::new();
        digest.update((rows as u64).to_le_bytes());
        digest.update((features as u64).to_le_bytes());
        blocks.iter().for_each(|block| digest.update(block));
        if self.has_targets() {
            digest.update(b"targets");
        }
        if (0..rows).any(|row| self.weight(row) != 1.0) {
            digest.update(b"weights");
            (0..rows).for_each(|row| digest.update(self.weight(row).to_le_bytes()));
        }
        digest::hex(digest.finalize())
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

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::s;

    #[test]
    fn fingerprints_depend_on_values_order_and_width() {
        let rows = Array2::from_shape_fn((2_500, 4), |(row, column)| (row * 4 + column) as f32);
        let mut changed = rows.clone();
        changed[[2_499, 3]] = -1.0;
        let wide = rows.clone().into_shape_with_order((1_250, 8)).unwrap();
        let reversed = rows.slice(s![..;-1, ..]);
        for other in [changed.view(), wide.view(), reversed, rows.slice(s![..2_499, ..])] {
            assert_ne!(other.fingerprint(), rows.fingerprint());
        }
        assert_eq!(rows.t().to_owned().t().fingerprint(), rows.fingerprint());
        let dynamic: &dyn Dataset = &rows;
        assert_eq!(dynamic.fingerprint(), rows.fingerprint());
    }
}
