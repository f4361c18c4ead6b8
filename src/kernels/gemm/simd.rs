//! Building blocks that know the CPU and nothing about products: raw matrices, vectors of `f32`, and copies that
//! transpose where needed.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
use std::array::from_fn;

/// A raw strided matrix. Element `(i, j)` is at `ptr + i * row_stride + j * col_stride`.
///
/// Its user knows its shape. Read-only matrices are `*mut`, too, so that one type serves all operands.
#[derive(Clone, Copy)]
pub(super) struct Matrix {
    pub ptr: *mut f32,
    pub row_stride: isize,
    pub col_stride: isize,
}

impl Matrix {
    pub(super) const NULL: Self = Self { ptr: std::ptr::null_mut(), row_stride: 0, col_stride: 0 };

    pub(super) fn new(ptr: *mut f32, strides: &[isize]) -> Self {
        Self { ptr, row_stride: strides[0], col_stride: strides[1] }
    }

    /// A matrix whose rows are contiguous and start `row_stride` elements apart.
    #[inline(always)]
    pub(super) fn row_major(ptr: *mut f32, row_stride: usize) -> Self {
        Self { ptr, row_stride: row_stride as isize, col_stride: 1 }
    }

    /// Returns the submatrix that starts at row `i` and column `j`.
    ///
    /// # Safety
    /// Element `(i, j)` must be in bounds of the allocation that `self.ptr` points into, or one past its end.
    #[inline(always)]
    pub(super) unsafe fn offset(self, i: usize, j: usize) -> Self {
        // SAFETY: the caller promises that the element is in bounds.
        let ptr = unsafe { self.ptr.offset(i as isize * self.row_stride + j as isize * self.col_stride) };
        Self { ptr, ..self }
    }

    /// Returns the transpose.
    pub(super) fn t(self) -> Self {
        Self { ptr: self.ptr, row_stride: self.col_stride, col_stride: self.row_stride }
    }
}

/// The largest [`Vector::LANES`] of all instruction sets.
pub(super) const MAX_LANES: usize = 16;

/// A vector register of `f32`. The bytes of the type are its lanes, in order.
pub(in crate::kernels) trait Vector: Copy {
    const LANES: usize;
    /// The number of vector registers of the instruction set.
    const REGISTERS: usize;

    /// Returns a vector with `x` in every lane.
    ///
    /// # Safety
    /// The CPU must support the instruction set of `Self`.
    unsafe fn splat(x: f32) -> Self;

    /// Returns `x * y + z`.
    ///
    /// # Safety
    /// The CPU must support the instruction set of `Self`.
    unsafe fn multiply_add(x: Self, y: Self, z: Self) -> Self;

    /// Returns `x + y`.
    ///
    /// # Safety
    /// The CPU must support the instruction set of `Self`.
    unsafe fn add(x: Self, y: Self) -> Self;

    /// Replaces -0 by 0.
    ///
    /// A dense sum that starts at 0 becomes -0 only if products underflow. The zero terms that a sparse product skips
    /// would have made it 0, so both kernels store their sums through this function.
    ///
    /// # Safety
    /// The CPU must support the instruction set of `Self`.
    #[inline(always)]
    unsafe fn without_negative_zero(self) -> Self {
        // SAFETY: the caller promises that the CPU supports the instructions.
        unsafe { Self::add(self, Self::splat(0.0)) }
    }

    /// Returns one bit per lane, the lowest lane first. A bit is set unless its lane is 0 or -0; NaN is not 0.
    ///
    /// # Safety
    /// The CPU must support the instruction set of `Self`.
    unsafe fn nonzero_mask(self) -> u32;
}

