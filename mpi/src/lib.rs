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

pub mod cost;
mod program;
mod ranks;

pub use program::run;
pub use ranks::{Ranks, Traffic};
