use ndarray::{ArrayView2, ArrayViewMut2};

/// What a product does with what its destination holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accum {
    /// `dst = lhs · rhs`
    Replace,
    /// `dst += lhs · rhs`
    Add,
}

/// The product of `lhs` `[m, k]` and `rhs` `[k, n]` into `dst` `[m, n]`, on one thread.
///
/// Views may be transposed or strided.
///
/// # Panics
/// If the shapes do not fit each other.
#[track_caller]
pub fn gemm(accum: Accum, mut dst: ArrayViewMut2<f32>, lhs: ArrayView2<f32>, rhs: ArrayView2<f32>) {
    let ((m, k), n) = (lhs.dim(), rhs.ncols());
    assert_eq!((rhs.nrows(), dst.dim()), (k, (m, n)), "gemm: {m}x{k} times {:?}", rhs.dim());
    let (&[dst_rows, dst_cols], &[lhs_rows, lhs_cols], &[rhs_rows, rhs_cols]) =
        (dst.strides(), lhs.strides(), rhs.strides())
    else {
        unreachable!("views of two dimensions have two strides");
    };
    // SAFETY: the strides are the views' own, the shapes agree (asserted above), and `dst` is borrowed
    // mutably, so that neither `lhs` nor `rhs` overlaps it.
    #[allow(unsafe_code)]
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            dst.as_mut_ptr(),
            dst_cols,
            dst_rows,
            accum == Accum::Add,
            lhs.as_ptr(),
            lhs_cols,
            lhs_rows,
            rhs.as_ptr(),
            rhs_cols,
            rhs_rows,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
