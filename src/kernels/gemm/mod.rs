//! The matrix product on one thread, for the sizes of a training step: some 64 to 128 rows, some hundreds of columns, and
//! weights that fit the second- or third-level cache. Nothing is allocated.
//!
//! # Exactness
//!
//! Every element of the result is one chain of fused multiply-adds in ascending `k`. It starts from zero
//! ([`Accum::Replace`]) or from the element's old value ([`Accum::Add`]). Blocking, tile shape and vector width do not
//! change that chain. So the bits of a row do not depend on the other rows, nor those of a column on the other columns, as
//! long as both factors are finite. All CPUs with fused multiply-add agree. (An x86-64 CPU without it rounds twice.)
//!
//! # Zeros
//!
//! Images with a black background and outputs of ReLU are zero in many places, and so are deltas behind ReLU. Where `lhs`
//! has many zeros, the sparse kernel skips their terms. A sum of products (a weight gradient) also skips zeros of `rhs`: if
//! there are more of them, the product is transposed, `dstᵀ = rhsᵀ lhsᵀ`. Adding zero changes no number except -0, and
//! results are stored without negative zeros, so both kernels give the same bits. The exception is zero times infinity or
//! NaN, which a sparse product may count as zero. A NaN itself is never skipped.
//!
//! # The loop nest
//!
//! The words are those of BLIS: blocks of MC rows, KC steps and NC columns; tiles of MR rows by NR columns; packed panels.
//! BLIS has loops 4 and 5 the other way round.
//!
//! ```text
//! LOOP 5 (pc)           k in blocks of KC steps
//!   LOOP 4 (jc)         n in groups of NC columns; packs the panels of rhs
//!     LOOP 3 (ic)       m in blocks of MC rows
//!       LOOP 2 (jr)     the group in panels of NR columns
//!         LOOP 1 (ir)   the block in tiles of MR rows
//!           micro-kernel: one tile of dst, KC steps
//!
//!                                NC
//!                         +----+----+----+
//!                         | |  |    |    |
//!                      KC | |  |    |    |  rhs
//!                         | v  |    |    |
//!                         +----+----+----+
//!           KC              NR
//!      +----------+       +----+----+----+
//!      |          |       |    |    |    |
//!      +----------+       +----+----+----+
//!   MR | -------> |       |tile|    |    |  dst
//!      +----------+       +----+----+----+
//!   MC |          |       |    |    |    |
//!      +----------+       +----+----+----+
//!          lhs
//! ```
//!
//! The micro-kernel keeps its tile in registers while KC steps pass. Vectors run along the columns. The sparse kernel has the
//! same nest with MR = 1, wider panels, and 64 steps.
//!
//! Packing depends on the case. The dense kernel reads both factors in place with AVX-512: at so few rows, packing costs
//! more than it saves. With AVX2 it packs panels of `rhs` and meanwhile prefetches the next one. If the rows of `rhs` are
//! not contiguous (transposed weights), the dense product is transposed, which leaves the large `rhs` in place and copies
//! only the two small matrices. The sparse kernel packs panels of `rhs` unless there are few rows.
//!
//! # Modules
//!
//! From the bottom up; a module only uses those before it:
//!
//! - `simd`: raw matrices, vectors, copies;
//! - `plan`: what to compute, by which strategy, and all tuning constants;
//! - `dense` and `sparse`: the two kernels;
//! - this file: the public functions, checks, and the choice of the instruction set.
#![allow(unsafe_code)]

mod dense;
mod plan;
pub(super) mod simd;
mod sparse;
#[cfg(test)]
mod tests;

use super::{cpu::Isa, has_contiguous_rows};
use ndarray::{ArrayView2, ArrayViewMut2};
use plan::{Kernel, Product, Skippable, Strategy, Term, Terms};
use simd::{Matrix, Vector};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256, __m512};
use std::cell::RefCell;

/// How a product treats its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accum {
    /// `dst = lhs · rhs`
    Replace,
    /// `dst += lhs · rhs`
    Add,
}

/// Computes the product of `lhs` `[m, k]` and `rhs` `[k, n]` into `dst` `[m, n]`, on the calling thread.
///
/// `lhs` and `rhs` may have any strides. The bits of a row do not depend on the other rows, as long as `rhs` is finite.
/// A NaN or an infinity in `lhs` shows in its row of the result.
///
/// # Panics
/// If the shapes do not match or a row of `dst` is not contiguous.
#[track_caller]
pub fn gemm(accum: Accum, dst: ArrayViewMut2<f32>, lhs: ArrayView2<f32>, rhs: ArrayView2<f32>) {
    // A skipped zero of the weights would hide a non-finite input.
    sum(accum, dst, std::iter::once((lhs, rhs)), Skippable::LhsZeros);
}

