use super::vector::Vector;
use crate::compute::cpu::Isa;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256, __m512};
use std::{hint::black_box, time::Instant};

/// Chains side by side: more than the multiply-adds in flight, fewer than the registers.
const CHAINS: usize = 12;
const STEPS: usize = 200_000;
const ROUNDS: usize = 40;

/// What multiply-adds in registers alone reach on the calling thread, in GFLOP/s: the limit that a product's speed is
/// held against. The best of some rounds of a millisecond or so.
pub fn peak_gflops() -> f64 {
    // SAFETY: the CPU has the instructions.
    let round = || unsafe {
        match Isa::best() {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2(),
            Isa::Portable => chains::<[f32; 4]>(),
        }
    };
    let speed = |_| {
        let start = Instant::now();
        let operations = round();
        operations as f64 / start.elapsed().as_secs_f64() / 1e9
    };
    (0..ROUNDS).map(speed).fold(0.0, f64::max)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn avx512() -> usize {
    // SAFETY: the caller's promise.
    unsafe { chains::<__m512>() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2() -> usize {
    // SAFETY: the caller's promise.
    unsafe { chains::<__m256>() }
}

/// Runs the chains; returns their floating-point operations.
///
/// # Safety
/// The CPU must have the vector's instructions.
#[inline(always)]
unsafe fn chains<V: Vector>() -> usize {
    // SAFETY: the caller's promise.
    unsafe {
        let (factor, term) = (V::splat(black_box(0.999)), V::splat(black_box(0.001)));
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
    fn a_cpu_reaches_something() {
        let peak = peak_gflops();
        assert!(peak.is_finite() && peak > 0.01, "{peak}");
    }
}
