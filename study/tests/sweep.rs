//! Sweeps: records are stored and reused, a failed run is reported, and the sweep continues.

use autoencoder::{
    Autoencoder, Error, Result,
    data::{ImageSet, Noise, digits},
    ndarray::{Array1, Array2, array},
    nn::{Activation, Dense, Dropout, Init, Layer, Penalty},
    train::{TrainConfig, TrainEvent},
};
use autoencoder_study::sweep::{self, Images, Run, Sweep};
use std::{fs, ops::ControlFlow, path::Path};

fn grid() -> Vec<Run> {
    let train = || TrainConfig::new().epochs(2).batch_size(32).add_penalty(Penalty::lasso(1e-4));
    let run = |code, train| Run {
        dataset: "digits".to_owned(),
        hidden: vec![24],
        code,
        dropout: 0.1,
        init: Init::He,
        train,
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
        "digits" => Ok(Images { train: images.0, test: images.1 }),
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

    // Records of fewer images are not reused for all images.
    let half = train.clone().head(50)?;
    let (other, heard) = swept(folder.path(), true, 3, (&half, &test));
    assert_eq!(heard, good);
    assert_ne!(first[0].record.as_ref().unwrap().test, other[0].record.as_ref().unwrap().test);
    swept(folder.path(), true, 3, (&train, &test));

    // Neither are records of other images of the same number, nor records whose model is missing.
    let (other, heard) = swept(folder.path(), true, 1, (&digits::generate(100, 7)?, &test));
    assert_eq!(heard, good);
    assert_ne!(first[0].record.as_ref().unwrap().test, other[0].record.as_ref().unwrap().test);
    swept(folder.path(), true, 3, (&train, &test));
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
    let find = |_: &str| Ok(Images { train: &train, test: &test });
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
    let find = |_: &str| Ok(Images { train: &train, test: &test });
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
