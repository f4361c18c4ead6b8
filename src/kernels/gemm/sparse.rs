//! The sparse kernel: skips the zero elements of `lhs`. Images with a black background and outputs of ReLU have many.
//!
//! A block is up to [`SPARSE_MC`] rows and [`SPARSE_KC`] steps. For each row of it, a bit mask says which steps have a
//! nonzero element of `lhs`. The row's result is then the sum over the set bits, in ascending order, of the element times
//! its row of `rhs`.

use super::{
    plan::{MIN_PACKING_ROWS, Product, SPARSE_KC, SPARSE_MAX_VECTORS, SPARSE_MC, SPARSE_NR, Term},
    simd::{Matrix, Vector, copy_matrix, copy_rows, prefetch},
};
use crate::kernels::buffers::LINE;
use std::{array::from_fn, ops::Range};

/// Memory for packed columns, bit masks, and columns of a transposed product's result.
pub(super) struct Workspace {
    block: BlockWorkspace,
    result: [f32; SPARSE_MC * SPARSE_NR],
}

#[repr(align(64))]
struct BlockWorkspace {
    /// Packed columns of `rhs`; rows are [`SPARSE_NR`] apart.
    packed: [f32; SPARSE_KC * SPARSE_NR],
    /// For each row, the steps whose element of `lhs` is not zero; step 0 is the lowest bit.
    masks: [u64; SPARSE_MC],
}

impl Workspace {
    pub(super) const NEW: Self = Self {
        block: BlockWorkspace { packed: [0.0; SPARSE_KC * SPARSE_NR], masks: [0; SPARSE_MC] },
        result: [0.0; SPARSE_MC * SPARSE_NR],
    };
}

impl Product<'_> {
    /// Computes the product, skipping zeros of every `lhs`.
    ///
    /// # Safety
    /// `self` must be a valid sparse product (see [`Product`]), and the CPU must support the instruction set of `V`.
    #[inline(always)]
    pub(super) unsafe fn run_sparse<V: Vector>(&self, workspace: &mut Workspace) {
        let Self { m, n, transposed, .. } = *self;
        if !transposed {
            // LOOP 5 (ic): blocks of MC rows.
            for top in (0..m).step_by(SPARSE_MC) {
                // SAFETY: the caller's promise. The rows are below `m`, and the rows of `dst` are contiguous.
                unsafe {
                    let dst = self.dst.offset(top, 0);
                    self.row_block::<V>(&mut workspace.block, top, 0..n, dst, self.accumulate);
                };
            }
            return;
        }
        // The rows of `dst` are not contiguous. Its columns, NR at a time, are computed in the workspace and transposed.
        let width = n.div_ceil(n.div_ceil(SPARSE_NR));
        for left in (0..n).step_by(width) {
            for top in (0..m).step_by(SPARSE_MC) {
                let rows = SPARSE_MC.min(m - top);
                let columns = width.min(n - left);
                let result = Matrix::row_major(workspace.result.as_mut_ptr(), SPARSE_NR);
                // SAFETY: the caller's promise. Rows and columns are below `m` and `n`. The workspace has room for MC rows
                // of NR columns.
                unsafe {
                    let dst = self.dst.offset(top, left);
                    if self.accumulate {
                        copy_matrix::<V>(dst, rows, columns, result);
                    }
                    let range = left..left + columns;
                    self.row_block::<V>(&mut workspace.block, top, range, result, self.accumulate);
                    copy_matrix::<V>(result.t(), columns, rows, dst.t());
                }
            }
        }
    }

    /// Computes up to MC rows of the result, from row `top` on, for a range of columns. `dst` receives them and
    /// `accumulate` says whether to add to what it holds; the product's own fields of these names are not used.
    ///
    /// # Safety
    /// - `self` must be a valid sparse product, and the CPU must support the instruction set of `V`.
    /// - `top` must be below `self.m`, and `columns` must be a range within `0..self.n` that is not empty. If `self.m` is
    ///   less than [`MIN_PACKING_ROWS`], it must be the whole `0..self.n`.
    /// - `dst` must be valid for reads and writes of those rows and columns, its rows must be contiguous, and it must not
    ///   overlap any term.
    #[inline(always)]
    unsafe fn row_block<V: Vector>(
        &self,
        workspace: &mut BlockWorkspace,
        top: usize,
        columns: Range<usize>,
        dst: Matrix,
        mut accumulate: bool,
    ) {
        // LOOP 4 (pc): blocks of KC steps of every term.
        for (term, start) in
            self.terms.iter().flat_map(|term| (0..term.k).step_by(SPARSE_KC).map(move |start| (term, start)))
        {
            let steps = SPARSE_KC.min(term.k - start);
            // SAFETY: the caller's promise. The steps are below `k`, and there are at most MC rows and KC steps.
            unsafe {
                let Term { lhs, rhs, .. } = term.steps(start, steps);
                let block = Block {
                    rows: SPARSE_MC.min(self.m - top),
                    steps,
                    columns: columns.len(),
                    dst,
                    lhs: lhs.offset(top, 0),
                    rhs: rhs.offset(0, columns.start),
                    accumulate,
                };
                block.find_nonzeros::<V>(&mut workspace.masks);
                if self.m < MIN_PACKING_ROWS {
                    block.run_in_place::<V>(&workspace.masks);
                } else {
                    let more_steps = start + SPARSE_KC < term.k;
                    block.run_packed::<V>(workspace, more_steps);
                }
            }
            accumulate = true;
        }
    }
}

