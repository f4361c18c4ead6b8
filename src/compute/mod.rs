//! The numerical kernels: the only `unsafe` code and the only code that knows the CPU.
//!
//! Everything here runs on the calling thread; who runs what in parallel is decided by the callers.
//! [`gemm()`] is the matrix product, [`elementwise`] everything that goes over slices.

pub(crate) mod aligned;
mod cpu;
pub mod elementwise;
mod gemm;

#[cfg(feature = "bench")]
#[doc(hidden)]
pub use gemm::peak_gflops;
pub use gemm::{Accum, gemm, gemm_sum};

use ndarray::{ArrayView2, ArrayViewMut2};

/// The rows of a matrix as slices.
///
/// # Panics
/// If a row is not contiguous.
#[track_caller]
pub fn rows<'a>(matrix: ArrayView2<'a, f32>) -> impl Iterator<Item = &'a [f32]> {
    matrix.into_outer_iter().map(|row| row.to_slice().expect("contiguous rows"))
}

/// The rows of a matrix as slices to be changed.
///
/// # Panics
/// If a row is not contiguous.
#[track_caller]
pub fn rows_mut<'a>(matrix: ArrayViewMut2<'a, f32>) -> impl Iterator<Item = &'a mut [f32]> {
    matrix.into_outer_iter_mut().map(|row| row.into_slice().expect("contiguous rows"))
}

/// Whether every row of a matrix is a slice, as the products and [`rows_mut`] need it of what they write.
pub(crate) fn has_contiguous_rows(matrix: ArrayView2<f32>) -> bool {
    matrix.is_empty() || matrix.ncols() == 1 || matrix.strides()[1] == 1
}
