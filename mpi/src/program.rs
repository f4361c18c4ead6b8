use crate::Ranks;
use autoencoder::group::Group;
use mpi::{
    Threading,
    environment::{Universe, initialize_with_threading},
    request::Request,
    topology::SimpleCommunicator,
    traits::{Communicator, CommunicatorCollectives},
};
use std::{
    fmt::Display,
    io::Write,
    panic::{self, AssertUnwindSafe},
    process::ExitCode,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// How long a failed rank waits for the others to end, too: they do if they have the same error.
const GRACE: Duration = Duration::from_secs(2);
/// How long a rank that has ended waits before it says so.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time between two looks for other ranks. MPI's own waits would keep a core busy that other threads need for training.
pub(crate) const POLL: Duration = Duration::from_millis(5);

/// Initializes MPI, runs a program on every rank, and returns when all ranks have ended.
///
/// If the program fails on a rank, it fails on all: with one line on standard error and exit code 1. A rank that fails alone,
/// while others wait for it in an exchange, ends the job after two seconds, and one that panics at once. A rank that ends
/// without an error waits for the others. If they wait for it in an exchange, because it did not train with them, the job
/// hangs; the rank says after ten seconds that it waits.
///
/// The error may be of any type that can be printed, such as `Box<dyn std::error::Error>`.
///
/// MPI must not have been initialized before. The program may start threads, but only one of them may use MPI at a time.
pub fn run<E: Display>(program: impl FnOnce(Arc<Ranks>) -> Result<(), E>) -> ExitCode {
    let Some((universe, threading)) = initialize_with_threading(Threading::Serialized) else {
        complain("MPI is already initialized");
        return ExitCode::FAILURE;
    };
    if threading < Threading::Serialized {
        complain("this MPI library does not allow calls from threads (MPI_THREAD_SERIALIZED)");
        return ExitCode::FAILURE;
    }
    // The end has a communicator of its own, because a rank may come to it while others are in an exchange.
    let end = universe.world().duplicate();
    let ranks = Arc::new(Ranks::new());
    let rank = ranks.rank();
    match panic::catch_unwind(AssertUnwindSafe(|| program(ranks))) {
        Ok(result) => finish(&universe, &end, rank, result),
        // The default hook has printed the message.
        Err(_) => universe.world().abort(1),
    }
}

/// Waits for the other ranks. The first that failed prints its error.
fn finish<E: Display>(
    universe: &Universe,
    end: &SimpleCommunicator,
    rank: usize,
    result: Result<(), E>,
) -> ExitCode {
    let patience = if result.is_err() { GRACE } else { PATIENCE };
    if let Err(barrier) = arrive_within(end.immediate_barrier(), patience) {
        match &result {
            Err(error) => {
                complain(&format!("rank {rank}: {error}"));
                universe.world().abort(1);
            }
            Ok(()) => complain(&format!(
                "rank {rank} has ended and waits for the others; all ranks must train together, or none"
            )),
        }
        arrive(barrier);
    }
    let mut failed = vec![false; end.size() as usize];
    end.all_gather_into(&result.is_err(), &mut failed[..]);
    let first = failed.iter().position(|failed| *failed);
    if let Err(error) = &result
        && first == Some(rank)
    {
        // All have failed if training did: with the same error, or with that of one of them.
        let who =
            if failed.iter().all(|failed| *failed) { "error".to_owned() } else { format!("rank {rank}") };
        complain(&format!("{who}: {error}"));
    }
    if first.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Waits until all ranks have come to a barrier.
pub(crate) fn arrive(mut barrier: Request<'static, ()>) {
    while let Err(pending) = barrier.test() {
        barrier = pending;
        thread::sleep(POLL);
    }
}

/// Waits for some time until all ranks have come to a barrier. Returns the barrier if they have not.
fn arrive_within(mut barrier: Request<'static, ()>, patience: Duration) -> Result<(), Request<'static, ()>> {
    let start = Instant::now();
    while let Err(pending) = barrier.test() {
        barrier = pending;
        if start.elapsed() > patience {
            return Err(barrier);
        }
        thread::sleep(POLL);
    }
    Ok(())
}

/// Prints a line in one piece, so that lines of several ranks do not mix.
fn complain(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}
