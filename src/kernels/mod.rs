//! Numerical kernels: the only `unsafe` code, and the only code that knows the CPU.
//!
//! Everything here runs on the calling thread; callers decide what runs in parallel. [`gemm()`] is the matrix product,
//! [`elementwise`] are loops over slices, `resample` moves images, `buffers` are aligned matrices, and `cpu` chooses the instruction set.

pub(crate) mod buffers;
mod cpu;
pub mod elementwise;
mod gemm;
#[cfg(any(test, feature = "bench"))]
mod peak;
pub(crate) mod resample;

pub use gemm::{Accum, gemm, gemm_sum};
#[cfg(feature = "bench")]
pub use peak::peak_gflops;

use ndarray::{ArrayView, ArrayView2, ArrayViewMut, ArrayViewMut2, Dimension};

/// Returns the rows of a matrix as slices.
///
/// # Panics
/// If a row is not contiguous.
#[track_caller]
pub fn rows<'a>(matrix: ArrayView2<'a, f32>) -> impl Iterator<Item = &'a [f32]> {
    matrix.into_outer_iter().map(|row| row.to_slice().expect("contiguous rows"))
}

/// Returns the rows of a matrix as mutable slices.
///
/// # Panics
/// If a row is not contiguous.
#[track_caller]
pub fn rows_mut<'a>(matrix: ArrayViewMut2<'a, f32>) -> impl Iterator<Item = &'a mut [f32]> {
    matrix.into_outer_iter_mut().map(|row| row.into_slice().expect("contiguous rows"))
}

/// Returns the elements of an array in standard layout.
///
/// # Panics
/// If the array is not in standard layout.
#[track_caller]
pub(crate) fn slice<D: Dimension>(array: ArrayView<'_, f32, D>) -> &[f32] {
    array.to_slice().expect("standard layout")
}

/// Returns the elements of an array in standard layout, to be changed.
///
/// # Panics
/// If the array is not in standard layout.
#[track_caller]
pub(crate) fn slice_mut<D: Dimension>(array: ArrayViewMut<'_, f32, D>) -> &mut [f32] {
    array.into_slice().expect("standard layout")
}

/// Returns whether every row of a matrix is contiguous, as [`gemm()`] and [`rows_mut`] require of what they write.
pub(crate) fn has_contiguous_rows(matrix: ArrayView2<f32>) -> bool {
    matrix.is_empty() || matrix.ncols() == 1 || matrix.strides()[1] == 1
}
