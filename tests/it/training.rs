//! Whole training runs: the same bits in any setup, the metrics of an epoch, what stops a run.

use crate::common::digest;
use approx::assert_relative_eq;
use autoencoder::{
    Autoencoder, Error, TrainConfig, Trainer,
    data::{Dataset, ImageSet, Noise, NoiseKind, Pairs, Weighted, digits},
    error::Quantity,
    metrics::{ImageQuality, evaluate},
    ndarray::{self, Array2},
    nn::{Activation, Loss, Penalty, Scope},
    train::{
        Batch, EarlyStopping, History, Monitor, Objective, Optimizer, OptimizerState, RunEnd, Schedule, Step,
        TrainEvent, shuffled,
    },
};
use std::{ops::ControlFlow, sync::Mutex};

fn images() -> ImageSet {
    digits::generate(300, 1).unwrap()
}

fn model(dropout: f32) -> Autoencoder {
    Autoencoder::builder(784).hidden(&[97, 40]).code(13).dropout(dropout).seed(3).build().unwrap()
}

/// Dropout, noise, every kind of penalty on weights and code, and a short last batch that does not fill a block.
fn everything_on() -> TrainConfig {
    TrainConfig::new()
        .epochs(2)
        .batch_size(130)
        .loss(Loss::Bce)
        .noise(Noise::gaussian(0.3).unwrap())
        .add_penalty(Penalty::lasso(1e-5))
        .add_penalty(Penalty::ProximalLasso { lambda: 1e-4, scope: Scope::All })
        .add_penalty(Penalty::L2 { lambda: 1e-5, scope: Scope::All })
        .add_penalty(Penalty::CodeL1 { lambda: 1e-4 })
        .seed(9)
}

fn fit(config: TrainConfig, dropout: f32) -> (Autoencoder, History) {
    let mut model = model(dropout);
    let history = Trainer::new(config).fit(&mut model, &images()).unwrap();
    (model, history)
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let reference = fit(everything_on().threads(1), 0.3);
    for threads in [2, 3, 8] {
        let (model, history) = fit(everything_on().threads(threads), 0.3);
        assert_eq!(digest(&model), digest(&reference.0), "{threads} threads");
        for (epoch, expected) in history.epochs.iter().zip(&reference.1.epochs) {
            assert_eq!((epoch.loss, epoch.mse), (expected.loss, expected.mse), "{threads} threads");
        }
    }
    assert_eq!(digest(&fit(everything_on(), 0.3).0), digest(&reference.0), "the pool of the caller");
    assert_ne!(digest(&fit(everything_on().seed(10), 0.3).0), digest(&reference.0), "another seed");
}

#[test]
fn watching_changes_no_bit() {
    let test = digests_of_watched_run();
    assert_eq!(test.0, test.1);
}

fn digests_of_watched_run() -> (String, String) {
    let (train, test) = (images(), digits::generate(20, 2).unwrap());
    let mut watched = model(0.3);
    let trainer = Trainer::new(everything_on()).validation(&test).callback(|_| ControlFlow::Continue(()));
    trainer.fit(&mut watched, &train).unwrap();
    (digest(&watched), digest(&fit(everything_on(), 0.3).0))
}

/// A feature that is off, or has no effect, changes no other random number.
#[test]
fn features_shift_no_other_stream() {
    let plain = TrainConfig::new().epochs(1);
    let reference = digest(&fit(plain.clone(), 0.0).0);
    let silent = Noise::new(NoiseKind::Masking { probability: 0.0 }).unwrap();
    assert_eq!(digest(&fit(plain.clone().noise(silent), 0.0).0), reference);
    assert_eq!(digest(&fit(plain.clone().add_penalty(Penalty::lasso(0.0)), 0.0).0), reference);
    assert_ne!(digest(&fit(plain.noise(Noise::gaussian(0.1).unwrap()), 0.0).0), reference);
}

/// With a learning rate too small to change a weight, the metrics of the epoch are those of the untrained model over
/// all rows: each row counts once, including the short last batch.
#[test]
fn every_row_counts_once() {
    for batch_size in [7, 64, 128, 299, 300, 1_000_000] {
        let mut model = model(0.0);
        let config = TrainConfig::new().epochs(1).batch_size(batch_size).learning_rate(1e-30);
        let before = evaluate(&model, &images(), None, 0).unwrap().output;
        let history = Trainer::new(config).fit(&mut model, &images()).unwrap();
        let found = &history.epochs[0];
        assert_relative_eq!(found.mse, before.mse, max_relative = 1e-9);
        assert_relative_eq!(found.psnr_db, before.psnr_pooled_db, max_relative = 1e-9);
        assert_eq!(found.loss, found.data_loss);
    }
}

