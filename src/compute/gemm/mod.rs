//! The matrix product, on one thread, for products of the size that a training step makes: some 64 rows, some
//! hundreds of columns, weights that sit in the second or third cache.
//!
//! *Bits.* Every element of the result is one chain of fused multiply-adds over ascending `k`, started from zero
//! ([`Accum::Replace`]) or from the element ([`Accum::Add`]). No blocking, tile shape or vector width alters that
//! chain, so the bits of a row do not depend on the other rows nor those of a column on the other columns, as long as
//! both sides are finite, and all CPUs with fused multiply-add agree. (An x86-64 without it rounds twice.)
//!
//! *Zeros.* Images on black and outputs of ReLU are zero in most or many places, and so are deltas that went back through
//! ReLU. Where many elements of `lhs` are, the `sparse` product leaves out their terms; in a sum of products (a weights'
//! gradient) also where more of `rhs` are: it is then turned around, `dstᵀ = rhsᵀ lhsᵀ`. Adding a zero changes no number
//! but -0, and results are stored without that, so that its bits are those of the `dense` one, which is taken where few are
//! zero; but zero times infinity or NaN may count as zero. A NaN is not taken for a zero.
//!
//! *Speed.* Vectors run along the columns of the result, and a tile of it stays in registers while a block of `k`
//! passes. With AVX-512 the dense product reads both operands where they lie: at so few rows copying costs more than it
//! saves. With AVX2 columns of `rhs` are copied together first, the next ones fetched meanwhile. When the rows of `rhs` are
//! not contiguous (a transposed weight matrix) the dense product is turned around, which leaves the large `rhs` in place and
//! transposes just the two small matrices. The sparse product goes row by row, through copied columns of `rhs` if there are
//! many rows. Nothing is allocated.
//!
//! `terms` are what a `product` sums, `way` says how, `dense` (with its `tile` in registers) and `sparse` compute, `vector`
//! is what differs between CPUs, `copy` copies and transposes.
#![allow(unsafe_code)]

mod copy;
mod dense;
mod matrix;
#[cfg(feature = "bench")]
mod peak;
mod product;
mod sparse;
mod terms;
#[cfg(test)]
mod tests;
mod tile;
mod vector;
mod way;

#[cfg(feature = "bench")]
pub use peak::peak_gflops;

use super::{cpu::Isa, has_contiguous_rows};
use matrix::Matrix;
use ndarray::{ArrayView2, ArrayViewMut2};
use product::Product;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256, __m512};
use std::cell::RefCell;
use terms::{Term, Terms};
use vector::Vector;
use way::Way;

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
/// `lhs` and `rhs` may be transposed or strided in any way. A row's bits do not depend on the other rows, as long as `rhs`
/// is finite. A NaN or an infinity of `lhs` shows in its row of the result.
///
/// # Panics
/// If the shapes do not fit each other or a row of `dst` is not contiguous.
#[track_caller]
pub fn gemm(accum: Accum, dst: ArrayViewMut2<f32>, lhs: ArrayView2<f32>, rhs: ArrayView2<f32>) {
    sum(accum, dst, std::iter::once((lhs, rhs)), false);
}

/// The sum of the products of several pairs into `dst`, in their order: the bits of one [`gemm()`] after the other, as
/// long as both sides are finite. It is faster where sums can stay in registers from pair to pair, and where there are
/// zeros in `rhs`.
///
/// # Panics
/// As [`gemm()`].
#[track_caller]
pub fn gemm_sum<'a>(
    accum: Accum,
    dst: ArrayViewMut2<f32>,
    pairs: impl IntoIterator<Item = (ArrayView2<'a, f32>, ArrayView2<'a, f32>)>,
) {
    sum(accum, dst, pairs, true);
}

/// With `either_side`, terms with a zero in `rhs` may be left out, too. Zeros of weights should not: they would hide an
/// input that is not a number.
#[track_caller]
fn sum<'a>(
    accum: Accum,
    mut dst: ArrayViewMut2<f32>,
    pairs: impl IntoIterator<Item = (ArrayView2<'a, f32>, ArrayView2<'a, f32>)>,
    either_side: bool,
) {
    let (m, n) = dst.dim();
    assert!(has_contiguous_rows(dst.view()), "gemm: rows of the result must be contiguous");
    let target = Matrix::new(dst.as_mut_ptr(), dst.strides());
    let mut add = accum == Accum::Add;
    let mut terms = Terms::new();
    for (lhs, rhs) in pairs {
        let k = lhs.ncols();
        let shapes = (lhs.dim(), rhs.dim());
        assert_eq!(shapes, ((m, k), (k, n)), "gemm: {:?} times {:?} into {m}x{n}", shapes.0, shapes.1);
        if m == 0 || k == 0 || n == 0 {
            continue;
        }
        let [lhs, rhs] = [lhs, rhs].map(|view| Matrix::new(view.as_ptr().cast_mut(), view.strides()));
        let term = Term { k, lhs, rhs };
        // SAFETY: the shapes agree, and the views outlive this call.
        let way = unsafe { Way::of(m, n, term, either_side) };
        if !terms.have_room_for(term, way) {
            run(m, n, target, &terms, add);
            (terms, add) = (Terms::new(), true);
        }
        terms.push(term, way);
    }
    if !terms.as_slice().is_empty() {
        run(m, n, target, &terms, add);
    } else if !add {
        dst.fill(0.0);
    }
}

/// The sum of the terms into `dst` `[m, n]`. It comes from `sum` alone: shapes agree, so that every index below m, n and k is
/// in bounds of the views that the matrices were made of, and the views outlive its call; `dst` is borrowed exclusively and
/// the others are only read.
fn run(m: usize, n: usize, dst: Matrix, terms: &Terms, add: bool) {
    let Way { sparse, turned } = terms.way();
    let (m, n, dst) = if turned { (n, m, dst.t()) } else { (m, n, dst) };
    let product = Product { m, n, dst, terms: terms.as_slice(), add, turned };
    SCRATCH.with_borrow_mut(|scratch| {
        // SAFETY: the CPU has the instructions.
        unsafe {
            match Isa::best() {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => run_avx512(&product, sparse, scratch),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => run_avx2(&product, sparse, scratch),
                Isa::Portable => run_with::<[f32; 4]>(&product, sparse, scratch),
            }
        }
    });
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn run_avx512(product: &Product, sparse: bool, scratch: &mut Scratch) {
    // SAFETY: the caller's promise.
    unsafe { run_with::<__m512>(product, sparse, scratch) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn run_avx2(product: &Product, sparse: bool, scratch: &mut Scratch) {
    // SAFETY: the caller's promise.
    unsafe { run_with::<__m256>(product, sparse, scratch) }
}

/// # Safety
/// The CPU must have the vector's instructions.
#[inline(always)]
unsafe fn run_with<V: Vector>(product: &Product, sparse: bool, scratch: &mut Scratch) {
    // SAFETY: the caller's promise, and what holds of `run`'s product.
    unsafe {
        match sparse {
            false => product.run_dense::<V>(&mut scratch.dense),
            true => product.run_sparse::<V>(&mut scratch.sparse),
        }
    }
}

/// Room for copies, one a thread.
struct Scratch {
    dense: dense::Scratch,
    sparse: sparse::Scratch,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> =
        const { RefCell::new(Scratch { dense: dense::Scratch::NEW, sparse: sparse::Scratch::NEW }) };
}
