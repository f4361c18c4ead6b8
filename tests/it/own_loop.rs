//! Custom training loops: gradients and updates apart, clipping, frozen layers, checkpoints.

use crate::common::digest;
use autoencoder::{
    Activation, Autoencoder, Error, Noise, TrainConfig, Trainer,
    data::{ImageSet, digits},
    error::Quantity,
    ndarray::Array2,
    nn::{Loss, Parameters, Penalty, Scope},
    train::{Batch, BatchLoss, Frozen, Objective, Optimizer, OptimizerState, Step, shuffled},
};
use std::{fs, sync::LazyLock};

const BATCH: usize = 130;
const SEED: u64 = 9;
const RATE: f32 = 0.01;

static IMAGES: LazyLock<ImageSet> = LazyLock::new(|| digits::generate(300, 1).unwrap());
static NOISE: LazyLock<Noise> = LazyLock::new(|| Noise::gaussian(0.3).unwrap());

fn model() -> Autoencoder {
    Autoencoder::builder(784).hidden(&[97, 40]).code(13).dropout(0.3).seed(3).build().unwrap()
}

/// Every kind of penalty.
fn objective() -> Objective {
    let penalties = vec![
        Penalty::lasso(1e-4),
        Penalty::ProximalLasso { lambda: 1e-3, scope: Scope::All },
        Penalty::L2 { lambda: 1e-5, scope: Scope::All },
        Penalty::code_l1(1e-4),
    ];
    Objective { loss: Loss::Bce, penalties }
}

#[derive(Debug, Clone)]
struct Settings {
    optimizer: Optimizer,
    clip_norm: Option<f32>,
    freeze: Option<Frozen>,
}

fn settings() -> Vec<Settings> {
    let mut all = vec![];
    for (optimizer, clip_norm) in [
        (Optimizer::adam(), None),
        (Optimizer::adamw(0.1), Some(0.05)),
        (Optimizer::adamw_sparing_biases(0.1), Some(0.05)),
        (Optimizer::sgd(0.9), Some(100.0)),
        (Optimizer::sgd(0.9), None),
    ] {
        for freeze in [None, Some(Frozen::Encoder), Some(Frozen::Layers(vec![0, 5]))] {
            all.push(Settings { optimizer, clip_norm, freeze });
        }
    }
    all
}

fn step(model: &Autoencoder, settings: &Settings) -> Step {
    let mut step = Step::new(model, objective(), BATCH).unwrap();
    if let Some(frozen) = &settings.freeze {
        step = step.freeze(frozen).unwrap();
    }
    match settings.clip_norm {
        Some(max_norm) => step.clip_norm(model, max_norm).unwrap(),
        None => step,
    }
}

/// Calls `train` with each batch of two epochs.
fn batches(mut train: impl FnMut(&Batch)) {
    for epoch in 1..=2 {
        for (index, rows) in shuffled(IMAGES.len(), SEED, epoch).chunks(BATCH).enumerate() {
            let noise = Some(&*NOISE);
            train(&Batch { samples: &*IMAGES, rows, noise, seed: SEED, epoch, number: index + 1 });
        }
    }
}

fn on_threads<T: Send>(threads: usize, run: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run)
}

fn whole_steps(settings: &Settings) -> (Autoencoder, OptimizerState, Vec<BatchLoss>) {
    let mut model = model();
    let mut optimizer = OptimizerState::new(settings.optimizer, &model).unwrap();
    let (mut step, mut losses) = (step(&model, settings), vec![]);
    batches(|batch| losses.push(step.run(&mut model, &mut optimizer, RATE, batch).unwrap()));
    (model, optimizer, losses)
}

fn steps_apart(settings: &Settings) -> (Autoencoder, OptimizerState, Vec<BatchLoss>) {
    let mut model = model();
    let mut optimizer = OptimizerState::new(settings.optimizer, &model).unwrap();
    let (mut step, mut losses) = (step(&model, settings), vec![]);
    let mut gradients = Parameters::zeros(&model);
    batches(|batch| {
        losses.push(step.gradients(&model, batch, &mut gradients).unwrap());
        optimizer.update(&mut model, &gradients, RATE).unwrap();
        step.shrink(&mut model, RATE).unwrap();
    });
    (model, optimizer, losses)
}

