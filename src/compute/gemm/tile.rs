use super::{matrix::Matrix, terms::Term, vector::Vector};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::array::from_fn;

/// What to fetch out of the third cache while a tile is computed: its share, one of `parts`, of a column of every
/// `rhs`, a line every `parts` steps. All at once, these fetches would keep the tile's own operands waiting.
#[derive(Clone, Copy)]
pub(super) struct Ahead<'a> {
    /// The terms before their columns were copied.
    pub sources: &'a [Term],
    pub column: usize,
    pub part: usize,
    pub parts: usize,
}

/// `dst` (+)= the sum over some terms of `R` rows of `lhs`, from row `first` on, times `C` vectors of columns of
/// `rhs`, from `column` on. The sums stay in registers.
///
/// # Safety
/// Those rows of every `lhs` must be readable, rows of `C` contiguous vectors of every `rhs` likewise, `R` rows of `C`
/// contiguous vectors of `dst` writable; `k` is at least 1; sources are as many as terms, with their `k`, and have the
/// column; the CPU must have the vector's instructions.
#[inline(always)]
pub(super) unsafe fn tile<V: Vector, const R: usize, const C: usize>(
    dst: Matrix,
    terms: &[Term],
    (first, column): (usize, usize),
    load: bool,
    ahead: Option<Ahead>,
) {
    // SAFETY: the caller's promises; `b_at`, `a` and `fetched`, which is not read, may point past the end only
    // after the last step.
    unsafe {
        let dst_at = |r, c| dst.from(r, 0).at.add(c * V::LANES).cast::<V>();
        let mut sums = [[V::splat(0.0); C]; R];
        if load {
            // Loops: of nested `from_fn` the compiler makes a copy through memory.
            for (r, row) in sums.iter_mut().enumerate() {
                for (c, sum) in row.iter_mut().enumerate() {
                    *sum = dst_at(r, c).read_unaligned();
                }
            }
        }
        for (i, &Term { k, lhs, rhs: b }) in terms.iter().enumerate() {
            let (mut a, mut b_at) = (lhs.from(first, 0), b.from(0, column).at);
            let (mut fetched, stretch) = match ahead {
                Some(Ahead { sources, column, part, parts }) => {
                    (sources[i].rhs.from(k * part / parts, column), parts)
                }
                None => (Matrix::NONE, k),
            };
            for start in (0..k).step_by(stretch) {
                if ahead.is_some() {
                    prefetch(fetched.at);
                    fetched.at = fetched.at.wrapping_offset(fetched.row);
                }
                for _ in 0..stretch.min(k - start) {
                    let right: [V; C] = from_fn(|c| b_at.add(c * V::LANES).cast::<V>().read_unaligned());
                    if R > 1 && !V::PACKS {
                        // The next columns, out of the third cache while these are used.
                        (C..2 * C).for_each(|c| prefetch(b_at.wrapping_add(c * V::LANES)));
                    }
                    for (r, row) in sums.iter_mut().enumerate() {
                        let left = V::splat(*a.from(r, 0).at);
                        for (sum, right) in row.iter_mut().zip(right) {
                            *sum = V::multiply_add(left, right, *sum);
                        }
                    }
                    a.at = a.at.wrapping_offset(a.col);
                    b_at = b_at.wrapping_offset(b.row);
                }
            }
        }
        for (r, row) in sums.iter().enumerate() {
            for (c, sum) in row.iter().enumerate() {
                dst_at(r, c).write_unaligned(sum.without_signed_zero());
            }
        }
    }
}

#[inline(always)]
pub(super) fn prefetch(_at: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has the instruction, and it may be given any address.
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(_at.cast());
    }
}
