//! The dense kernel: loops 5 to 1 around a micro-kernel that keeps a tile of the result in registers.

use super::{
    plan::{Blocking, KC, MAX_TERMS, MC, NC, Product, TILE_VECTORS, Term, WIDE_TILE_VECTORS},
    simd::{MAX_LANES, Matrix, Vector, copy_matrix, prefetch},
};
use std::{array::from_fn, ops::Range};

/// The most panels in a group: NC columns at the smallest NR, two vectors of four lanes.
const MAX_PANELS: usize = NC / 8;
/// The most columns of a panel whose part of the result is buffered.
const MAX_BUFFERED_COLUMNS: usize = TILE_VECTORS * MAX_LANES;

/// Memory for packed columns and for results that vectors cannot write in place.
#[repr(align(64))]
pub(super) struct Workspace {
    /// The packed columns of one group, one panel after another.
    packed: [f32; KC * NC],
    /// One block of rows of one panel's result.
    result: [f32; MC * MAX_BUFFERED_COLUMNS],
    /// The panels of one group.
    panels: [Panel; MAX_PANELS],
}

impl Workspace {
    pub(super) const NEW: Self = Self {
        packed: [0.0; KC * NC],
        result: [0.0; MC * MAX_BUFFERED_COLUMNS],
        panels: [Panel::NULL; MAX_PANELS],
    };
}

/// NR columns of the result.
#[derive(Clone, Copy)]
struct Panel {
    columns: Columns,
    /// The terms with their packed columns of `rhs`. Only valid if `packed` is set.
    terms: [Term; MAX_TERMS],
    packed: bool,
    /// True if the result is computed in the workspace and then copied.
    buffered: bool,
}

/// Columns `start..start + len` of the result. Those before `first_new` have already been computed: the last panel
/// overlaps the one before it so that it still fills whole vectors.
#[derive(Clone, Copy)]
struct Columns {
    start: usize,
    len: usize,
    first_new: usize,
    vectors: usize,
}

