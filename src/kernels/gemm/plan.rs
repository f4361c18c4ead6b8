//! The plan of a product: its terms, the strategy that is fastest for them, and every tuning constant.

use super::simd::{MAX_LANES, Matrix, Vector};
use crate::kernels::cpu::Isa;

// Tuning constants.
//
// Each ratio is the speed with an alternative, relative to the value chosen, measured on AMD Zen 3 (AVX2, 32 KB first-level and 512 KB
// second-level cache) unless another CPU is named. Constants without a ratio were not varied on their own.

/// NR of the dense kernel, in vectors. Two loads of `rhs` then serve MR multiply-adds each.
pub(super) const TILE_VECTORS: usize = 2;
/// NR of the dense kernel, in vectors, for products of few rows ([`Blocking::FEW_ROWS`]), which leave registers free.
pub(super) const WIDE_TILE_VECTORS: usize = 4;
/// KC of the dense kernel: the largest number of steps of `k` for which a tile stays in registers. [`Blocking::KC`] is
/// smaller on some CPUs. NC packed columns of it fill 128 KB, which the second-level cache holds.
pub(super) const KC: usize = 512;
/// MC of the dense kernel: rows of `lhs` that meet one packed panel after another, where the result is buffered. They
/// take up to 144 KB of the second-level cache. A multiple of every MR; one block covers the 64 rows of a small batch.
pub(super) const MC: usize = 72;
/// NC of the dense kernel: columns of `rhs` that a transposed product packs at once. Its columns are the rows of a batch;
/// with 64 of them in one group it reads the weights once, instead of four times with AVX2 and twice with AVX-512.
pub(super) const NC: usize = 64;
/// The most terms that are summed while a tile stays in registers: KC steps of blocks of 64 rows each.
pub(super) const MAX_TERMS: usize = 8;

/// KC of the sparse kernel: each step is one bit of a `u64`. With 32 steps: 0.93 to 0.99.
pub(super) const SPARSE_KC: usize = 64;
/// MC of the sparse kernel: the rows of the largest block of a training step, which all use one packed panel. Their masks
/// fill 1 KB.
pub(super) const SPARSE_MC: usize = 128;
/// The stride of packed columns, and the largest NR of the sparse kernel in elements. KC steps of it fill 24 KB of the
/// first-level cache. With 80 columns: 1.00.
pub(super) const SPARSE_NR: usize = 96;
/// The largest NR of the sparse kernel in vectors. Of 16 registers, 12 hold sums; the others hold operands.
pub(super) const SPARSE_MAX_VECTORS: usize = 12;

/// Products of fewer rows read `rhs` in place, because too few rows would reuse a packed copy.
pub(super) const MIN_PACKING_ROWS: usize = 12;
/// Products of fewer columns are always dense: the in-place sparse kernel needs one full vector of columns.
const MIN_SPARSE_COLUMNS: usize = 16;
/// Up to this fraction of nonzero elements in `lhs`, a wide sparse product is faster than a dense one.
/// [`max_density`] lowers it for narrow results. With 0.62: 0.98 to 1.01.
const MAX_DENSITY: f64 = 0.7;
/// A product is transposed to skip zeros of `rhs` only if `rhs` is sparser than `lhs` by at least this fraction: the
/// result must be transposed back.
const TRANSPOSITION_MARGIN: f64 = 0.1;
/// Rows or columns in which [`density`] counts nonzero elements.
const SAMPLED_LINES: usize = 8;
/// Elements that [`density`] counts in each of them. In all, about 2% of an operand of 64 x 784.
const SAMPLED_ELEMENTS: usize = 128;

/// Block sizes that depend on the vector.
pub(super) trait Blocking: Vector {
    /// The largest MR of the dense kernel. With NR = 2 vectors, 24 of 32 or 12 of 16 registers hold sums; the others hold
    /// two vectors of `rhs` and a broadcast element of `lhs`.
    const MR: usize = if Self::REGISTERS == 32 { 12 } else { 6 };
    /// Products of at most this many rows use tiles of [`WIDE_TILE_VECTORS`].
    const FEW_ROWS: usize = Self::MR / 3;
    /// True if dense products pack `rhs` although they could read it in place. With eight lanes, a panel of two vectors is
    /// one cache line wide, and lines that are one row of weights apart evict each other. Packing makes evaluation 1.28
    /// times as fast with AVX2. With AVX-512 (Zen 4, and an Intel core) it gains nothing.
    const PACKS: bool = Self::LANES == 8;
    /// Dense products pack `rhs` only if they have more rows than this, so that a packed panel is used by more than two
    /// tiles.
    const MAX_IN_PLACE_ROWS: usize = 2 * Self::MR;
    /// KC of dense products that are not transposed. Where `rhs` is packed, a panel of 256 steps fills 16 KB, half of the
    /// first-level cache. 128 steps: 1.00. (Transposed products use 512 steps; 256: 0.85.)
    const KC: usize = if Self::PACKS { 256 } else { KC };
}