/// The gradient of a short batch is a mean over its own rows: one row gives the same step as three copies of it.
#[test]
fn a_step_is_a_mean_over_its_rows() {
    let row = digits::generate(1, 4).unwrap().to_array().unwrap();
    let thrice = Array2::from_shape_fn((3, 784), |(_, pixel)| row[[0, pixel]]);
    let train = |rows: &Array2<f32>| {
        let mut model = model(0.0);
        let sgd = Optimizer::Sgd { momentum: 0.0 };
        let config = TrainConfig::new().epochs(1).optimizer(sgd).learning_rate(1.0);
        Trainer::new(config).fit(&mut model, rows).unwrap();
        model.reconstruct(&row).unwrap()
    };
    let difference = (train(&row) - train(&thrice)).mapv(f32::abs);
    assert!(difference.iter().all(|&d| d < 1e-5));
}

#[test]
fn validation_is_the_evaluation_of_the_finished_epoch() {
    let test = digits::generate(40, 2).unwrap();
    let mut model = model(0.2);
    let config = everything_on();
    let (noise, seed) = (config.noise.clone(), config.seed);
    let history = Trainer::new(config).validation(&test).fit(&mut model, &images()).unwrap();
    let last = history.epochs[1].validation.unwrap();
    assert_eq!(last, evaluate(&model, &test, noise.as_ref(), seed).unwrap());
    assert!(last.output.psnr_pooled_db > last.noisy_input.unwrap().psnr_pooled_db);
}

#[test]
fn evaluation_is_the_quality_of_what_reconstruct_gives() {
    let (model, test) = (model(0.5), digits::generate(300, 2).unwrap());
    let clean = test.to_array().unwrap();
    let noise = Noise::gaussian(0.5).unwrap();
    let noisy = noise.corrupt(&clean, 8);
    let found = evaluate(&model, &test, Some(&noise), 8).unwrap();
    let output = model.reconstruct(&noisy).unwrap();
    assert_eq!(found.noisy_input.unwrap(), ImageQuality::compare(&noisy, &clean, 1.0).unwrap());
    assert_eq!(found.output, ImageQuality::compare(&output, &clean, 1.0).unwrap());
    assert_eq!(evaluate(&model, &test, None, 8).unwrap().noisy_input, None);
}

#[test]
fn a_callback_hears_every_batch_and_epoch_and_can_stop() {
    let mut heard = Vec::new();
    let mut trained = model(0.0);
    let history = Trainer::new(TrainConfig::new().epochs(5).batch_size(128))
        .callback(|event| match event {
            TrainEvent::Batch { epoch, batch, batches, loss } => {
                assert!(loss.total().is_finite() && batches == 3);
                heard.push((epoch, batch));
                if epoch == 3 && batch == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            }
            TrainEvent::Epoch { record, model } => {
                assert_eq!(model.inputs(), 784);
                heard.push((record.epoch, 0));
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Continue(()),
        })
        .fit(&mut trained, &images())
        .unwrap();
    assert_eq!(heard, [(1, 1), (1, 2), (1, 3), (1, 0), (2, 1), (2, 2), (2, 3), (2, 0), (3, 1), (3, 2)]);
    assert_eq!(history.epochs.len(), 2);
    assert!(history.epochs[1].loss < history.epochs[0].loss);
}

fn failure(config: TrainConfig, rows: &dyn Dataset) -> Error {
    Trainer::new(config).fit(&mut model(0.0), rows).unwrap_err()
}

#[test]
fn what_is_not_finite_stops_training_and_is_named() {
    // Rows so large that the loss is finite in f64, but the gradient of the first layer overflows f32.
    let rows = Array2::from_elem((10, 784), 1e25_f32);
    let mut linear =
        Autoencoder::builder(784).code(5).output_activation(Activation::Identity).build().unwrap();
    let error = Trainer::new(TrainConfig::new()).fit(&mut linear, &rows).unwrap_err();
    let Error::NotFinite { what, layer: Some(_), row: None, epoch: 1, batch: 1 } = error else {
        panic!("{error}")
    };
    assert_eq!(what, Quantity::Gradient);

    // One row so large that its loss overflows, between others that are harmless.
    let mut rows = Array2::from_elem((100, 784), 0.5_f32);
    rows.row_mut(42).fill(3e38);
    let mut linear =
        Autoencoder::builder(784).code(5).output_activation(Activation::Identity).build().unwrap();
    let error = Trainer::new(TrainConfig::new()).fit(&mut linear, &rows).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the loss is not finite in epoch 1, batch 1 (first in row 42), although the rows are finite: \
         training diverged; try a lower learning rate or clipping, or scale the rows"
    );

    // A learning rate that makes the weights overflow.
    let error = failure(
        TrainConfig::new().optimizer(Optimizer::Sgd { momentum: 0.9 }).learning_rate(1e38),
        &images(),
    );
    let Error::NotFinite { what, layer, .. } = &error else { panic!("{error}") };
    assert!(matches!((what, layer), (Quantity::Weight, Some(_)) | (Quantity::Loss, None)), "{error}");
    assert!(error.to_string().contains("is not finite in epoch 1, batch "), "{error}");
    assert!(error.to_string().contains("a lower learning rate"), "{error}");
}

