use super::{matrix::Matrix, vector::Vector};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Copies a matrix, of which `to` or both have contiguous rows or columns.
///
/// # Safety
/// `rows` by `columns` elements of `from` must be readable and of `to` writable, without overlap; the CPU must have
/// the vector's instructions.
#[inline(always)]
pub(super) unsafe fn copy_matrix<V: Vector>(from: Matrix, rows: usize, columns: usize, to: Matrix) {
    // On x86-64 eight lanes mean AVX.
    let transpose = cfg!(target_arch = "x86_64") && V::LANES >= 8 && from.row == 1 && to.col == 1;
    let (from, rows, columns, to) =
        if to.col == 1 { (from, rows, columns, to) } else { (from.t(), columns, rows, to.t()) };
    let (blocks, blocks_across) = if transpose { (rows / 8, columns / 8) } else { (0, 0) };
    // SAFETY: the caller's promises; all indices are below `rows` and `columns`.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        for j in 0..blocks_across {
            for i in 0..blocks {
                transpose8(from.t().from(8 * j, 8 * i), to.from(8 * i, 8 * j));
            }
        }
        if from.col == 1 && to.col == 1 {
            return match columns == 2 * V::LANES {
                true => copy_rows::<V>(from, rows, 2 * V::LANES, to),
                false => copy_rows::<V>(from, rows, columns, to),
            };
        }
        for i in 0..rows {
            let done = if i < 8 * blocks { 8 * blocks_across } else { 0 };
            for j in done..columns {
                *to.from(i, j).at = *from.from(i, j).at;
            }
        }
    }
}

/// Copies a matrix of contiguous rows.
///
/// # Safety
/// As [`copy_matrix`].
#[inline(always)]
pub(super) unsafe fn copy_rows<V: Vector>(from: Matrix, rows: usize, columns: usize, to: Matrix) {
    let whole = columns - columns % V::LANES;
    for i in 0..rows {
        // SAFETY: the caller's promises.
        unsafe {
            let (from, to) = (from.from(i, 0).at, to.from(i, 0).at);
            for j in (0..whole).step_by(V::LANES) {
                to.add(j).cast::<V>().write_unaligned(from.add(j).cast::<V>().read_unaligned());
            }
            if columns > whole {
                to.add(whole).copy_from_nonoverlapping(from.add(whole), columns - whole);
            }
        }
    }
}

/// `to[c, r] = from[r, c]`, 8 by 8, both with contiguous rows.
///
/// # Safety
/// As [`copy_matrix`], and the CPU must have AVX.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn transpose8(from: Matrix, to: Matrix) {
    // SAFETY: the caller's promises.
    unsafe {
        for half in [0, 4] {
            // Four elements of row r, then four of row r + 4.
            let row = |r| _mm256_loadu2_m128(from.from(r + 4, half).at, from.from(r, half).at);
            let (low01, high01) = (_mm256_unpacklo_ps(row(0), row(1)), _mm256_unpackhi_ps(row(0), row(1)));
            let (low23, high23) = (_mm256_unpacklo_ps(row(2), row(3)), _mm256_unpackhi_ps(row(2), row(3)));
            let columns = [
                _mm256_shuffle_ps::<0x44>(low01, low23),
                _mm256_shuffle_ps::<0xee>(low01, low23),
                _mm256_shuffle_ps::<0x44>(high01, high23),
                _mm256_shuffle_ps::<0xee>(high01, high23),
            ];
            for (c, column) in columns.into_iter().enumerate() {
                _mm256_storeu_ps(to.from(half + c, 0).at, column);
            }
        }
    }
}
