//! The training step.

mod batch;
mod crew;
mod rows;
#[cfg(test)]
mod tests;
mod weights;

pub use batch::{Batch, BatchLoss, Objective};

use crate::{
    error::{Error, Quantity, Result},
    files::memory,
    nn::{Activation, Autoencoder, Dropout, Layer, Parameters},
    train::OptimizerState,
};
use crew::Crew;
use rayon::prelude::*;
use rows::RowBlock;
use weights::WeightsPhase;

/// Rows of a block, where a batch is cut into blocks. The number decides who computes a row, never the result: more rows
/// make better use of the weights that are read, fewer occupy more workers.
const MIN_BLOCK_ROWS: usize = 48;
const MAX_BLOCK_ROWS: usize = 128;

/// The training step, with its buffers: after the first step it allocates nothing.
///
/// A step has two parallel regions and no lock. In the *rows phase* a worker takes a block of the batch's rows
/// through gather, noise, all layers forward, the loss, and all deltas backward. In the *weights phase* it takes a
/// tile of a layer's weights through the gradient over the whole batch, the penalties and the optimiser. What is
/// summed over the batch is summed row after row, wherever blocks end, so that the result is the same bits for any
/// number of threads.
///
/// ```
/// use autoencoder::{Autoencoder, data::digits, nn::Loss};
/// use autoencoder::train::{Batch, Objective, Optimizer, OptimizerState, Step};
/// let digits = digits::generate(32, 0)?;
/// let mut model = Autoencoder::builder(784).code(16).build()?;
/// let mut optimizer = OptimizerState::new(Optimizer::adam(), &model)?;
/// let mut step = Step::new(&model, Objective { loss: Loss::Bce, penalties: vec![] }, 32)?;
/// let rows: Vec<_> = (0..32).collect();
/// let batch = Batch { samples: &digits, rows: &rows, noise: None, seed: 0, epoch: 1, number: 1 };
/// let before = step.run(&mut model, &mut optimizer, 0.001, &batch)?;
/// let after = step.run(&mut model, &mut optimizer, 0.001, &batch)?;
/// assert!(after.total() < before.total());
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Debug)]
pub struct Step {
    objective: Objective,
    batch_size: usize,
    /// What the buffers and checks were made for.
    layers: Vec<LayerShape>,
    encoder_depth: usize,
    blocks: Vec<RowBlock>,
    weights: WeightsPhase,
}

impl Step {
    /// Buffers for steps of up to `batch_size` rows, shared out among the workers of the pool that it is called in.
    ///
    /// # Errors
    /// If the batch size is 0 or its buffers do not fit memory, the loss does not fit the model's output, or a
    /// penalty is negative or not finite.
    pub fn new(model: &Autoencoder, objective: Objective, batch_size: usize) -> Result<Self> {
        if batch_size == 0 {
            return Err(Error::setting("batch_size", batch_size, "at least 1"));
        }
        objective.loss.check(model.output_layer().activation)?;
        objective.penalties.iter().try_for_each(|penalty| penalty.check())?;
        let block_rows = block_rows(batch_size, rayon::current_num_threads());
        let blocks = batch_size.div_ceil(block_rows);
        let rows = blocks.checked_mul(block_rows);
        let elements = rows.and_then(|rows| rows.checked_mul(RowBlock::elements_per_row(model)));
        memory::check("batch_size", batch_size, elements)?;
        Ok(Self {
            objective,
            batch_size,
            layers: model.layers().iter().map(LayerShape::from).collect(),
            encoder_depth: model.encoder_depth(),
            blocks: (0..blocks).map(|_| RowBlock::new(model, block_rows)).collect(),
            weights: WeightsPhase::new(model, rayon::current_num_threads()),
        })
    }

    /// Keeps the gradients of each step for [`gradients`](Self::gradients). Otherwise they live no longer than the
    /// update of their weights, which is faster.
    pub fn keep_gradients(mut self) -> Self {
        self.weights.keep_gradients();
        self
    }