#[test]
fn settings_and_data_that_do_not_fit_are_errors() {
    let narrow = Array2::zeros((10, 783));
    let empty = Array2::zeros((0, 784));
    for rows in [&narrow, &empty] {
        assert!(matches!(failure(TrainConfig::new(), rows), Error::Shape { .. }));
    }
    let error = failure(TrainConfig::new(), &empty).to_string();
    assert_eq!(error, "rows to train on: expected at least 1, found 0");
    let config = TrainConfig::new;
    for config in [
        config().epochs(0),
        config().batch_size(0),
        config().learning_rate(0.0),
        config().learning_rate(f32::NAN),
        config().learning_rate(f32::INFINITY),
        config().loss(Loss::Huber { delta: 0.0 }),
        config().loss(Loss::Huber { delta: f32::NAN }),
        config().threads(0),
        config().threads(usize::MAX),
        config().add_penalty(Penalty::lasso(-1.0)),
        config().add_penalty(Penalty::CodeL1 { lambda: f32::NAN }),
        config().optimizer(Optimizer::Sgd { momentum: 1.0 }),
        config().optimizer(Optimizer::Adam { beta1: 0.9, beta2: f32::NAN, epsilon: 1e-8 }),
        config().optimizer(Optimizer::adamw(-1.0)),
        config().schedule(Schedule::StepDecay { factor: 0.0, every: 1 }),
        config().schedule(Schedule::StepDecay { factor: 1.1, every: 1 }),
        config().schedule(Schedule::StepDecay { factor: f32::NAN, every: 1 }),
        config().schedule(Schedule::StepDecay { factor: 0.5, every: 0 }),
        config().schedule(Schedule::Cosine { warmup: 0, floor: -0.1 }),
        config().schedule(Schedule::Cosine { warmup: 0, floor: f32::NAN }),
        config().schedule(Schedule::Cosine { warmup: 30, floor: 0.0 }),
        config().early_stopping(EarlyStopping::new(0).monitor(Monitor::TrainingLoss)),
        config().early_stopping(EarlyStopping::new(1).monitor(Monitor::TrainingLoss).min_improvement(-1.0)),
        config()
            .early_stopping(EarlyStopping::new(1).monitor(Monitor::TrainingLoss).min_improvement(f64::NAN)),
        config().early_stopping(EarlyStopping::new(1)),
        config().early_stopping(EarlyStopping::new(1).monitor(Monitor::ValidationLoss)),
        config().early_stopping(EarlyStopping::new(1).monitor(Monitor::Score)),
    ] {
        let error = failure(config.clone(), &images());
        assert!(matches!(error, Error::Setting { .. }), "{config:?}: {error}");
    }
    let mut linear = Autoencoder::builder(784).output_activation(Activation::Identity).build().unwrap();
    let error = Trainer::new(config().loss(Loss::Bce)).fit(&mut linear, &images()).unwrap_err();
    assert!(error.to_string().contains("sigmoid"), "{error}");
    assert!(evaluate(&linear, &narrow, None, 0).is_err());
    assert!(evaluate(&linear, &empty, None, 0).is_err());
}

/// A data set that records the order in which its rows are read.
struct Recording {
    rows: Array2<f32>,
    asked: Mutex<Vec<usize>>,
}

impl Dataset for Recording {
    fn len(&self) -> usize {
        self.rows.nrows()
    }

    fn features(&self) -> usize {
        self.rows.ncols()
    }

    fn copy_row(&self, row: usize, out: &mut [f32]) {
        self.asked.lock().unwrap().push(row);
        self.rows.copy_row(row, out);
    }
}

#[test]
fn each_epoch_goes_through_all_rows_in_its_own_random_order() {
    let rows = Recording { rows: images().to_array().unwrap(), asked: Mutex::default() };
    // One thread and batches of one block: rows are read in the order of training.
    let config = TrainConfig::new().epochs(2).batch_size(50).seed(6).threads(1);
    Trainer::new(config).fit(&mut model(0.0), &rows).unwrap();
    let asked = rows.asked.into_inner().unwrap();
    // First, their values are checked.
    assert!(asked[..300].iter().copied().eq(0..300));
    assert_eq!(asked[300..600], shuffled(300, 6, 1));
    assert_eq!(asked[600..], shuffled(300, 6, 2));
}

/// The trainer is a loop over `Step` and nothing else.
#[test]
fn a_loop_of_ones_own_gives_the_same_bits() {
    for schedule in [
        Schedule::Constant,
        Schedule::StepDecay { factor: 0.3, every: 1 },
        Schedule::Cosine { warmup: 2, floor: 0.0 },
    ] {
        loop_of_ones_own(everything_on().threads(1).schedule(schedule));
    }
}

fn loop_of_ones_own(config: TrainConfig) {
    let images = images();
    let mut own = model(0.3);
    let objective = Objective { loss: config.loss, penalties: config.penalties.clone() };
    let mut step = Step::new(&own, objective, config.batch_size).unwrap();
    let mut optimizer = OptimizerState::new(config.optimizer, &own).unwrap();
    for epoch in 1..=config.epochs {
        for (index, rows) in shuffled(300, config.seed, epoch).chunks(config.batch_size).enumerate() {
            let (noise, seed, number) = (config.noise.as_ref(), config.seed, index + 1);
            let batch = Batch { samples: &images, rows, noise, seed, epoch, number };
            // Three batches per epoch.
            let rate = config.schedule.rate(config.learning_rate, optimizer.steps(), 3, 6);
            step.run(&mut own, &mut optimizer, rate, &batch).unwrap();
        }
    }
    assert_eq!(digest(&own), digest(&fit(config, 0.3).0));
}

