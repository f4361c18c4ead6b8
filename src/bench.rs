//! Internals for the benchmarks, the tests and the study of this repository (feature `bench`). They are not part of the
//! API and may change at any time.

pub use crate::{
    kernels::{
        Accum,
        buffers::{Buffer, aligned_copy, aligned_zeros},
        elementwise, gemm, gemm_sum, peak_gflops, rows_mut,
    },
    random::{Stream, rng},
};

use crate::{
    data::{self, Noise},
    error::Result,
    nn::Dropout,
};

/// Returns the number of channels of rows with `columns` values that are images of `shape` (height, width).
pub fn channels(shape: (usize, usize), columns: usize) -> Result<usize> {
    data::channels(shape, columns)
}

/// Corrupts a training row in place.
pub fn corrupt_training_row(noise: &Noise, values: &mut [f32], seed: u64, epoch: usize, row: usize) {
    noise.apply(values, &mut rng(seed, Stream::TrainNoise, epoch, row));
}

/// Writes the dropout mask of a training row.
pub fn dropout_mask(dropout: Dropout, mask: &mut [f32], seed: u64, layer: usize, epoch: usize, row: usize) {
    dropout.mask(mask, seed, layer, epoch, row);
}
