use crate::{
    compute::{self, elementwise},
    data::{Noise, Samples},
    error::{Error, Result},
    metrics::Quality,
    nn::Autoencoder,
    random::{self, Stream},
};
use ndarray::Array2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

const BLOCK_ROWS: usize = 128;

/// How well a model reconstructs rows, for values that span [0, 1].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Reconstructions against clean rows.
    pub output: Quality,
    /// Noisy inputs against clean rows, where there was noise.
    pub noisy_input: Option<Quality>,
}

/// Reconstructs every row, corrupted by `noise` if given, and compares with the clean row.
///
/// The noise of a row is a function of seed and row: that of [`Noise::corrupt`] with the same seed. It runs on the
/// `rayon` pool that it is called in, and the result is the same bits for any number of threads.
///
/// # Errors
/// If there are no rows, or they are of another width than the model.
pub fn evaluate(
    model: &Autoencoder,
    samples: &dyn Samples,
    noise: Option<Noise>,
    seed: u64,
) -> Result<Evaluation> {
    let features = samples.features();
    if samples.is_empty() {
        return Err(Error::shape("rows to evaluate", "at least 1", 0));
    }
    // The squared errors of a row's output and of its noisy input.
    let mut errors = vec![[0.0; 2]; samples.len()];
    errors.par_chunks_mut(BLOCK_ROWS).enumerate().try_for_each(|(block, errors)| {
        let mut clean = Array2::zeros((errors.len(), features));
        for (offset, row) in compute::rows_mut(clean.view_mut()).enumerate() {
            samples.copy_row(block * BLOCK_ROWS + offset, row);
        }
        let mut input = clean.clone();
        if let Some(noise) = noise {
            for (offset, row) in compute::rows_mut(input.view_mut()).enumerate() {
                let index = block * BLOCK_ROWS + offset;
                noise.apply(row, &mut random::rng(seed, Stream::TestNoise, 0, index));
            }
        }
        let output = model.reconstruct(input.view())?;
        let rows = [&clean, &input, &output].map(|array| compute::rows(array.view()));
        let [clean, input, output] = rows;
        for (((error, clean), input), output) in errors.iter_mut().zip(clean).zip(input).zip(output) {
            *error = [elementwise::squared_error(output, clean), elementwise::squared_error(input, clean)];
        }
        Ok(())
    })?;
    let quality = |which: usize| Quality::from_squared_errors(errors.iter().map(|e| e[which]), features, 1.0);
    Ok(Evaluation { output: quality(0), noisy_input: noise.map(|_| quality(1)) })
}
