use crate::{
    compute::{self, elementwise},
    data::{Noise, Samples},
    error::{Error, Result},
    metrics::Quality,
    nn::Autoencoder,
};
use ndarray::Array2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

const BLOCK_ROWS: usize = 128;

/// How well a model reconstructs rows, for values that span [0, 1].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evaluation {
    /// Reconstructions against clean rows.
    pub output: Quality,
    /// Noisy inputs against clean rows, where there was noise.
    pub noisy_input: Option<Quality>,
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
pub fn reconstruction_errors(model: &Autoencoder, samples: &dyn Samples) -> Result<Vec<f64>> {
    let features = samples.features() as f64;
    Ok(squared_errors(model, samples, None, 0)?.into_iter().map(|[output, _]| output / features).collect())
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
    samples: &dyn Samples,
    noise: Option<&Noise>,
    seed: u64,
) -> Result<Evaluation> {
    let errors = squared_errors(model, samples, noise, seed)?;
    let quality =
        |which: usize| Quality::from_squared_errors(errors.iter().map(|e| e[which]), samples.features(), 1.0);
    Ok(Evaluation { output: quality(0), noisy_input: noise.map(|_| quality(1)) })
}

/// The squared errors of each row's output and of its noisy input, summed over the features.
fn squared_errors(
    model: &Autoencoder,
    samples: &dyn Samples,
    noise: Option<&Noise>,
    seed: u64,
) -> Result<Vec<[f64; 2]>> {
    let features = samples.features();
    if samples.is_empty() {
        return Err(Error::shape("rows to evaluate", "at least 1", 0));
    }
    let mut errors = vec![[0.0; 2]; samples.len()];
    errors.par_chunks_mut(BLOCK_ROWS).enumerate().try_for_each(|(block, errors)| {
        let mut clean = Array2::zeros((errors.len(), features));
        for (offset, row) in compute::rows_mut(clean.view_mut()).enumerate() {
            samples.copy_row(block * BLOCK_ROWS + offset, row);
        }
        let mut input = clean.clone();
        if let Some(noise) = noise {
            noise.corrupt_rows(input.view_mut(), seed, block * BLOCK_ROWS);
        }
        let output = model.reconstruct(input.view())?;
        let rows = [&clean, &input, &output].map(|array| compute::rows(array.view()));
        let [clean, input, output] = rows;
        for (((error, clean), input), output) in errors.iter_mut().zip(clean).zip(input).zip(output) {
            *error = [elementwise::squared_error(output, clean), elementwise::squared_error(input, clean)];
        }
        Ok(())
    })?;
    Ok(errors)
}