/// Some rows, steps and columns of a product.
///
/// A block is *valid* if `rows` is at most [`SPARSE_MC`] and `steps` at most [`SPARSE_KC`], all of `rows`, `steps` and
/// `columns` are at least 1, `lhs` is valid for reads of `rows` by `steps` elements, `rhs` of `steps` by `columns`, and
/// `dst` for reads and writes of `rows` by `columns`, with contiguous rows and apart from the others.
struct Block {
    rows: usize,
    steps: usize,
    columns: usize,
    dst: Matrix,
    lhs: Matrix,
    rhs: Matrix,
    accumulate: bool,
}

/// Calls `$macro_kernel.run` with `$vectors` as a constant, for each width listed.
macro_rules! run_panel {
    ($macro_kernel:ident::<$V:ident>, $vectors:expr, [$($v:literal)*]) => {
        match $vectors {
            $($v => $macro_kernel.run::<$V, $v>(),)*
            vectors => unreachable!("a panel of {vectors} vectors"),
        }
    };
}

impl Block {
    /// Fills the mask of every row.
    ///
    /// # Safety
    /// `self` must be a valid block, and the CPU must support the instruction set of `V`.
    #[inline(always)]
    unsafe fn find_nonzeros<V: Vector>(&self, masks: &mut [u64; SPARSE_MC]) {
        let Self { rows, steps, lhs, .. } = *self;
        let masks = &mut masks[..rows];
        masks.fill(0);
        let bit = |value: f32, step: usize| u64::from(value != 0.0) << step;
        // SAFETY: `lhs` has `rows` by `steps` elements. Slices and vectors are read only along a stride of 1 and end at or
        // before the last row or step.
        unsafe {
            if lhs.row_stride == 1 {
                for step in 0..steps {
                    let column = std::slice::from_raw_parts(lhs.offset(0, step).ptr, rows);
                    masks.iter_mut().zip(column).for_each(|(mask, &value)| *mask |= bit(value, step));
                }
                return;
            }
            let in_vectors = if lhs.col_stride == 1 { steps - steps % V::LANES } else { 0 };
            for (row, mask) in masks.iter_mut().enumerate() {
                for step in (0..in_vectors).step_by(V::LANES) {
                    let values = lhs.offset(row, step).ptr.cast::<V>().read_unaligned();
                    *mask |= u64::from(values.nonzero_mask()) << step;
                }
                *mask |=
                    (in_vectors..steps).fold(0, |mask, step| mask | bit(*lhs.offset(row, step).ptr, step));
            }
        }
    }

    /// Computes the block row by row. Reads `rhs` in place, four of its rows at a time.
    ///
    /// # Safety
    /// - `self` must be a valid block, and the CPU must support the instruction set of `V`.
    /// - `self.columns` must be at least `V::LANES`, and the rows of `self.rhs` must be contiguous.
    /// - `masks` must be those of [`find_nonzeros`](Self::find_nonzeros) for this block.
    #[inline(always)]
    unsafe fn run_in_place<V: Vector>(&self, masks: &[u64; SPARSE_MC]) {
        let Self { rows, columns, rhs, accumulate, .. } = *self;
        for (row, &mask) in masks[..rows].iter().enumerate() {
            let mut mask = mask;
            // SAFETY: `row` is below `rows`. The bits of the mask are steps below `steps`. Rows of `dst` and `rhs` have
            // `columns` contiguous elements.
            unsafe {
                let dst = self.dst.offset(row, 0).ptr;
                let lhs = self.lhs.offset(row, 0);
                if !accumulate {
                    dst.write_bytes(0, columns);
                }
                while mask.count_ones() >= 4 {
                    add_rows::<V, 4>(dst, columns, from_fn(|_| take_lowest(&mut mask)), lhs, rhs);
                }
                while mask != 0 {
                    add_rows::<V, 1>(dst, columns, [take_lowest(&mut mask)], lhs, rhs);
                }
            }
        }
    }

