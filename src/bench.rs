//! Internals that benchmarks and the study need. Not part of the documented API; may change at any time.

pub use crate::kernels::{
    Accum,
    buffers::{Buffer, aligned_copy, aligned_zeros},
    elementwise, gemm, gemm_sum, peak_gflops, rows_mut,
};