#[test]
fn gradients_and_update_have_the_bits_of_a_step_on_any_number_of_threads() {
    for settings in settings() {
        let reference = whole_steps(&settings);
        assert_ne!(reference.0, model());
        for threads in [1, 2, 3, 8] {
            let found = [
                on_threads(threads, || whole_steps(&settings)),
                on_threads(threads, || steps_apart(&settings)),
            ];
            for found in found {
                assert_eq!(digest(&found.0), digest(&reference.0), "{settings:?}, {threads} threads");
                assert_eq!(found, reference, "{settings:?}, {threads} threads");
            }
        }
    }
}

#[test]
fn the_trainer_takes_the_same_steps() {
    for settings in settings() {
        let mut config = TrainConfig::new().epochs(2).batch_size(BATCH).learning_rate(RATE).seed(SEED);
        config = config.loss(Loss::Bce).noise(NOISE.clone()).optimizer(settings.optimizer);
        config.penalties = objective().penalties;
        (config.clip_norm, config.freeze) = (settings.clip_norm, settings.freeze.clone());
        let mut found = model();
        Trainer::new(config).fit(&mut found, &*IMAGES).unwrap();
        assert_eq!(digest(&found), digest(&whole_steps(&settings).0), "{settings:?}");
    }
}

#[test]
fn frozen_layers_keep_their_bits_and_moments() {
    for settings in settings() {
        let Some(frozen) = &settings.freeze else { continue };
        let (trained, optimizer, _) = whole_steps(&settings);
        let mut gradients = Parameters::zeros(&trained);
        let mut step = step(&trained, &settings);
        let rows: Vec<_> = (0..BATCH).collect();
        let batch = Batch { samples: &*IMAGES, rows: &rows, noise: None, seed: 0, epoch: 1, number: 1 };
        step.gradients(&trained, &batch, &mut gradients).unwrap();
        for (index, (before, after)) in model().layers().iter().zip(trained.layers()).enumerate() {
            let is_frozen = match frozen {
                Frozen::Layers(layers) => layers.contains(&index),
                _ => index < 3,
            };
            assert_eq!(before == after, is_frozen, "{settings:?}, layer {index}");
            let zeros = gradients.layers()[index].weight.iter().all(|g| *g == 0.0);
            assert_eq!(zeros, is_frozen, "{settings:?}, layer {index}");
        }
        // What is written into the gradients of a frozen layer has no effect.
        let norm = gradients.norm();
        let first = gradients.slices_mut().next().unwrap();
        first.fill(1e9);
        assert_eq!(gradients.norm(), norm);
        let (mut model, mut state) = (trained.clone(), optimizer);
        state.update(&mut model, &gradients, RATE).unwrap();
        assert_eq!(model.layers()[0], trained.layers()[0]);
    }
}

/// Penalties on frozen layers are not counted, also if the step has run before it was frozen.
#[test]
fn a_step_can_be_frozen_after_it_has_run() {
    let settings = Settings { optimizer: Optimizer::adam(), clip_norm: Some(0.1), freeze: None };
    let rows: Vec<_> = (0..BATCH).collect();
    let batch = Batch { samples: &*IMAGES, rows: &rows, noise: None, seed: 0, epoch: 1, number: 1 };
    let (model, mut gradients) = (model(), Parameters::zeros(&model()));
    let mut used = step(&model, &settings);
    let before = used.gradients(&model, &batch, &mut gradients).unwrap();
    let mut used = used.freeze(&Frozen::Encoder).unwrap();
    let after = used.gradients(&model, &batch, &mut gradients).unwrap();
    let mut fresh = step(&model, &Settings { freeze: Some(Frozen::Encoder), ..settings });
    let mut expected = Parameters::zeros(&model);
    assert_eq!(fresh.gradients(&model, &batch, &mut expected).unwrap(), after);
    assert_eq!(gradients, expected);
    assert!(after.penalty < before.penalty && after.data == before.data);
}

