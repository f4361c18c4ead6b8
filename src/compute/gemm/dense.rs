use super::{
    copy::copy_matrix,
    matrix::Matrix,
    product::Product,
    terms::{K_BLOCK, MAX_TERMS, Term},
    tile::{Ahead, tile},
    vector::Vector,
};

/// Columns of `rhs` that a turned product copies at once: with a training step's 64 rows it reads the weights once.
const GROUP_WIDTH: usize = 64;
const MAX_PANELS: usize = GROUP_WIDTH / 8;
const MAX_WIDTH: usize = 32;
/// Rows of `lhs` that meet one panel after the other: they stay in the second cache. A multiple of every [`Vector::ROWS`].
const CHUNK_ROWS: usize = 72;

/// Copies of columns of `rhs` and of rows of `dst` where vectors cannot have them in place.
#[repr(align(64))]
pub(super) struct Scratch {
    columns: [f32; K_BLOCK * GROUP_WIDTH],
    sums: [f32; CHUNK_ROWS * MAX_WIDTH],
    panels: [Panel; MAX_PANELS],
}

impl Scratch {
    pub(super) const NEW: Self = Self {
        columns: [0.0; K_BLOCK * GROUP_WIDTH],
        sums: [0.0; CHUNK_ROWS * MAX_WIDTH],
        panels: [Panel::NONE; MAX_PANELS],
    };
}

/// Columns of the result, and the terms with those columns of `rhs` if they are copied.
#[derive(Clone, Copy)]
struct Panel {
    columns: Columns,
    terms: [Term; MAX_TERMS],
    copied: bool,
    /// Whether its part of `dst` is computed apart and copied.
    copy_dst: bool,
}

impl Panel {
    const NONE: Self =
        Self { columns: Columns::NONE, terms: [Term::NONE; MAX_TERMS], copied: false, copy_dst: false };
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

impl Product<'_> {
    #[inline(always)]
    pub(super) unsafe fn run_dense<V: Vector>(&self, scratch: &mut Scratch) {
        let [term] = *self.terms else {
            // SAFETY: the caller's promises.
            return unsafe { self.block::<V>(scratch, self.terms, self.add) };
        };
        let blocks = term.k.div_ceil(if self.turned { K_BLOCK } else { V::K_BLOCK });
        let k_block = term.k.div_ceil(blocks);
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
        let max_vectors = if !turned && m <= V::ROWS / 3 { 4 } else { 2 };
        let max_panels = if turned { GROUP_WIDTH / (2 * V::LANES) } else { 1 };
        let mut new = 0;
        while new < n {
            let mut free = Matrix { at: scratch.columns.as_mut_ptr(), row: 0, col: 1 };
            let mut panels = 0;
            while new < n && panels < max_panels {
                let columns = Columns::next::<V>(new, n, max_vectors, turned);
                // SAFETY: the caller's promises; the columns are below `n`, and the scratch has room for all steps of a
                // group's columns.
                unsafe { self.fill::<V>(&mut scratch.panels[panels], terms, columns, &mut free) };
                new = columns.start + columns.columns;
                panels += 1;
            }
            let panels = &scratch.panels[..panels];
            let chunk = if panels.iter().any(|panel| panel.copy_dst) { CHUNK_ROWS } else { m };
            for first in (0..m).step_by(chunk) {
                for panel in panels {
                    let next = (V::PACKS && !turned && new < n).then_some((new + 2 * V::LANES).min(n) - 1);
                    // SAFETY: the caller's promises; the rows are below `m`.
                    unsafe {
                        self.sweep::<V>(
                            &mut scratch.sums,
                            panel,
                            terms,
                            next,
                            load,
                            (first, m.min(first + chunk)),
                        )
                    };
                }
            }
        }
    }

    /// Makes a panel of some columns, copied to `free` where they must be or where that pays.
    #[inline(always)]
    unsafe fn fill<V: Vector>(&self, panel: &mut Panel, terms: &[Term], columns: Columns, free: &mut Matrix) {
        let width = columns.vectors * V::LANES;
        let must_copy = self.turned || columns.columns < width;
        panel.columns = columns;
        panel.copy_dst = must_copy || columns.start < columns.new;
        panel.copied = must_copy || V::PACKS && self.m > 2 * V::ROWS;
        if panel.copied {
            for (copied, term) in panel.terms.iter_mut().zip(terms) {
                let to = Matrix { row: width as isize, ..*free };
                // SAFETY: the caller's promises.
                unsafe {
                    copy_matrix::<V>(term.rhs.from(0, columns.start), term.k, columns.columns, to);
                    *free = to.from(term.k, 0);
                }
                *copied = Term { rhs: to, ..*term };
            }
        }
    }

    /// Some rows, tile by tile, times the columns of a panel.
    #[inline(always)]
    unsafe fn sweep<V: Vector>(
        &self,
        scratch: &mut [f32],
        panel: &Panel,
        sources: &[Term],
        next: Option<usize>,
        load: bool,
        (top, bottom): (usize, usize),
    ) {
        let Panel { columns: Columns { start, columns, new, vectors }, copied, copy_dst, .. } = *panel;
        let (terms, column) = if copied { (&panel.terms[..sources.len()], 0) } else { (sources, start) };
        let rows = bottom - top;
        let tiles = rows.div_ceil(V::ROWS);
        // SAFETY: the caller's promises. The scratch has room for a chunk's rows of two vectors; wider tiles fit in
        // place.
        unsafe {
            let dst = self.dst.from(top, start);
            let width = (vectors * V::LANES) as isize;
            let sums = if copy_dst { Matrix { at: scratch.as_mut_ptr(), row: width, col: 1 } } else { dst };
            if copy_dst && load {
                copy_matrix::<V>(dst, rows, columns, sums);
            }
            for t in 0..tiles {
                let [first, end] = [t, t + 1].map(|t| t * (rows / tiles) + t.min(rows % tiles));
                let ahead = next.map(|column| Ahead { sources, column, part: t, parts: tiles });
                macro_rules! tile_of {
                    ($($rows:literal x $vectors:literal)*) => {
                        match (end - first, vectors) {
                            $(($rows, $vectors) if $rows <= V::ROWS => {
                                let (dst, from) = (sums.from(first, 0), (top + first, column));
                                tile::<V, $rows, $vectors>(dst, terms, from, load, ahead);
                            })*
                            _ => unreachable!("a tile of {} rows by {vectors} vectors", end - first),
                        }
                    };
                }
                tile_of!(
                    1 x 1 2 x 1 3 x 1 4 x 1 5 x 1 6 x 1 7 x 1 8 x 1 9 x 1 10 x 1 11 x 1 12 x 1
                    1 x 2 2 x 2 3 x 2 4 x 2 5 x 2 6 x 2 7 x 2 8 x 2 9 x 2 10 x 2 11 x 2 12 x 2
                    1 x 4 2 x 4 3 x 4 4 x 4
                );
            }
            if copy_dst {
                let done = new - start;
                copy_matrix::<V>(sums.from(0, done).t(), columns - done, rows, dst.from(0, done).t());
            }
        }
    }
}

impl Columns {
    const NONE: Self = Self { start: 0, columns: 0, new: 0, vectors: 0 };

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
