//! Sweeps: records are stored and reused, a failed run is reported, and the sweep continues.

use autoencoder::{
    Autoencoder, Error, Result,
    data::{ImageSet, Noise, Pairs, digits},
    metrics::{evaluate, ssim_mean},
    ndarray::{Array1, Array2, array},
    nn::{Activation, Dense, Dropout, Layer, Penalty},
    train::{Optimizer, Schedule, TrainConfig, TrainEvent},
};
use autoencoder_study::sweep::{self, Activations, Rows, Run, Sweep};
use std::{fs, ops::ControlFlow, path::Path};

fn grid() -> Vec<Run> {
    let train = || TrainConfig::new().epochs(2).batch_size(32).add_penalty(Penalty::lasso(1e-4));
    let run = |code, train| Run {
        dataset: "digits".to_owned(),
        hidden: vec![24],
        code,
        dropout: 0.1,
        train,
        ..Run::default()
    };
    vec![
        run(4, train()),
        run(0, train()),
        run(6, train().noise(Noise::gaussian(0.2).unwrap())),
        Run { dataset: "unknown".to_owned(), ..run(4, train()) },
        run(4, train().learning_rate(1e30)),
        run(4, train().seed(1)),
    ]
}

/// Returns the outcomes, and for each run whether the callback received events.
fn swept(
    folder: &Path,
    resume: bool,
    jobs: usize,
    images: (&ImageSet, &ImageSet),
) -> (Vec<sweep::Outcome>, Vec<bool>) {
    let runs = grid();
    let mut heard = vec![false; runs.len()];
    let find = |name: &str| match name {
        "digits" => Ok(Rows::images(images.0, images.1)),
        _ => Err(Error::NotFound { dataset: "unknown", looked: vec![] }),
    };
    let callback = |run: usize, event: TrainEvent| {
        heard[run] |= matches!(event, TrainEvent::Epoch { .. });
        ControlFlow::Continue(())
    };
    let outcomes = Sweep::new(folder).resume(resume).jobs(jobs).run(&runs, find, callback).unwrap();
    (outcomes, heard)
}

#[test]
fn records_are_kept_and_broken_runs_reported() -> Result<()> {
    let (train, test) = (digits::generate(100, 1)?, digits::generate(30, 2)?);
    let folder = tempfile::tempdir().unwrap();
    let (first, heard) = swept(folder.path(), false, 1, (&train, &test));
    let good = [true, false, true, false, false, true];
    assert_eq!(first.iter().map(|o| o.record.is_ok()).collect::<Vec<_>>(), good);
    assert_eq!(heard, good);
    assert!(matches!(first[1].record, Err(Error::Setting { .. })));
    assert!(matches!(first[3].record, Err(Error::NotFound { .. })));
    assert!(matches!(first[4].record, Err(Error::NotFinite { .. })));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 6);

    let record = first[2].record.as_ref().unwrap();
    assert_eq!((record.widths.as_slice(), record.history.epochs.len()), (&[784, 24, 6, 24, 784][..], 2));
    assert_eq!(record.history.epochs[1].validation, Some(record.test));
    assert!(record.test.noisy_input.is_some() && record.test_ssim.unwrap() < 1.0);
    let model = Autoencoder::load(folder.path().join(first[2].run.id()).with_extension("safetensors"))?;
    assert_eq!(sweep::encoder_sparsity(&model, sweep::NEAR_ZERO), record.sparsity);

    // With `resume`, no finished run is repeated, and the records have the same bits.
    let (second, heard) = swept(folder.path(), true, 3, (&train, &test));
    assert_eq!(heard, [false; 6]);
    for (first, second) in first.iter().zip(&second) {
        assert_eq!(second.resumed, first.record.is_ok());
        assert_eq!(first.record.as_ref().ok(), second.record.as_ref().ok());
    }

    // Records of other images are neither reused nor replaced, unless the sweep does not resume.
    for other in [train.clone().head(50)?, digits::generate(100, 7)?] {
        let (refused, heard) = swept(folder.path(), true, 3, (&other, &test));
        assert_eq!(heard, [false; 6]);
        let error = refused[0].record.as_ref().unwrap_err().to_string();
        assert!(error.contains(&refused[0].run.id()) && error.contains("one on other rows"), "{error}");
        assert_eq!(swept(folder.path(), true, 3, (&train, &test)).1, [false; 6]);
        let (replaced, heard) = swept(folder.path(), false, 3, (&other, &test));
        assert_eq!(heard, good);
        assert_ne!(first[0].record.as_ref().unwrap().test, replaced[0].record.as_ref().unwrap().test);
        swept(folder.path(), false, 3, (&train, &test));
    }

    // Records whose model is missing are not reused.
    fs::remove_file(folder.path().join(first[2].run.id()).with_extension("safetensors")).unwrap();
    assert_eq!(swept(folder.path(), true, 2, (&train, &test)).1, [false, false, true, false, false, false]);

    // A truncated record is not reused.
    let path = folder.path().join(first[0].run.id()).with_extension("json");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let (third, heard) = swept(folder.path(), true, 3, (&train, &test));
    assert_eq!(heard, [true, false, false, false, false, false]);
    let (again, before) = (third[0].record.as_ref().unwrap(), first[0].record.as_ref().unwrap());
    assert_eq!((again.test, again.sparsity), (before.test, before.sparsity));
    Ok(())
}