/// Computes the sum of the products of several pairs into `dst`, in their order.
///
/// The bits are those of one [`gemm()`] after another, as long as both factors are finite. This function is faster: it
/// keeps sums in registers from pair to pair where it can, and it also skips zeros of `rhs`.
///
/// # Panics
/// As [`gemm()`].
#[track_caller]
pub fn gemm_sum<'a>(
    accum: Accum,
    dst: ArrayViewMut2<f32>,
    pairs: impl IntoIterator<Item = (ArrayView2<'a, f32>, ArrayView2<'a, f32>)>,
) {
    sum(accum, dst, pairs, Skippable::AllZeros);
}

/// Checks the shapes, chooses a strategy for each pair, and computes runs of pairs that share one.
#[track_caller]
fn sum<'a>(
    accum: Accum,
    mut dst: ArrayViewMut2<f32>,
    pairs: impl IntoIterator<Item = (ArrayView2<'a, f32>, ArrayView2<'a, f32>)>,
    skippable: Skippable,
) {
    let (m, n) = dst.dim();
    assert!(has_contiguous_rows(dst.view()), "gemm: rows of the result must be contiguous");
    let target = Matrix::new(dst.as_mut_ptr(), dst.strides());
    let mut accumulate = accum == Accum::Add;
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
        // SAFETY: m, n and k are at least 1, the shapes were checked above, and the views live as long as `'a`.
        let strategy = unsafe { Strategy::choose(m, n, term, skippable) };
        if !terms.have_room_for(term, strategy) {
            // SAFETY: as for the call below.
            unsafe { run(m, n, target, &terms, accumulate) };
            terms = Terms::new();
            accumulate = true;
        }
        terms.push(term, strategy);
    }
    if !terms.as_slice().is_empty() {
        // SAFETY: `dst` is `[m, n]`, was checked for contiguous rows, and is borrowed exclusively, so it overlaps no other
        // view. The shapes of the terms were checked above, and their views outlive this call. They were pushed with the
        // strategy that was chosen for them.
        unsafe { run(m, n, target, &terms, accumulate) };
    } else if !accumulate {
        dst.fill(0.0);
    }
}

/// Computes the sum of `terms` into `dst` with the best instruction set of the CPU.
///
/// # Safety
/// - `m`, `n` and the number of terms must be at least 1.
/// - `dst` must be valid for reads and writes of `m` by `n` elements. Its rows must be contiguous unless `n` is 1, and it
///   must not overlap any term.
/// - Every term must have been pushed with a strategy that [`Strategy::choose`] returned for it, `m` and `n`. Before it was
///   pushed, its `lhs` was `[m, k]` and its `rhs` `[k, n]`; both must be valid for reads, with `k` at least 1.
unsafe fn run(m: usize, n: usize, dst: Matrix, terms: &Terms, accumulate: bool) {
    let Strategy { kernel, transposed } = terms.strategy();
    let terms = terms.as_slice();
    let product = if transposed {
        Product { m: n, n: m, dst: dst.t(), terms, accumulate, transposed }
    } else {
        Product { m, n, dst, terms, accumulate, transposed }
    };
    WORKSPACE.with_borrow_mut(|workspace| {
        // SAFETY: `Isa::best` returns what the CPU supports. The caller promises what makes the product valid.
        unsafe {
            match Isa::best() {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => run_avx512(&product, kernel, workspace),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => run_avx2(&product, kernel, workspace),
                Isa::Portable => run_with::<[f32; 4]>(&product, kernel, workspace),
            }
        }
    });
}

/// # Safety
/// The CPU must support AVX-512 F, BW, DQ and VL, and `product` must be valid for `kernel` (see [`Product`]).
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn run_avx512(product: &Product, kernel: Kernel, workspace: &mut Workspace) {
    // SAFETY: the caller promises the instructions and a valid product.
    unsafe { run_with::<__m512>(product, kernel, workspace) }
}

/// # Safety
/// The CPU must support AVX2 and FMA, and `product` must be valid for `kernel` (see [`Product`]).
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn run_avx2(product: &Product, kernel: Kernel, workspace: &mut Workspace) {
    // SAFETY: the caller promises the instructions and a valid product.
    unsafe { run_with::<__m256>(product, kernel, workspace) }
}

/// # Safety
/// The CPU must support the instruction set of `V`, and `product` must be valid for `kernel` (see [`Product`]).
#[inline(always)]
unsafe fn run_with<V: Vector>(product: &Product, kernel: Kernel, workspace: &mut Workspace) {
    // SAFETY: the caller promises the instructions and a valid product.
    unsafe {
        match kernel {
            Kernel::Dense => product.run_dense::<V>(&mut workspace.dense),
            Kernel::Sparse => product.run_sparse::<V>(&mut workspace.sparse),
        }
    }
}

/// Memory for packed panels and buffered results.
struct Workspace {
    dense: dense::Workspace,
    sparse: sparse::Workspace,
}

thread_local! {
    /// One workspace per thread, so that products allocate nothing.
    static WORKSPACE: RefCell<Workspace> =
        const { RefCell::new(Workspace { dense: dense::Workspace::NEW, sparse: sparse::Workspace::NEW }) };
}