impl Product<'_> {
    /// Computes the product without skipping zeros.
    ///
    /// # Safety
    /// `self` must be a valid dense product (see [`Product`]), and the CPU must support the instruction set of `V`.
    #[inline(always)]
    pub(super) unsafe fn run_dense<V: Vector>(&self, workspace: &mut Workspace) {
        let [term] = *self.terms else {
            // SAFETY: the caller's promise. Several terms have at most `KC` steps in total.
            return unsafe { self.k_block::<V>(workspace, self.terms, self.accumulate) };
        };
        let max_kc = if self.transposed { KC } else { V::KC };
        let blocks = term.k.div_ceil(max_kc);
        let kc = term.k.div_ceil(blocks);
        // LOOP 5 (pc): blocks of KC steps of `k`.
        for start in (0..term.k).step_by(kc) {
            // SAFETY: the caller's promise. The steps are below `k` and at most `KC`.
            unsafe {
                let steps = term.steps(start, kc.min(term.k - start));
                self.k_block::<V>(workspace, &[steps], self.accumulate || start > 0);
            }
        }
    }

    /// Computes the product of some steps. `accumulate` replaces `self.accumulate`.
    ///
    /// # Safety
    /// - `self` must be a valid dense product, and the CPU must support the instruction set of `V`.
    /// - `terms` must be `self.terms` or steps of them, with at most [`KC`] steps in total.
    #[inline(always)]
    unsafe fn k_block<V: Vector>(&self, workspace: &mut Workspace, terms: &[Term], accumulate: bool) {
        let Self { m, n, transposed, .. } = *self;
        let max_vectors = if !transposed && m <= V::FEW_ROWS { WIDE_TILE_VECTORS } else { TILE_VECTORS };
        let max_panels = if transposed { NC / (TILE_VECTORS * V::LANES) } else { 1 };
        let mut first_new = 0;
        // LOOP 4 (jc): groups of up to NC columns.
        while first_new < n {
            let mut free = Matrix::row_major(workspace.packed.as_mut_ptr(), 0);
            let mut panels = 0;
            while first_new < n && panels < max_panels {
                let columns = Columns::next::<V>(first_new, n, max_vectors, transposed);
                // SAFETY: the caller's promise. The columns are below `n`. The workspace has room for `KC` steps of
                // `NC` columns, `max_panels` panels have at most `NC`, and only panels of at most `NC` are packed.
                unsafe { self.fill_panel::<V>(&mut workspace.panels[panels], terms, columns, &mut free) };
                first_new = columns.start + columns.len;
                panels += 1;
            }
            let panels = &workspace.panels[..panels];
            let mc = if panels.iter().any(|panel| panel.buffered) { MC } else { m };
            // LOOP 3 (ic): blocks of MC rows.
            for first in (0..m).step_by(mc) {
                // LOOP 2 (jr): the panels of the group.
                for panel in panels {
                    let prefetched_column = (V::PACKS && !transposed && first_new < n)
                        .then_some((first_new + TILE_VECTORS * V::LANES).min(n) - 1);
                    let macro_kernel = MacroKernel {
                        dst: self.dst,
                        rows: first..m.min(first + mc),
                        panel,
                        sources: terms,
                        prefetched_column,
                        accumulate,
                    };
                    // SAFETY: the caller's promise. The rows are below `m` and the prefetched column is below `n`. The
                    // panel was filled from `terms` above. If it is buffered, there are at most `MC` rows.
                    unsafe { macro_kernel.run::<V>(&mut workspace.result) };
                }
            }
        }
    }

    /// Describes the panel of `columns`. Packs its columns of `rhs` into `free` where vectors cannot read them in place or
    /// where packing pays, and then moves `free` past them.
    ///
    /// # Safety
    /// - `self` must be a valid dense product, and the CPU must support the instruction set of `V`.
    /// - `terms` must be `self.terms` or steps of them.
    /// - `columns` must come from [`Columns::next`] for this product.
    /// - If the panel is packed, `free.ptr` must be valid for writes of all steps of `terms` times the panel's width, and
    ///   must not overlap any matrix of `terms`.
    #[inline(always)]
    unsafe fn fill_panel<V: Vector>(
        &self,
        panel: &mut Panel,
        terms: &[Term],
        columns: Columns,
        free: &mut Matrix,
    ) {
        let width = columns.vectors * V::LANES;
        let must_copy = self.transposed || columns.len < width;
        panel.columns = columns;
        panel.buffered = must_copy || columns.start < columns.first_new;
        panel.packed = must_copy || V::PACKS && self.m > V::MAX_IN_PLACE_ROWS;
        if panel.packed {
            for (packed, term) in panel.terms.iter_mut().zip(terms) {
                let to = Matrix { row_stride: width as isize, ..*free };
                // SAFETY: the columns are in bounds of `rhs`, and the caller promises room in `free`.
                unsafe {
                    copy_matrix::<V>(term.rhs.offset(0, columns.start), term.k, columns.len, to);
                    *free = to.offset(term.k, 0);
                }
                *packed = Term { rhs: to, ..*term };
            }
        }
    }
}

impl Panel {
    const NULL: Self =
        Self { columns: Columns::NULL, terms: [Term::NULL; MAX_TERMS], packed: false, buffered: false };
}

impl Columns {
    const NULL: Self = Self { start: 0, len: 0, first_new: 0, vectors: 0 };

    /// Returns the columns of the next panel when those before `first_new` have been computed. They are below `n`.
    #[inline(always)]
    fn next<V: Vector>(first_new: usize, n: usize, max_vectors: usize, transposed: bool) -> Self {
        let left = n - first_new;
        let vectors = if left > V::LANES && left < 2 * V::LANES {
            2
        } else {
            1 << (left / V::LANES).clamp(1, max_vectors).ilog2()
        };
        let width = vectors * V::LANES;
        let start = if transposed { first_new } else { first_new.min(n.saturating_sub(width)) };
        Self { start, len: width.min(n - start), first_new, vectors }
    }
}