impl<V: Vector> Blocking for V {}

const _: () = assert!(MIN_SPARSE_COLUMNS >= MAX_LANES);
const _: () = assert!(SPARSE_KC == u64::BITS as usize);

/// One product of a sum: `lhs` has `k` columns and `rhs` has `k` rows.
#[derive(Clone, Copy)]
pub(super) struct Term {
    pub k: usize,
    pub lhs: Matrix,
    pub rhs: Matrix,
}

impl Term {
    pub(super) const NULL: Self = Self { k: 0, lhs: Matrix::NULL, rhs: Matrix::NULL };

    /// Returns the product of the transposed factors, which is the transposed product.
    fn t(self) -> Self {
        Self { k: self.k, lhs: self.rhs.t(), rhs: self.lhs.t() }
    }

    /// Returns `len` steps of `k`, beginning with step `start`.
    ///
    /// # Safety
    /// `start + len` must be at most `self.k`, `len` must be at least 1, and both matrices must have at least one element
    /// in bounds at every step below `self.k`.
    #[inline(always)]
    pub(super) unsafe fn steps(self, start: usize, len: usize) -> Self {
        debug_assert!(len > 0 && start + len <= self.k);
        // SAFETY: column `start` of `lhs` and row `start` of `rhs` are in bounds, since `start` is below `k`.
        unsafe { Self { k: len, lhs: self.lhs.offset(0, start), rhs: self.rhs.offset(start, 0) } }
    }
}

/// Terms that one pass sums, all by the same strategy: either a single term, or several with at most [`KC`] steps in
/// total. Terms are stored as the strategy needs them, transposed or not.
pub(super) struct Terms {
    terms: [Term; MAX_TERMS],
    len: usize,
    strategy: Strategy,
}

impl Terms {
    pub(super) fn new() -> Self {
        let strategy = Strategy { kernel: Kernel::Dense, transposed: false };
        Self { terms: [Term::NULL; MAX_TERMS], len: 0, strategy }
    }

    pub(super) fn as_slice(&self) -> &[Term] {
        &self.terms[..self.len]
    }

    pub(super) fn strategy(&self) -> Strategy {
        self.strategy
    }

    /// Returns whether `term` can join the terms within the limits.
    pub(super) fn have_room_for(&self, term: Term, strategy: Strategy) -> bool {
        let steps: usize = self.as_slice().iter().map(|term| term.k).sum();
        self.len == 0 || self.len < MAX_TERMS && steps + term.k <= KC && self.strategy == strategy
    }

    pub(super) fn push(&mut self, term: Term, strategy: Strategy) {
        self.terms[self.len] = if strategy.transposed { term.t() } else { term };
        self.len += 1;
        self.strategy = strategy;
    }
}

/// The product to compute: `dst = ` or `dst += ` the sum of `terms`.
///
/// A product is *valid* if
/// - `m`, `n`, the number of terms and every `k` are at least 1, and several terms have at most [`KC`] steps in total;
/// - `dst` is valid for reads and writes of `m` by `n` elements;
/// - every `lhs` is valid for reads of `m` by `k` elements and every `rhs` of `k` by `n`;
/// - `dst` does not overlap any `lhs` or `rhs`;
/// - unless `transposed` is set or `n` is 1, the rows of `dst` are contiguous;
/// - if it is dense and not `transposed`, the rows of every `rhs` are contiguous;
/// - if it is sparse and has fewer than [`MIN_PACKING_ROWS`] rows, it is not `transposed`, it has at least [`MAX_LANES`]
///   columns, and the rows of every `rhs` are contiguous.
///
/// [`Strategy::choose`] only returns strategies that keep the last two rules.
pub(super) struct Product<'a> {
    pub m: usize,
    pub n: usize,
    pub dst: Matrix,
    pub terms: &'a [Term],
    /// True to add to `dst`, false to overwrite it.
    pub accumulate: bool,
    /// True if this product is the transpose of the one that the caller asked for.
    pub transposed: bool,
}

