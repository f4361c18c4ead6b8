use crate::{
    data::{Dataset, Noise},
    error::Result,
    kernels::{self, elementwise, rows_mut},
    nn::{Activation, Autoencoder, Loss, inference_block_rows},
    train::targets,
};
use ndarray::Array2;
use rayon::prelude::*;

/// The mean loss on rows, corrupted as in [`evaluate`](crate::metrics::evaluate), without penalties and dropout.
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
        let mut targets = Array2::zeros((losses.len(), rows.features()));
        let mut inputs = targets.clone();
        for (offset, (target, input)) in
            rows_mut(targets.view_mut()).zip(rows_mut(inputs.view_mut())).enumerate()
        {
            targets::copy(rows, start + offset, target);
            rows.copy_row(start + offset, input);
        }
        if let Some(noise) = noise {
            noise.corrupt_rows(inputs.view_mut(), seed, start);
        }
        let mut logits = to_logits.reconstruct(&inputs)?;
        let pairs = rows_mut(logits.view_mut()).zip(kernels::rows(targets.view()));
        for (result, (logits, target)) in losses.iter_mut().zip(pairs) {
            *result = loss.of_logits(logits, target).unwrap_or_else(|| {
                activation.apply(logits);
                loss.of_outputs(logits, target).unwrap_or_else(|| elementwise::squared_error(logits, target))
            });
        }
        Ok(())
    })?;
    Ok(losses.iter().sum::<f64>() / (rows.len() * rows.features()) as f64)
}