/// A block of rows times one panel.
struct MacroKernel<'a> {
    /// The whole result.
    dst: Matrix,
    /// The rows of the block.
    rows: Range<usize>,
    panel: &'a Panel,
    /// The terms before packing.
    sources: &'a [Term],
    /// A column of `sources` to prefetch for the next panel.
    prefetched_column: Option<usize>,
    accumulate: bool,
}

/// Calls `$micro_kernel.run` with `$rows` and `$vectors` as constants, for each tile size listed.
macro_rules! run_tile {
    ($micro_kernel:ident::<$V:ident>, $rows:expr, $vectors:expr, [$($r:literal x $v:literal)*]) => {
        match ($rows, $vectors) {
            $(($r, $v) if $r <= $V::MR => $micro_kernel.run::<$V, $r, $v>(),)*
            (rows, vectors) => unreachable!("a tile of {rows} rows by {vectors} vectors"),
        }
    };
}

impl MacroKernel<'_> {
    /// Computes the block tile by tile. Uses `buffer` for the result if the panel is buffered.
    ///
    /// # Safety
    /// - The CPU must support the instruction set of `V`.
    /// - `self.dst` must be valid for reads and writes of the block's elements. Unless the panel is buffered, its rows must
    ///   be contiguous.
    /// - `self.panel` must be filled from `self.sources`. Every `lhs` must be valid for reads of the block's rows, and every
    ///   `rhs` of the panel's columns, with contiguous rows unless the panel is packed.
    /// - `buffer` must have room for the block's rows at the panel's width, if the panel is buffered.
    /// - `self.prefetched_column` must be in bounds of every `rhs` of `self.sources`.
    #[inline(always)]
    unsafe fn run<V: Vector>(&self, buffer: &mut [f32]) {
        let Panel { columns: Columns { start, len, first_new, vectors }, packed, buffered, .. } = *self.panel;
        let terms = if packed { &self.panel.terms[..self.sources.len()] } else { self.sources };
        let column = if packed { 0 } else { start };
        let top = self.rows.start;
        let rows = self.rows.end - top;
        let tiles = rows.div_ceil(V::MR);
        let width = vectors * V::LANES;
        debug_assert!(!buffered || rows * width <= buffer.len());
        // SAFETY: the rows and columns are those that the caller promises. Tiles divide the rows evenly, so none has more
        // than `MR`. If the panel is buffered, its result fits into `buffer`.
        unsafe {
            let dst = self.dst.offset(top, start);
            let result = if buffered { Matrix::row_major(buffer.as_mut_ptr(), width) } else { dst };
            if buffered && self.accumulate {
                copy_matrix::<V>(dst, rows, len, result);
            }
            // LOOP 1 (ir): tiles of up to MR rows.
            for tile in 0..tiles {
                let [first, end] =
                    [tile, tile + 1].map(|tile| tile * (rows / tiles) + tile.min(rows % tiles));
                let micro_kernel = MicroKernel {
                    dst: result.offset(first, 0),
                    terms,
                    row: top + first,
                    column,
                    accumulate: self.accumulate,
                    ahead: self.prefetched_column.map(|column| Ahead {
                        sources: self.sources,
                        column,
                        part: tile,
                        parts: tiles,
                    }),
                };
                run_tile!(micro_kernel::<V>, end - first, vectors, [
                    1 x 1 2 x 1 3 x 1 4 x 1 5 x 1 6 x 1 7 x 1 8 x 1 9 x 1 10 x 1 11 x 1 12 x 1
                    1 x 2 2 x 2 3 x 2 4 x 2 5 x 2 6 x 2 7 x 2 8 x 2 9 x 2 10 x 2 11 x 2 12 x 2
                    1 x 4 2 x 4 3 x 4 4 x 4
                ]);
            }
            if buffered {
                let done = first_new - start;
                copy_matrix::<V>(result.offset(0, done).t(), len - done, rows, dst.offset(0, done).t());
            }
        }
    }
}

