//! Products that multiply only the nonzero elements of the left side: images on black and outputs of ReLU have many
//! zeros.

use super::{
    copy::{copy_matrix, copy_rows},
    matrix::Matrix,
    product::Product,
    terms::Term,
    tile::prefetch,
    vector::Vector,
    way::MANY_ROWS,
};
use crate::compute::aligned::LINE;
use std::array::from_fn;

/// Steps of `k` taken at once: a bit of a `u64` each.
const STEPS: usize = 64;
/// Rows taken at once.
const ROWS: usize = 128;
/// Columns of `rhs` copied together. `STEPS` of them leave room in the first cache.
const WIDTH: usize = 96;
/// The most vectors of sums that leave registers for the operands.
pub(super) const MAX_VECTORS: usize = 12;
pub(super) struct Scratch {
    block: BlockScratch,
    /// Columns of a turned product's result.
    sums: [f32; ROWS * WIDTH],
}

#[repr(align(64))]
struct BlockScratch {
    columns: [f32; STEPS * WIDTH],
    /// Of every row which steps have a nonzero element of `lhs`.
    nonzero: [u64; ROWS],
}

impl Scratch {
    pub(super) const NEW: Self = Self {
        block: BlockScratch { columns: [0.0; STEPS * WIDTH], nonzero: [0; ROWS] },
        sums: [0.0; ROWS * WIDTH],
    };
}

impl Product<'_> {
    #[inline(always)]
    pub(super) unsafe fn run_sparse<V: Vector>(&self, scratch: &mut Scratch) {
        let Self { m, n, turned, .. } = *self;
        if !turned {
            for top in (0..m).step_by(ROWS) {
                // SAFETY: the caller's promises; the rows are below `m`.
                unsafe { self.rows::<V>(&mut scratch.block, top, (0, n), self.dst.from(top, 0), self.add) };
            }
            return;
        }
        let width = n.div_ceil(n.div_ceil(WIDTH));
        for left in (0..n).step_by(width) {
            for top in (0..m).step_by(ROWS) {
                let (rows, columns) = (ROWS.min(m - top), width.min(n - left));
                let sums = Matrix { at: scratch.sums.as_mut_ptr(), row: WIDTH as isize, col: 1 };
                // SAFETY: the caller's promises; rows and columns are below `m` and `n`.
                unsafe {
                    let dst = self.dst.from(top, left);
                    if self.add {
                        copy_matrix::<V>(dst, rows, columns, sums);
                    }
                    self.rows::<V>(&mut scratch.block, top, (left, columns), sums, self.add);
                    copy_matrix::<V>(sums.t(), columns, rows, dst.t());
                }
            }
        }
    }

    /// Up to `ROWS` rows of some columns, the first and how many, into `dst`, whose rows are contiguous.
    #[inline(always)]
    unsafe fn rows<V: Vector>(
        &self,
        scratch: &mut BlockScratch,
        top: usize,
        (left, columns): (usize, usize),
        dst: Matrix,
        mut load: bool,
    ) {
        for (term, start) in
            self.terms.iter().flat_map(|term| (0..term.k).step_by(STEPS).map(move |start| (term, start)))
        {
            let steps = STEPS.min(term.k - start);
            // SAFETY: the caller's promises; the steps are below `k`.
            unsafe {
                let Term { lhs, rhs, .. } = term.steps(start, steps);
                let (lhs, rhs) = (lhs.from(top, 0), rhs.from(0, left));
                let block = Block { rows: ROWS.min(self.m - top), steps, n: columns, dst, lhs, rhs, load };
                block.find_nonzeros::<V>(&mut scratch.nonzero);
                if self.m < MANY_ROWS {
                    block.in_place::<V>(&scratch.nonzero);
                } else {
                    block.panels::<V>(scratch, start + STEPS < term.k);
                }
            }
            load = true;
        }
    }
}

/// Some rows and steps of a product.
struct Block {
    rows: usize,
    steps: usize,
    n: usize,
    dst: Matrix,
    lhs: Matrix,
    rhs: Matrix,
    load: bool,
}