#[test]
fn norms_are_those_of_all_gradients_and_clipping_scales_them() {
    let model = model();
    let mut gradients = Parameters::zeros(&model);
    let settings = Settings { optimizer: Optimizer::adam(), clip_norm: None, freeze: None };
    let rows: Vec<_> = (0..BATCH).collect();
    let batch = Batch { samples: &*IMAGES, rows: &rows, noise: None, seed: 0, epoch: 1, number: 1 };
    step(&model, &settings).gradients(&model, &batch, &mut gradients).unwrap();
    let squares = gradients.slices_mut().flat_map(|slice| slice.iter().map(|g| f64::from(*g).powi(2)));
    let expected = squares.sum::<f64>().sqrt();
    assert!((gradients.norm() / expected - 1.0).abs() < 1e-12);

    let mut clipped = gradients.clone();
    assert_eq!(clipped.clip_norm(2.0 * expected as f32).unwrap(), gradients.norm());
    assert_eq!(clipped, gradients);
    let max_norm = expected as f32 / 3.0;
    assert_eq!(clipped.clip_norm(max_norm).unwrap(), gradients.norm());
    assert!((clipped.norm() / f64::from(max_norm) - 1.0).abs() < 1e-4);

    // The step's own clipping gives the same bits.
    let mut of_step = Parameters::zeros(&model);
    let settings = Settings { clip_norm: Some(max_norm), ..settings };
    step(&model, &settings).gradients(&model, &batch, &mut of_step).unwrap();
    assert_eq!(of_step, clipped);
}

#[test]
fn what_does_not_fit_is_refused_before_anything_changes() {
    let settings = Settings { optimizer: Optimizer::adam(), clip_norm: None, freeze: None };
    let mut own = model();
    let other = Autoencoder::builder(784).hidden(&[97]).code(13).build().unwrap();
    let rows: Vec<_> = (0..BATCH).collect();
    let batch = Batch { samples: &*IMAGES, rows: &rows, noise: None, seed: 0, epoch: 1, number: 1 };
    let is_shape = |error: Error| assert!(matches!(error, Error::Shape { .. }), "{error}");
    let mut optimizer = OptimizerState::new(settings.optimizer, &own).unwrap();
    is_shape(step(&own, &settings).gradients(&own, &batch, &mut Parameters::zeros(&other)).unwrap_err());
    is_shape(step(&own, &settings).gradients(&other, &batch, &mut Parameters::zeros(&other)).unwrap_err());
    is_shape(optimizer.update(&mut own, &Parameters::zeros(&other), RATE).unwrap_err());
    is_shape(optimizer.update(&mut other.clone(), &Parameters::zeros(&other), RATE).unwrap_err());
    is_shape(step(&own, &settings).clip_norm(&other, 1.0).unwrap_err());
    is_shape(step(&own, &settings).shrink(&mut other.clone(), RATE).unwrap_err());
    is_shape(optimizer.save("never-written", &other).unwrap_err());
    let outside = [0, 300];
    let outside = Batch { rows: &outside, ..batch };
    let error = step(&own, &settings).run(&mut own, &mut optimizer, RATE, &outside).unwrap_err();
    assert_eq!(error.to_string(), "index of a row: expected 0 to 299, found 300");
    let mut zeros = Parameters::zeros(&own);
    is_shape(step(&own, &settings).gradients(&own, &outside, &mut zeros).unwrap_err());
    assert_eq!((optimizer.steps(), &own), (0, &model()));

    let is_setting = |error: Error, start: &str| assert!(error.to_string().starts_with(start), "{error}");
    for norm in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        is_setting(step(&own, &settings).clip_norm(&own, norm).unwrap_err(), "clip_norm = ");
        let mut gradients = zeros.clone();
        gradients.slices_mut().for_each(|values| values.fill(1.0));
        let before = gradients.clone();
        is_setting(gradients.clip_norm(norm).unwrap_err(), "clip_norm = ");
        assert_eq!(gradients, before);
        is_setting(TrainConfig::new().clip_norm(norm).check().unwrap_err(), "clip_norm = ");
    }
    for rate in [-0.1, f32::NAN, f32::INFINITY] {
        let name = "learning_rate = ";
        is_setting(optimizer.update(&mut own, &zeros, rate).unwrap_err(), name);
        is_setting(step(&own, &settings).run(&mut own, &mut optimizer, rate, &batch).unwrap_err(), name);
        is_setting(step(&own, &settings).shrink(&mut own, rate).unwrap_err(), name);
    }
    assert_eq!((optimizer.steps(), &own), (0, &model()));
    let error = step(&own, &settings).freeze(&Frozen::Layers(vec![7])).unwrap_err().to_string();
    assert!(error.starts_with("freeze = layer 7 of a model of 6 layers: "), "{error}");
    for frozen in [vec![6], vec![0, 1, 2, 3, 4, 5]] {
        let frozen = Frozen::Layers(frozen);
        is_setting(step(&own, &settings).freeze(&frozen).unwrap_err(), "freeze = ");
        let error = Trainer::new(TrainConfig::new().freeze(frozen)).fit(&mut own, &*IMAGES).unwrap_err();
        is_setting(error, "freeze = ");
    }
    assert_eq!(own, model());
}

