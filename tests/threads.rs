//! Many threads at once, nested pools, a global pool of one thread: the same results, and no deadlock.

mod common;

use autoencoder::{
    Autoencoder, TrainConfig, Trainer,
    data::{Dataset, ImageSet, Noise, digits},
    metrics::evaluate,
    ndarray::{Array2, s},
    nn::Loss,
};
use common::digest;
use rayon::prelude::*;
use std::{
    ops::ControlFlow,
    sync::{
        Arc, Barrier, Mutex, Once,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};

/// Far longer than any of this takes: a test that is not done by then is deadlocked.
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

/// The digest of a model that was trained with these settings.
fn trained(config: &TrainConfig, images: &ImageSet) -> String {
    let mut model =
        Autoencoder::builder(784).hidden(&[48]).code(12).dropout(0.2).seed(config.seed).build().unwrap();
    Trainer::new(config.clone()).validation(images).fit(&mut model, images).unwrap();
    digest(&model)
}

#[test]
fn a_model_serves_eight_threads_while_another_is_trained() {
    ends(|| {
        let images = digits::generate(300, 1).unwrap();
        let rows = images.to_array().unwrap();
        let model = Arc::new(Autoencoder::builder(784).hidden(&[60]).code(10).build().unwrap());
        let long = config().epochs(30);
        let (alone, trained_alone) = (model.reconstruct(&rows).unwrap(), trained(&long, &images));
        let errors = model.reconstruction_errors(&images).unwrap();

        let (training, all_serve) = (AtomicBool::new(true), Barrier::new(9));
        let during = AtomicUsize::new(0);
        thread::scope(|scope| {
            for reader in 0..8 {
                let (model, rows, alone) = (Arc::clone(&model), &rows, &alone);
                let (training, all_serve, during, errors, images) =
                    (&training, &all_serve, &during, &errors, &images);
                scope.spawn(move || {
                    all_serve.wait();
                    let mut buffer = Array2::zeros(rows.dim());
                    let own = pool(2);
                    for turn in 0.. {
                        let in_time = training.load(Relaxed);
                        // On the global pool, on the reader's own pool, on its own thread, and into a buffer.
                        assert_eq!(model.reconstruct(rows).unwrap(), *alone);
                        own.install(|| assert_eq!(model.reconstruct(rows).unwrap(), *alone));
                        let first = (reader * 31 + turn) % 200;
                        let part = s![first..first + 100, ..];
                        assert_eq!(model.reconstruct(&rows.slice(part)).unwrap(), alone.slice(part));
                        model.reconstruct_into(rows, &mut buffer).unwrap();
                        assert_eq!(buffer, *alone);
                        assert_eq!(model.reconstruction_errors(images).unwrap(), *errors);
                        during.fetch_add(usize::from(in_time), Relaxed);
                        if !in_time {
                            break;
                        }
                    }
                });
            }
            all_serve.wait();
            for threads in [2, 4] {
                assert_eq!(trained(&long.clone().threads(threads), &images), trained_alone);
            }
            training.store(false, Relaxed);
        });
        assert!(during.load(Relaxed) > 20, "nothing was served while training");
    });
}

/// Every worker of a caller's pool trains and evaluates at once, in the same pool or in its own.
#[test]
fn work_inside_a_callers_pool_ends_with_the_same_bits() {
    ends(|| {
        let images = digits::generate(150, 1).unwrap();
        let rows = images.to_array().unwrap();
        let model = Autoencoder::builder(784).code(8).build().unwrap();
        let noise = Noise::gaussian(0.1).unwrap();
        let expected = trained(&config(), &images);
        let quality = evaluate(&model, &images, Some(&noise), 1).unwrap();
        let output = model.reconstruct(&rows).unwrap();
        for threads in [1, 2, 8] {
            pool(threads).install(|| {
                (0..12).into_par_iter().with_max_len(1).for_each(|task| match task % 4 {
                    0 => assert_eq!(trained(&config(), &images), expected),
                    1 => assert_eq!(trained(&config().threads(1 + task / 4), &images), expected),
                    2 => assert_eq!(evaluate(&model, &images, Some(&noise), 1).unwrap(), quality),
                    _ => assert_eq!(model.reconstruct(&rows).unwrap(), output),
                });
            });
        }
        // The global pool of one thread: directly, and from its own worker.
        assert_eq!(trained(&config(), &images), expected);
        for threads in [None, Some(1), Some(3)] {
            let mut config = config();
            config.threads = threads;
            rayon::scope(|_| assert_eq!(trained(&config, &images), expected));
        }
    });
}

/// A data set whose rows are computed in parallel.
struct Parallel<'a>(&'a ImageSet);

impl Dataset for Parallel<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn features(&self) -> usize {
        self.0.features()
    }

    fn copy_row(&self, row: usize, out: &mut [f32]) {
        let pixels = &self.0.pixels()[row * 784..][..784];
        out.par_iter_mut()
            .zip(pixels)
            .with_max_len(8)
            .for_each(|(out, &pixel)| *out = f32::from(pixel) / 255.0);
    }
}

/// The caller's code may use the current pool: a worker that waits takes other blocks in the meantime.
#[test]
fn rows_and_callbacks_that_use_the_pool_end() {
    ends(|| {
        let images = digits::generate(150, 1).unwrap();
        let (expected, many) = (trained(&config(), &images), digits::generate(2_000, 2).unwrap());
        let heard = Mutex::new(0);
        for threads in [1, 2, 4] {
            let mut model =
                Autoencoder::builder(784).hidden(&[48]).code(12).dropout(0.2).seed(3).build().unwrap();
            let (rows, many) = (Parallel(&images), Parallel(&many));
            let trainer = Trainer::new(config().threads(threads)).validation(&rows).callback(|event| {
                let mut heard = heard.lock().unwrap();
                *heard += (0..1_000).into_par_iter().filter(|x| x % 2 == 0).count();
                if let autoencoder::train::TrainEvent::Epoch { model, .. } = event {
                    for _ in 0..10 {
                        assert!(evaluate(model, &many, None, 0).unwrap().output.mse > 0.0);
                    }
                }
                ControlFlow::Continue(())
            });
            trainer.fit(&mut model, &rows).unwrap();
            assert_eq!(digest(&model), expected, "{threads} threads");
        }
        assert!(*heard.lock().unwrap() > 0);
    });
}
