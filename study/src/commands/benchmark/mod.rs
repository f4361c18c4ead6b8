//! The benchmarks with published values: a recipe whose length follows from a number of minutes, and its result files.

mod denoiser;
mod recipe;
mod reconstruction;
mod table;

pub(super) use denoiser::run as best_denoiser;
pub(super) use reconstruction::run as deep_benchmark;
