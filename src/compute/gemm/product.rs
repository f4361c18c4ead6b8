use super::{copy::copy_matrix, tile::tile, vector::Vector};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256, __m512};
use std::cell::RefCell;

/// The most steps of `k` taken with a tile in registers; at a single row few, so that whole rows of `rhs` stream in
/// and tiles side by side overlap.
const K_BLOCK: usize = 512;
const K_BLOCK_ONE_ROW: usize = 32;
/// The most elements of `rhs` to sweep anew for each tile of rows: a part of the second cache.
const SMALL: usize = 1 << 16;
/// The largest tile that goes through [`Scratch`].
const MAX_ROWS: usize = 12;
const MAX_WIDTH: usize = 32;

/// The element in row `i`, column `j` is at `at + i * row + j * col`.
#[derive(Clone, Copy)]
pub(super) struct Matrix {
    pub at: *mut f32,
    pub row: isize,
    pub col: isize,
}

impl Matrix {
    pub(super) fn new(at: *mut f32, strides: &[isize]) -> Self {
        Self { at, row: strides[0], col: strides[1] }
    }

    /// The part that starts at row `i`, column `j`.
    ///
    /// # Safety
    /// The element must be in bounds.
    #[inline(always)]
    pub(super) unsafe fn from(self, i: usize, j: usize) -> Self {
        // SAFETY: the caller's promise.
        let at = unsafe { self.at.offset(i as isize * self.row + j as isize * self.col) };
        Self { at, ..self }
    }

    pub(super) fn t(self) -> Self {
        Self { at: self.at, row: self.col, col: self.row }
    }
}

/// Copies of columns of `rhs` and of a tile of `dst` where vectors cannot have them in place.
#[repr(align(64))]
pub(super) struct Scratch {
    panel: [f32; K_BLOCK * MAX_WIDTH],
    tile: [f32; MAX_ROWS * MAX_WIDTH],
}

thread_local! {
    pub(super) static SCRATCH: RefCell<Scratch> =
        const { RefCell::new(Scratch { panel: [0.0; K_BLOCK * MAX_WIDTH], tile: [0.0; MAX_ROWS * MAX_WIDTH] }) };
}

/// `dst (+)= lhs · rhs` of at least one row, column and step. Every `run` needs the matrices in bounds for `m`, `k`
/// and `n`, `dst` apart from the others, and a CPU with the instructions of its name.
pub(super) struct Product {
    pub m: usize,
    pub k: usize,
    pub n: usize,
    pub dst: Matrix,
    pub lhs: Matrix,
    pub rhs: Matrix,
    pub add: bool,
    /// Neither `dst` nor `rhs` need have contiguous rows; otherwise both have.
    pub turned: bool,
}

/// Columns `start..start + columns` of the result, of which those before `new` are done already: the last columns
/// are taken together with some before them, so that they too fill whole vectors.
#[derive(Clone, Copy)]
struct Columns {
    start: usize,
    columns: usize,
    new: usize,
    vectors: usize,
}

