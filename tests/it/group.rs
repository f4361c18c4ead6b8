//! Processes that train one model together; here they are threads.

use crate::{common::digest, processes::in_processes};
use autoencoder::{
    Autoencoder, Error, Noise, TrainConfig, Trainer,
    data::{ImageSet, digits},
    error::Quantity,
    group::{self, Group},
    nn::{Loss, Parameters, Penalty},
    train::{
        Batch, Checkpoint, CheckpointPolicy, EarlyStopping, History, Monitor, Objective, Optimizer,
        OptimizerState, RunEnd, Step, TrainEvent,
    },
};
use std::{
    ops::ControlFlow,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
};

static IMAGES: LazyLock<ImageSet> = LazyLock::new(|| digits::generate(300, 1).unwrap());
static OTHERS: LazyLock<ImageSet> = LazyLock::new(|| digits::generate(37, 2).unwrap());

fn model() -> Autoencoder {
    Autoencoder::builder(784).hidden(&[97, 40]).code(13).dropout(0.3).seed(3).build().unwrap()
}

fn config() -> TrainConfig {
    let noise = Noise::gaussian(0.2).unwrap();
    TrainConfig::new().epochs(3).batch_size(130).noise(noise).add_penalty(Penalty::lasso(1e-5)).threads(1)
}

fn values(history: &History) -> Vec<(f64, Option<f64>, Option<f64>)> {
    history.epochs.iter().map(|epoch| (epoch.loss, epoch.validation_loss, epoch.score)).collect()
}

#[test]
fn messages_of_any_length_arrive_in_order() {
    let all = in_processes(4, |group| group::gather(&*group, "test", &vec![7; 300 * group.rank()]).unwrap());
    let expected: Vec<_> = (0..4).map(|rank| vec![7; 300 * rank]).collect();
    assert!(all.iter().all(|messages| *messages == expected));
}

#[test]
fn a_run_resumes_on_another_number_of_processes() {
    let mut reference = model();
    let expected = Trainer::new(config()).validation(&*OTHERS).fit(&mut reference, &*IMAGES).unwrap();

    for clip_norm in [None, Some(1e9)] {
        let folder = tempfile::tempdir().unwrap();
        let config = || TrainConfig { clip_norm, ..config() };
        let fit = |group: Arc<dyn Group>, stop: bool| {
            let mut model = model();
            let policy = CheckpointPolicy::new(folder.path()).every(2);
            let mut trainer = Trainer::new(config()).validation(&*OTHERS).group(group).checkpoint(policy);
            if let Some(checkpoint) = Checkpoint::latest(folder.path()).unwrap() {
                assert!(!stop && checkpoint.batch() == 2, "{checkpoint:?}");
                trainer = trainer.resume(checkpoint);
            }
            let trainer = trainer.callback(|event| match event {
                TrainEvent::Batch { epoch: 2, batch: 2, .. } if stop => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            });
            let history = trainer.fit(&mut model, &*IMAGES).unwrap();
            (model, history)
        };
        for (_, history) in in_processes(2, |group| fit(group, true)) {
            assert_eq!((history.end, history.epochs.len()), (Some(RunEnd::Callback), 1));
        }
        for (model, history) in in_processes(3, |group| fit(group, false)) {
            // A norm that no gradient reaches leaves the bits as they are.
            assert_eq!(digest(&model), digest(&reference));
            assert_eq!(values(&history), values(&expected));
        }
    }
}

#[test]
fn the_callbacks_of_the_first_process_count() {
    let calls = &AtomicUsize::new(0);
    let results = in_processes(3, |group| {
        let rank = group.rank();
        let stopping = EarlyStopping::new(1).monitor(Monitor::Score).restore_best();
        let mut trainer = Trainer::new(config().early_stopping(stopping)).group(group);
        if rank < 2 {
            // Worse with every epoch. The second process has another opinion, which nobody asks for.
            trainer = trainer.score(move |record, _| {
                calls.fetch_add(1, Ordering::Relaxed);
                if rank == 0 { -(record.epoch as f64) } else { 1.0 }
            });
        }
        let mut model = model();
        let history = trainer.fit(&mut model, &*IMAGES).unwrap();
        (history, digest(&model))
    });
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    for (history, digest) in &results {
        assert_eq!((history.epochs.len(), history.best_epoch), (2, Some(1)));
        assert_eq!((values(history), digest), (values(&results[0].0), &results[0].1));
    }
}

#[test]
fn a_run_that_diverges_ends_with_the_same_error_everywhere() {
    for clip_norm in [None, Some(1.0)] {
        let config = TrainConfig { learning_rate: 1e30, clip_norm, ..config() };
        let config = config.optimizer(Optimizer::sgd(0.0));
        let fit = |trainer: Trainer| {
            let error = trainer.fit(&mut model(), &*IMAGES).unwrap_err();
            assert!(matches!(error, Error::NotFinite { .. }), "{error}");
            error.to_string()
        };
        let expected = fit(Trainer::new(config.clone()));
        for error in in_processes(3, |group| fit(Trainer::new(config.clone()).group(group))) {
            assert_eq!(error, expected);
        }
    }
}

#[test]
fn a_score_that_is_not_finite_is_an_error_everywhere() {
    let errors = in_processes(2, |group| {
        let trainer = Trainer::new(config()).group(group).score(|_, _| f64::NAN);
        trainer.fit(&mut model(), &*IMAGES).unwrap_err()
    });
    let is_score = |error: &Error| matches!(error, Error::NotFinite { what: Quantity::Score, .. });
    assert!(errors.iter().all(is_score), "{errors:?}");
}

