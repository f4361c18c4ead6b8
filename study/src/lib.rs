//! Experiments with dense autoencoders: grids of runs, linear baselines, charts, and the examples and report of the
//! [`autoencoder`] repository.
//!
//! - [`sweep`] trains a grid of models, several at once, and stores a record of each.
//! - [`baseline`] has linear methods for comparison: PCA and the linear MMSE denoiser.
//! - [`plots`] draws curves and scatter plots as SVG.
//! - [`commands`] has one function per example of the repository.
//!
//! A sweep over the width of the code:
//!
//! ```
//! use autoencoder::{TrainConfig, data::digits};
//! use autoencoder_study::sweep::{Rows, Run, Sweep};
//! use std::ops::ControlFlow;
//!
//! # let scratch = tempfile::tempdir().expect("a scratch folder");
//! # let folder = scratch.path();
//! let (train, test) = (digits::generate(200, 1)?, digits::generate(50, 2)?);
//! let run = |code| Run {
//!     dataset: "digits".to_owned(),
//!     hidden: vec![32],
//!     code,
//!     train: TrainConfig::new().epochs(2),
//!     ..Run::default()
//! };
//! let find = |_: &str| Ok(Rows::images(&train, &test));
//! let sweep = Sweep::new(folder).resume(true);
//! for outcome in sweep.run(&[run(4), run(16)], find, |_, _| ControlFlow::Continue(()))? {
//!     println!("code {}: {:.2} dB", outcome.run.code, outcome.record?.test.output.psnr_pooled_db);
//! }
//! # Ok::<(), autoencoder::Error>(())
//! ```

pub mod baseline;
mod cli;
pub mod commands;
mod errors;
mod experiments;
pub mod plots;
mod report;
pub mod sweep;