    /// Computes the block panel by panel. The columns of each panel are packed for all rows. `more_steps` says whether
    /// the term has more than [`SPARSE_KC`] steps from this block on.
    ///
    /// # Safety
    /// - `self` must be a valid block, and the CPU must support the instruction set of `V`.
    /// - `workspace.masks` must be those of [`find_nonzeros`](Self::find_nonzeros) for this block.
    #[inline(always)]
    unsafe fn run_packed<V: Vector>(&self, workspace: &mut BlockWorkspace, more_steps: bool) {
        let Self { rows, steps, columns, lhs, rhs, accumulate, .. } = *self;
        let vectors = columns.div_ceil(V::LANES);
        let panels = vectors.div_ceil(SPARSE_MAX_VECTORS.min(SPARSE_NR / V::LANES));
        let mut start = 0;
        // LOOP 3 (jr): panels of up to NR columns, cut evenly.
        for panel in 0..panels {
            let width = vectors / panels + usize::from(panel < vectors % panels);
            let end = columns.min(start + width * V::LANES);
            // The next panel is to the right of this one, or else the first one of the next steps.
            let next = if end < columns { Some((0, end)) } else { more_steps.then_some((SPARSE_KC, 0)) };
            // SAFETY: the columns `start..end` are in bounds of `rhs` and `dst`. `width` is at most `SPARSE_NR` elements, so
            // the workspace has room for the packed columns. The next panel's first element is in bounds of the term.
            unsafe {
                let packed = Matrix::row_major(workspace.packed.as_mut_ptr(), SPARSE_NR);
                let whole_vectors = rhs.col_stride == 1 && end - start == width * V::LANES;
                if !whole_vectors {
                    copy_matrix::<V>(rhs.offset(0, start), steps, end - start, packed);
                }
                let macro_kernel = MacroKernel {
                    dst: self.dst.offset(0, start),
                    columns: end - start,
                    steps,
                    masks: &workspace.masks[..rows],
                    lhs,
                    unpacked: whole_vectors.then_some(rhs.offset(0, start)),
                    packed,
                    accumulate,
                    next: next.map(|(step, column)| rhs.offset(step, column)),
                };
                run_panel!(macro_kernel::<V>, width, [1 2 3 4 5 6 7 8 9 10 11 12]);
            }
            start = end;
        }
    }
}

/// The rows of a block times one panel of packed columns.
struct MacroKernel<'a> {
    dst: Matrix,
    columns: usize,
    steps: usize,
    masks: &'a [u64],
    lhs: Matrix,
    /// The panel's columns of `rhs` if they still have to be packed. They are whole vectors then, and this type packs
    /// them at a constant width.
    unpacked: Option<Matrix>,
    packed: Matrix,
    accumulate: bool,
    /// The next panel's columns of `rhs`, to prefetch.
    next: Option<Matrix>,
}

impl MacroKernel<'_> {
    /// Computes row by row, with the sums of a row's `C` vectors in registers.
    ///
    /// # Safety
    /// - The CPU must support the instruction set of `V`.
    /// - `C` must be the least number of vectors that hold `self.columns`.
    /// - `self.dst` must be valid for reads and writes of `self.masks.len()` rows of `self.columns` contiguous elements.
    /// - Every set bit of a row's mask must be below `self.steps`, and `self.lhs` must be valid for reads at these rows and
    ///   steps.
    /// - `self.packed` must be valid for reads of `self.steps` rows of `C` contiguous vectors, [`SPARSE_NR`] apart. If
    ///   `self.unpacked` is set, it must be valid for reads of the same shape, also with contiguous rows, and `self.packed`
    ///   for writes.
    #[inline(always)]
    unsafe fn run<V: Vector, const C: usize>(&self) {
        debug_assert_eq!(self.columns.div_ceil(V::LANES), C);
        if let Some(unpacked) = self.unpacked {
            // SAFETY: the caller promises that both have `steps` contiguous rows of `C` vectors.
            unsafe { copy_rows::<V>(unpacked, self.steps, C * V::LANES, self.packed) };
        }
        let last_lanes = self.columns - (C - 1) * V::LANES;
        let lanes = |c| if c + 1 == C { last_lanes } else { V::LANES };
        // LOOP 2 (ir): one row at a time.
        for (row, &mask) in self.masks.iter().enumerate() {
            if let Some(next) = self.next {
                prefetch_part(next, row);
            }
            if self.accumulate && mask == 0 {
                continue;
            }
            let mut mask = mask;
            // SAFETY: `row` is a row of `dst` and `lhs`, and the bits of its mask are steps of `lhs` and `packed`. Only the
            // first `columns` elements of a row of `dst` are read and written.
            unsafe {
                let dst = self.dst.offset(row, 0).ptr;
                let lhs = self.lhs.offset(row, 0);
                let mut sums = [V::splat(0.0); C];
                if self.accumulate {
                    for (c, sum) in sums.iter_mut().enumerate() {
                        *sum = read(dst.add(c * V::LANES), lanes(c));
                    }
                }
                // LOOP 1: the steps with a nonzero element.
                while mask != 0 {
                    let step = take_lowest(&mut mask);
                    let factor = V::splat(*lhs.offset(0, step).ptr);
                    let columns = self.packed.ptr.add(step * SPARSE_NR).cast::<V>();
                    for (c, sum) in sums.iter_mut().enumerate() {
                        *sum = V::multiply_add(factor, columns.add(c).read_unaligned(), *sum);
                    }
                }
                for (c, &sum) in sums.iter().enumerate() {
                    write(sum.without_negative_zero(), dst.add(c * V::LANES), lanes(c));
                }
            }
        }
    }
}

