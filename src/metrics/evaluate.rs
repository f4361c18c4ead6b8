use crate::{
    data::{Dataset, Noise},
    error::{Error, Result},
    group::{Exchange, Part},
    kernels::{self, elementwise},
    metrics::ImageQuality,
    nn::{Activation, Autoencoder, Loss, inference_block_rows},
};
use ndarray::Array2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::{mem, ops::Range, slice};

/// The quality of a model's reconstructions, for values in [0, 1].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evaluation {
    /// Quality of the reconstructions, compared with the clean rows or, in pairs, the targets.
    pub output: ImageQuality,
    /// Quality of the inputs, noise included, compared with the same; `None` where they are the same.
    pub noisy_input: Option<ImageQuality>,
}

// Here, and not beside `reconstruct`, because `nn` knows nothing of data sets.
impl Autoencoder {
    /// Returns the mean squared error of each row's reconstruction, an anomaly score: the less a row resembles the rows that
    /// the model was trained on, the larger it is. It is not finite for a row that is not. Of
    /// [pairs](crate::data::Pairs), the inputs are reconstructed and compared with the targets.
    ///
    /// ```
    /// use autoencoder::{Autoencoder, data::digits};
    /// let model = Autoencoder::builder(784).code(16).build()?;
    /// assert_eq!(model.reconstruction_errors(&digits::generate(20, 1)?)?.len(), 20);
    /// # Ok::<(), autoencoder::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Shape`] if there are no rows, or their number of features is not that of the model.
    pub fn reconstruction_errors(&self, rows: &dyn Dataset) -> Result<Vec<f64>> {
        let features = rows.features() as f64;
        let errors = row_errors(self, rows, 0..rows.len(), None, 0, None)?;
        Ok(errors.into_iter().map(|error| error.output / features).collect())
    }
}

/// Evaluates the reconstructions of all rows, corrupted by `noise` if given, against the clean rows, or against the targets
/// of [pairs](crate::data::Pairs). A NaN in one row makes the means NaN.
///
/// The noise of a row is a function of the seed and the index of the row, as in [`Noise::corrupt`]. The evaluation runs on
/// the `rayon` pool in which it is called; the number of threads changes no bit of the result.
///
/// ```
/// use autoencoder::{Autoencoder, Noise, data::digits, metrics::evaluate};
/// let model = Autoencoder::builder(784).code(16).build()?;
/// let found = evaluate(&model, &digits::generate(20, 1)?, Some(&Noise::gaussian(0.1)?), 7)?;
/// println!("denoised: {:.2} dB", found.output.psnr_pooled_db);
/// # Ok::<(), autoencoder::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] if there are no rows, or their number of features is not that of the model.
pub fn evaluate(
    model: &Autoencoder,
    rows: &dyn Dataset,
    noise: Option<&Noise>,
    seed: u64,
) -> Result<Evaluation> {
    Ok(evaluation(&row_errors(model, rows, 0..rows.len(), noise, seed, None)?, rows, noise))
}

/// As [`evaluate`], and the mean loss, without penalties, from the same pass. With other processes, each computes the errors
/// of some rows.
pub(crate) fn evaluate_with_loss(
    model: &Autoencoder,
    rows: &dyn Dataset,
    noise: Option<&Noise>,
    seed: u64,
    loss: Loss,
    exchange: Option<&mut Exchange>,
) -> Result<(Evaluation, f64)> {
    let part = exchange.as_ref().map_or(Part::WHOLE, |exchange| exchange.part());
    // The squared error needs no logits, which spares a copy of the model.
    let of_outputs = Some(loss).filter(|loss| *loss != Loss::Mse);
    let mut errors = row_errors(model, rows, part.range(rows.len()), noise, seed, of_outputs)?;
    if let Some(exchange) = exchange {
        let own = mem::take(&mut errors);
        errors.resize(rows.len(), RowErrors::default());
        errors[part.range(rows.len())].copy_from_slice(&own);
        exchange.run("validation", |rank, wire| {
            for RowErrors { output, input, loss } in &mut errors[part.at(rank).range(rows.len())] {
                [output, input, loss].into_iter().for_each(|sum| wire.f64s(slice::from_mut(sum)));
            }
        })?;
    }
    let found = evaluation(&errors, rows, noise);
    let loss = match loss {
        Loss::Mse => found.output.mse,
        _ => errors.iter().map(|row| row.loss).sum::<f64>() / (rows.len() * rows.features()) as f64,
    };
    Ok((found, loss))
}