/// The bits of a run depend neither on the number of concurrent runs nor on their threads.
#[test]
fn runs_side_by_side_give_the_same_records_and_models() -> Result<()> {
    let (train, test) = (digits::generate(100, 1)?, digits::generate(30, 2)?);
    let folders = [1, 2, 8].map(|jobs| (jobs, tempfile::tempdir().unwrap()));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    for (jobs, folder) in &folders {
        let (outcomes, heard) = pool.install(|| swept(folder.path(), false, *jobs, (&train, &test)));
        assert_eq!(heard, [true, false, true, false, false, true], "{jobs} jobs");
        for (outcome, run) in outcomes.iter().zip(grid()) {
            assert_eq!(outcome.run, run);
            if let Ok(record) = &outcome.record {
                let file =
                    |folder: &Path| fs::read(folder.join(run.id()).with_extension("safetensors")).unwrap();
                assert!(file(folder.path()) == file(folders[0].1.path()), "{jobs} jobs");
                assert_eq!(
                    (record.epoch_ssim.len(), record.epoch_ssim.last().copied()),
                    (2, record.test_ssim)
                );
            }
        }
    }
    Ok(())
}

/// A run that was stopped halfway must not be treated as finished.
#[test]
fn a_callback_that_breaks_ends_the_sweep_and_keeps_nothing_of_its_run() -> Result<()> {
    let (train, test) = (digits::generate(100, 1)?, digits::generate(30, 2)?);
    let folder = tempfile::tempdir().unwrap();
    let runs = [grid().remove(0), grid().remove(2), grid().remove(5)];
    let find = |_: &str| Ok(Rows::images(&train, &test));
    let outcomes = Sweep::new(folder.path()).run(&runs, find, |run, event| match event {
        TrainEvent::Epoch { .. } if run == 1 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })?;
    assert_eq!((outcomes.len(), outcomes[0].record.is_ok()), (1, true));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    Ok(())
}

/// A break also ends concurrent runs, and a sweep ignores a run's own number of threads.
#[test]
fn a_break_ends_runs_side_by_side() -> Result<()> {
    let (train, test) = (digits::generate(100, 1)?, digits::generate(30, 2)?);
    let folder = tempfile::tempdir().unwrap();
    let mut runs = vec![grid().remove(0), grid().remove(5)];
    runs.iter_mut().for_each(|run| run.train = run.train.clone().epochs(100_000).threads(3));
    let find = |_: &str| Ok(Rows::images(&train, &test));
    let mut most = 0;
    let outcomes = Sweep::new(folder.path()).jobs(2).run(&runs, find, |_, event| match event {
        TrainEvent::Epoch { record, .. } if record.epoch > 3 => ControlFlow::Break(()),
        _ => {
            most = most.max(rayon::current_num_threads());
            ControlFlow::Continue(())
        }
    })?;
    assert!(outcomes.is_empty() && most < 3, "{most} threads");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    Ok(())
}