#[test]
fn errors_name_the_layer_that_differs() {
    let build =
        |code, hidden| Autoencoder::builder(9).hidden(&[5]).code(code).hidden_activation(hidden).build();
    let own = build(2, Activation::Relu).unwrap();
    let optimizer = OptimizerState::new(Optimizer::adam(), &own).unwrap();
    let step = Step::new(&own, Objective::default(), 4).unwrap();
    let narrow = build(1, Activation::Relu).unwrap();
    let shallow = Autoencoder::builder(9).code(5).build().unwrap();
    let expected = "expected [(9, 5), (5, 1), (1, 5), (5, 9)], found [(9, 5), (5, 2), (2, 5), (5, 9)]";
    let error = optimizer.save("never-written", &narrow).unwrap_err().to_string();
    assert_eq!(error, format!("[in, out] of each layer of the optimizer: {expected}"));
    for (mut other, expected) in [
        (narrow, "5 to 2 with identity and dropout 0, found 5 to 1 with identity and dropout 0 at layer 1"),
        (
            build(2, Activation::Tanh).unwrap(),
            "9 to 5 with relu and dropout 0, found 9 to 5 with tanh and dropout 0 at layer 0",
        ),
        (shallow, "4, found 2"),
    ] {
        let error = step.shrink(&mut other, RATE).unwrap_err().to_string();
        assert_eq!(error, format!("layers of the model: expected {expected}"));
    }
}

#[test]
fn numbers_that_are_not_finite_are_errors() {
    let settings = Settings { optimizer: Optimizer::adam(), clip_norm: Some(1.0), freeze: None };
    let rows: Vec<_> = (0..4).collect();
    let small = || Autoencoder::builder(9).hidden(&[5]).code(2).build().unwrap();
    let mut large = Array2::ones((4, 9));
    large[[3, 3]] = f32::NAN;
    let batch = Batch { samples: &large, rows: &rows, noise: None, seed: 0, epoch: 1, number: 1 };
    let mut gradients = Parameters::zeros(&small());
    let error = step(&small(), &settings).gradients(&small(), &batch, &mut gradients).unwrap_err();
    assert!(matches!(error, Error::NotFinite { what: Quantity::Input, .. }), "{error}");

    let mut model = small();
    let mut optimizer = OptimizerState::new(Optimizer::adam(), &model).unwrap();
    let mut gradients = Parameters::zeros(&model);
    gradients.slices_mut().nth(2).unwrap()[0] = f32::NAN;
    assert!(gradients.norm().is_nan());
    let error = optimizer.update(&mut model, &gradients, RATE).unwrap_err();
    assert!(matches!(error, Error::Data { .. }) && error.to_string().contains("layer 1"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(optimizer.save(folder.path().join("a"), &model), Err(Error::Data { .. })));
    assert!(matches!(optimizer.save(folder.path().join("a"), &small()), Err(Error::Data { .. })));
    assert!(!folder.path().join("a").exists());
}

/// Stopped after each step, and resumed from the file.
#[test]
fn a_loop_resumed_from_its_checkpoint_ends_with_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("loop.safetensors");
    for settings in settings() {
        let expected = whole_steps(&settings);
        let mut done = 0;
        batches(|batch| {
            let (mut model, mut optimizer) = match done {
                0 => (model(), OptimizerState::new(settings.optimizer, &model()).unwrap()),
                _ => OptimizerState::load(&path).unwrap(),
            };
            assert_eq!(optimizer.steps(), done);
            step(&model, &settings).run(&mut model, &mut optimizer, RATE, batch).unwrap();
            optimizer.save(&path, &model).unwrap();
            done += 1;
        });
        let (model, optimizer) = OptimizerState::load(&path).unwrap();
        assert_eq!((model, optimizer), (expected.0, expected.1), "{settings:?}");
    }

    let file = fs::read(&path).unwrap();
    for damaged in [&file[..file.len() - 1], &file[..100], b""] {
        fs::write(&path, damaged).unwrap();
        assert!(matches!(OptimizerState::load(&path), Err(Error::Format { .. })));
    }
    model().save(&path).unwrap();
    assert!(matches!(OptimizerState::load(&path), Err(Error::Format { .. })));
    assert!(matches!(OptimizerState::load(folder.path().join("none")), Err(Error::Io { .. })));
}
