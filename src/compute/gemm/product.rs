use super::{
    copy::copy_matrix,
    matrix::Matrix,
    terms::{K_BLOCK, MAX_TERMS, Term, Terms},
    tile::tile,
    vector::Vector,
};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256, __m512};
use std::cell::RefCell;

/// At a single row few steps, so that whole rows of `rhs` stream in and tiles side by side overlap.
const K_BLOCK_ONE_ROW: usize = 64;
/// The largest tile that goes through [`Scratch`].
const MAX_ROWS: usize = 12;
const MAX_WIDTH: usize = 32;

/// Copies of columns of `rhs` and of a tile of `dst` where vectors cannot have them in place.
#[repr(align(64))]
pub(super) struct Scratch {
    panel: [f32; K_BLOCK * MAX_WIDTH],
    tile: [f32; MAX_ROWS * MAX_WIDTH],
    /// Terms with their columns in the panel.
    terms: [Term; MAX_TERMS],
}

impl Scratch {
    const NEW: Self = Self {
        panel: [0.0; K_BLOCK * MAX_WIDTH],
        tile: [0.0; MAX_ROWS * MAX_WIDTH],
        terms: [Term::NONE; MAX_TERMS],
    };
}

thread_local! {
    pub(super) static SCRATCH: RefCell<Scratch> = const { RefCell::new(Scratch::NEW) };
}

/// `dst (+)=` the sum of some terms, of at least one row, column, term and step. Every `run` needs the matrices in
/// bounds for `m`, `n` and the terms' `k`, `dst` apart from the others, and a CPU with the instructions of its name.
pub(super) struct Product<'a> {
    m: usize,
    n: usize,
    dst: Matrix,
    terms: &'a [Term],
    add: bool,
    /// Neither `dst` nor any `rhs` need have contiguous rows; otherwise all have.
    turned: bool,
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

impl<'a> Product<'a> {
    /// The product into `dst` `[m, n]`.
    pub(super) fn new(m: usize, n: usize, dst: Matrix, terms: &'a Terms, add: bool) -> Self {
        let turned = terms.is_turned();
        let (m, n, dst) = if turned { (n, m, dst.t()) } else { (m, n, dst) };
        Self { m, n, dst, terms: terms.as_slice(), add, turned }
    }

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
        let [term] = *self.terms else {
            // SAFETY: the caller's promises.
            return unsafe { self.block::<V>(scratch, self.terms, self.add) };
        };
        let k_block = if self.m == 1 { K_BLOCK_ONE_ROW } else { term.k.div_ceil(term.k.div_ceil(K_BLOCK)) };
        for start in (0..term.k).step_by(k_block) {
            // SAFETY: the caller's promises; the steps are below `k`.
            unsafe {
                let steps = term.steps(start, k_block.min(term.k - start));
                self.block::<V>(scratch, &[steps], self.add || start > 0);
            }
        }
    }

    /// Terms whose steps are taken with a tile in registers.
    #[inline(always)]
    unsafe fn block<V: Vector>(&self, scratch: &mut Scratch, terms: &[Term], load: bool) {
        let Self { m, n, turned, .. } = *self;
        let max_vectors = match m {
            1 if !turned => 8,
            _ if !turned && m <= V::ROWS / 3 => 4,
            _ => 2,
        };
        let mut new = 0;
        while new < n {
            let columns = Columns::next::<V>(new, n, max_vectors, turned);
            // SAFETY: the caller's promises; the columns are below `n`.
            unsafe { self.sweep::<V>(scratch, terms, load, columns) };
            new = columns.start + columns.columns;
        }
    }

    /// All rows, tile by tile, times some columns.
    #[inline(always)]
    unsafe fn sweep<V: Vector>(
        &self,
        scratch: &mut Scratch,
        terms: &[Term],
        load: bool,
        Columns { start, columns, new, vectors }: Columns,
    ) {
        let width = vectors * V::LANES;
        let tiles = self.m.div_ceil(if self.turned { V::ROWS.min(8) } else { V::ROWS });
        let copy_rhs = self.turned || columns < width;
        let copy_dst = copy_rhs || start < new;
        let copy = |at: &mut [f32]| Matrix { at: at.as_mut_ptr(), row: width as isize, col: 1 };
        // SAFETY: the caller's promises. The scratch has room for the terms' steps and for `V::ROWS` rows of two
        // vectors; wider tiles fit in place.
        unsafe {
            let (mut terms, mut column) = (terms, start);
            if copy_rhs {
                let mut panel = copy(&mut scratch.panel);
                for (copied, term) in scratch.terms.iter_mut().zip(terms) {
                    copy_matrix::<V>(term.rhs.from(0, start), term.k, columns, panel);
                    *copied = Term { rhs: panel, ..*term };
                    panel = panel.from(term.k, 0);
                }
                (terms, column) = (&scratch.terms[..terms.len()], 0);
            }
            for t in 0..tiles {
                let [first, end] = [t, t + 1].map(|t| t * (self.m / tiles) + t.min(self.m % tiles));
                let d = self.dst.from(first, start);
                let sums = if copy_dst { copy(&mut scratch.tile) } else { d };
                if copy_dst && load {
                    copy_matrix::<V>(d, end - first, columns, sums);
                }
                macro_rules! tile_of {
                    ($($rows:literal x $vectors:literal)*) => {
                        match (end - first, vectors) {
                            $(($rows, $vectors) if $rows <= V::ROWS => {
                                tile::<V, $rows, $vectors>(sums, terms, (first, column), load);
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
