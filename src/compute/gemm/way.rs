//! Which of the ways to compute a product is the fastest.

use super::sparse::MAX_VECTORS;
use super::{matrix::Matrix, terms::Term};
use crate::compute::{aligned::LINE, cpu::Isa};

/// Fewer rows read `rhs` where it lies, for copies of its columns would not pay.
pub(super) const MANY_ROWS: usize = 12;
/// The dense product is faster if a larger fraction of the left side's elements is nonzero, except for a single row, where
/// memory decides. For narrow results the limit is lower: see [`max_density`].
const MAX_DENSITY: f64 = 0.7;
/// A turned product whose left side has a share so much smaller is faster: it transposes what it computed.
const TURNING: f64 = 0.1;
/// Rows or columns of a factor in which nonzero elements are counted, and of how many elements each.
const SAMPLES: usize = 8;
const SAMPLE: usize = 128;

/// How a product is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// Whether zeros of the left side are left out.
    pub sparse: bool,
    /// Whether the product is that of the transposed factors, the product's transpose.
    pub turned: bool,
}

impl Way {
    /// The fastest way to a product `[m, n]`, of at least one row, column and step, which leaves out zeros of the right
    /// side only if `either_side`.
    ///
    /// # Safety
    /// The term must be in bounds for `m`, `n` and its `k`.
    pub(super) unsafe fn of(m: usize, n: usize, term: Term, either_side: bool) -> Self {
        let Term { k, lhs, rhs } = term;
        let in_rows = rhs.col == 1;
        let dense = Self { sparse: false, turned: !in_rows };
        if n < LINE || !in_rows && m < MANY_ROWS {
            return dense;
        }
        let sparse = Self { sparse: true, turned: false };
        if m == 1 {
            return sparse;
        }
        // SAFETY: the caller's promise.
        let [left, right] = unsafe {
            let may_turn = either_side && in_rows && m >= LINE && n >= MANY_ROWS;
            [density(lhs, m, k), if may_turn { density(rhs, k, n) } else { 1.0 }]
        };
        match left <= right + TURNING {
            true if left <= max_density(m, n) => sparse,
            false if right + TURNING <= max_density(n, m) => Self { sparse: true, turned: true },
            _ => dense,
        }
    }
}

/// The largest density at which the sparse product of `m` rows and `n` columns is the faster one. With each nonzero element
/// comes work of its own, as much as about two vectors of columns, which a wide panel outweighs.
fn max_density(m: usize, n: usize) -> f64 {
    if m < MANY_ROWS {
        return MAX_DENSITY;
    }
    let vectors = n.div_ceil(Isa::best().lanes()).min(MAX_VECTORS) as f64;
    MAX_DENSITY * vectors / (vectors + 2.0)
}

/// The share of nonzero elements, guessed from some rows or columns; 1 if neither are contiguous.
///
/// # Safety
/// The matrix must be in bounds.
unsafe fn density(matrix: Matrix, rows: usize, columns: usize) -> f64 {
    let (matrix, lines, len) =
        if matrix.col == 1 { (matrix, rows, columns) } else { (matrix.t(), columns, rows) };
    if matrix.col != 1 {
        return 1.0;
    }
    let (samples, sample) = (lines.min(SAMPLES), len.min(SAMPLE));
    let nonzeros = |i| {
        let (line, start) = (i * lines / samples, i * (len - sample) / samples);
        // SAFETY: the caller's promise; a line's `len` elements are contiguous.
        let values = unsafe { std::slice::from_raw_parts(matrix.from(line, start).at, sample) };
        values.iter().map(|&value| u32::from(value != 0.0)).sum::<u32>()
    };
    (0..samples).map(nonzeros).map(f64::from).sum::<f64>() / (samples * sample) as f64
}