    /// One step: loss, gradient, update. It runs on the `rayon` pool that it is called in.
    ///
    /// # Errors
    /// [`Error::Shape`] if the batch is empty, larger than the step was made for, or of another width than the
    /// model, or if model or optimiser are of other layers than the step was made for; [`Error::Data`] if the
    /// loss is the cross-entropy and a target is outside [0, 1]; [`Error::NotFinite`] if a row, the loss, a gradient or
    /// a weight is not finite. Only after a gradient or a weight that is not finite have the weights been updated.
    ///
    /// # Panics
    /// If a row is outside the data set.
    pub fn run(
        &mut self,
        model: &mut Autoencoder,
        optimizer: &mut OptimizerState,
        learning_rate: f32,
        batch: &Batch,
    ) -> Result<BatchLoss> {
        self.check(model, optimizer, batch)?;
        let loss = self.rows_phase(model, batch);
        let targets_fit = self.blocks.iter().flat_map(RowBlock::results).all(|row| row.target_fits);
        if !targets_fit || !loss.data.is_finite() {
            let rows_are_finite = self.blocks.iter().all(RowBlock::targets_are_finite);
            return Err(match (rows_are_finite, targets_fit) {
                (false, _) => batch.not_finite(Quantity::Input, None),
                (true, true) => batch.not_finite(Quantity::Loss, None),
                (true, false) => {
                    let expected =
                        format_args!("values in [0, 1], as the loss {} needs", self.objective.loss);
                    let found = format_args!("others in epoch {}, batch {}", batch.epoch, batch.number);
                    Error::data("targets", expected, found)
                }
            });
        }
        self.weights.run(model, &self.objective, optimizer, learning_rate, &self.blocks);
        if let Some((layer, what)) = self.weights.not_finite() {
            return Err(batch.not_finite(what, Some(layer)));
        }
        Ok(BatchLoss { penalty: loss.penalty + self.weights.penalty(), ..loss })
    }

    /// Returns the gradients of the last step, if they are [kept](Self::keep_gradients).
    pub fn gradients(&self) -> Option<Parameters> {
        self.weights.gradients()
    }

    /// Loss and deltas of every row; the penalty is that on the code.
    fn rows_phase(&mut self, model: &Autoencoder, batch: &Batch) -> BatchLoss {
        let objective = &self.objective;
        if let [block] = &mut self.blocks[..] {
            block.run(model, objective, batch, 0, Crew::of_pool());
        } else {
            self.blocks.par_iter_mut().enumerate().with_max_len(1).for_each(|(index, block)| {
                block.run(model, objective, batch, index, Crew::ALONE);
            });
        }
        let elements = (batch.rows.len() * model.inputs()) as f64;
        let rows = || self.blocks.iter().flat_map(RowBlock::results);
        BatchLoss {
            data: rows().map(|row| row.loss).sum::<f64>() / elements,
            penalty: rows().map(|row| row.code_penalty).sum(),
            mse: rows().map(|row| row.squared_error).sum::<f64>() / elements,
        }
    }

    fn check(&self, model: &Autoencoder, optimizer: &OptimizerState, batch: &Batch) -> Result<()> {
        let rows = batch.rows.len();
        if rows == 0 || rows > self.batch_size {
            return Err(Error::Shape {
                what: "rows of a batch",
                expected: format!("1 to {}", self.batch_size),
                found: rows.to_string(),
            });
        }
        if batch.samples.features() != model.inputs() {
            return Err(Error::shape("features of a row", model.inputs(), batch.samples.features()));
        }
        let layers = || model.layers().iter().map(LayerShape::from);
        if !layers().eq(self.layers.iter().copied()) || model.encoder_depth() != self.encoder_depth {
            return Err(Error::shape("layers of the model", &self.layers, layers().collect::<Vec<_>>()));
        }
        optimizer.check_fits(model)
    }
}

/// All of a layer but its parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
struct LayerShape {
    weight: (usize, usize),
    activation: Activation,
    dropout: Dropout,
}

impl From<&Layer> for LayerShape {
    fn from(layer: &Layer) -> Self {
        let Layer { dense, activation, dropout } = layer;
        Self { weight: dense.weight().dim(), activation: *activation, dropout: *dropout }
    }
}

/// Rows of each block. Where every worker can have a block of its own, it takes the block's rows through all layers, and
/// blocks need not wait for each other. Otherwise one block has all rows, and the workers share out its columns layer by
/// layer.
fn block_rows(batch_size: usize, workers: usize) -> usize {
    let rows = batch_size.div_ceil(workers);
    if rows < MIN_BLOCK_ROWS { batch_size } else { rows.min(MAX_BLOCK_ROWS) }
}
