//! Dense autoencoders (deep, sparse, denoising) on a CPU: fast, exact and plain.
//!
//! - **Fast**: hand-written backpropagation on kernels that use all cores.
//! - **Exact**: the same seed gives the same bits, for any number of threads, and also after a stop and a resume.
//! - **Plain**: dense layers, a trainer, metrics and files that PyTorch can read.
//!
//! ```
//! use autoencoder::{Autoencoder, Loss, Noise, TrainConfig, Trainer, data::digits};
//!
//! let train = digits::generate(2_000, 1)?; // or your own images, or rows of any numbers
//! let test = digits::generate(200, 2)?;
//! let noise = Noise::gaussian(0.25)?; // the variance, for pixels in [0, 1]
//!
//! let mut model = Autoencoder::builder(784).hidden(&[128]).code(32).build()?;
//! let config = TrainConfig::new().epochs(3).loss(Loss::Bce).noise(noise.clone());
//! let history = Trainer::new(config).validation(&test).fit(&mut model, &train)?;
//! println!("loss {:.4}", history.epochs[2].loss);
//!
//! let noisy = noise.corrupt(&test.to_array()?, 7);
//! let denoised = model.reconstruct(&noisy)?; // [200, 784]
//! # assert_eq!(denoised.dim(), (200, 784));
//! # let reached = history.epochs[2].validation.expect("validated");
//! # assert!(reached.output.mse < reached.noisy_input.expect("noisy").mse / 2.0);
//! # Ok::<(), autoencoder::Error>(())
//! ```
//!
//! # Where to go from here
//!
//! - The [`guide`] has one short, complete program per task.
//! - The folder `examples/` has programs to run: `cargo run --release --example train`.
//!
//! | module | contents |
//! |---|---|
//! | [`data`] | data sets, image sets, pairs, weights of rows, noise; IDX, NPY and PNG files; MNIST |
//! | [`nn`] | the model, its layers, losses, penalties and files |
//! | [`train`] | training over epochs or step by step; optimizers, schedules, early stopping, checkpoints |
//! | [`metrics`] | MSE, PSNR, SSIM, ROC; evaluation of a model |
//! | [`files`] | atomic writes and digests |
//! | [`group`] | several processes that train one model |
//! | [`error`](mod@error) | the error type |
//!
//! # Features
//!
//! None is enabled by default.
//!
//! | feature | adds |
//! |---|---|
//! | `npy` | `data::npy`: NumPy's `.npy` files |
//! | `npz` | `data::npz`: arrays from NumPy's `.npz` archives; enables `npy` |
//! | `csv` | `data::csv`: tables of numbers, as rows or images |
//! | `png` | `data::png`: folders of PNG files as data sets, grids of images |
//! | `onnx` | `Autoencoder::export_onnx`: models for other runtimes |
//! | `download` | `data::download`: downloads MNIST and Fashion-MNIST |
//!
//! # Threads
//!
//! Functions that use several threads run on the [`rayon`](https://docs.rs/rayon) pool in which they are called, by default
//! one thread per core. `TrainConfig::threads` gives a run a pool of its own.

#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
pub mod data;
pub mod error;
pub mod files;
pub mod group;
mod kernels;
pub mod metrics;
pub mod nn;
mod random;
pub mod train;

pub use data::{Dataset, ImageSet, Noise};
pub use error::{Error, Result};
pub use ndarray;
pub use nn::{Activation, Autoencoder, AutoencoderBuilder, Init, Loss, Penalty};
pub use train::{Optimizer, TrainConfig, Trainer};

/// The guide: one short program per task.
#[cfg(any(doc, all(doctest, feature = "npy", feature = "png")))]
#[doc = include_str!("../docs/guide.md")]
pub mod guide {}

/// The programs of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