fn evaluation(errors: &[RowErrors], rows: &dyn Dataset, noise: Option<&Noise>) -> Evaluation {
    let quality = |error: fn(&RowErrors) -> f64| {
        ImageQuality::from_squared_errors(errors.iter().map(error), rows.features(), 1.0)
    };
    Evaluation {
        output: quality(|row| row.output),
        noisy_input: (noise.is_some() || rows.has_targets()).then(|| quality(|row| row.input)),
    }
}

/// The squared errors of one row, and its loss, summed over the features.
#[derive(Debug, Clone, Copy, Default)]
struct RowErrors {
    output: f64,
    /// 0 if the input is the target.
    input: f64,
    /// 0 if no loss is asked for.
    loss: f64,
}

/// The errors of some rows, and their losses if one is given.
fn row_errors(
    model: &Autoencoder,
    rows: &dyn Dataset,
    range: Range<usize>,
    noise: Option<&Noise>,
    seed: u64,
    loss: Option<Loss>,
) -> Result<Vec<RowErrors>> {
    // The loss is computed from the logits, as in training: with an identity output, reconstructions are logits.
    let to_logits = loss.map(|_| {
        let mut model = model.clone();
        if let Some(layer) = model.layers_mut().last_mut() {
            layer.activation = Activation::Identity;
        }
        model
    });
    let activation = model.output_layer().activation;
    if rows.is_empty() {
        return Err(Error::shape("rows to evaluate", 1.., 0));
    }
    let mut errors = vec![RowErrors::default(); range.len()];
    let block_rows = inference_block_rows(range.len());
    errors.par_chunks_mut(block_rows).enumerate().try_for_each(|(block, errors)| {
        let start = range.start + block * block_rows;
        let block = || start..start + errors.len();
        let mut input = rows.block(block());
        let own_target = rows.has_targets().then(|| rows.target_block(block()));
        let target = own_target.or_else(|| noise.map(|_| input.clone()));
        if let Some(noise) = noise {
            noise.corrupt_rows(input.view_mut(), seed, start);
        }
        let mut output = to_logits.as_ref().unwrap_or(model).reconstruct(&input)?;
        if let Some(target) = &target {
            for ((error, input), target) in errors.iter_mut().zip(row_slices(&input)).zip(row_slices(target))
            {
                error.input = elementwise::squared_error(input, target);
            }
        }
        let target = target.as_ref().unwrap_or(&input);
        if let Some(loss) = loss {
            let values = kernels::rows_mut(output.view_mut()).zip(row_slices(target));
            for (error, (values, target)) in errors.iter_mut().zip(values) {
                let of_logits = loss.of_logits(values, target);
                // From here on `values` holds the outputs instead of the logits.
                activation.apply(values);
                let of_outputs = || loss.of_outputs(values, target);
                let squared_error = || elementwise::squared_error(values, target);
                error.loss = of_logits.or_else(of_outputs).unwrap_or_else(squared_error);
            }
        }
        let target = row_slices(target);
        for ((error, target), output) in errors.iter_mut().zip(target).zip(row_slices(&output)) {
            error.output = elementwise::squared_error(output, target);
        }
        Ok(())
    })?;
    Ok(errors)
}

fn row_slices(array: &Array2<f32>) -> impl Iterator<Item = &[f32]> {
    kernels::rows(array.view())
}