#[cfg(target_arch = "x86_64")]
macro_rules! x86_vector {
    ($vector:ident, $lanes:literal, $registers:literal, $splat:ident, $multiply_add:ident, $add:ident, $nonzero:ident) => {
        const _: () = assert!($lanes <= MAX_LANES && size_of::<$vector>() == $lanes * size_of::<f32>());

        impl Vector for $vector {
            const LANES: usize = $lanes;
            const REGISTERS: usize = $registers;

            #[inline(always)]
            unsafe fn splat(x: f32) -> Self {
                // SAFETY: the caller promises that the CPU supports the instruction.
                unsafe { $splat(x) }
            }

            #[inline(always)]
            unsafe fn multiply_add(x: Self, y: Self, z: Self) -> Self {
                // SAFETY: the caller promises that the CPU supports the instruction.
                unsafe { $multiply_add(x, y, z) }
            }

            #[inline(always)]
            unsafe fn add(x: Self, y: Self) -> Self {
                // SAFETY: the caller promises that the CPU supports the instruction.
                unsafe { $add(x, y) }
            }

            #[inline(always)]
            unsafe fn nonzero_mask(self) -> u32 {
                // SAFETY: the caller promises that the CPU supports the instructions.
                unsafe { $nonzero(self) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
x86_vector!(__m512, 16, 32, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_add_ps, nonzero_mask_512);
#[cfg(target_arch = "x86_64")]
x86_vector!(__m256, 8, 16, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_add_ps, nonzero_mask_256);

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f")]
fn nonzero_mask_512(x: __m512) -> u32 {
    u32::from(_mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(x, _mm512_setzero_ps()))
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx")]
fn nonzero_mask_256(x: __m256) -> u32 {
    _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NEQ_UQ>(x, _mm256_setzero_ps())) as u32
}

/// The portable vector, which the compiler keeps in an SSE or NEON register. Every CPU of the target supports it.
impl Vector for [f32; 4] {
    const LANES: usize = 4;
    const REGISTERS: usize = if cfg!(target_arch = "aarch64") { 32 } else { 16 };

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        [x; 4]
    }

    #[inline(always)]
    unsafe fn multiply_add(x: Self, y: Self, z: Self) -> Self {
        from_fn(|i| if FUSED { x[i].mul_add(y[i], z[i]) } else { x[i] * y[i] + z[i] })
    }

    #[inline(always)]
    unsafe fn add(x: Self, y: Self) -> Self {
        from_fn(|i| x[i] + y[i])
    }

    #[inline(always)]
    unsafe fn nonzero_mask(self) -> u32 {
        (0..4).map(|i| u32::from(self[i] != 0.0) << i).sum()
    }
}

/// True if the portable vector's [`multiply_add`](Vector::multiply_add) rounds once. On targets without the instruction,
/// `mul_add` would be a slow call into the C library.
pub(super) const FUSED: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

/// Fetches the cache line of `ptr` into the first-level cache. Does nothing on targets other than x86-64.
#[inline(always)]
pub(super) fn prefetch(_ptr: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 CPU has SSE, and the instruction accepts any address.
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(_ptr.cast());
    }
}

/// Copies a matrix of `rows` by `columns` elements. Copies between a matrix with contiguous rows and one with contiguous
/// columns go through 8 x 8 transpositions in registers where the CPU has AVX.
///
/// # Safety
/// - The CPU must support the instruction set of `V`.
/// - `src` must be valid for reads and `dst` for writes of `rows` by `columns` elements.
/// - The two matrices must not overlap.
#[inline(always)]
pub(super) unsafe fn copy_matrix<V: Vector>(src: Matrix, rows: usize, columns: usize, dst: Matrix) {
    // On x86-64, eight lanes imply AVX.
    let transpose =
        cfg!(target_arch = "x86_64") && V::LANES >= 8 && src.row_stride == 1 && dst.col_stride == 1;
    // The loops below go along the rows of `dst`, so these should be the contiguous direction.
    let (src, rows, columns, dst) = match dst.col_stride {
        1 => (src, rows, columns, dst),
        _ => (src.t(), columns, rows, dst.t()),
    };
    let row_blocks = if transpose { rows / 8 } else { 0 };
    let column_blocks = if transpose { columns / 8 } else { 0 };
    // SAFETY: every index is below `rows` or `columns`, for which the caller promises valid matrices. With `transpose`,
    // the CPU has AVX, the rows of `src.t()` are contiguous, and so are those of `dst`.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        for j in 0..column_blocks {
            for i in 0..row_blocks {
                transpose_8x8(src.t().offset(8 * j, 8 * i), dst.offset(8 * i, 8 * j));
            }
        }
        if src.col_stride == 1 && dst.col_stride == 1 {
            // With a constant width, the compiler unrolls the copy.
            return if columns == 2 * V::LANES {
                copy_rows::<V>(src, rows, 2 * V::LANES, dst)
            } else {
                copy_rows::<V>(src, rows, columns, dst)
            };
        }
        for i in 0..rows {
            let done = if i < 8 * row_blocks { 8 * column_blocks } else { 0 };
            for j in done..columns {
                *dst.offset(i, j).ptr = *src.offset(i, j).ptr;
            }
        }
    }
}

/// Copies a matrix of `rows` by `columns` elements with contiguous rows.
///
/// # Safety
/// - The CPU must support the instruction set of `V`.
/// - `src` must be valid for reads and `dst` for writes of `rows` by `columns` elements.
/// - The rows of both must be contiguous (`col_stride == 1`), and the two matrices must not overlap.
#[inline(always)]
pub(super) unsafe fn copy_rows<V: Vector>(src: Matrix, rows: usize, columns: usize, dst: Matrix) {
    debug_assert!(src.col_stride == 1 && dst.col_stride == 1);
    let whole = columns - columns % V::LANES;
    for i in 0..rows {
        // SAFETY: `i` is below `rows`, and a row has `columns` contiguous elements in both matrices.
        unsafe {
            let src = src.offset(i, 0).ptr;
            let dst = dst.offset(i, 0).ptr;
            for j in (0..whole).step_by(V::LANES) {
                dst.add(j).cast::<V>().write_unaligned(src.add(j).cast::<V>().read_unaligned());
            }
            // Without this check, every row would call `memcpy` for zero elements: a tenth of a dense product.
            if columns > whole {
                dst.add(whole).copy_from_nonoverlapping(src.add(whole), columns - whole);
            }
        }
    }
}

/// Transposes an 8 x 8 matrix: `dst[c, r] = src[r, c]`.
///
/// # Safety
/// - The CPU must support AVX.
/// - `src` must be valid for reads and `dst` for writes of 8 by 8 elements.
/// - The rows of both must be contiguous (`col_stride == 1`), and the two matrices must not overlap.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn transpose_8x8(src: Matrix, dst: Matrix) {
    debug_assert!(src.col_stride == 1 && dst.col_stride == 1);
    // SAFETY: the caller promises AVX. All rows are below 8, and each load or store covers four elements that start at
    // column 0 or 4 of a contiguous row (eight elements from column 0 of `dst`).
    unsafe {
        for half in [0, 4] {
            // Four elements of row r in the lower half of a vector, four elements of row r + 4 in the upper half.
            let rows = |r| _mm256_loadu2_m128(src.offset(r + 4, half).ptr, src.offset(r, half).ptr);
            let low01 = _mm256_unpacklo_ps(rows(0), rows(1));
            let high01 = _mm256_unpackhi_ps(rows(0), rows(1));
            let low23 = _mm256_unpacklo_ps(rows(2), rows(3));
            let high23 = _mm256_unpackhi_ps(rows(2), rows(3));
            let columns = [
                _mm256_shuffle_ps::<0x44>(low01, low23),
                _mm256_shuffle_ps::<0xee>(low01, low23),
                _mm256_shuffle_ps::<0x44>(high01, high23),
                _mm256_shuffle_ps::<0xee>(high01, high23),
            ];
            for (c, column) in columns.into_iter().enumerate() {
                _mm256_storeu_ps(dst.offset(half + c, 0).ptr, column);
            }
        }
    }
}