impl Block {
    /// A bit for each step of a row, from the lowest.
    #[inline(always)]
    unsafe fn find_nonzeros<V: Vector>(&self, nonzero: &mut [u64; ROWS]) {
        let Self { rows, steps, lhs, .. } = *self;
        let nonzero = &mut nonzero[..rows];
        nonzero.fill(0);
        let bit = |value: f32, step: usize| u64::from(value != 0.0) << step;
        // SAFETY: the caller's promises.
        unsafe {
            if lhs.row == 1 {
                for step in 0..steps {
                    let column = std::slice::from_raw_parts(lhs.from(0, step).at, rows);
                    nonzero.iter_mut().zip(column).for_each(|(bits, &value)| *bits |= bit(value, step));
                }
                return;
            }
            let in_vectors = if lhs.col == 1 { steps - steps % V::LANES } else { 0 };
            for (row, bits) in nonzero.iter_mut().enumerate() {
                for step in (0..in_vectors).step_by(V::LANES) {
                    let values = lhs.from(row, step).at.cast::<V>().read_unaligned();
                    *bits |= u64::from(values.nonzero()) << step;
                }
                *bits |= (in_vectors..steps).fold(0, |bits, step| bits | bit(*lhs.from(row, step).at, step));
            }
        }
    }

    /// Row by row, reading `rhs` where it lies, four of its rows at a time.
    #[inline(always)]
    unsafe fn in_place<V: Vector>(&self, nonzero: &[u64; ROWS]) {
        let Self { rows, n, rhs, load, .. } = *self;
        for (row, &bits) in nonzero[..rows].iter().enumerate() {
            let mut bits = bits;
            // SAFETY: the caller's promises.
            unsafe {
                let (dst, lhs) = (self.dst.from(row, 0).at, self.lhs.from(row, 0));
                if !load {
                    dst.write_bytes(0, n);
                }
                while bits.count_ones() >= 4 {
                    add_rows::<V, 4>(dst, n, from_fn(|_| take_step(&mut bits)), lhs, rhs);
                }
                while bits != 0 {
                    add_rows::<V, 1>(dst, n, [take_step(&mut bits)], lhs, rhs);
                }
            }
        }
    }

    /// Columns after columns of `rhs`, copied together for all rows. `more` says whether the product has more steps.
    #[inline(always)]
    unsafe fn panels<V: Vector>(&self, scratch: &mut BlockScratch, more: bool) {
        let Self { rows, steps, n, lhs, rhs, load, .. } = *self;
        let vectors = n.div_ceil(V::LANES);
        let panels = vectors.div_ceil(MAX_VECTORS.min(WIDTH / V::LANES));
        let mut start = 0;
        for panel in 0..panels {
            let width = vectors / panels + usize::from(panel < vectors % panels);
            let end = n.min(start + width * V::LANES);
            let next = match end < n {
                true => Some((0, end)),
                false => more.then_some((STEPS, 0)),
            };
            // SAFETY: the caller's promises; the columns are below `n`, and with `more` there are more than `STEPS`.
            unsafe {
                let columns = Matrix { at: scratch.columns.as_mut_ptr(), row: WIDTH as isize, col: 1 };
                let whole = rhs.col == 1 && end - start == width * V::LANES;
                if !whole {
                    copy_matrix::<V>(rhs.from(0, start), steps, end - start, columns);
                }
                let sweep = Sweep {
                    dst: self.dst.from(0, start),
                    columns: end - start,
                    nonzero: &scratch.nonzero[..rows],
                    lhs,
                    rhs: columns.at,
                    load,
                    next: next.map(|(step, column)| rhs.from(step, column)),
                };
                macro_rules! run {
                    ($($vectors:literal)*) => {
                        match width {
                            $($vectors => {
                                if whole {
                                    copy_rows::<V>(rhs.from(0, start), steps, $vectors * V::LANES, columns);
                                }
                                sweep.run::<V, $vectors>()
                            })*
                            _ => unreachable!("a panel of {width} vectors"),
                        }
                    };
                }
                run!(1 2 3 4 5 6 7 8 9 10 11 12);
            }
            start = end;
        }
    }
}

/// The rows of a block times copied columns of `rhs`, which lie `WIDTH` apart.
struct Sweep<'a> {
    dst: Matrix,
    columns: usize,
    nonzero: &'a [u64],
    lhs: Matrix,
    rhs: *const f32,
    load: bool,
    /// Where the next panel's columns lie.
    next: Option<Matrix>,
}