#[test]
fn a_step_refuses_what_it_was_not_made_for() {
    let samples = images();
    let plain = model(0.0);
    let refused = |model: &Autoencoder, state_of: &Autoencoder, rows: usize| {
        let mut step = Step::new(&plain, Objective::default(), 32).unwrap();
        let mut state = OptimizerState::new(Optimizer::adam(), state_of).unwrap();
        let rows: Vec<_> = (0..rows).collect();
        let batch = Batch { samples: &samples, rows: &rows, noise: None, seed: 0, epoch: 1, number: 1 };
        let mut model = model.clone();
        let result = step.run(&mut model, &mut state, 1e-3, &batch);
        assert!(result.is_ok() || digest(&model) == digest(&plain), "a refused step changed weights");
        matches!(result, Err(Error::Shape { .. }))
    };
    assert!(!refused(&plain, &plain, 32));
    assert!(refused(&plain, &plain, 33) && refused(&plain, &plain, 64) && refused(&plain, &plain, 0));
    let build = |hidden: &[usize], code, activation| {
        let builder = Autoencoder::builder(784).hidden(hidden).code(code).seed(3);
        builder.hidden_activation(activation).build().unwrap()
    };
    let other_widths = build(&[97, 41], 13, Activation::Relu);
    assert!(refused(&plain, &other_widths, 32));
    assert!(refused(&plain, &build(&[97], 13, Activation::Relu), 32));
    assert!(refused(&model(0.5), &plain, 32));
    assert!(refused(&build(&[97, 40], 13, Activation::Tanh), &plain, 32));
    let step = Step::new(&plain, Objective::default(), usize::MAX);
    assert!(matches!(step, Err(Error::Setting { .. })));
}

#[test]
fn targets_that_the_outputs_cannot_reach_are_refused_before_training() {
    let outputs = |output| Autoencoder::builder(784).code(5).output_activation(output).build().unwrap();
    let losses = [Loss::Mse, Loss::Mae, Loss::Huber { delta: 1.0 }, Loss::Bce];
    let cases = losses.map(|loss| (loss, Activation::Sigmoid, [-0.1, 1.1], "[0, 1]"));
    for (loss, output, bad, range) in
        cases.into_iter().chain([(Loss::Mse, Activation::Tanh, [-1.1, 1.1], "[-1, 1]")])
    {
        for bad in bad {
            let mut rows = images().to_array().unwrap();
            (rows[[250, 783]], rows[[251, 3]]) = (bad, bad);
            let expected = format!(
                "rows to train on: expected values in {range} for a model with {output} outputs, \
                 found {bad} at row 250, column 783; rescale them, or build the model with \
                 `output_activation(Activation::Identity)`"
            );
            let mut trained = outputs(output);
            for threads in [1, 3] {
                let config = TrainConfig::new().loss(loss).threads(threads);
                let error = Trainer::new(config).fit(&mut trained, &rows).unwrap_err();
                assert!(matches!(error, Error::Data { .. }) && error.to_string() == expected, "{error}");
            }
            let mut state = OptimizerState::new(Optimizer::adam(), &trained).unwrap();
            let mut step = Step::new(&trained, Objective { loss, penalties: vec![] }, 300).unwrap();
            let order: Vec<_> = (0..300).collect();
            let batch = Batch { samples: &rows, rows: &order, noise: None, seed: 0, epoch: 1, number: 1 };
            let error = step.run(&mut trained, &mut state, 1e-3, &batch).unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert_eq!(digest(&trained), digest(&outputs(output)));

            // Inputs may have any values, and so may targets of unbounded outputs.
            let images = images();
            let config = || TrainConfig::new().epochs(1);
            let pairs = Pairs::new(&rows, &images).unwrap();
            Trainer::new(config().loss(loss)).fit(&mut trained, &pairs).unwrap();
            Trainer::new(config()).fit(&mut outputs(Activation::Identity), &rows).unwrap();
        }
    }
}

