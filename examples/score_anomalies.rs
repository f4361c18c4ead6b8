//! Scores anomalies: a model trained on ones alone reconstructs other digits poorly.
//!
//! `cargo run --release --example score_anomalies`

use autoencoder::{Autoencoder, Error, TrainConfig, Trainer, data::digits, metrics::Roc};

fn main() -> Result<(), Error> {
    let digits = digits::generate(4_000, 1)?;
    let labels = digits.labels().expect("drawn digits have labels");
    let (ones, others): (Vec<usize>, Vec<usize>) = (0..digits.len()).partition(|&row| labels[row] == 1);
    let train = digits.select(&ones[..300])?;
    let held_back = digits.select(&ones[300..])?;
    let anomalies = digits.select(&others[..100])?;

    let mut model = Autoencoder::builder(784).hidden(&[64]).code(8).build()?;
    Trainer::new(TrainConfig::new().epochs(30).batch_size(16)).fit(&mut model, &train)?;

    // One mean squared error per image. The threshold lets 1 in 20 normal images raise a false alarm.
    let normal = model.reconstruction_errors(&held_back)?;
    let unusual = model.reconstruction_errors(&anomalies)?;
    let mut sorted = normal.clone();
    sorted.sort_by(f64::total_cmp);
    let threshold = sorted[sorted.len() * 95 / 100];
    let found = unusual.iter().filter(|&&score| score > threshold).count();
    println!("threshold {threshold:.4}: {found} of {} anomalies found", unusual.len());

    let is_anomaly = [vec![false; normal.len()], vec![true; unusual.len()]].concat();
    let roc = Roc::from_scores(&[normal, unusual].concat(), &is_anomaly)?;
    println!("area under the ROC curve: {:.3}", roc.area());
    Ok(())
}
