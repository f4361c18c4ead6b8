//! A run that stops anywhere and resumes from its checkpoint ends with the bits of an uninterrupted run. An invalid
//! checkpoint, or one of another run, is refused.

mod common;

use autoencoder::{
    Autoencoder, Error, TrainConfig, Trainer,
    data::{Augmentation, Dataset, Noise, Pairs, Weighted, digits},
    files::sha256_hex,
    ndarray::{Array2, s},
    nn::{Activation, Init, Loss, Penalty},
    train::{
        Checkpoint, CheckpointPolicy, EarlyStopping, Frozen, History, Monitor, Optimizer, OptimizerState,
        RunEnd, Schedule, TrainEvent,
    },
};
use common::digest;
use safetensors::SafeTensors;
use std::{
    collections::{BTreeMap, HashMap},
    env, fs,
    ops::ControlFlow,
    path::Path,
    process::{self, Command},
    sync::LazyLock,
};

/// Five batches per epoch; the last has 6 rows.
const BATCH: usize = 16;
const BATCHES: usize = 5;

static TRAIN: LazyLock<Array2<f32>> = LazyLock::new(|| rows(70, 1));
static TEST: LazyLock<Array2<f32>> = LazyLock::new(|| rows(20, 2));

fn rows(count: usize, seed: u64) -> Array2<f32> {
    let images = digits::generate(count, seed).unwrap().to_array().unwrap();
    images.slice(s![.., 300..430; 2]).to_owned()
}

fn model() -> Autoencoder {
    builder().build().unwrap()
}

/// Resumes from a checkpoint, if there is one.
fn from(trainer: Trainer<'_>, checkpoint: Option<Checkpoint>) -> Trainer<'_> {
    match checkpoint {
        Some(checkpoint) => trainer.resume(checkpoint),
        None => trainer,
    }
}

fn builder() -> autoencoder::nn::AutoencoderBuilder {
    Autoencoder::builder(65).hidden(&[20, 11]).code(5).dropout(0.3).seed(3)
}

fn config() -> TrainConfig {
    TrainConfig::new()
        .epochs(5)
        .batch_size(BATCH)
        .learning_rate(0.01)
        .loss(Loss::Bce)
        .noise(Noise::gaussian(0.2).unwrap())
        .add_penalty(Penalty::lasso(1e-4))
        .seed(9)
}

fn augmentation() -> Augmentation {
    Augmentation::new((5, 13)).shift(1.0).rotation(0.1).scale(0.1).shear(0.1).unchanged(0.2)
}

/// Every optimizer and schedule, with and without early stopping, restoring the best weights or keeping the last.
fn runs() -> [TrainConfig; 4] {
    let stopping = |patience, improvement| EarlyStopping::new(patience).min_improvement(improvement);
    let sgd = Optimizer::Sgd { momentum: 0.9 };
    [
        config()
            .schedule(Schedule::Cosine { warmup: 7, floor: 0.1 })
            .early_stopping(stopping(2, 0.045).restore_best()),
        config()
            .optimizer(sgd)
            .learning_rate(0.3)
            .schedule(Schedule::StepDecay { factor: 0.5, every: 2 })
            .early_stopping(EarlyStopping::new(9).monitor(Monitor::TrainingLoss).restore_best()),
        config().optimizer(Optimizer::adamw(0.1)).early_stopping(stopping(1, 0.028)),
        config().clip_norm(0.05).freeze(Frozen::Layers(vec![1])).augmentation(augmentation()),
    ]
}

fn trainer(config: &TrainConfig) -> Trainer<'static> {
    Trainer::new(config.clone()).validation(&*TEST)
}

fn whole(config: &TrainConfig) -> (Autoencoder, History) {
    let mut model = model();
    let history = trainer(config).fit(&mut model, &*TRAIN).unwrap();
    (model, history)
}