#[test]
fn rows_for_validation_are_checked_before_training() {
    let narrow = Array2::zeros((5, 783));
    let empty = Array2::zeros((0, 784));
    for rows in [&narrow, &empty] {
        let mut trained = model(0.0);
        let result = Trainer::new(TrainConfig::new()).validation(rows).fit(&mut trained, &images());
        assert!(matches!(result, Err(Error::Shape { what: "rows to validate on", .. })));
        assert_eq!(digest(&trained), digest(&model(0.0)));
    }
    // Inputs may have any values, targets only those that the outputs can reach.
    let (images, mut bright) = (images(), images().to_array().unwrap());
    bright[[250, 783]] = 9.0;
    for output in [Activation::Sigmoid, Activation::Tanh, Activation::Identity] {
        let build = || Autoencoder::builder(784).code(5).output_activation(output).build().unwrap();
        let fit = |rows: &dyn Dataset| {
            let mut trained = build();
            let trainer = Trainer::new(TrainConfig::new().epochs(1)).validation(rows);
            let result = trainer.fit(&mut trained, &images);
            assert!(result.is_ok() || trained == build(), "a refused run changed the model");
            result.err().map(|error| error.to_string())
        };
        let pairs = Pairs::new(&images, &bright).unwrap();
        for (rows, name) in [(&bright as &dyn Dataset, "rows"), (&pairs, "targets")] {
            let error = fit(rows);
            let Some(error) = error else {
                assert_eq!(output, Activation::Identity);
                continue;
            };
            assert!(error.starts_with(&format!("validation {name}: expected values in [")), "{error}");
            assert!(error.contains("found 9 at row 250, column 783; rescale them"), "{error}");
        }
        assert_eq!(fit(&Pairs::new(&bright, &images).unwrap()), None);
    }
}

#[test]
fn errors_of_rows_average_to_the_evaluation() {
    let (model, test) = (model(0.0), digits::generate(150, 2).unwrap());
    let errors = model.reconstruction_errors(&test).unwrap();
    let mse = evaluate(&model, &test, None, 0).unwrap().output.mse;
    assert_relative_eq!(errors.iter().sum::<f64>() / 150.0, mse, max_relative = 1e-12);
    assert!(errors.iter().any(|error| *error != errors[0]));
}

#[test]
fn settings_come_back_from_files_and_missing_ones_are_the_defaults() {
    let config = everything_on();
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<TrainConfig>(&json).unwrap(), config);
    // The id of a run is computed from its serialized settings.
    assert!(!json.contains("schedule") && !json.contains("stopping"), "{json}");
    let config = config
        .schedule(Schedule::Cosine { warmup: 7, floor: 0.1 })
        .early_stopping(EarlyStopping::new(3).min_improvement(0.1));
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<TrainConfig>(&json).unwrap(), config);
    let config = serde_json::from_str::<TrainConfig>(r#"{"epochs":3}"#).unwrap();
    assert_eq!(config, TrainConfig::new().epochs(3));
}

/// The rows of the other images, in the order from the last to the first, as inputs of a task with clean targets.
fn inputs() -> Array2<f32> {
    let mut inputs = images().to_array().unwrap();
    inputs.invert_axis(ndarray::Axis(0));
    inputs.mapv(|pixel| 0.8 * pixel + 0.1)
}

#[test]
fn a_row_that_is_its_own_target_is_a_pair() {
    let images = images();
    for config in [TrainConfig::new().epochs(2), everything_on()] {
        let mut paired = model(0.3);
        let pairs = Pairs::new(&images, &images).unwrap();
        Trainer::new(config.clone()).fit(&mut paired, &pairs).unwrap();
        assert_eq!(digest(&paired), digest(&fit(config, 0.3).0));
    }
}

#[test]
fn the_number_of_threads_changes_no_bit_of_pairs() {
    let (inputs, images) = (inputs(), images());
    let pairs = Pairs::new(&inputs, &images).unwrap();
    let run = |config: TrainConfig| {
        let mut model = model(0.3);
        let history = Trainer::new(config).validation(&pairs).fit(&mut model, &pairs).unwrap();
        (digest(&model), history.epochs[1].loss, history.epochs[1].validation)
    };
    let reference = run(everything_on().threads(1));
    assert_ne!(reference.0, digest(&fit(everything_on(), 0.3).0));
    for threads in [2, 3, 8] {
        assert_eq!(run(everything_on().threads(threads)), reference, "{threads} threads");
    }
}

#[test]
fn pairs_are_evaluated_against_their_targets() {
    let (inputs, images) = (inputs(), images());
    let pairs = Pairs::new(&inputs, &images).unwrap();
    let mut model = model(0.0);
    let before = evaluate(&model, &pairs, None, 0).unwrap();
    let trainer = Trainer::new(TrainConfig::new().epochs(10).batch_size(32)).validation(&pairs);
    let history = trainer.fit(&mut model, &pairs).unwrap();
    let found = evaluate(&model, &pairs, None, 0).unwrap();
    assert_eq!(history.epochs[9].validation, Some(found));
    assert!(found.output.mse < before.output.mse / 2.0);

    let (output, target) = (model.reconstruct(&inputs).unwrap(), images.to_array().unwrap());
    let mse = |found: &Array2<f32>| {
        found.iter().zip(&target).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / target.len() as f64
    };
    assert_relative_eq!(found.output.mse, mse(&output), max_relative = 1e-9);
    assert_relative_eq!(found.noisy_input.unwrap().mse, mse(&inputs), max_relative = 1e-9);
    let errors = model.reconstruction_errors(&pairs).unwrap();
    assert_relative_eq!(errors.iter().sum::<f64>() / 300.0, mse(&output), max_relative = 1e-9);

    // Noise is added to the inputs.
    let noise = Noise::gaussian(0.1).unwrap();
    let noisy = noise.corrupt(&inputs, 7);
    let found = evaluate(&model, &pairs, Some(&noise), 7).unwrap();
    assert_relative_eq!(found.noisy_input.unwrap().mse, mse(&noisy), max_relative = 1e-9);
    let output = model.reconstruct(&noisy).unwrap();
    assert_relative_eq!(found.output.mse, mse(&output), max_relative = 1e-9);
}

