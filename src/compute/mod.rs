//! The numerical kernels: the only `unsafe` code and the only code that knows the CPU.
//!
//! Everything here runs on the calling thread; who runs what in parallel is decided by the callers.
//! [`gemm`] is the matrix product, [`elementwise`] everything that goes over slices.

pub mod elementwise;
mod gemm;

pub use gemm::{Accum, gemm};

use ndarray::{ArrayView2, ArrayViewMut2};

/// The rows of a matrix as slices.
///
/// # Panics
/// If the matrix is not in standard layout.
#[track_caller]
pub fn rows(matrix: ArrayView2<'_, f32>) -> std::slice::ChunksExact<'_, f32> {
    let columns = matrix.ncols().max(1);
    matrix.to_slice().expect("a matrix in standard layout").chunks_exact(columns)
}

/// The rows of a matrix as slices to be changed.
///
/// # Panics
/// If the matrix is not in standard layout.
#[track_caller]
pub fn rows_mut(matrix: ArrayViewMut2<'_, f32>) -> std::slice::ChunksExactMut<'_, f32> {
    let columns = matrix.ncols().max(1);
    matrix.into_slice().expect("a matrix in standard layout").chunks_exact_mut(columns)
}
