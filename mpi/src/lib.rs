//! Several machines train one model, or share out the runs of a sweep, over MPI.
//!
//! [`run`] starts a program on every rank and passes it the [`Ranks`], a [`Group`](autoencoder::group::Group) of the library.
//! A model has the same bits for any number of ranks and of threads per rank.
//!
//! ```no_run
//! use autoencoder::{Autoencoder, Error, TrainConfig, Trainer, data::digits, group::Group};
//! use std::process::ExitCode;
//!
//! fn main() -> ExitCode {
//!     autoencoder_mpi::run(|ranks| {
//!         let train = digits::generate(2_000, 1)?;
//!         let mut model = Autoencoder::builder(784).hidden(&[128]).code(32).build()?;
//!         Trainer::new(TrainConfig::new()).group(ranks.clone()).fit(&mut model, &train)?;
//!         if ranks.rank() == 0 {
//!             model.save("model.safetensors")?;
//!         }
//!         Ok::<_, Error>(())
//!     })
//! }
//! ```
//!
//! # Sweeps
//!
//! [`Ranks`] is also a [`WorkQueue`](autoencoder_study::sweep::WorkQueue). A sweep with that queue trains each of its runs on one
//! rank. A rank asks rank 0 for the next run whenever it has finished one, so slow ranks do not hold up the rest. Rank 0
//! trains, too. All ranks receive all outcomes.
//!
//! ```no_run
//! use autoencoder::{Error, TrainConfig, data::digits, group::Group};
//! use autoencoder_study::sweep::{Rows, Run, Sweep};
//! use std::{ops::ControlFlow, process::ExitCode};
//!
//! fn main() -> ExitCode {
//!     autoencoder_mpi::run(|ranks| {
//!         let (train, test) = (digits::generate(2_000, 1)?, digits::generate(500, 2)?);
//!         let run = |seed| Run { dataset: "digits".to_owned(), train: TrainConfig::new().seed(seed), ..Run::default() };
//!         let runs: Vec<_> = (0..100).map(run).collect();
//!         let sweep = Sweep::new("shared/runs").resume(true).queue(ranks.clone());
//!         let find = |_: &str| Ok(Rows::images(&train, &test));
//!         for outcome in sweep.run(&runs, find, |_, _| ControlFlow::Continue(()))? {
//!             if ranks.rank() == 0 {
//!                 println!("seed {}: {:.2} dB", outcome.run.train.seed, outcome.record?.test.output.psnr_pooled_db);
//!             }
//!         }
//!         Ok::<_, Error>(())
//!     })
//! }
//! ```
//!
//! The program `study` of this package runs the repository's study that way. Its flags are those of the example `study`:
//!
//! ```text
//! cargo build --release -p autoencoder-mpi
//! mpirun -n 4 --bind-to none target/release/study --threads 8 --out shared/study --resume
//! ```
//!
//! `--out` must be on a file system that all ranks see, and the data sets must be the same everywhere; ranks that differ end
//! the job before the first run. If a rank dies, MPI ends the job. Runs in flight are lost, and the same command with
//! `--resume` reuses all finished ones.
//!
//! Without `--threads`, a rank uses the cores that it may run on. `mpirun` often binds a rank to a single core, and with
//! `--bind-to none` each rank uses all cores of its machine. With several ranks per machine, set `--threads`.

pub mod cost;
mod program;
mod queue;
mod ranks;

pub use program::run;
pub use ranks::{Ranks, Traffic};
