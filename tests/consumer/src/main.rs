//! A program that depends on the crate: it trains on its own rows, saves, loads, and serves from several threads.

use autoencoder::{
    Autoencoder, TrainConfig, Trainer,
    ndarray::{Array2, Axis},
    nn::Activation,
};
use std::{error::Error, fs, process, sync::Arc, thread};

const FEATURES: usize = 24;

/// Waves of one frequency: each row has 24 values, but amplitude and phase determine it.
fn waves(rows: usize, first: usize) -> Array2<f32> {
    Array2::from_shape_fn((rows, FEATURES), |(row, column)| {
        let (amplitude, phase) = (1.0 + ((first + row) % 7) as f32 / 7.0, (first + row) as f32 * 0.37);
        amplitude * (phase + column as f32 * 0.5).sin()
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let (train, test) = (waves(2_000, 0), waves(64, 5_000));
    let mut model = Autoencoder::builder(FEATURES)
        .hidden(&[32])
        .code(3)
        .output_activation(Activation::Identity)
        .build()?;
    let config = TrainConfig::new().epochs(30).batch_size(64).learning_rate(0.003);
    let history = Trainer::new(config).validation(&test).fit(&mut model, &train)?;
    let reached = history.epochs.last().and_then(|epoch| epoch.validation).ok_or("not validated")?;
    let variance = f64::from(test.var(0.0));
    println!("test error {:.5}, variance {variance:.3}", reached.output.mse);
    assert!(reached.output.mse < variance / 50.0);

    let path = std::env::temp_dir().join(format!("consumer-{}.safetensors", process::id()));
    model.save(&path)?;
    let served = Arc::new(Autoencoder::load(&path)?);
    fs::remove_file(&path)?;

    let expected = model.reconstruct(&test)?;
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            let (served, rows) = (Arc::clone(&served), test.clone());
            thread::spawn(move || {
                let own: Vec<usize> = (worker..rows.nrows()).step_by(4).collect();
                let output = served.reconstruct(&rows.select(Axis(0), &own));
                output.map(|output| (own, output))
            })
        })
        .collect();
    for worker in workers {
        let (rows, output) = worker.join().map_err(|_| "a thread panicked")??;
        assert_eq!(output, expected.select(Axis(0), &rows), "the same bits on every thread");
    }
    println!("saved, loaded, served by 4 threads");
    Ok(())
}