#[test]
fn processes_that_differ_are_refused() {
    let fit = |change: &(dyn Fn(TrainConfig) -> (TrainConfig, Autoencoder, ImageSet) + Sync)| {
        in_processes(3, |group| {
            let same = |config| (config, model(), IMAGES.clone());
            let (config, mut model, rows) = if group.rank() == 2 { change(config()) } else { same(config()) };
            let before = digest(&model);
            let error = Trainer::new(config).group(group).fit(&mut model, &rows).unwrap_err();
            assert_eq!(digest(&model), before);
            error.to_string()
        })
    };
    let rate = fit(&|config| (config.learning_rate(0.5), model(), IMAGES.clone()));
    let epochs = fit(&|config| (config.epochs(4), model(), IMAGES.clone()));
    let rows = fit(&|config| (config, model(), digits::generate(300, 8).unwrap()));
    let fewer = fit(&|config| (config, model(), digits::generate(299, 1).unwrap()));
    let widths = fit(&|config| (config, Autoencoder::builder(784).build().unwrap(), IMAGES.clone()));
    let start = "the processes do not agree: ";
    for (errors, expected) in [
        (rate, format!("{start}learning_rate: rank 0 has 0.001, rank 2 has 0.5")),
        (epochs, format!("{start}epochs: rank 0 has 3, rank 2 has 4")),
        (rows, format!("{start}values of the rows to train on: rank 0 has SHA-256 ")),
        (
            fewer,
            format!(
                "{start}rows to train on: rank 0 has 300 rows of 784 features, rank 2 has 299 rows of 784"
            ),
        ),
        (widths, format!("{start}widths: rank 0 has [784, 97, ")),
    ] {
        assert!(errors.iter().all(|error| error.starts_with(&expected)), "{errors:?}, not {expected}");
    }
}

#[test]
fn the_error_of_one_process_reaches_all() {
    let folder = tempfile::tempdir().unwrap();
    let occupied = folder.path().join("file");
    std::fs::write(&occupied, "no folder").unwrap();
    // Only the first process touches the folder.
    let errors = in_processes(2, |group| {
        let trainer = Trainer::new(config()).group(group).checkpoint(CheckpointPolicy::new(&occupied));
        trainer.fit(&mut model(), &*IMAGES).unwrap_err()
    });
    assert!(matches!(errors[0], Error::Io { .. }), "{errors:?}");
    assert!(matches!(&errors[1], Error::Rank { rank: 0, reason } if *reason == errors[0].to_string()));

    let errors = in_processes(2, |group| {
        let batch_size = if group.rank() == 1 { 0 } else { 128 };
        let trainer = Trainer::new(config().batch_size(batch_size)).group(group);
        trainer.fit(&mut model(), &*IMAGES).unwrap_err().to_string()
    });
    assert_eq!(
        errors,
        ["rank 1: batch_size = 0: expected at least 1", "batch_size = 0: expected at least 1"]
    );
}

#[test]
fn a_folder_that_not_all_see_is_refused() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let errors = in_processes(2, |group| {
        let policy = CheckpointPolicy::new(folders[group.rank()].path());
        Trainer::new(config()).group(group).checkpoint(policy).fit(&mut model(), &*IMAGES).unwrap_err()
    });
    for error in errors {
        assert!(matches!(error, Error::Disagreement { rank: 1, .. }), "{error}");
        assert!(error.to_string().contains("file system that all processes share"), "{error}");
    }
}

#[test]
fn custom_loops_have_the_bits_of_a_single_process() {
    let objective = || Objective { loss: Loss::Bce, penalties: vec![Penalty::lasso(1e-4)] };
    let rows: Vec<_> = (0..77).collect();
    let batch = |number| Batch { samples: &*IMAGES, rows: &rows, noise: None, seed: 1, epoch: 1, number };
    let train = |group: Option<Arc<dyn Group>>| {
        let mut model = model();
        let mut optimizer = OptimizerState::new(Optimizer::adam(), &model).unwrap();
        let mut gradients = Parameters::zeros(&model);
        let mut step = Step::new(&model, objective(), 100).unwrap();
        let together = group.as_ref().is_some_and(|group| group.size() > 1);
        if let Some(group) = group {
            step = step.group(&model, group).unwrap();
        }
        step.run(&mut model, &mut optimizer, 0.01, &batch(1)).unwrap();
        let loss = step.gradients(&model, &batch(2), &mut gradients).unwrap();

        let before = digest(&model);
        let early = optimizer.update(&mut model, &gradients, 0.01);
        if together {
            assert!(early.unwrap_err().to_string().contains("call `Step::gather_moments` first"));
            assert_eq!((digest(&model), optimizer.steps()), (before, 1));
            assert!(optimizer.save("never-written", &model).is_err());
            step.gather_moments(&model, &mut optimizer).unwrap();
            optimizer.update(&mut model, &gradients, 0.01).unwrap();
        }
        step.run(&mut model, &mut optimizer, 0.01, &batch(3)).unwrap();
        step.gather_moments(&model, &mut optimizer).unwrap();
        (digest(&model), optimizer, loss)
    };
    let expected = train(None);
    for size in [1, 2, 5] {
        for found in in_processes(size, |group| train(Some(group))) {
            assert_eq!(found, expected, "{size} processes");
        }
    }
}
