//! Training over real ranks: each test starts `mpirun` with this same program, which then plays a rank.

mod mpirun;

use autoencoder::{
    Autoencoder, Error, Noise, Result, TrainConfig, Trainer,
    data::{ImageSet, digits},
    files::sha256_hex,
    group::Group,
    nn::{Loss, Penalty, Scope},
    train::{Checkpoint, CheckpointPolicy, History, Optimizer, TrainEvent},
};
use autoencoder_mpi::{Ranks, cost::Bytes};
use libtest_mimic::{Arguments, Failed, Trial};
use mpirun::{Finished, mpirun};
use std::{env, ops::ControlFlow, path::Path, process::ExitCode, sync::Arc, time::Duration};

type Test = fn() -> Result<(), Failed>;

/// Names the part to play, in a rank.
const PART: &str = "AUTOENCODER_MPI_TEST";
/// A folder for the ranks.
const FOLDER: &str = "AUTOENCODER_MPI_TEST_FOLDER";

fn main() -> ExitCode {
    if let Ok(part) = env::var(PART) {
        return autoencoder_mpi::run(|ranks| play(&part, &ranks));
    }
    let tests: [(&str, Test); 10] = [
        ("ranks_have_the_bits_of_one_process", ranks_have_the_bits_of_one_process),
        ("the_cost_model_counts_the_bytes", the_cost_model_counts_the_bytes),
        ("a_run_of_two_ranks_resumes_on_three", a_run_of_two_ranks_resumes_on_three),
        ("a_run_that_diverges_ends_with_one_error", a_run_that_diverges_ends_with_one_error),
        ("ranks_that_differ_are_refused", ranks_that_differ_are_refused),
        ("a_rank_that_fails_alone_ends_the_job", a_rank_that_fails_alone_ends_the_job),
        ("a_rank_that_fails_after_training_is_named", a_rank_that_fails_after_training_is_named),
        ("a_rank_that_panics_ends_the_job", a_rank_that_panics_ends_the_job),
        ("a_rank_that_is_killed_ends_the_job", a_rank_that_is_killed_ends_the_job),
        ("a_rank_that_cannot_write_ends_the_job", a_rank_that_cannot_write_ends_the_job),
    ];
    let tests = tests.map(|(name, test)| Trial::test(name, test));
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    libtest_mimic::run(&arguments, tests.into()).exit_code()
}

/// One rank's part in a test.
fn play(part: &str, ranks: &Arc<Ranks>) -> Result<()> {
    let rank = ranks.rank();
    let fit = |config: TrainConfig| {
        Trainer::new(config).group(ranks.clone()).fit(&mut model(), &images()).map(drop)
    };
    match part {
        "bits" => configurations().into_iter().try_for_each(|config| same_bits(config, ranks)),
        "bytes" => counts_bytes(ranks),
        "stop" => stop(ranks),
        "resume" => resume(ranks),
        "diverge" => fit(TrainConfig { learning_rate: 1e30, ..config() }.optimizer(Optimizer::sgd(0.0))),
        "differ" => fit(config().learning_rate(if rank == 1 { 0.5 } else { 0.001 })),
        "fail" if rank == 1 => Err(invalid("a file that only rank 1 reads")),
        "late" => {
            fit(config())?;
            if rank == 1 { Err(invalid("a late error")) } else { Ok(()) }
        }
        "panic" if rank == 1 => panic!("on purpose"),
        "kill" => {
            let callback = |event: TrainEvent| {
                if matches!(event, TrainEvent::Epoch { .. }) {
                    kill_this_process();
                }
                ControlFlow::Continue(())
            };
            let trainer = Trainer::new(config()).group(ranks.clone()).callback(callback);
            trainer.fit(&mut model(), &images()).map(drop)
        }
        "write" => {
            let policy = CheckpointPolicy::new(folder().join("file"));
            let trainer = Trainer::new(config()).group(ranks.clone()).checkpoint(policy);
            trainer.fit(&mut model(), &images()).map(drop)
        }
        _ => fit(config()),
    }
}

fn images() -> ImageSet {
    digits::generate(300, 1).expect("a number that fits into memory")
}

fn folder() -> std::path::PathBuf {
    env::var_os(FOLDER).expect("set by the test").into()
}

fn model() -> Autoencoder {
    let builder = Autoencoder::builder(784).hidden(&[97, 40]).code(13).dropout(0.3).seed(3);
    builder.build().expect("valid widths")
}

/// Dropout, noise, two penalties, and a short last batch.
fn config() -> TrainConfig {
    let noise = Noise::gaussian(0.2).expect("a valid variance");
    let config = TrainConfig::new().epochs(2).batch_size(130).noise(noise).loss(Loss::Bce).threads(1);
    config.add_penalty(Penalty::lasso(1e-4))
}

/// Every optimizer, clipping, and more ranks than rows.
fn configurations() -> Vec<TrainConfig> {
    let proximal = Penalty::ProximalLasso { lambda: 1e-3, scope: Scope::All };
    vec![
        config(),
        config().optimizer(Optimizer::adamw(0.1)).clip_norm(0.05),
        config().optimizer(Optimizer::adamw_sparing_biases(0.1)).threads(2),
        config().optimizer(Optimizer::sgd(0.9)).add_penalty(proximal),
        TrainConfig { batch_size: 3, epochs: 1, ..config() },
    ]
}

fn same_bits(config: TrainConfig, ranks: &Arc<Ranks>) -> Result<()> {
    let (rows, others) = (images(), digits::generate(37, 2)?);
    let (mut expected, mut found) = (model(), model());
    let alone = Trainer::new(config.clone()).validation(&others).fit(&mut expected, &rows)?;
    let trainer = Trainer::new(config.clone()).validation(&others).group(ranks.clone());
    let together = trainer.fit(&mut found, &rows)?;
    if digest(&found) != digest(&expected) || losses(&together) != losses(&alone) {
        return Err(invalid(&format!("{config:?} gives other bits on {} ranks", ranks.size())));
    }
    Ok(())
}