/// Runs until `stop` returns true, and returns the latest checkpoint.
fn stopped(
    config: &TrainConfig,
    folder: &Path,
    mut stop: impl FnMut(usize, TrainEvent) -> bool + Send,
) -> Checkpoint {
    let mut steps = 0;
    let callback = |event: TrainEvent| {
        steps += usize::from(matches!(event, TrainEvent::Batch { .. }));
        if stop(steps, event) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let trainer = trainer(config).checkpoint(CheckpointPolicy::new(folder).every(1_000)).callback(callback);
    trainer.fit(&mut model(), &*TRAIN).unwrap();
    Checkpoint::latest(folder).unwrap().expect("a checkpoint where the run stopped")
}

fn resumed(config: &TrainConfig, checkpoint: Checkpoint) -> (Autoencoder, History) {
    let mut model = model();
    let history = trainer(config).resume(checkpoint).fit(&mut model, &*TRAIN).unwrap();
    (model, history)
}

/// The history without timings.
fn figures(history: &History) -> History {
    let mut history = history.clone();
    for epoch in &mut history.epochs {
        (epoch.seconds, epoch.rows_per_second) = (0.0, 0.0);
    }
    history
}

#[track_caller]
fn assert_same(found: &(Autoencoder, History), expected: &(Autoencoder, History), what: &str) {
    assert_eq!(digest(&found.0), digest(&expected.0), "{what}");
    assert_eq!(figures(&found.1), figures(&expected.1), "{what}");
}

#[test]
fn a_run_resumed_after_any_step_ends_with_the_same_bits() {
    let mut ends = vec![];
    for config in runs() {
        let expected = whole(&config);
        let epochs = expected.1.epochs.len();
        ends.push(epochs);
        for step in 1..=epochs * BATCHES {
            let folder = tempfile::tempdir().unwrap();
            let checkpoint = stopped(&config, folder.path(), |steps, _| steps == step);
            assert_eq!(checkpoint.step(), step as u64);
            let place = (checkpoint.epoch() - 1) * BATCHES + checkpoint.batch();
            assert_eq!((place, checkpoint.history().epochs.len()), (step, (step - 1) / BATCHES));
            let threads = [1, 2, 3, 8][step % 4];
            let found = resumed(&config.clone().threads(threads), checkpoint);
            assert_same(&found, &expected, &format!("{config:?}, stopped after step {step}"));
        }
        for epoch in 1..=epochs {
            let folder = tempfile::tempdir().unwrap();
            let at_epoch = |_: usize, event: TrainEvent| matches!(event, TrainEvent::Epoch { record, .. } if record.epoch == epoch);
            let checkpoint = stopped(&config, folder.path(), at_epoch);
            assert_eq!((checkpoint.epoch(), checkpoint.batch()), (epoch + 1, 0));
            let found = resumed(&config, checkpoint);
            assert_same(&found, &expected, &format!("{config:?}, stopped after epoch {epoch}"));
        }
    }
    // Two of the runs stop early, one of them after an improvement.
    assert_eq!(ends, [3, 5, 4, 5]);
}

/// A monitor needs the history alone, so a resumed run stops and restores as the whole run does.
#[test]
fn a_resumed_run_has_the_same_best_epoch_by_every_monitor() {
    for monitor in [Monitor::ValidationLoss, Monitor::Score] {
        let stopping = EarlyStopping::new(2).monitor(monitor).restore_best();
        let config = config().early_stopping(stopping);
        // The second epoch is the best.
        let trainer = || trainer(&config).score(|record, _| -(record.epoch as f64 - 2.0).abs());
        let mut whole = model();
        let history = trainer().fit(&mut whole, &*TRAIN).unwrap();
        assert!(monitor != Monitor::Score || history.end == Some(RunEnd::EarlyStopping));
        assert!(history.restored_epoch.is_some() && history.restored_epoch == history.best_epoch);
        for stop in [3, 8, 13] {
            let (folder, mut steps) = (tempfile::tempdir().unwrap(), 0);
            let callback = |event: TrainEvent| {
                steps += usize::from(matches!(event, TrainEvent::Batch { .. }));
                if steps == stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let mut resumed = model();
            let checkpoints = CheckpointPolicy::new(folder.path());
            let stopped =
                trainer().checkpoint(checkpoints).callback(callback).fit(&mut resumed, &*TRAIN).unwrap();
            assert_eq!(stopped.end, Some(RunEnd::Callback));
            let checkpoint = Checkpoint::latest(&folder).unwrap().unwrap();
            assert_eq!(checkpoint.history().end, None);
            // The stop has restored the best weights in the model, which is resumed all the same.
            let same = trainer().resume(checkpoint).fit(&mut resumed, &*TRAIN).unwrap();
            assert_same(&(resumed, same), &(whole.clone(), history.clone()), "resumed");
        }
    }
}

/// A model's own metadata are in its checkpoints, with the best weights as with the last ones.
#[test]
fn checkpoints_keep_metadata() {
    let config = config().early_stopping(EarlyStopping::new(9).restore_best());
    let (mut whole, mut resumed) = (model(), model());
    whole.set_metadata("threshold", "0.5").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let trainer = || trainer(&config);
    trainer().checkpoint(CheckpointPolicy::new(folder.path())).fit(&mut whole, &*TRAIN).unwrap();
    for checkpoint in [Checkpoint::latest(&folder), Checkpoint::best(&folder)] {
        let checkpoint = checkpoint.unwrap().unwrap();
        assert_eq!(checkpoint.model().metadata()["threshold"], "0.5");
        trainer().resume(checkpoint).fit(&mut resumed, &*TRAIN).unwrap();
        assert_eq!(resumed, whole);
        resumed = model();
    }
}

/// Stop, resume, stop again, resume: no step is lost or repeated.
#[test]
fn a_run_resumed_after_every_step_ends_with_the_same_bits() {
    for config in runs() {
        let (expected, folder) = (whole(&config), tempfile::tempdir().unwrap());
        let mut sessions = 0;
        let found = loop {
            let (mut model, mut heard) = (model(), 0);
            let checkpoints = CheckpointPolicy::new(folder.path()).every(1).keep_last(1 + sessions % 3);
            let trainer = trainer(&config).checkpoint(checkpoints);
            let resumed = from(trainer, Checkpoint::latest(&folder).unwrap());
            let once = |event: TrainEvent| {
                heard += usize::from(matches!(event, TrainEvent::Batch { .. }));
                if heard == 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let history = resumed.callback(once).fit(&mut model, &*TRAIN).unwrap();
            sessions += 1;
            if heard == 0 {
                break (model, history);
            }
        };
        assert_same(&found, &expected, &format!("{config:?}"));
        assert_eq!(sessions, expected.1.epochs.len() * BATCHES + 1);
    }
}

#[test]
fn keeping_checkpoints_changes_no_bit_and_leaves_the_last_and_the_best() {
    for config in runs() {
        let (expected, folder) = (whole(&config), tempfile::tempdir().unwrap());
        let mut model = model();
        let (mut kept, mut most) = (vec![], 0);
        let trainer = trainer(&config).checkpoint(CheckpointPolicy::new(folder.path()).every(4).keep_last(3));
        let callback = |event: TrainEvent| {
            if let TrainEvent::Epoch { model, .. } = event {
                kept.push(model.clone());
            }
            most = most.max(names(folder.path()).len());
            ControlFlow::Continue(())
        };
        let history = trainer.callback(callback).fit(&mut model, &*TRAIN).unwrap();
        assert_same(&(model, history), &expected, "watched");
        // One more of each kind, as long as no step from the newest has succeeded.
        assert!(most <= 4 + 2, "{most} files at once");

        let epochs = &expected.1.epochs;
        let errors = epochs.iter().map(|epoch| match config.early_stopping {
            Some(EarlyStopping { monitor: Monitor::TrainingLoss, .. }) => epoch.loss,
            _ => epoch.validation.unwrap().output.mse,
        });
        let margin = config.early_stopping.map_or(0.0, |stopping| stopping.min_improvement);
        let mut best = (f64::INFINITY, 0);
        for (index, error) in errors.enumerate() {
            best = if error < best.0 - margin { (error, index + 1) } else { best };
        }
        let last = epochs.len() * BATCHES;
        let mut steps: Vec<_> = (1..=last).filter(|step| step.is_multiple_of(4) || *step == last).collect();
        let mut expected: Vec<_> =
            steps.split_off(steps.len() - 3).iter().map(|s| format!("step-{s:012}")).collect();
        expected.insert(0, format!("best-{:012}", best.1 * BATCHES));
        assert_eq!(names(folder.path()), expected);
        let best_model = Checkpoint::best(&folder).unwrap().unwrap().model().clone();
        assert_eq!(digest(&best_model), digest(&kept[best.1 - 1]));
        assert_eq!(Checkpoint::latest(&folder).unwrap().unwrap().step(), last as u64);
    }
}

/// Names of the files in a folder, without their extension.
fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.map(|name| name.strip_suffix(".safetensors").unwrap().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_run_resumed_from_its_best_checkpoint_is_the_same_run() {
    let config = runs()[1].clone();
    let (expected, folder) = (whole(&config), tempfile::tempdir().unwrap());
    let checkpoints = || CheckpointPolicy::new(folder.path()).keep_last(1);
    trainer(&config).checkpoint(checkpoints()).fit(&mut model(), &*TRAIN).unwrap();
    let before = names(folder.path());
    let (best, mut model) = (Checkpoint::best(&folder).unwrap().unwrap(), model());
    let history = trainer(&config).checkpoint(checkpoints()).resume(best).fit(&mut model, &*TRAIN).unwrap();
    assert_same(&(model, history), &expected, "from the best");
    assert_eq!(names(folder.path()), before);
}

#[test]
fn more_epochs_can_follow_where_the_schedule_does_not_depend_on_them() {
    let decay = Schedule::StepDecay { factor: 0.5, every: 2 };
    for config in [config(), config().schedule(decay)] {
        for step in [12, 25] {
            let folder = tempfile::tempdir().unwrap();
            let checkpoint = stopped(&config, folder.path(), |steps, _| steps == step);
            for epochs in [5, 7] {
                let config = config.clone().epochs(epochs);
                let found = resumed(&config, checkpoint.clone());
                assert_same(&found, &whole(&config), &format!("{epochs} epochs from step {step}"));
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = stopped(&config(), folder.path(), |steps, _| steps == 12);
    assert_same(&resumed(&config().epochs(3), checkpoint.clone()), &whole(&config().epochs(3)), "fewer");
    let error = refused(trainer(&config().epochs(2)), checkpoint, model(), &*TRAIN);
    assert_eq!(
        error,
        "cannot resume: epochs: the checkpoint has 2 finished and 2 batches of the next, this run has 2"
    );
}

/// A refused checkpoint does not change the model.
#[track_caller]
fn refused(trainer: Trainer, checkpoint: Checkpoint, mut model: Autoencoder, rows: &dyn Dataset) -> String {
    let before = digest(&model);
    let error = trainer.resume(checkpoint).fit(&mut model, rows).unwrap_err();
    assert!(matches!(error, Error::Resume { .. }), "{error}");
    assert_eq!(digest(&model), before);
    error.to_string()
}

/// Stops a run in its second epoch, resumes it, and refuses other inputs, targets or weights.
#[test]
fn pairs_with_weights_resume_with_the_same_bits() {
    let inputs = TRAIN.mapv(|x| 0.5 * x);
    let unweighted = Pairs::new(&inputs, &*TRAIN).unwrap();
    let weights: Vec<f32> = (0..70).map(|row| (row % 4) as f32).collect();
    let pairs = Weighted::new(&unweighted, weights).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut whole = model();
    trainer(&config()).fit(&mut whole, &pairs).unwrap();

    let stop = |event: TrainEvent| match event {
        TrainEvent::Batch { epoch: 2, batch: 3, .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let stopped = trainer(&config()).checkpoint(CheckpointPolicy::new(folder.path())).callback(stop);
    stopped.fit(&mut model(), &pairs).unwrap();
    let checkpoint = Checkpoint::latest(folder.path()).unwrap().unwrap();
    let mut resumed = model();
    trainer(&config()).resume(checkpoint.clone()).fit(&mut resumed, &pairs).unwrap();
    assert_eq!(digest(&resumed), digest(&whole));

    let (no_targets, no_inputs) =
        (Pairs::new(&inputs, &inputs).unwrap(), Pairs::new(&*TRAIN, &*TRAIN).unwrap());
    for rows in [&no_targets as &dyn Dataset, &no_inputs, &unweighted, &inputs, &*TRAIN] {
        let error = refused(trainer(&config()), checkpoint.clone(), model(), rows);
        assert!(error.starts_with("cannot resume: rows to train on: "), "{error}");
        assert!(
            error.contains("values, targets or weights differ") && error.contains("start anew"),
            "{error}"
        );
    }
}

#[test]
fn another_run_is_refused_and_the_difference_named() {
    let folder = tempfile::tempdir().unwrap();
    let base = config().schedule(Schedule::Cosine { warmup: 3, floor: 0.0 });
    let checkpoint = stopped(&base, folder.path(), |steps, _| steps == 8);
    let named = |what: &str, error: String| {
        assert!(error.starts_with(&format!("cannot resume: {what}: ")), "{what}: {error}");
        assert!(error.contains(": the checkpoint has ") && error.contains(", this run has "), "{error}");
    };

    let stopping = EarlyStopping::new(3);
    for (what, config) in [
        ("epochs, which the schedule depends on", base.clone().epochs(6)),
        ("batch_size", base.clone().batch_size(17)),
        ("learning_rate", base.clone().learning_rate(0.010000001)),
        ("loss", base.clone().loss(Loss::Mse)),
        ("penalties", base.clone().add_penalty(Penalty::lasso(1e-4))),
        ("optimizer", base.clone().optimizer(Optimizer::Adam { beta1: 0.9, beta2: 0.998, epsilon: 1e-8 })),
        ("noise", base.clone().noise(Noise::gaussian(0.2).unwrap().clamped())),
        ("seed", base.clone().seed(10)),
        ("schedule", base.clone().schedule(Schedule::Cosine { warmup: 4, floor: 0.0 })),
        ("early_stopping", base.clone().early_stopping(stopping)),
        ("clip_norm", base.clone().clip_norm(1.0)),
        ("freeze", base.clone().freeze(Frozen::Decoder)),
        ("augmentation", base.clone().augmentation(augmentation())),
    ] {
        named(what, refused(trainer(&config), checkpoint.clone(), model(), &*TRAIN));
    }

    let mut other = TRAIN.clone();
    other[[69, 64]] = f32::from_bits(other[[69, 64]].to_bits() ^ 1);
    let (fewer, swapped) = (TRAIN.slice(s![..69, ..]), TRAIN.slice(s![..;-1, ..]));
    for rows in [&other as &dyn Dataset, &fewer, &swapped] {
        named("rows to train on", refused(trainer(&base), checkpoint.clone(), model(), rows));
    }
    for trainer in [
        Trainer::new(base.clone()),
        Trainer::new(base.clone()).validation(&other),
        Trainer::new(base.clone()).validation(&*TRAIN),
    ] {
        named("rows to validate on", refused(trainer, checkpoint.clone(), model(), &*TRAIN));
    }

    let built = |builder: autoencoder::nn::AutoencoderBuilder| builder.build().unwrap();
    for (what, model) in [
        ("widths", built(builder().code(6))),
        ("widths", built(builder().hidden(&[20]))),
        ("activations", built(builder().hidden_activation(Activation::Tanh))),
        ("dropout", built(builder().dropout(0.31))),
        ("initial weights", built(builder().seed(4))),
        ("initial weights", built(builder().init(Init::Glorot))),
    ] {
        named(what, refused(trainer(&base), checkpoint.clone(), model, &*TRAIN));
    }
    // The same layers, with a different split into encoder and decoder.
    let mut layers = model().layers().to_vec();
    let decoder = layers.split_off(2);
    let cut = Autoencoder::from_layers(layers, decoder).unwrap();
    named("encoder_depth", refused(trainer(&base), checkpoint.clone(), cut, &*TRAIN));

    // A model with the checkpoint's weights is accepted, too.
    let mut own = checkpoint.model().clone();
    let history = trainer(&base).resume(checkpoint).fit(&mut own, &*TRAIN).unwrap();
    assert_same(&(own, history), &whole(&base), "from the checkpoint's weights");
}

/// A run that diverges leaves its last good checkpoint, even if only one is kept.
#[test]
fn a_run_that_diverges_leaves_a_good_checkpoint() {
    let sgd = Optimizer::Sgd { momentum: 0.9 };
    let config = TrainConfig::new().epochs(50).batch_size(BATCH).optimizer(sgd).learning_rate(200.0);
    let builder = || Autoencoder::builder(65).hidden(&[20]).code(5).output_activation(Activation::Identity);
    let folder = tempfile::tempdir().unwrap();
    let run = |resume: Option<Checkpoint>| {
        let checkpoints = CheckpointPolicy::new(folder.path()).every(1).keep_last(1);
        let mut model = builder().build().unwrap();
        let trainer = Trainer::new(config.clone()).checkpoint(checkpoints);
        from(trainer, resume).fit(&mut model, &*TRAIN).unwrap_err()
    };
    let Error::NotFinite { epoch, batch, .. } = run(None) else { panic!("it should not be finite") };
    let failed = (epoch - 1) * BATCHES + batch;
    assert!(failed > 2, "failed in step {failed}");

    let steps: Vec<u64> =
        names(folder.path()).iter().filter_map(|name| name.strip_prefix("step-")?.parse().ok()).collect();
    assert_eq!(steps, [failed as u64 - 2, failed as u64 - 1]);
    // A step from the second-to-last checkpoint has succeeded; from the last, the run fails as before.
    let good = Checkpoint::load(folder.path().join(format!("step-{:012}.safetensors", steps[0]))).unwrap();
    let output = good.model().reconstruct(&TRAIN).unwrap();
    assert!(output.iter().all(|value| value.is_finite()));
    let last = Checkpoint::latest(&folder).unwrap();
    assert_eq!(last.as_ref().unwrap().step(), steps[1]);
    let Error::NotFinite { epoch, batch, .. } = run(last) else { panic!("it should fail again") };
    assert_eq!((epoch - 1) * BATCHES + batch, failed);
    assert!(names(folder.path()).contains(&format!("step-{:012}", steps[1])));
}

#[test]
fn folders_and_numbers_that_cannot_be_are_errors_before_the_first_step() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let fit = |checkpoints: CheckpointPolicy| {
        let mut trained = model();
        let error = trainer(&config()).checkpoint(checkpoints).fit(&mut trained, &*TRAIN).unwrap_err();
        assert_eq!(digest(&trained), digest(&model()));
        error
    };
    for folder in [file.clone(), file.join("below")] {
        assert!(matches!(fit(CheckpointPolicy::new(folder)), Error::Io { .. }));
    }
    let inside = || CheckpointPolicy::new(folder.path());
    for checkpoints in [inside().every(0), inside().keep_last(0)] {
        assert!(matches!(fit(checkpoints), Error::Setting { .. }));
    }

    // A new run neither adopts nor removes existing checkpoints.
    stopped(&config(), folder.path(), |steps, _| steps == 3);
    let error = fit(inside());
    assert!(error.to_string().contains("resume from them, or remove them"), "{error}");
    assert_eq!(Checkpoint::latest(&folder).unwrap().unwrap().step(), 3);
    assert!(matches!(Checkpoint::latest(&file), Err(Error::Io { .. })));
    assert!(Checkpoint::latest(folder.path().join("none")).unwrap().is_none());
    assert!(Checkpoint::best(&folder).unwrap().is_none());
}

/// A checkpoint that cannot be written ends the run; existing ones are kept.
#[test]
fn a_checkpoint_that_cannot_be_written_ends_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = CheckpointPolicy::new(folder.path()).every(3).keep_last(1);
    let (mut steps, mut trained) = (0, model());
    let callback = |event: TrainEvent| {
        steps += usize::from(matches!(event, TrainEvent::Batch { .. }));
        if steps == 4 {
            fs::create_dir_all(folder.path().join("step-000000000006.safetensors")).unwrap();
        }
        ControlFlow::Continue(())
    };
    let trainer = trainer(&config()).checkpoint(checkpoints).callback(callback);
    let error = trainer.fit(&mut trained, &*TRAIN).unwrap_err();
    assert!(
        matches!(&error, Error::Io { path, .. } if path.ends_with("step-000000000006.safetensors")),
        "{error}"
    );
    assert_eq!(steps, 5);
    assert_ne!(digest(&trained), digest(&model()));
    let stands = Checkpoint::load(folder.path().join("step-000000000003.safetensors")).unwrap();
    assert_same(&resumed(&config(), stands), &whole(&config()), "from the remaining checkpoint");
}

/// The one before the newest is used, the damaged one is named and stays until the resumed run replaces it.
#[test]
fn a_damaged_newest_checkpoint_is_passed_over_and_named() {
    let (config, folder) = (config(), tempfile::tempdir().unwrap());
    let path = |step| folder.path().join(format!("step-{step:012}.safetensors"));
    let policy = || CheckpointPolicy::new(folder.path()).every(4).keep_last(3);
    let stop = |event: TrainEvent| match event {
        TrainEvent::Batch { epoch: 3, batch: 3, .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    trainer(&config).checkpoint(policy()).callback(stop).fit(&mut model(), &*TRAIN).unwrap();
    let newest = Checkpoint::latest(&folder).unwrap().unwrap();
    assert!(newest.damaged().is_empty());
    // Another loop can go on from a trainer's checkpoint.
    let (own, optimizer) = OptimizerState::load(path(13)).unwrap();
    assert_eq!((&own, optimizer.steps(), optimizer.optimizer()), (newest.model(), 13, config.optimizer));
    let sound = fs::read(path(13)).unwrap();
    let mut flipped = sound.clone();
    flipped[sound.len() / 2 + 3] ^= 0x40;
    fs::write(path(13), flipped).unwrap();
    fs::write(path(12), &sound[..sound.len() / 2]).unwrap();

    let checkpoint = Checkpoint::latest(&folder).unwrap().unwrap();
    let damaged: Vec<_> = checkpoint.damaged().iter().map(|file| file.path.clone()).collect();
    assert_eq!(damaged, [path(13), path(12)]);
    for file in checkpoint.damaged() {
        assert!(file.reason.starts_with(&file.path.display().to_string()), "{file}");
    }
    let reason = "content: expected the digest written with it, found another; the file is damaged: \
                  resume from an older checkpoint";
    assert!(checkpoint.damaged()[0].reason.ends_with(reason), "{}", checkpoint.damaged()[0]);
    // The best epoch is the second, which ended with step 10.
    assert_eq!(checkpoint.step(), 10);
    let mut found = model();
    let history = trainer(&config).checkpoint(policy()).resume(checkpoint).fit(&mut found, &*TRAIN).unwrap();
    assert_same(&(found, history), &whole(&config), "from the one before");
    assert_eq!(Checkpoint::latest(&folder).unwrap().unwrap().damaged(), []);

    for name in names(folder.path()) {
        fs::write(folder.path().join(name).with_extension("safetensors"), "damaged").unwrap();
    }
    let error = Checkpoint::latest(&folder).unwrap_err();
    assert!(
        matches!(&error, Error::Format { file, .. } if *file == path(25).display().to_string()),
        "{error}"
    );
    assert!(matches!(Checkpoint::best(&folder), Err(Error::Format { .. })));
}

#[test]
fn a_folder_can_be_cleared_for_another_run() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Checkpoint::clear(folder.path().join("none")).unwrap(), 0);
    stopped(&config(), folder.path(), |steps, _| steps == 8);
    let others = ["notes.txt", "step-8.safetensors", "model.safetensors"];
    for other in others {
        fs::write(folder.path().join(other), "mine").unwrap();
    }
    assert_eq!(Checkpoint::clear(&folder).unwrap(), 2);
    assert_eq!(Checkpoint::clear(&folder).unwrap(), 0);
    assert!(others.iter().all(|other| folder.path().join(other).exists()));
    trainer(&config().seed(1))
        .checkpoint(CheckpointPolicy::new(folder.path()))
        .fit(&mut model(), &*TRAIN)
        .unwrap();
    assert!(matches!(Checkpoint::clear(folder.path().join("notes.txt")), Err(Error::Io { .. })));
}

/// The key of the digest in the metadata.
const DIGEST: &str = "content_sha256";

fn metadata(file: &[u8]) -> HashMap<String, String> {
    SafeTensors::read_metadata(file).unwrap().1.metadata().clone().unwrap()
}

/// Returns a file with other metadata.
fn with_entries(file: &[u8], metadata: HashMap<String, String>) -> Vec<u8> {
    let tensors = SafeTensors::deserialize(file).unwrap();
    safetensors::serialize(tensors.tensors(), Some(metadata)).unwrap()
}

/// Returns a file with the digest of its content.
fn sealed(file: &[u8]) -> Vec<u8> {
    let mut metadata = metadata(file);
    metadata.remove(DIGEST);
    let entries: BTreeMap<_, _> =
        metadata.iter().map(|(key, value)| (key.as_bytes(), value.as_bytes())).collect();
    let tensors = SafeTensors::deserialize(file).unwrap();
    let values: BTreeMap<_, _> =
        tensors.iter().map(|(name, tensor)| (name.as_bytes(), tensor.data())).collect();
    let mut content = vec![];
    for part in entries.into_iter().chain(values).flat_map(|(name, part)| [name, part]) {
        content.extend((part.len() as u64).to_le_bytes());
        content.extend(part);
    }
    metadata.insert(DIGEST.to_owned(), sha256_hex(&content));
    with_entries(file, metadata)
}

/// Returns a file with modified metadata, the JSON under `checkpoint`, and the digest of that.
fn with_metadata(file: &[u8], change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let mut metadata = metadata(file);
    let mut json = serde_json::from_str(&metadata["checkpoint"]).unwrap();
    change(&mut json);
    metadata.insert("checkpoint".to_owned(), json.to_string());
    sealed(&with_entries(file, metadata))
}

/// Reads a file with each bit flipped in turn: an error, or what the file says.
fn check_every_bit<T: PartialEq>(file: &[u8], read: impl Fn(&[u8]) -> Result<T, Error>) {
    let sound = read(file).unwrap();
    let mut file = file.to_vec();
    for bit in 0..8 * file.len() {
        file[bit / 8] ^= 1 << (bit % 8);
        match read(&file) {
            Ok(found) => assert!(found == sound, "bit {bit} gives another result"),
            Err(error) => assert!(matches!(error, Error::Format { .. }), "bit {bit}: {error}"),
        }
        file[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn no_flipped_bit_changes_what_a_checkpoint_says() {
    let folder = tempfile::tempdir().unwrap();
    let rows = TRAIN.slice(s![..4, 20..24]);
    let mut model = Autoencoder::builder(4).code(2).build().unwrap();
    model.set_metadata("labels", "\u{e4}, \u{f6}").unwrap();
    let stopping = EarlyStopping::new(9).monitor(Monitor::TrainingLoss).restore_best();
    let trainer = Trainer::new(TrainConfig::new().epochs(1).early_stopping(stopping));
    trainer.checkpoint(CheckpointPolicy::new(folder.path())).fit(&mut model, &rows).unwrap();
    let file = fs::read(folder.path().join("step-000000000001.safetensors")).unwrap();
    check_every_bit(&file, |file| Checkpoint::from_safetensors(file, "file"));

    let path = folder.path().join("loop.safetensors");
    OptimizerState::new(Optimizer::adam(), &model).unwrap().save(&path, &model).unwrap();
    let file = fs::read(&path).unwrap();
    check_every_bit(&file, |file| {
        fs::write(&path, file).unwrap();
        OptimizerState::load(&path)
    });
}

/// Files without a digest are those of an older version, or damaged.
#[test]
fn checkpoints_without_a_digest_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    stopped(&config(), folder.path(), |steps, _| steps == 3);
    let file = fs::read(folder.path().join("step-000000000003.safetensors")).unwrap();
    let old = with_metadata(&file, |json| json["version"] = 1.into());
    for (file, expected) in [
        (
            &old,
            "expected version 2, found version 1; finish the run with the version of the crate that wrote it",
        ),
        (&file, "content: expected the digest written with it"),
    ] {
        let mut metadata = metadata(file);
        metadata.remove(DIGEST);
        let error = Checkpoint::from_safetensors(&with_entries(file, metadata), "file").unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

/// The error for a file of the other kind says which function reads it.
#[test]
fn models_and_checkpoints_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let config = config().epochs(1);
    trainer(&config).checkpoint(CheckpointPolicy::new(folder.path())).fit(&mut model(), &*TRAIN).unwrap();
    let step = folder.path().join(format!("step-{BATCHES:012}.safetensors"));
    let [file, own] = ["model.safetensors", "loop.safetensors"].map(|name| folder.path().join(name));
    model().save(&file).unwrap();
    OptimizerState::new(config.optimizer, &model()).unwrap().save(&own, &model()).unwrap();
    for (error, expected) in [
        (Autoencoder::load(&step).unwrap_err(), "a checkpoint; load it with Checkpoint::load"),
        (Autoencoder::load(&own).unwrap_err(), "a checkpoint; load it with OptimizerState::load"),
        (Checkpoint::load(&file).unwrap_err(), "a model; load it with Autoencoder::load"),
        (Checkpoint::load(&own).unwrap_err(), "load it with OptimizerState::load"),
        (
            OptimizerState::load(&file).unwrap_err(),
            "a model without an optimizer; load it with Autoencoder::load",
        ),
    ] {
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
}

#[test]
fn what_is_no_sound_checkpoint_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let sound = stopped(&runs()[0], folder.path(), |steps, _| steps == 8);
    let file = fs::read(folder.path().join("step-000000000008.safetensors")).unwrap();
    assert_eq!(Checkpoint::from_safetensors(&with_metadata(&file, |_| ()), "same").unwrap(), sound);
    let refused = |file: &[u8], what: &str| {
        let error = Checkpoint::from_safetensors(file, "file").expect_err(what);
        assert!(matches!(error, Error::Format { .. }), "{what}: {error}");
        error
    };

    for length in 0..file.len() {
        refused(&file[..length], "cut");
    }
    for (pointer, value) in [
        ("/version", 3.into()),
        ("/step", 4.into()),
        ("/step", 7.into()),
        ("/step", 11.into()),
        ("/step", u64::MAX.into()),
        ("/step", (-1).into()),
        ("/sums/rows", 47.0.into()),
        ("/sums/data", serde_json::Value::Null),
        ("/history/epochs", serde_json::json!([])),
        ("/history/epochs/0/epoch", 2.into()),
        ("/history/epochs/0/loss", serde_json::Value::Null),
        ("/run/config/epochs", 0.into()),
        ("/run/config/epochs", 1.into()),
        ("/run/config/batch_size", 0.into()),
        ("/run/config/batch_size", 15.into()),
        ("/run/config/learning_rate", (-1.0).into()),
        ("/run/config/early_stopping", serde_json::Value::Null),
        ("/run/rows/rows", 0.into()),
        ("/run/rows/rows", u64::MAX.into()),
        ("/run", serde_json::Value::Null),
    ] {
        let set = |json: &mut serde_json::Value| *json.pointer_mut(pointer).expect(pointer) = value.clone();
        let error = refused(&with_metadata(&file, set), &format!("{pointer} {value}"));
        assert!(!error.to_string().contains("digest"), "{pointer}: {error}");
    }

    let model_file = folder.path().join("model.safetensors");
    sound.model().save(&model_file).unwrap();
    refused(&fs::read(model_file).unwrap(), "a model");
    assert!(Autoencoder::from_bytes(&file, "a checkpoint").is_err());
    assert!(matches!(Checkpoint::load(folder.path().join("none")), Err(Error::Io { .. })));
}

#[test]
fn moments_that_no_optimizer_has_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    stopped(&config(), folder.path(), |steps, _| steps == 8);
    let file = fs::read(folder.path().join("step-000000000008.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    for (name, value) in [
        ("moments.first.encoder.0.weight", f32::NAN),
        ("moments.second.decoder.2.bias", f32::INFINITY),
        ("moments.second.decoder.2.bias", -1e-9),
        ("encoder.2.weight", f32::NEG_INFINITY),
    ] {
        let start = tensors.tensor(name).unwrap().data().as_ptr() as usize - file.as_ptr() as usize;
        let mut file = file.clone();
        file[start..start + 4].copy_from_slice(&value.to_le_bytes());
        let error = Checkpoint::from_safetensors(&sealed(&file), "file").expect_err(name);
        assert!(matches!(error, Error::Format { .. }), "{error}");
        assert!(!error.to_string().contains("digest"), "{error}");
    }
}

/// Set for a process that trains a part of a run: the folder of its checkpoints.
const FOLDER: &str = "CHECKPOINT_TEST_FOLDER";
/// The step after which that process aborts, if any.
const ABORT: &str = "CHECKPOINT_TEST_ABORT";

/// Processes that abort in a callback, and one that resumes from their checkpoints.
#[test]
fn new_processes_go_on_to_the_same_bits() {
    for number in 0..runs().len() {
        let folder = tempfile::tempdir().unwrap();
        for abort in [Some("4"), Some("5"), Some("14"), None] {
            let mut command = Command::new(env::current_exe().unwrap());
            command.args(["--exact", "a_part_of_a_run", "--nocapture"]).env(FOLDER, folder.path());
            command.env("CHECKPOINT_TEST_RUN", number.to_string());
            if let Some(step) = abort {
                command.env(ABORT, step);
            }
            let output = command.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.success(), abort.is_none(), "{said}");
            assert!(!said.contains("panicked"), "{said}");
        }
        let config = &runs()[number];
        let model = Autoencoder::load(folder.path().join("model")).unwrap();
        let history = serde_json::from_slice(&fs::read(folder.path().join("history")).unwrap()).unwrap();
        assert_same(&(model, history), &whole(config), &format!("{config:?}"));
    }
}

/// Run by the processes of the test above; does nothing elsewhere.
#[test]
fn a_part_of_a_run() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let number: usize = env::var("CHECKPOINT_TEST_RUN").unwrap().parse().unwrap();
    let abort: Option<u64> = env::var(ABORT).ok().map(|step| step.parse().unwrap());
    let latest = Checkpoint::latest(&folder).unwrap();
    let (mut step, mut model) = (latest.as_ref().map_or(0, Checkpoint::step), model());
    let config = runs()[number].clone().threads(1 + step as usize % 3);
    let checkpoints = CheckpointPolicy::new(&folder).every(3).keep_last(1);
    let callback = |event: TrainEvent| {
        step += u64::from(matches!(event, TrainEvent::Batch { .. }));
        if Some(step) == abort {
            process::abort();
        }
        ControlFlow::Continue(())
    };
    let trainer = from(trainer(&config).checkpoint(checkpoints), latest).callback(callback);
    let history = trainer.fit(&mut model, &*TRAIN).unwrap();
    model.save(Path::new(&folder).join("model")).unwrap();
    fs::write(Path::new(&folder).join("history"), serde_json::to_string(&history).unwrap()).unwrap();
}