/// Prefetches one row's part of the next panel from the third-level cache, so that all MC rows together fetch all of it.
#[inline(always)]
fn prefetch_part(panel: Matrix, row: usize) {
    // Lines of the cache run along whichever direction is contiguous.
    let (panel, rows, columns) = match panel.col_stride {
        1 => (panel, SPARSE_KC, SPARSE_NR),
        _ => (panel.t(), SPARSE_NR, SPARSE_KC),
    };
    for row in (row..rows).step_by(SPARSE_MC) {
        for column in (0..columns).step_by(LINE) {
            prefetch(panel.ptr.wrapping_offset(row as isize * panel.row_stride + column as isize));
        }
    }
}

/// Clears the lowest set bit of a mask that is not 0, and returns its index.
#[inline(always)]
fn take_lowest(mask: &mut u64) -> usize {
    let step = mask.trailing_zeros() as usize;
    *mask &= *mask - 1;
    step
}

/// Adds to a row of the result the sum of `K` elements of a row of `lhs`, each times its row of `rhs`.
///
/// # Safety
/// - The CPU must support the instruction set of `V`.
/// - `columns` must be at least `V::LANES`, and `dst` must be valid for reads and writes of `columns` elements.
/// - `lhs` must be valid for reads of its first row at each of `steps`, and `rhs` of the row of each of `steps`:
///   `columns` contiguous elements, apart from `dst`.
#[inline(always)]
unsafe fn add_rows<V: Vector, const K: usize>(
    dst: *mut f32,
    columns: usize,
    steps: [usize; K],
    lhs: Matrix,
    rhs: Matrix,
) {
    debug_assert!(columns >= V::LANES && rhs.col_stride == 1);
    // SAFETY: the caller promises the steps, and that rows have `columns` elements. Every vector starts at most at
    // `columns - V::LANES`.
    unsafe {
        let factors = steps.map(|step| V::splat(*lhs.offset(0, step).ptr));
        let rows = steps.map(|step| rhs.offset(step, 0).ptr);
        let add = |column: usize, mut sum: V| {
            for (&factor, row) in factors.iter().zip(rows) {
                sum = V::multiply_add(factor, row.add(column).cast::<V>().read_unaligned(), sum);
            }
            dst.add(column).cast::<V>().write_unaligned(sum.without_negative_zero());
        };
        // The last vector overlaps the one before it, so it is read before that one is written.
        let last = columns - V::LANES;
        let sum = dst.add(last).cast::<V>().read_unaligned();
        for column in (0..last).step_by(V::LANES) {
            add(column, dst.add(column).cast::<V>().read_unaligned());
        }
        add(last, sum);
    }
}

/// Reads the first `lanes` lanes of a vector; the others are 0.
///
/// # Safety
/// The CPU must support the instruction set of `V`, `lanes` must be at most `V::LANES`, and `src` must be valid for reads of
/// `lanes` elements.
#[inline(always)]
unsafe fn read<V: Vector>(src: *const f32, lanes: usize) -> V {
    debug_assert!(lanes <= V::LANES);
    // SAFETY: the caller promises `lanes` elements, and the vector has room for them.
    unsafe {
        if lanes == V::LANES {
            return src.cast::<V>().read_unaligned();
        }
        let mut vector = V::splat(0.0);
        (&raw mut vector).cast::<f32>().copy_from_nonoverlapping(src, lanes);
        vector
    }
}

/// Writes the first `lanes` lanes of a vector.
///
/// # Safety
/// The CPU must support the instruction set of `V`, `lanes` must be at most `V::LANES`, and `dst` must be valid for writes of
/// `lanes` elements.
#[inline(always)]
unsafe fn write<V: Vector>(vector: V, dst: *mut f32, lanes: usize) {
    debug_assert!(lanes <= V::LANES);
    // SAFETY: the caller promises room for `lanes` elements, and the vector has as many.
    unsafe {
        if lanes == V::LANES {
            return dst.cast::<V>().write_unaligned(vector);
        }
        dst.copy_from_nonoverlapping((&raw const vector).cast(), lanes);
    }
}