/// How to compute a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Strategy {
    pub kernel: Kernel,
    /// True to compute the product of the transposed factors, which is the transposed product.
    pub transposed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernel {
    /// Multiplies every element.
    Dense,
    /// Skips terms whose element of `lhs` is zero.
    Sparse,
}

/// The terms that a product may skip. Both sides must be finite for the result to be exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Skippable {
    /// Terms with a zero in `lhs`.
    LhsZeros,
    /// Terms with a zero in either factor.
    AllZeros,
}

impl Strategy {
    /// Chooses the fastest strategy for a product `[m, n]`.
    ///
    /// # Safety
    /// `m`, `n` and `term.k` must be at least 1, and `term.lhs` must be valid for reads of `m` by `k` elements,
    /// `term.rhs` of `k` by `n`.
    pub(super) unsafe fn choose(m: usize, n: usize, term: Term, skippable: Skippable) -> Self {
        let Term { k, lhs, rhs } = term;
        let contiguous_rhs = rhs.col_stride == 1;
        let dense = Self { kernel: Kernel::Dense, transposed: !contiguous_rhs };
        if n < MIN_SPARSE_COLUMNS || !contiguous_rhs && m < MIN_PACKING_ROWS {
            return dense;
        }
        let sparse = Self { kernel: Kernel::Sparse, transposed: false };
        // Memory limits products of a single row, and the sparse kernel reads only the rows of `rhs` that it needs.
        if m == 1 {
            return sparse;
        }
        let may_skip_rhs = skippable == Skippable::AllZeros
            && contiguous_rhs
            && m >= MIN_SPARSE_COLUMNS
            && n >= MIN_PACKING_ROWS;
        // SAFETY: the caller promises that `lhs` has `m` by `k` elements and `rhs` has `k` by `n`.
        let left = unsafe { density(lhs, m, k) };
        // SAFETY: likewise.
        let right = if may_skip_rhs { unsafe { density(rhs, k, n) } } else { 1.0 };
        let prefer_lhs = left <= right + TRANSPOSITION_MARGIN;
        if prefer_lhs && left <= max_density(m, n) {
            sparse
        } else if !prefer_lhs && right + TRANSPOSITION_MARGIN <= max_density(n, m) {
            Self { kernel: Kernel::Sparse, transposed: true }
        } else {
            dense
        }
    }
}

/// Returns the largest density at which the sparse product of `m` rows and `n` columns is faster than the dense one.
///
/// Each nonzero element costs about as much as two vectors of multiply-adds. In a wide panel that matters less.
fn max_density(m: usize, n: usize) -> f64 {
    if m < MIN_PACKING_ROWS {
        return MAX_DENSITY;
    }
    let vectors = n.div_ceil(Isa::best().lanes()).min(SPARSE_MAX_VECTORS) as f64;
    MAX_DENSITY * vectors / (vectors + 2.0)
}

/// Estimates the fraction of nonzero elements from a few rows or columns, whichever are contiguous. Returns 1 if neither
/// is.
///
/// # Safety
/// `matrix` must be valid for reads of `rows` by `columns` elements, and both must be at least 1.
unsafe fn density(matrix: Matrix, rows: usize, columns: usize) -> f64 {
    // A line is a row or a column.
    let (matrix, lines, len) = match matrix.col_stride {
        1 => (matrix, rows, columns),
        _ => (matrix.t(), columns, rows),
    };
    if matrix.col_stride != 1 {
        return 1.0;
    }
    let samples = lines.min(SAMPLED_LINES);
    let elements = len.min(SAMPLED_ELEMENTS);
    let nonzeros = |sample| {
        let line = sample * lines / samples;
        let start = sample * (len - elements) / samples;
        // SAFETY: `line` is below `lines`, and `start + elements` is at most `len`, the contiguous elements of a line.
        let values = unsafe { std::slice::from_raw_parts(matrix.offset(line, start).ptr, elements) };
        values.iter().map(|&value| u32::from(value != 0.0)).sum::<u32>()
    };
    (0..samples).map(nonzeros).map(f64::from).sum::<f64>() / (samples * elements) as f64
}