#[test]
fn equal_weights_change_no_bit_and_others_do_on_any_number_of_threads() {
    let images = images();
    let run = |config: TrainConfig, weight: &dyn Fn(usize) -> f32| {
        let rows = Weighted::new(&images, (0..300).map(weight).collect::<Vec<_>>()).unwrap();
        let mut model = model(0.3);
        let history = Trainer::new(config).fit(&mut model, &rows).unwrap();
        (digest(&model), history.epochs[1].loss, history.epochs[1].mse)
    };
    let plain = fit(everything_on(), 0.3);
    for weight in [1.0, 0.3, 1e30, 1e-30] {
        let (found, loss, mse) = run(everything_on(), &|_| weight);
        assert_eq!(found, digest(&plain.0), "{weight}");
        let expected = &plain.1.epochs[1];
        assert_relative_eq!(loss, expected.loss, max_relative = 1e-12);
        assert_relative_eq!(mse, expected.mse, max_relative = 1e-12);
    }
    let weight = |row: usize| (row % 7) as f32;
    let reference = run(everything_on().threads(1), &weight);
    assert_ne!(reference.0, digest(&plain.0));
    for threads in [2, 3, 8] {
        assert_eq!(run(everything_on().threads(threads), &weight), reference, "{threads} threads");
    }
}

/// A row of weight 0 has no effect, not even as its batch's only row.
#[test]
fn rows_without_weight_have_no_effect() {
    let images = images();
    let mut spoilt = images.to_array().unwrap();
    spoilt.slice_mut(ndarray::s![..10, ..]).fill(1.0);
    let weights: Vec<f32> = (0..300).map(|row| if row < 10 { 0.0 } else { 1.0 }).collect();
    for batch_size in [1, 128] {
        let config = TrainConfig::new().epochs(1).batch_size(batch_size);
        let run = |rows: &dyn Dataset| {
            let mut model = model(0.0);
            let rows = Weighted::new(rows, weights.clone()).unwrap();
            let history = Trainer::new(config.clone()).fit(&mut model, &rows).unwrap();
            (digest(&model), history.epochs[0].loss)
        };
        assert_eq!(run(&images), run(&spoilt));
    }
}

/// Even where an activation or noise would make it finite. Training refuses it before its first step, a step of your own
/// loop at its batch.
#[test]
fn an_input_or_a_target_that_is_not_finite_is_named() {
    let masked = Noise::new(NoiseKind::Masking { probability: 1.0 }).unwrap();
    let images = images().to_array().unwrap();
    let plain = model(0.0);
    let order: Vec<_> = (0..300).collect();
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut spoilt = images.clone();
        spoilt[[217, 93]] = bad;
        let place = format!("expected finite numbers, found {bad} at row 217, column 93");
        for (inputs, targets, names) in [
            (&spoilt, &images, ["rows to train on", "validation rows", "input"]),
            (&images, &spoilt, ["targets", "validation targets", "target"]),
            (&spoilt, &spoilt, ["rows to train on", "validation rows", "input"]),
        ] {
            let pairs = Pairs::new(inputs, targets).unwrap();
            for noise in [None, Some(masked.clone())] {
                let mut config = TrainConfig::new();
                config.noise = noise.clone();
                let mut trained = plain.clone();
                let error = Trainer::new(config.clone()).fit(&mut trained, &pairs).unwrap_err();
                assert_eq!(error.to_string(), format!("{}: {place}", names[0]));
                let trainer = Trainer::new(config).validation(&pairs);
                let error = trainer.fit(&mut trained, &images).unwrap_err();
                assert_eq!(error.to_string(), format!("{}: {place}", names[1]));

                let mut state = OptimizerState::new(Optimizer::adam(), &plain).unwrap();
                let mut step = Step::new(&plain, Objective::default(), 300).unwrap();
                let noise = noise.as_ref();
                let batch = Batch { samples: &pairs, rows: &order, noise, seed: 0, epoch: 1, number: 2 };
                let error = step.run(&mut trained, &mut state, 1e-3, &batch).unwrap_err();
                let expected = format!("{} of row 217 is not finite in epoch 1, batch 2", names[2]);
                assert_eq!(error.to_string(), expected);
                assert_eq!(digest(&trained), digest(&plain));
            }
        }
    }
}