impl Sweep<'_> {
    /// Row by row, with the sums of its `C` vectors in registers.
    #[inline(always)]
    unsafe fn run<V: Vector, const C: usize>(&self) {
        let last = self.columns - (C - 1) * V::LANES;
        let lanes = |c| if c + 1 == C { last } else { V::LANES };
        for (row, &bits) in self.nonzero.iter().enumerate() {
            if let Some(next) = self.next {
                prefetch_share(next, row);
            }
            if self.load && bits == 0 {
                continue;
            }
            let mut bits = bits;
            // SAFETY: the caller's promises.
            unsafe {
                let (dst, lhs) = (self.dst.from(row, 0).at, self.lhs.from(row, 0));
                let mut sums = [V::splat(0.0); C];
                if self.load {
                    for (c, sum) in sums.iter_mut().enumerate() {
                        *sum = read(dst.add(c * V::LANES), lanes(c));
                    }
                }
                while bits != 0 {
                    let step = take_step(&mut bits);
                    let (left, right) =
                        (V::splat(*lhs.from(0, step).at), self.rhs.add(step * WIDTH).cast::<V>());
                    for (c, sum) in sums.iter_mut().enumerate() {
                        *sum = V::multiply_add(left, right.add(c).read_unaligned(), *sum);
                    }
                }
                for (c, &sum) in sums.iter().enumerate() {
                    write(sum.without_signed_zero(), dst.add(c * V::LANES), lanes(c));
                }
            }
        }
    }
}

/// Fetches a row's share of a panel of `rhs` out of the third cache, while the panel before it is computed with.
#[inline(always)]
fn prefetch_share(panel: Matrix, row: usize) {
    let (panel, rows, columns) = match panel.col {
        1 => (panel, STEPS, WIDTH),
        _ => (panel.t(), WIDTH, STEPS),
    };
    for row in (row..rows).step_by(ROWS) {
        for column in (0..columns).step_by(LINE) {
            prefetch(panel.at.wrapping_offset(row as isize * panel.row + column as isize));
        }
    }
}

/// The next nonzero element's step.
#[inline(always)]
fn take_step(bits: &mut u64) -> usize {
    let step = bits.trailing_zeros() as usize;
    *bits &= *bits - 1;
    step
}

/// `dst += ` the sum of some elements of a row of `lhs`, each times its row of `rhs`.
#[inline(always)]
unsafe fn add_rows<V: Vector, const K: usize>(
    dst: *mut f32,
    n: usize,
    steps: [usize; K],
    lhs: Matrix,
    rhs: Matrix,
) {
    // SAFETY: the caller's promises.
    unsafe {
        let factors = steps.map(|step| V::splat(*lhs.from(0, step).at));
        let rows = steps.map(|step| rhs.from(step, 0).at);
        let add = |column: usize, mut sum: V| {
            for (&factor, row) in factors.iter().zip(rows) {
                sum = V::multiply_add(factor, row.add(column).cast::<V>().read_unaligned(), sum);
            }
            dst.add(column).cast::<V>().write_unaligned(sum.without_signed_zero());
        };
        // The last vector has some columns of the one before, from before they are changed.
        let last = n - V::LANES;
        let sum = dst.add(last).cast::<V>().read_unaligned();
        for column in (0..last).step_by(V::LANES) {
            add(column, dst.add(column).cast::<V>().read_unaligned());
        }
        add(last, sum);
    }
}

/// A vector's first lanes, the others 0.
#[inline(always)]
unsafe fn read<V: Vector>(at: *const f32, lanes: usize) -> V {
    // SAFETY: the caller's promises.
    unsafe {
        if lanes == V::LANES {
            return at.cast::<V>().read_unaligned();
        }
        let mut vector = V::splat(0.0);
        (&raw mut vector).cast::<f32>().copy_from_nonoverlapping(at, lanes);
        vector
    }
}

/// Writes a vector's first lanes.
#[inline(always)]
unsafe fn write<V: Vector>(vector: V, at: *mut f32, lanes: usize) {
    // SAFETY: the caller's promises.
    unsafe {
        if lanes == V::LANES {
            return at.cast::<V>().write_unaligned(vector);
        }
        at.copy_from_nonoverlapping((&raw const vector).cast(), lanes);
    }
}