impl Product {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) unsafe fn run_avx512(self, scratch: &mut Scratch) {
        // SAFETY: the caller's promises.
        unsafe { self.run::<__m512>(scratch) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn run_avx2(self, scratch: &mut Scratch) {
        // SAFETY: the caller's promises.
        unsafe { self.run::<__m256>(scratch) }
    }

    pub(super) unsafe fn run_portable(self, scratch: &mut Scratch) {
        // SAFETY: the caller's promises.
        unsafe { self.run::<[f32; 4]>(scratch) }
    }

    #[inline(always)]
    unsafe fn run<V: Vector>(self, scratch: &mut Scratch) {
        let Self { m, k, n, turned, .. } = self;
        let max_vectors = match m {
            1 if !turned => 8,
            _ if !turned && m <= V::ROWS / 3 => 4,
            _ => 2,
        };
        let k_block = if m == 1 { K_BLOCK_ONE_ROW } else { k.div_ceil(k.div_ceil(K_BLOCK)) };
        let tiles = m.div_ceil(if turned { V::ROWS.min(8) } else { V::ROWS });
        let sweeps = if !turned && k_block * n <= SMALL { tiles } else { 1 };
        for start in (0..k).step_by(k_block) {
            let steps = start..k.min(start + k_block);
            for sweep in 0..sweeps {
                let tiles_of_sweep = sweep * tiles / sweeps..(sweep + 1) * tiles / sweeps;
                let mut new = 0;
                while new < n {
                    let columns = Columns::next::<V>(new, n, max_vectors, turned);
                    // SAFETY: the caller's promises; the ranges are below m, k and n.
                    unsafe {
                        self.sweep::<V>(scratch, steps.clone(), columns, tiles_of_sweep.clone(), tiles)
                    };
                    new = columns.start + columns.columns;
                }
            }
        }
    }

    /// Some tiles of rows, of `tiles` in all, times some columns, over some steps of `k`.
    #[inline(always)]
    unsafe fn sweep<V: Vector>(
        &self,
        scratch: &mut Scratch,
        steps: std::ops::Range<usize>,
        Columns { start, columns, new, vectors }: Columns,
        of: std::ops::Range<usize>,
        tiles: usize,
    ) {
        let (depth, width) = (steps.len(), vectors * V::LANES);
        let load = self.add || steps.start > 0;
        let copy_rhs = self.turned || columns < width;
        let copy_dst = copy_rhs || start < new;
        let copy = |at: &mut [f32]| Matrix { at: at.as_mut_ptr(), row: width as isize, col: 1 };
        // SAFETY: the caller's promises. The scratch has room for `depth` and for `V::ROWS` rows of two vectors;
        // wider tiles fit in place.
        unsafe {
            let mut b = self.rhs.from(steps.start, start);
            if copy_rhs {
                let panel = copy(&mut scratch.panel);
                copy_matrix::<V>(b, depth, columns, panel);
                b = panel;
            }
            for t in of {
                let [first, end] = [t, t + 1].map(|t| t * (self.m / tiles) + t.min(self.m % tiles));
                let (a, d) = (self.lhs.from(first, steps.start), self.dst.from(first, start));
                let sums = if copy_dst { copy(&mut scratch.tile) } else { d };
                if copy_dst && load {
                    copy_matrix::<V>(d, end - first, columns, sums);
                }
                macro_rules! tile_of {
                    ($($rows:literal x $vectors:literal)*) => {
                        match (end - first, vectors) {
                            $(($rows, $vectors) if $rows <= V::ROWS => {
                                tile::<V, $rows, $vectors>(depth, sums, a, b, load);
                            })*
                            _ => unreachable!("a tile of {} rows by {vectors} vectors", end - first),
                        }
                    };
                }
                tile_of!(
                    1 x 1 2 x 1 3 x 1 4 x 1 5 x 1 6 x 1 7 x 1 8 x 1 9 x 1 10 x 1 11 x 1 12 x 1
                    1 x 2 2 x 2 3 x 2 4 x 2 5 x 2 6 x 2 7 x 2 8 x 2 9 x 2 10 x 2 11 x 2 12 x 2
                    1 x 4 2 x 4 3 x 4 4 x 4 1 x 8
                );
                if copy_dst {
                    let (done, left) = (new - start, start + columns - new);
                    let (from, to) = (sums.from(0, done).t(), d.from(0, done).t());
                    copy_matrix::<V>(from, left, end - first, to);
                }
            }
        }
    }
}

impl Columns {
    /// The columns to take once those before `new` are done.
    #[inline(always)]
    fn next<V: Vector>(new: usize, n: usize, max_vectors: usize, turned: bool) -> Self {
        let left = n - new;
        let vectors = match left {
            _ if left > V::LANES && left < 2 * V::LANES => 2,
            _ => 1 << (left / V::LANES).clamp(1, max_vectors).ilog2(),
        };
        let width = vectors * V::LANES;
        let start = if turned { new } else { new.min(n.saturating_sub(width)) };
        Self { start, columns: width.min(n - start), new, vectors }
    }
}
