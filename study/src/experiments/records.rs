//! `runs.csv` with one row per run, and `history.csv` with one row per epoch.

use super::{joined, short};
use crate::{
    cli::{Failure, files},
    sweep::{Record, Run},
};
use autoencoder::{
    data::NoiseKind,
    nn::Penalty,
    train::{EpochRecord, TrainConfig},
};
use serde::Serialize;
use serde_json::Value;
use std::path::Path;

const COLUMNS: [&str; 31] = [
    "dataset",
    "depth",
    "widths",
    "code",
    "penalty",
    "lasso",
    "dropout",
    "noise_variance",
    "clamped",
    "loss_kind",
    "epochs",
    "batch_size",
    "learning_rate",
    "seed",
    "initialization",
    "train_loss",
    "train_mse",
    "test_mse",
    "test_psnr_mean_db",
    "test_psnr_pooled_db",
    "test_ssim",
    "sparsity",
    "seconds",
    "images_per_second",
    "noise",
    "hidden_activation",
    "code_activation",
    "output_activation",
    "optimizer",
    "schedule",
    "run",
];

/// Writes both files.
pub fn write(out: &Path, records: &[Record]) -> Result<(), Failure> {
    files::create_folder(out)?;
    files::write_csv(&out.join("runs.csv"), &COLUMNS, records.iter().map(|record| row(record).to_vec()))?;
    let epochs = records.iter().flat_map(|record| {
        let run = [record.run.id(), record.run.dataset.clone(), record.run.code.to_string()];
        let ssim = |epoch: usize| record.epoch_ssim.get(epoch).map_or(String::new(), f64::to_string);
        let rows = files::history_rows(&record.history).enumerate();
        rows.map(move |(index, epoch)| [&run[..], &epoch, &[ssim(index)]].concat())
    });
    let columns = [&["run", "dataset", "code"][..], &files::HISTORY_COLUMNS, &["validation_ssim"]].concat();
    files::write_csv(&out.join("history.csv"), &columns, epochs)
}

/// Describes a run in a few words.
pub fn title(run: &Run) -> String {
    let mut title = format!("{}, {}-{}", run.dataset, joined(&run.hidden), run.code);
    if let Some(lambda) = lasso(&run.train) {
        title += &format!(", Lasso {}", short(lambda));
    }
    if run.dropout > 0.0 {
        title += &format!(", dropout {}", run.dropout);
    }
    match noise(&run.train).as_str() {
        "none" => {}
        noise => title += &format!(", noise {noise}"),
    }
    title + &format!(", seed {}", run.train.seed)
}

/// Returns the strength of the L1 penalty on weights, if there is one.
pub fn lasso(train: &TrainConfig) -> Option<f32> {
    train.penalties.iter().find_map(|penalty| match penalty {
        Penalty::Lasso { lambda, .. } | Penalty::ProximalLasso { lambda, .. } => Some(*lambda),
        _ => None,
    })
}

/// Describes the kinds and strengths of a run's noise.
fn noise(train: &TrainConfig) -> String {
    let name = |kind: &NoiseKind| match kind {
        NoiseKind::Gaussian { variance } => format!("gaussian {}", short(*variance)),
        NoiseKind::SaltAndPepper { probability } => format!("salt-and-pepper {}", short(*probability)),
        NoiseKind::Masking { probability } => format!("masking {}", short(*probability)),
        other => format!("{other:?}"),
    };
    let join = |kinds: &[NoiseKind]| kinds.iter().map(name).collect::<Vec<_>>().join(" or ");
    train.noise.as_ref().map_or_else(|| "none".to_owned(), |noise| join(noise.kinds()))
}

/// Returns the variance of Gaussian noise, `0` without noise, and nothing for mixtures and other kinds.
fn variance(train: &TrainConfig) -> String {
    match train.noise.as_ref().map(|noise| noise.kinds()) {
        None => "0".to_owned(),
        Some([NoiseKind::Gaussian { variance }]) => variance.to_string(),
        Some(_) => String::new(),
    }
}

/// Returns a setting as JSON, or its name alone if it has no parameters.
fn named(setting: &impl Serialize) -> String {
    match serde_json::to_value(setting) {
        Ok(Value::String(name)) => name,
        _ => serde_json::to_string(setting).unwrap_or_default(),
    }
}

fn row(record: &Record) -> [String; COLUMNS.len()] {
    let Record { run, test, .. } = record;
    let lasso = lasso(&run.train);
    let penalty = match (lasso, run.dropout > 0.0) {
        (Some(_), true) => "lasso+dropout",
        (Some(_), false) => "lasso",
        (None, true) => "dropout",
        (None, false) => "none",
    };
    let last = record.history.epochs.last();
    let figure = |of: fn(&EpochRecord) -> f64| last.map_or(String::new(), |epoch| of(epoch).to_string());
    [
        run.dataset.clone(),
        (run.hidden.len() + 1).to_string(),
        joined(&record.widths),
        run.code.to_string(),
        penalty.to_owned(),
        lasso.unwrap_or(0.0).to_string(),
        run.dropout.to_string(),
        variance(&run.train),
        run.train.noise.as_ref().is_some_and(|noise| noise.is_clamped()).to_string(),
        format!("{:?}", run.train.loss).to_lowercase(),
        run.train.epochs.to_string(),
        run.train.batch_size.to_string(),
        run.train.learning_rate.to_string(),
        run.train.seed.to_string(),
        format!("{:?}", run.init).to_lowercase(),
        figure(|epoch| epoch.loss),
        figure(|epoch| epoch.mse),
        test.output.mse.to_string(),
        test.output.psnr_mean_db.to_string(),
        test.output.psnr_pooled_db.to_string(),
        record.test_ssim.map_or(String::new(), |ssim| ssim.to_string()),
        record.sparsity.to_string(),
        record.seconds.to_string(),
        record.history.rows_per_second().map_or(String::new(), |speed| speed.to_string()),
        noise(&run.train),
        run.activations.hidden.to_string(),
        run.activations.code.to_string(),
        run.activations.output.to_string(),
        run.train.optimizer.to_string(),
        named(&run.train.schedule),
        run.id(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use autoencoder::train::Schedule;

    #[test]
    fn settings_without_parameters_are_names_without_quotes() {
        assert_eq!(named(&Schedule::Constant), "constant");
        let halved = named(&Schedule::StepDecay { factor: 0.1, every: 2 });
        assert_eq!(halved, r#"{"step_decay":{"factor":0.1,"every":2}}"#);
    }
}