/// Pairs in color, an array, and images: one sweep over three data sets with a different model each.
#[test]
fn any_rows_and_any_setting_can_vary() -> Result<()> {
    let gray = digits::generate(120, 1)?;
    let ink = gray.pixels().iter().flat_map(|&level| [level, level / 2, 255 - level]).collect();
    let color = ImageSet::color("ink", (28, 28), ink)?;
    let dark = color.to_array().unwrap() / 2.0;
    let pairs = Pairs::new(&dark, &color)?;
    let table = Array2::from_shape_fn((50, 6), |(row, column)| ((row * 5 + column) as f32).sin() * 3.0);
    let find = |name: &str| match name {
        "pairs" => Ok(Rows::new(&pairs, &pairs).image_shape((28, 28))),
        "table" => Ok(Rows::new(&table, &table)),
        _ => Ok(Rows::images(&gray, &gray)),
    };
    let train = TrainConfig::new().epochs(2).batch_size(20);
    let run = |dataset: &str, train: TrainConfig| Run {
        dataset: dataset.to_owned(),
        hidden: vec![16, 8],
        code: 3,
        train,
        ..Run::default()
    };
    let tanh =
        Activations { hidden: Activation::Tanh, output: Activation::Identity, ..Activations::default() };
    let cosine = Schedule::Cosine { warmup: 2, floor: 0.1 };
    let runs = [
        run("pairs", train.clone().optimizer(Optimizer::sgd(0.9)).noise(Noise::masking(0.1)?)),
        Run { activations: tanh, ..run("table", train.clone().schedule(cosine)) },
        Run { decoder_hidden: Some(vec![5]), ..run("images", train) },
    ];
    let folder = tempfile::tempdir().unwrap();
    let outcomes = Sweep::new(folder.path()).run(&runs, find, |_, _| ControlFlow::Continue(()))?;
    let records: Vec<_> = outcomes.into_iter().map(|outcome| outcome.record.unwrap()).collect();
    let widths =
        [vec![2352, 16, 8, 3, 8, 16, 2352], vec![6, 16, 8, 3, 8, 16, 6], vec![784, 16, 8, 3, 5, 784]];
    assert_eq!(records.iter().map(|record| record.widths.clone()).collect::<Vec<_>>(), widths);
    assert_eq!(
        records.iter().map(|record| record.test_ssim.is_some()).collect::<Vec<_>>(),
        [true, false, true]
    );

    let load = |run: &Run| Autoencoder::load(folder.path().join(run.id()).with_extension("safetensors"));
    let model = load(&runs[0])?;
    let noisy = Noise::masking(0.1)?.corrupt(&dark, 0);
    let output = model.reconstruct(&noisy)?;
    assert_eq!(records[0].test_ssim, Some(ssim_mean(&output, &color.to_array().unwrap(), (28, 28), 1.0)?));
    assert_eq!(records[0].test, evaluate(&model, &pairs, Some(&Noise::masking(0.1)?), 0)?);
    let layers = load(&runs[1])?.layers().iter().map(|layer| layer.activation).collect::<Vec<_>>();
    use Activation::{Identity, Tanh};
    assert_eq!(layers, [Tanh, Tanh, Identity, Tanh, Tanh, Identity]);
    Ok(())
}

/// Zero jobs are one, and a shape that fits no row fails the run.
#[test]
fn a_shape_that_is_not_that_of_the_rows_is_an_error() {
    let images = digits::generate(20, 1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    for (shape, fits) in [((28, 28), true), ((28, 27), false), ((0, 0), false), ((usize::MAX, 2), false)] {
        let find = |_: &str| Ok(Rows::new(&images, &images).image_shape(shape));
        let sweep = Sweep::new(out).jobs(0);
        let outcomes = sweep.run(&grid()[..1], find, |_, _| ControlFlow::Continue(())).unwrap();
        match &outcomes[0].record {
            Ok(record) => assert!(fits && record.test_ssim.is_some()),
            Err(Error::Shape { what, .. }) => assert!(!fits && *what == "image_shape"),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Ids name the files of finished runs, so a new field must not change them.
#[test]
fn default_fields_do_not_change_the_id() {
    let run = Run { hidden: vec![64], ..Run::default() };
    let json = serde_json::to_value(&run).unwrap();
    let fields: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
    assert_eq!(fields, ["code", "dataset", "dropout", "hidden", "init", "train"]);
    assert_eq!(serde_json::from_value::<Run>(json).unwrap(), run);
    let activations = Activations { code: Activation::Relu, ..Activations::default() };
    assert_ne!(Run { activations, ..run.clone() }.id(), run.id());
    assert_ne!(Run { decoder_hidden: Some(vec![64]), ..run.clone() }.id(), run.id());
}

#[test]
fn what_decides_a_result_decides_the_id() {
    let runs = grid();
    let mut ids: Vec<_> = runs.iter().map(Run::id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), runs.len());
    let mut threaded = runs[0].clone();
    threaded.train = threaded.train.threads(3);
    assert_eq!(threaded.id(), runs[0].id());
}

#[test]
fn sparsity_counts_the_encoders_weights() {
    let layer = |weight: Array2<f32>| Layer {
        dense: Dense::new(weight.clone(), Array1::zeros(weight.ncols())).unwrap(),
        activation: Activation::Identity,
        dropout: Dropout::OFF,
    };
    let encoder = vec![layer(array![[0.0, 1e-3], [-1e-3, 2e-3], [1.0, -2.0]]), layer(array![[0.0], [5.0]])];
    let decoder = vec![layer(array![[0.0, 0.0, 0.0]])];
    let model = Autoencoder::from_layers(encoder, decoder).unwrap();
    assert_eq!(sweep::encoder_sparsity(&model, 1e-3), 4.0 / 8.0);
    assert_eq!(sweep::encoder_sparsity(&model, 0.0), 2.0 / 8.0);
}
