//! Dense autoencoders (deep, sparse, denoising) on a CPU: fast, exact, plain.
//!
//! Data flow one way, and a module uses only what stands before it: [`data`] (images, where they come from, what
//! corrupts them) → [`nn`] (layers forward and backward, losses, penalties, the model) → [`metrics`] → [`train`]
//! (the step in two phases, optimisers, epochs) → `report` (grids of images, feature `png`). [`random`] makes every
//! random number a function of (seed, stream, epoch, row); `kernels` are the numerical kernels; [`atomic`] writes files.
//!
//! ```
//! use autoencoder::{Autoencoder, TrainConfig, Trainer, data::{Noise, digits}, nn::Loss};
//!
//! let (train, test) = (digits::generate(2_000, 1)?, digits::generate(200, 2)?);
//! let noise = Noise::gaussian(0.25)?; // the variance of pixels in [0, 1]
//!
//! let mut model = Autoencoder::builder(784).hidden(&[128]).code(32).build()?;
//! let config = TrainConfig::new().epochs(3).loss(Loss::Bce).noise(noise.clone());
//! let history = Trainer::new(config).validation(&test).fit(&mut model, &train)?;
//!
//! let reached = history.epochs[2].validation.expect("validated");
//! println!("noisy {:.2} dB", reached.noisy_input.expect("trained with noise").psnr_pooled_db);
//! println!("denoised {:.2} dB", reached.output.psnr_pooled_db);
//!
//! let noisy = noise.corrupt(test.to_array().view(), 7);
//! let denoised = model.reconstruct(noisy.view())?; // [200, 784], through &self
//! # assert_eq!(denoised.dim(), (200, 784));
//! # assert!(reached.output.mse < reached.noisy_input.unwrap().mse / 2.0);
//! # Ok::<(), autoencoder::Error>(())
//! ```

pub mod atomic;
#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
pub mod data;
pub mod error;
mod kernels;
mod memory;
pub mod metrics;
pub mod nn;
pub mod random;
#[cfg(feature = "png")]
pub mod report;
pub mod train;

pub use error::{Error, Result};
pub use ndarray;
pub use nn::Autoencoder;
pub use train::{TrainConfig, Trainer};

/// The README's Rust runs as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The guide's as well.
#[cfg(all(doctest, feature = "npy", feature = "png"))]
#[doc = include_str!("../docs/guide.md")]
struct Guide;