/// One tile: `R` rows times `C` vectors of columns, summed in registers over all steps of all terms.
struct MicroKernel<'a> {
    /// The tile of the result.
    dst: Matrix,
    terms: &'a [Term],
    /// The tile's first row in every `lhs`.
    row: usize,
    /// The tile's first column in every `rhs`.
    column: usize,
    accumulate: bool,
    ahead: Option<Ahead<'a>>,
}

/// The fraction of the next panel that a tile prefetches: part of one column of every `rhs`, spread evenly over the tile's
/// steps. Fetching everything before the first step would keep the tile's own operands waiting; spread, a product with
/// weights in the third-level cache is 1.05 to 1.12 times as fast.
#[derive(Clone, Copy)]
struct Ahead<'a> {
    /// The terms before packing.
    sources: &'a [Term],
    column: usize,
    /// The index of this tile among `parts` tiles.
    part: usize,
    parts: usize,
}

impl MicroKernel<'_> {
    /// Computes the tile. Every element is one chain of multiply-adds in ascending order of terms and steps.
    ///
    /// # Safety
    /// - The CPU must support the instruction set of `V`.
    /// - Every `k` of `self.terms` must be at least 1.
    /// - Every `lhs` must be valid for reads of `R` rows from `self.row` on.
    /// - Every `rhs` must be valid for reads of `C` vectors of contiguous columns from `self.column` on.
    /// - `self.dst` must be valid for reads and writes of `R` rows of `C` contiguous vectors.
    /// - If `self.ahead` is set, its sources must be as many as the terms, with the same `k`, and must have its column.
    #[inline(always)]
    unsafe fn run<V: Vector, const R: usize, const C: usize>(&self) {
        let Self { dst, terms, row, column, accumulate, ahead } = *self;
        // SAFETY: the caller promises the rows, columns and steps that are read and written. The moving pointers `left`,
        // `right` and `fetched` leave their matrices only after the last step, by wrapping arithmetic, and are not
        // dereferenced there. Prefetching accepts any address.
        unsafe {
            let dst_at = |r, c| dst.offset(r, 0).ptr.add(c * V::LANES).cast::<V>();
            let mut sums = [[V::splat(0.0); C]; R];
            if accumulate {
                // Loops, because the compiler turns a nested `from_fn` into a copy through memory.
                for (r, sums) in sums.iter_mut().enumerate() {
                    for (c, sum) in sums.iter_mut().enumerate() {
                        *sum = dst_at(r, c).read_unaligned();
                    }
                }
            }
            for (i, &Term { k, lhs, rhs }) in terms.iter().enumerate() {
                let mut left = lhs.offset(row, 0);
                let mut right = rhs.offset(0, column).ptr;
                // One line is prefetched per stretch of steps.
                let (mut fetched, stretch) = match ahead {
                    Some(Ahead { sources, column, part, parts }) => {
                        (sources[i].rhs.offset(k * part / parts, column), parts)
                    }
                    None => (Matrix::NULL, k),
                };
                for start in (0..k).step_by(stretch) {
                    if ahead.is_some() {
                        prefetch(fetched.ptr);
                        fetched.ptr = fetched.ptr.wrapping_offset(fetched.row_stride);
                    }
                    for _ in 0..stretch.min(k - start) {
                        let columns: [V; C] =
                            from_fn(|c| right.add(c * V::LANES).cast::<V>().read_unaligned());
                        if R > 1 && !V::PACKS {
                            // The next panel's columns of this step, from the third-level cache.
                            (C..2 * C).for_each(|c| prefetch(right.wrapping_add(c * V::LANES)));
                        }
                        for (r, sums) in sums.iter_mut().enumerate() {
                            let factor = V::splat(*left.offset(r, 0).ptr);
                            for (sum, column) in sums.iter_mut().zip(columns) {
                                *sum = V::multiply_add(factor, column, *sum);
                            }
                        }
                        left.ptr = left.ptr.wrapping_offset(left.col_stride);
                        right = right.wrapping_offset(rhs.row_stride);
                    }
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                for (c, sum) in sums.iter().enumerate() {
                    dst_at(r, c).write_unaligned(sum.without_negative_zero());
                }
            }
        }
    }
}
