//! The matrix product, on one thread, for products of the size that a training step makes: some 64 rows, some
//! hundreds of columns, weights that sit in the second or third cache.
//!
//! *Bits.* Every element of the result is one chain of fused multiply-adds over ascending `k`, started from zero
//! ([`Accum::Replace`]) or from the element ([`Accum::Add`]). No blocking, tile shape or vector width alters that
//! chain, so the bits of a row do not depend on the other rows nor those of a column on the other columns, and all
//! CPUs with fused multiply-add agree. (An x86-64 without it rounds twice.)
//!
//! *Speed.* Vectors run along the columns of the result, and a tile of it stays in registers while a block of `k`
//! passes. At so few rows copying the operands costs more than it saves: both are read where they lie. Only when
//! the columns of `rhs` are not contiguous (a transposed weight matrix) is the product turned around, `dstᵀ = rhsᵀ
//! lhsᵀ`, which leaves the large `rhs` in place and transposes just the two small matrices. Nothing is allocated.
//!
//! `product` blocks, `tile` computes, `vector` is what differs between CPUs, `copy` transposes.
#![allow(unsafe_code)]

mod copy;
mod peak;
mod product;
#[cfg(test)]
mod tests;
mod tile;
mod vector;

pub use peak::peak_gflops;

use super::cpu::Isa;
use ndarray::{ArrayView2, ArrayViewMut2};
use product::{Matrix, Product, SCRATCH};

/// What a product does with what its destination holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accum {
    /// `dst = lhs · rhs`
    Replace,
    /// `dst += lhs · rhs`
    Add,
}

/// The product of `lhs` `[m, k]` and `rhs` `[k, n]` into `dst` `[m, n]`, on the calling thread.
///
/// `lhs` and `rhs` may be transposed or strided in any way. A row's bits do not depend on the other rows.
///
/// # Panics
/// If the shapes do not fit each other or a row of `dst` is not contiguous.
#[track_caller]
pub fn gemm(accum: Accum, mut dst: ArrayViewMut2<f32>, lhs: ArrayView2<f32>, rhs: ArrayView2<f32>) {
    let ((m, k), n) = (lhs.dim(), rhs.ncols());
    assert_eq!((rhs.nrows(), dst.dim()), (k, (m, n)), "gemm: {m}x{k} times {:?}", rhs.dim());
    if k == 0 && accum == Accum::Replace {
        dst.fill(0.0);
    }
    if m == 0 || k == 0 || n == 0 {
        return;
    }
    assert!(n == 1 || dst.strides()[1] == 1, "gemm: rows of the result must be contiguous");
    let dst = Matrix::new(dst.as_mut_ptr(), dst.strides());
    let lhs = Matrix::new(lhs.as_ptr().cast_mut(), lhs.strides());
    let rhs = Matrix::new(rhs.as_ptr().cast_mut(), rhs.strides());
    let add = accum == Accum::Add;
    let product = if rhs.col == 1 {
        Product { m, k, n, dst, lhs, rhs, add, turned: false }
    } else {
        Product { m: n, k, n: m, dst: dst.t(), lhs: rhs.t(), rhs: lhs.t(), add, turned: true }
    };
    // SAFETY: the CPU has the instructions. The shapes agree, so that every index below m, k and n is in bounds of
    // the views that the matrices were made of; `dst` is borrowed exclusively and the others are only read.
    SCRATCH.with_borrow_mut(|scratch| unsafe {
        match Isa::best() {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => product.run_avx512(scratch),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => product.run_avx2(scratch),
            Isa::Portable => product.run_portable(scratch),
        }
    });
}
