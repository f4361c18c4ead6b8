//! Sweeps inside a caller's pool, with a global pool of one thread: the same results, and no deadlock.

use autoencoder::{
    TrainConfig,
    data::{Noise, digits},
    nn::Loss,
};
use autoencoder_study::sweep::{Rows, Run, Sweep};
use rayon::prelude::*;
use std::{
    ops::ControlFlow,
    sync::{Once, mpsc},
    thread,
    time::Duration,
};

/// Far longer than this takes: a test that is not done by then is deadlocked.
const PATIENCE: Duration = Duration::from_secs(300);

/// Does some work with a global pool of one thread, and fails if it does not finish.
fn ends(work: impl FnOnce() + Send + 'static) {
    static POOL_OF_ONE: Once = Once::new();
    POOL_OF_ONE.call_once(|| rayon::ThreadPoolBuilder::new().num_threads(1).build_global().unwrap());
    let (done, wait) = mpsc::channel();
    let worker = thread::spawn(move || {
        work();
        done.send(()).ok();
    });
    if wait.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
        panic!("a deadlock");
    }
    worker.join().unwrap();
}

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

fn config() -> TrainConfig {
    let noise = Noise::gaussian(0.2).unwrap();
    TrainConfig::new().epochs(2).batch_size(100).loss(Loss::Bce).noise(noise).seed(3)
}

#[test]
fn sweeps_inside_a_callers_pool_end() {
    ends(|| {
        let images = digits::generate(60, 1).unwrap();
        let run = |code| Run {
            dataset: "digits".to_owned(),
            hidden: vec![16],
            code,
            dropout: 0.1,
            train: config(),
            ..Run::default()
        };
        let runs: Vec<_> = (1..5).map(run).collect();
        let sweep = |jobs| {
            let folder = tempfile::tempdir().unwrap();
            let find = |_: &str| Ok(Rows::images(&images, &images));
            let sweep = Sweep::new(folder.path()).jobs(jobs);
            let outcomes = sweep.run(&runs, find, |_, _| ControlFlow::Continue(())).unwrap();
            outcomes.into_iter().map(|outcome| outcome.record.unwrap().test).collect::<Vec<_>>()
        };
        let expected = sweep(1);
        for threads in [1, 3] {
            pool(threads).install(|| {
                (1..6).into_par_iter().with_max_len(1).for_each(|jobs| assert_eq!(sweep(jobs), expected));
            });
        }
    });
}
