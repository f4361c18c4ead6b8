//! One function per example of the repository: the whole program, flags included.
//!
//! Each parses the process's arguments and returns its exit code: 0, 1 if the run failed, or 2 if a flag or a setting is
//! invalid. Bad flags and `--help` end the process at once. Errors are one line on standard error.
//!
//! [`study_in_group`] is for programs of several processes.

mod benchmark;
mod custom_data;
mod draw_digits;
#[cfg(feature = "download")]
mod fetch_data;
mod quickstart;
mod study;
mod throughput;

pub use crate::cli::Failure;

use crate::{
    cli,
    experiments::{
        anomaly::Anomaly, architectures::Architectures, denoising::Denoising, lab::alone,
        latent_space::LatentSpace, regularization::Regularization,
    },
    sweep::WorkQueue,
};
use std::{process::ExitCode, sync::Arc};

/// Trains on all classes except one, and detects that class by its reconstruction error.
pub fn anomaly() -> ExitCode {
    alone::<Anomaly>("anomaly")
}

/// Compares depths and code widths.
pub fn architectures() -> ExitCode {
    alone::<Architectures>("architectures")
}

/// Trains a wide denoising autoencoder and compares it with the best linear denoiser.
pub fn best_denoiser() -> ExitCode {
    cli::main(benchmark::best_denoiser)
}

/// Trains a denoising autoencoder on the user's own images.
pub fn custom_data() -> ExitCode {
    cli::main(custom_data::run)
}

/// Trains the deep autoencoder of Hinton and Salakhutdinov (2006) and compares it with published values.
pub fn deep_benchmark() -> ExitCode {
    cli::main(benchmark::deep_benchmark)
}

/// Trains denoising autoencoders for several noise strengths.
pub fn denoising() -> ExitCode {
    alone::<Denoising>("denoising")
}

/// Draws digits and writes them as IDX files.
pub fn draw_digits() -> ExitCode {
    cli::main(draw_digits::run)
}

/// Downloads MNIST and Fashion-MNIST (feature `download`).
#[cfg(feature = "download")]
pub fn fetch_data() -> ExitCode {
    cli::main(fetch_data::run)
}

/// Explores the codes of test images.
pub fn latent_space() -> ExitCode {
    alone::<LatentSpace>("latent_space")
}

/// Trains a denoising autoencoder, prints its test metrics and writes pictures.
pub fn quickstart() -> ExitCode {
    cli::main(quickstart::run)
}

/// Compares Lasso, dropout and neither.
pub fn regularization() -> ExitCode {
    alone::<Regularization>("regularization")
}

/// Runs every experiment and writes the report.
pub fn study() -> ExitCode {
    cli::main(|flags| study::run(flags, None))
}

/// Runs every experiment in several processes, which train the runs of each together. The first one writes the report.
///
/// Every process calls this with the same arguments. It returns instead of ending the process, because others may depend on
/// it. Only the first process prints something, except for the error, which the caller prints.
///
/// # Errors
/// If a flag or a setting is invalid, if a file cannot be read or written, or if a run has failed, in this process or
/// another.
pub fn study_in_group(queue: Arc<dyn WorkQueue>) -> Result<(), Failure> {
    study::run_in_group(queue)
}

/// Measures the speed of training, evaluation and single images and prints one line of JSON.
pub fn throughput() -> ExitCode {
    cli::main(throughput::run)
}