#[test]
fn the_speed_of_a_run_is_the_median_of_its_epochs() {
    let (_, history) = fit(TrainConfig::new().epochs(1), 0.0);
    let of = |speeds: &[f64]| {
        let mut changed = history.clone();
        changed.epochs = vec![history.epochs[0].clone(); speeds.len()];
        changed.epochs.iter_mut().zip(speeds).for_each(|(epoch, &speed)| epoch.rows_per_second = speed);
        changed.rows_per_second()
    };
    assert_eq!(of(&[5.0, 1.0, 2.0]), Some(2.0));
    assert_eq!(of(&[5.0, 1.0, 2.0, 4.0]), Some(3.0));
    assert_eq!(of(&[]), None);
}

/// Rows need not be images: values of any range train a model with a linear output.
#[test]
fn rows_of_any_range_can_be_trained_on() {
    let rows = Array2::from_shape_fn((200, 6), |(row, column)| ((row * (column + 1)) as f32).sin() * 10.0);
    let mut model = Autoencoder::builder(6)
        .hidden(&[32])
        .code(6)
        .output_activation(Activation::Identity)
        .build()
        .unwrap();
    let config = TrainConfig::new().epochs(60).batch_size(16).learning_rate(0.003);
    let history = Trainer::new(config).fit(&mut model, &rows).unwrap();
    assert!(history.epochs[59].mse < history.epochs[0].mse / 20.0, "{:?}", history.epochs[59]);
}

/// A run that cannot improve stops when its patience ends, with the weights of its best epoch or of its last.
#[test]
fn a_run_stops_early_and_restores_its_best_epoch() {
    let (train, test) = (images(), digits::generate(50, 2).unwrap());
    let stopping = EarlyStopping::new(2).min_improvement(1e-3);
    let config = everything_on().epochs(30).learning_rate(0.01);
    let fit = |config: &TrainConfig| {
        let (mut model, mut kept) = (model(0.3), vec![]);
        let trainer = Trainer::new(config.clone()).validation(&test).callback(|event| {
            if let TrainEvent::Epoch { model, .. } = event {
                kept.push(digest(model));
            }
            ControlFlow::Continue(())
        });
        let history = trainer.fit(&mut model, &train).unwrap();
        (digest(&model), kept, history)
    };
    let (last, all, whole) = fit(&config);
    assert_eq!((&last, whole.epochs.len()), (&all[29], 30));
    let mut best = 0;
    let errors: Vec<_> = whole.epochs.iter().map(|e| e.validation.unwrap().output.mse).collect();
    let stop = (0..30).find(|&epoch| {
        best = if errors[epoch] < errors[best] - 1e-3 { epoch } else { best };
        epoch == best + 2
    });
    let stop = stop.expect("a run that stops improving");
    let (stopped, kept, history) = fit(&config.clone().early_stopping(stopping));
    assert_eq!((kept.as_slice(), history.epochs.len()), (&all[..=stop], stop + 1));
    assert_eq!(stopped, all[stop]);
    let (restored, kept, _) = fit(&config.clone().early_stopping(stopping.restore_best()));
    assert_eq!((kept.len(), &restored), (stop + 1, &all[best]));
    assert_ne!(restored, stopped);
    // The last epoch ends a run as well.
    let (restored, ..) = fit(&config.epochs(stop).early_stopping(stopping.restore_best()));
    assert_eq!(restored, all[best]);
}

/// The loss that is trained on, from the logits in f64, without dropout and penalties; with noise as in `evaluate`.
#[test]
fn the_validation_loss_is_that_of_training_without_penalties() {
    let test = digits::generate(150, 2).unwrap();
    let stopping = EarlyStopping::new(9).monitor(Monitor::ValidationLoss);
    let config = everything_on().early_stopping(stopping);
    let fit = |config: &TrainConfig| {
        let mut model = model(0.3);
        let history = Trainer::new(config.clone()).validation(&test).fit(&mut model, &images()).unwrap();
        (model, history)
    };
    let (model, history) = fit(&config);
    let clean = test.to_array().unwrap();
    let noisy = config.noise.as_ref().unwrap().corrupt(&clean, config.seed);
    let outputs = model.reconstruct(&noisy).unwrap();
    let terms = outputs.iter().zip(&clean).map(|(&y, &t)| {
        let (y, t) = (f64::from(y), f64::from(t));
        let log = |x: f64| x.max(1e-300).ln();
        -t * log(y) - (1.0 - t) * log(1.0 - y)
    });
    let expected = terms.sum::<f64>() / clean.len() as f64;
    assert_relative_eq!(history.epochs[1].validation_loss.unwrap(), expected, max_relative = 1e-4);
    let (other, same) = fit(&config.clone().threads(3));
    assert_eq!(digest(&other), digest(&model));
    assert_eq!(same.epochs[1].validation_loss, history.epochs[1].validation_loss);

    let (_, squared) = fit(&config.clone().loss(Loss::Mse));
    for epoch in &squared.epochs {
        assert_eq!(epoch.validation_loss, Some(epoch.validation.unwrap().output.mse));
    }
    // Whether it is monitored or not.
    assert_eq!(fit(&everything_on()).1.epochs[1].validation_loss, history.epochs[1].validation_loss);

    let bright = test.to_array().unwrap() + 0.5;
    let trainer = Trainer::new(config).validation(&bright);
    let error = trainer.fit(&mut self::model(0.3), &images()).unwrap_err();
    assert!(error.to_string().starts_with("validation rows: expected values in [0, 1]"), "{error}");
}

