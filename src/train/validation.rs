use crate::{
    data::{Dataset, Noise},
    error::{Error, Result},
    kernels::{self, elementwise, rows_mut},
    nn::{Activation, Autoencoder, Loss, inference_block_rows},
};
use ndarray::Array2;
use rayon::prelude::*;

/// The mean loss on rows, corrupted as in [`evaluate`](crate::metrics::evaluate), without penalties and dropout.
///
/// # Errors
/// [`Error::Data`] at a row for which the loss is not defined.
pub(super) fn loss(
    model: &Autoencoder,
    rows: &dyn Dataset,
    loss: Loss,
    noise: Option<&Noise>,
    seed: u64,
) -> Result<f64> {
    // The loss is computed from the logits, as in training: with an identity output, reconstructions are logits.
    let activation = model.output_layer().activation;
    let mut to_logits = model.clone();
    if let Some(layer) = to_logits.layers_mut().last_mut() {
        layer.activation = Activation::Identity;
    }
    let mut losses = vec![0.0; rows.len()];
    let block_rows = inference_block_rows(rows.len());
    losses.par_chunks_mut(block_rows).enumerate().try_for_each(|(block, losses)| {
        let start = block * block_rows;
        let mut clean = Array2::zeros((losses.len(), rows.features()));
        for (offset, row) in rows_mut(clean.view_mut()).enumerate() {
            rows.copy_row(start + offset, row);
            if !loss.is_defined_for(row) {
                let found = format_args!("others in row {}", start + offset);
                return Err(Error::data(
                    "rows to validate on",
                    "values in [0, 1] for the cross-entropy",
                    found,
                ));
            }
        }
        let mut inputs = clean.clone();
        if let Some(noise) = noise {
            noise.corrupt_rows(inputs.view_mut(), seed, start);
        }
        let mut logits = to_logits.reconstruct(&inputs)?;
        let pairs = rows_mut(logits.view_mut()).zip(kernels::rows(clean.view()));
        for (result, (logits, clean)) in losses.iter_mut().zip(pairs) {
            *result = match loss.of_logits(logits, clean) {
                Some(loss) => loss,
                None => {
                    activation.apply(logits);
                    elementwise::squared_error(logits, clean)
                }
            };
        }
        Ok(())
    })?;
    Ok(losses.iter().sum::<f64>() / (rows.len() * rows.features()) as f64)
}