fn counts_bytes(ranks: &Arc<Ranks>) -> Result<()> {
    Trainer::new(config()).group(ranks.clone()).fit(&mut model(), &images())?;
    if ranks.rank() != 0 {
        return Ok(());
    }
    // Two epochs of 300 rows.
    let steps = [130, 130, 40].map(|rows| Bytes::of_step(&model(), rows, ranks.size()));
    let expected = [
        ("rows", 2 * steps.iter().map(|bytes| bytes.rows).sum::<u64>()),
        ("weights", 2 * steps.iter().map(|bytes| bytes.weights).sum::<u64>()),
    ];
    for (label, expected) in expected {
        let found = ranks.traffic()[label].bytes;
        if found != expected {
            return Err(invalid(&format!("{found} bytes of {label}, not {expected}")));
        }
    }
    Ok(())
}

fn losses(history: &History) -> Vec<(f64, Option<f64>)> {
    history.epochs.iter().map(|epoch| (epoch.loss, epoch.validation_loss)).collect()
}

fn digest(model: &Autoencoder) -> String {
    let values = model.parameters().flat_map(|(weight, bias)| weight.into_iter().chain(bias));
    sha256_hex(&values.flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
}

fn invalid(found: &str) -> Error {
    Error::Data { what: "the test", expected: "something else".to_owned(), found: found.to_owned() }
}

/// Trains until the second batch of the second epoch, which leaves a checkpoint.
fn stop(ranks: &Arc<Ranks>) -> Result<()> {
    let callback = |event: TrainEvent| match event {
        TrainEvent::Batch { epoch: 2, batch: 2, .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let trainer = Trainer::new(config()).checkpoint(CheckpointPolicy::new(folder()));
    trainer.group(ranks.clone()).callback(callback).fit(&mut model(), &images()).map(drop)
}

fn resume(ranks: &Arc<Ranks>) -> Result<()> {
    let checkpoint = Checkpoint::latest(folder())?.ok_or_else(|| invalid("no checkpoint"))?;
    if (checkpoint.epoch(), checkpoint.batch()) != (2, 2) {
        return Err(invalid(&format!("epoch {}, batch {}", checkpoint.epoch(), checkpoint.batch())));
    }
    let (mut expected, mut found) = (model(), model());
    Trainer::new(config()).fit(&mut expected, &images())?;
    let trainer = Trainer::new(config()).group(ranks.clone()).checkpoint(CheckpointPolicy::new(folder()));
    trainer.resume(checkpoint).fit(&mut found, &images())?;
    if digest(&found) != digest(&expected) {
        return Err(invalid("other bits after resuming"));
    }
    Ok(())
}

fn kill_this_process() {
    let id = std::process::id().to_string();
    let _ = std::process::Command::new("kill").args(["-9", &id]).status();
}

/// Starts ranks that play a part.
fn start(ranks: usize, part: &str, folder: &Path) -> Result<Finished, Failed> {
    mpirun(ranks, &[], &[(PART, part.as_ref()), (FOLDER, folder.as_ref())])
}

fn ranks_have_the_bits_of_one_process() -> Result<(), Failed> {
    for ranks in 1..=4 {
        start(ranks, "bits", Path::new(""))?.succeeded()?;
    }
    Ok(())
}

fn the_cost_model_counts_the_bytes() -> Result<(), Failed> {
    for ranks in 2..=4 {
        start(ranks, "bytes", Path::new(""))?.succeeded()?;
    }
    Ok(())
}

fn a_run_of_two_ranks_resumes_on_three() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    start(2, "stop", folder.path())?.succeeded()?;
    start(3, "resume", folder.path())?.succeeded()
}

/// The error is printed once, although all ranks have it.
fn a_run_that_diverges_ends_with_one_error() -> Result<(), Failed> {
    let finished = start(3, "diverge", Path::new(""))?;
    finished.failed_with("error: the loss is not finite in epoch 1, batch 2")?;
    match finished.stderr.matches("is not finite").count() {
        1 => Ok(()),
        count => Err(format!("printed {count} times: {}", finished.stderr).into()),
    }
}

fn ranks_that_differ_are_refused() -> Result<(), Failed> {
    let expected = "error: the processes do not agree: learning_rate: rank 0 has 0.001, rank 1 has 0.5";
    start(3, "differ", Path::new(""))?.failed_with(expected)
}

/// The other ranks wait for it in an exchange.
fn a_rank_that_fails_alone_ends_the_job() -> Result<(), Failed> {
    start(3, "fail", Path::new(""))?.failed_with("rank 1: the test: expected something else, found a file")
}

fn a_rank_that_fails_after_training_is_named() -> Result<(), Failed> {
    start(3, "late", Path::new(""))?
        .failed_with("rank 1: the test: expected something else, found a late error")
}

fn a_rank_that_panics_ends_the_job() -> Result<(), Failed> {
    start(2, "panic", Path::new(""))?.failed_with("on purpose")
}

fn a_rank_that_is_killed_ends_the_job() -> Result<(), Failed> {
    let finished = start(3, "kill", Path::new(""))?;
    finished.failed_with("")?;
    match finished.time < Duration::from_secs(20) {
        true => Ok(()),
        false => Err(format!("took {:?}", finished.time).into()),
    }
}

fn a_rank_that_cannot_write_ends_the_job() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("file"), "no folder")?;
    start(2, "write", folder.path())?.failed_with("error: ")
}