#[test]
fn a_function_of_ones_own_chooses_the_best_epoch() {
    let stopping = EarlyStopping::new(2).monitor(Monitor::Score).restore_best();
    let config = TrainConfig::new().epochs(9).early_stopping(stopping);
    let (mut model, mut kept) = (model(0.0), vec![]);
    let scores = [1.0, 3.0, -1.0, 3.0];
    let history = Trainer::new(config.clone())
        .score(|record, model| {
            assert!(record.loss > 0.0 && record.score.is_none());
            kept.push(digest(model));
            scores[record.epoch - 1]
        })
        .fit(&mut model, &images())
        .unwrap();
    assert_eq!(history.epochs.iter().map(|epoch| epoch.score.unwrap()).collect::<Vec<_>>(), scores);
    assert_eq!((history.end, history.best_epoch), (Some(RunEnd::EarlyStopping), Some(2)));
    assert_eq!((history.restored_epoch, digest(&model)), (Some(2), kept[1].clone()));

    let error = Trainer::new(config).score(|_, _| f64::NAN).fit(&mut model, &images()).unwrap_err();
    assert_eq!(error.to_string(), "the score is not finite in epoch 1, batch 3");
}

#[test]
fn the_history_says_how_the_run_ended() {
    let best_of = |history: &History| {
        let losses: Vec<_> = history.epochs.iter().map(|epoch| epoch.loss).collect();
        losses.iter().position(|&loss| losses.iter().all(|&other| loss <= other)).map(|index| index + 1)
    };
    let (_, all) = fit(TrainConfig::new().epochs(2), 0.0);
    assert_eq!((all.end, all.best_epoch), (Some(RunEnd::AllEpochs), best_of(&all)));
    assert_eq!(all.restored_epoch, None);

    // A callback stops the third epoch; the first is the best, because none is better by 1000.
    let stopping = EarlyStopping::new(9).monitor(Monitor::TrainingLoss).min_improvement(1e3);
    let stop_in = |stopping: EarlyStopping, last: usize| {
        let (mut model, mut kept) = (model(0.0), vec![]);
        let config = TrainConfig::new().epochs(5).early_stopping(stopping);
        let trainer = Trainer::new(config).callback(|event| match event {
            TrainEvent::Epoch { model, .. } => {
                kept.push(digest(model));
                ControlFlow::Continue(())
            }
            TrainEvent::Batch { epoch, .. } if epoch == last => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        let history = trainer.fit(&mut model, &images()).unwrap();
        (digest(&model), kept, history)
    };
    let (last, kept, history) = stop_in(stopping, 3);
    assert!(!kept.contains(&last));
    assert_eq!((history.end, history.best_epoch), (Some(RunEnd::Callback), Some(1)));
    assert_eq!(history.restored_epoch, None);
    let (restored, kept, history) = stop_in(stopping.restore_best(), 3);
    assert_eq!((&restored, history.restored_epoch), (&kept[0], Some(1)));
    let json = serde_json::to_string(&history).unwrap();
    assert!(json.ends_with(r#""end":"callback","best_epoch":1,"restored_epoch":1}"#), "{json}");
    assert_eq!(serde_json::from_str::<History>(&json).unwrap(), history);

    // No epoch was finished.
    let (_, kept, history) = stop_in(stopping.restore_best(), 1);
    assert_eq!((kept.len(), history.end), (0, Some(RunEnd::Callback)));
    assert_eq!((history.best_epoch, history.restored_epoch), (None, None));
    // Files of before.
    let old = serde_json::from_str::<History>(r#"{"epochs":[]}"#).unwrap();
    assert_eq!(old, History::default());
}

/// One perfect row does not make the mean PSNR infinite, so it can still improve.
#[test]
fn a_blank_image_does_not_end_a_run_that_monitors_the_mean_psnr() {
    let rows = Array2::from_shape_fn(
        (60, 6),
        |(row, column)| if row == 0 { 0.0 } else { ((row * column) as f32).sin() },
    );
    let builder = Autoencoder::builder(6).hidden(&[16]).code(6);
    // Without biases in use, a row of zeros is reconstructed exactly before training.
    let mut model =
        builder.hidden_activation(Activation::Tanh).output_activation(Activation::Identity).build().unwrap();
    assert_eq!(model.reconstruction_errors(&rows).unwrap()[0], 0.0);
    let found = evaluate(&model, &rows, None, 0).unwrap().output;
    assert!(found.psnr_mean_db.is_finite(), "{found:?}");
    let stopping = EarlyStopping::new(3).monitor(Monitor::ValidationPsnrMean).restore_best();
    let config = TrainConfig::new().epochs(20).batch_size(16).learning_rate(0.003).early_stopping(stopping);
    let history = Trainer::new(config).validation(&rows).fit(&mut model, &rows).unwrap();
    assert!(history.restored_epoch > Some(3), "{history:?}");
}
