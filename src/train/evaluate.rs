use crate::{
    data::{Dataset, Noise},
    error::{Error, Result},
    kernels::{self, elementwise},
    metrics::ImageQuality,
    nn::{Autoencoder, inference_block_rows},
};
use ndarray::Array2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// How well a model reconstructs rows, for values that span [0, 1].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evaluation {
    /// Reconstructions against clean rows.
    pub output: ImageQuality,
    /// Noisy inputs against clean rows, where there was noise.
    pub noisy_input: Option<ImageQuality>,
}

/// The mean squared error of each row's reconstruction: how unlike it is to the rows that the model was trained on. It is not
/// finite for a row that is not.
///
/// ```
/// use autoencoder::{Autoencoder, data::digits, train::reconstruction_errors};
/// let model = Autoencoder::builder(784).code(16).build()?;
/// assert_eq!(reconstruction_errors(&model, &digits::generate(20, 1)?)?.len(), 20);
/// # Ok::<(), autoencoder::Error>(())
/// ```
///
/// # Errors
/// If there are no rows, or they are of another width than the model.
pub fn reconstruction_errors(model: &Autoencoder, samples: &dyn Dataset) -> Result<Vec<f64>> {
    let features = samples.features() as f64;
    let errors = squared_errors(model, samples, None, 0)?;
    Ok(errors.into_iter().map(|error| error.output / features).collect())
}

/// Reconstructs every row, corrupted by `noise` if given, and compares with the clean row. One row with a NaN makes the
/// means NaN.
///
/// The noise of a row is a function of seed and row: that of [`Noise::corrupt`] with the same seed. It runs on the
/// `rayon` pool that it is called in, and the result is the same bits for any number of threads.
///
/// # Errors
/// If there are no rows, or they are of another width than the model.
pub fn evaluate(
    model: &Autoencoder,
    samples: &dyn Dataset,
    noise: Option<&Noise>,
    seed: u64,
) -> Result<Evaluation> {
    let errors = squared_errors(model, samples, noise, seed)?;
    let quality = |error: fn(&RowErrors) -> f64| {
        ImageQuality::from_squared_errors(errors.iter().map(error), samples.features(), 1.0)
    };
    Ok(Evaluation {
        output: quality(|row| row.output),
        noisy_input: noise.map(|_| quality(|row| row.noisy_input)),
    })
}

/// A row's squared errors against the clean row, summed over the features.
#[derive(Debug, Clone, Copy, Default)]
struct RowErrors {
    output: f64,
    /// Zero without noise.
    noisy_input: f64,
}

fn squared_errors(
    model: &Autoencoder,
    samples: &dyn Dataset,
    noise: Option<&Noise>,
    seed: u64,
) -> Result<Vec<RowErrors>> {
    let features = samples.features();
    if samples.is_empty() {
        return Err(Error::shape("rows to evaluate", "at least 1", 0));
    }
    let mut errors = vec![RowErrors::default(); samples.len()];
    let block_rows = inference_block_rows(samples.len());
    errors.par_chunks_mut(block_rows).enumerate().try_for_each(|(block, errors)| {
        let start = block * block_rows;
        let mut clean = Array2::zeros((errors.len(), features));
        for (offset, row) in kernels::rows_mut(clean.view_mut()).enumerate() {
            samples.copy_row(start + offset, row);
        }
        let output = if let Some(noise) = noise {
            let mut noisy = clean.clone();
            noise.corrupt_rows(noisy.view_mut(), seed, start);
            for ((error, clean), noisy) in errors.iter_mut().zip(rows(&clean)).zip(rows(&noisy)) {
                error.noisy_input = elementwise::squared_error(noisy, clean);
            }
            model.reconstruct(noisy.view())?
        } else {
            model.reconstruct(clean.view())?
        };
        for ((error, clean), output) in errors.iter_mut().zip(rows(&clean)).zip(rows(&output)) {
            error.output = elementwise::squared_error(output, clean);
        }
        Ok(())
    })?;
    Ok(errors)
}

fn rows(array: &Array2<f32>) -> impl Iterator<Item = &[f32]> {
    kernels::rows(array.view())
}
