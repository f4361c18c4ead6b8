//! Loops over slices, compiled for several instruction sets; the best one is chosen at run time.
//!
//! Results are the same on every instruction set: no function uses fused multiply-add, and sums run in fixed lanes.
//! Functions that take several slices panic if their lengths differ.
//!
//! # Subnormal numbers
//!
//! On Intel CPUs, an operation that reads or produces a subnormal number (a magnitude below 1.2e-38) takes some 150
//! cycles. Training produces plenty of them. Adam's moments decay into the subnormal range wherever a gradient stays zero.
//! Behind a saturated sigmoid, the delta of a dark pixel is the square of a tiny output.
//!
//! The CPU could flush them to zero itself, but Rust programs may not change the floating-point mode. So the kernels do
//! it: they replace values by zero that are far too small to change a weight, well before these become subnormal. The
//! limits are [`TINY_DELTA`], [`TINY_GRADIENT`], [`TINY_MOMENT`], [`TINY_SQUARE`] and [`TINY_WEIGHT`].

/// Defines functions whose bodies are compiled for AVX-512, for AVX2 and for the target's baseline. A call runs the best
/// version that the CPU supports.
macro_rules! dispatched {
    ($($(#[$doc:meta])* pub fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $out:ty)? $body:block)*) => {$(
        $(#[$doc])*
        #[allow(unsafe_code, clippy::too_many_arguments)]
        pub fn $name($($arg: $type),*) $(-> $out)? {
            #[inline(always)]
            fn baseline($($arg: $type),*) $(-> $out)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
                fn avx512($($arg: $type),*) $(-> $out)? { baseline($($arg),*) }
                #[target_feature(enable = "avx2")]
                fn avx2($($arg: $type),*) $(-> $out)? { baseline($($arg),*) }

                use crate::kernels::cpu::Isa;
                match Isa::best() {
                    // SAFETY: `Isa::best` found every feature that the function is compiled for.
                    Isa::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: `Isa::best` found AVX2.
                    Isa::Avx2 => return unsafe { avx2($($arg),*) },
                    Isa::Portable => {}
                }
            }
            baseline($($arg),*)
        }
    )*};
}

mod activations;
mod arithmetic;
mod losses;
mod math;
mod optimizers;
#[cfg(test)]
mod tests;

pub use activations::*;
pub use arithmetic::*;
pub use losses::*;
pub use optimizers::*;

/// Deltas (gradients with respect to pre-activations) and outputs of the sigmoid become zero below this magnitude. It is
/// small compared with [`TINY_GRADIENT`], and products with weights down to 1e-12 stay normal.
pub const TINY_DELTA: f32 = 1e-25;
/// Optimizers treat gradients below this magnitude as zero. It is a ten-millionth of Adam's usual epsilon, and its square
/// is still a normal number.
pub const TINY_GRADIENT: f32 = 1e-15;
/// First moments and velocities become zero below this magnitude. Even with a learning rate of 1e-7, the update stays
/// normal.
pub const TINY_MOMENT: f32 = 1e-30;
/// Second moments become zero below this value. Its square root is 1e-18, which vanishes beside Adam's epsilon. It is less
/// than what a gradient of [`TINY_GRADIENT`] adds with the usual `beta2`, so a first moment never outlives its second
/// moment.
pub const TINY_SQUARE: f32 = 1e-36;
/// Weights become zero below this magnitude, which they reach under a long weight decay.
pub const TINY_WEIGHT: f32 = 1e-30;
