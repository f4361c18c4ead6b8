//! The speed limit of a product: multiply-adds alone. For benchmarks.
#![allow(unsafe_code)]

use super::{cpu::Isa, gemm::simd::Vector};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256, __m512};
use std::{hint::black_box, time::Instant};

/// Independent chains of multiply-adds: enough to hide the latency of one, few enough to stay in registers.
const CHAINS: usize = 12;
/// Steps of each chain in one round, about a millisecond.
const STEPS: usize = 200_000;
const ROUNDS: usize = 40;

/// Measures the peak speed of the calling thread's core in GFLOP/s: multiply-adds on registers, without memory. Returns the
/// best of several rounds.
pub fn peak_gflops() -> f64 {
    // SAFETY: `Isa::best` returns what the CPU supports.
    let run_round = || unsafe {
        match Isa::best() {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => run_avx512(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => run_avx2(),
            Isa::Portable => run_chains::<[f32; 4]>(),
        }
    };
    let speed = |_| {
        let start = Instant::now();
        let operations = run_round();
        operations as f64 / start.elapsed().as_secs_f64() / 1e9
    };
    (0..ROUNDS).map(speed).fold(0.0, f64::max)
}

/// # Safety
/// The CPU must support AVX-512 F, BW, DQ and VL.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn run_avx512() -> usize {
    // SAFETY: the caller promises the instructions.
    unsafe { run_chains::<__m512>() }
}

/// # Safety
/// The CPU must support AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn run_avx2() -> usize {
    // SAFETY: the caller promises the instructions.
    unsafe { run_chains::<__m256>() }
}

/// Runs the chains and returns the number of floating-point operations.
///
/// # Safety
/// The CPU must support the instruction set of `V`.
#[inline(always)]
unsafe fn run_chains<V: Vector>() -> usize {
    // SAFETY: the caller promises the instructions.
    unsafe {
        let factor = V::splat(black_box(0.999));
        let term = V::splat(black_box(0.001));
        let mut sums = [V::splat(black_box(1.0)); CHAINS];
        for _ in 0..STEPS {
            for sum in &mut sums {
                *sum = V::multiply_add(*sum, factor, term);
            }
        }
        black_box(&sums);
    }
    2 * CHAINS * STEPS * V::LANES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_positive() {
        let peak = peak_gflops();
        assert!(peak.is_finite() && peak > 0.01, "{peak}");
    }
}
