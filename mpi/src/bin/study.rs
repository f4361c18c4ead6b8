//! Runs every experiment of the study, with the runs shared out over the ranks. Rank 0 writes the report.
//!
//! `mpirun -n 4 target/release/study --dataset both`

use autoencoder_study::commands::{self, Failure};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut own = ExitCode::SUCCESS;
    let of_all = autoencoder_mpi::run(|ranks| {
        let result = commands::study_in_group(ranks);
        own = result.as_ref().err().map_or(ExitCode::SUCCESS, Failure::exit_code);
        result
    });
    // The code of this rank's failure says more than that of all ranks.
    if own == ExitCode::SUCCESS { of_all } else { own }
}
