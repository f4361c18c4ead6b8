use super::terms::K_BLOCK;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
use std::array::from_fn;

/// Lanes of `f32` that are the bytes of the type, in their order.
pub(super) trait Vector: Copy {
    const LANES: usize;
    /// A tile of so many rows by two vectors leaves registers for the operands.
    const ROWS: usize;
    /// Whether columns of `rhs` are copied together before many rows meet them. At two vectors of eight lanes a column
    /// block is one cache line wide, and lines that lie a row of weights apart evict each other.
    const PACKS: bool = Self::LANES == 8;
    /// The most steps of one term taken with a tile in registers; copied columns of so many leave room in the first
    /// cache.
    const K_BLOCK: usize = if Self::PACKS { 256 } else { K_BLOCK };

    /// Every lane `x`.
    ///
    /// # Safety
    /// The CPU must have the type's instructions.
    unsafe fn splat(x: f32) -> Self;

    /// `x * y + z`.
    ///
    /// # Safety
    /// The CPU must have the type's instructions.
    unsafe fn multiply_add(x: Self, y: Self, z: Self) -> Self;

    /// `x + y`.
    ///
    /// # Safety
    /// The CPU must have the type's instructions.
    unsafe fn add(x: Self, y: Self) -> Self;

    /// A finished sum, with 0 for -0. A sum that starts at 0 is -0 only where products underflow, and there the zeros
    /// that a sparse product leaves out would have made it 0.
    ///
    /// # Safety
    /// The CPU must have the type's instructions.
    #[inline(always)]
    unsafe fn without_signed_zero(self) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self::add(self, Self::splat(0.0)) }
    }

    /// A bit for each lane, from the lowest, set unless it is 0. NaN is not 0.
    ///
    /// # Safety
    /// The CPU must have the type's instructions.
    unsafe fn nonzero(self) -> u32;
}

#[cfg(target_arch = "x86_64")]
macro_rules! x86_vector {
    ($vector:ident, $lanes:literal, $rows:literal, $splat:ident, $multiply_add:ident, $add:ident, $nonzero:expr) => {
        impl Vector for $vector {
            const LANES: usize = $lanes;
            const ROWS: usize = $rows;

            #[inline(always)]
            unsafe fn splat(x: f32) -> Self {
                // SAFETY: the caller's promise.
                unsafe { $splat(x) }
            }

            #[inline(always)]
            unsafe fn multiply_add(x: Self, y: Self, z: Self) -> Self {
                // SAFETY: the caller's promise.
                unsafe { $multiply_add(x, y, z) }
            }

            #[inline(always)]
            unsafe fn add(x: Self, y: Self) -> Self {
                // SAFETY: the caller's promise.
                unsafe { $add(x, y) }
            }

            #[inline(always)]
            unsafe fn nonzero(self) -> u32 {
                // SAFETY: the caller's promise.
                unsafe { $nonzero(self) }
            }
        }
    };
}

// 32 registers: 24 sums, and room for two columns and a broadcast. 16 registers: 12 sums.
#[cfg(target_arch = "x86_64")]
x86_vector!(__m512, 16, 12, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_add_ps, nonzero512);
#[cfg(target_arch = "x86_64")]
x86_vector!(__m256, 8, 6, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_add_ps, nonzero256);

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f")]
fn nonzero512(x: __m512) -> u32 {
    u32::from(_mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(x, _mm512_setzero_ps()))
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx")]
fn nonzero256(x: __m256) -> u32 {
    _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NEQ_UQ>(x, _mm256_setzero_ps())) as u32
}

/// The compiler keeps it in an SSE or NEON register. Only aarch64 always has fused multiply-add and 32 registers.
impl Vector for [f32; 4] {
    const LANES: usize = 4;
    const ROWS: usize = if cfg!(target_arch = "aarch64") { 12 } else { 6 };

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
    unsafe fn nonzero(self) -> u32 {
        (0..4).map(|i| u32::from(self[i] != 0.0) << i).sum()
    }
}

/// Whether the portable kernel rounds once: elsewhere `mul_add` would be a call into the C library.
pub(super) const FUSED: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));
