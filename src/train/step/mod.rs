//! The training step: the rows phase, then the weights phase.
//!
//! *Rows phase* ([`rows`]). Each row is gathered, augmented, corrupted and run forward through all layers; its loss is computed, and its
//! deltas are propagated back. The phase reads the weights and writes outputs and deltas. If the batch has about
//! [`MIN_BLOCK_ROWS`] rows or more per worker, a worker takes a block of rows through all of this on its own. With fewer rows
//! per worker, all workers share one block: in each layer, forward and backward, a worker computes some of the columns.
//!
//! *Weights phase* ([`weights`], [`tasks`]). Each layer's weights are cut into tiles. A tile goes through its gradient over the whole
//! batch, the penalties and the optimizer. It reads outputs and deltas and writes its own weights.
//!
//! *Several processes* ([`Exchange`]). Each takes a part of the batch's rows through the rows phase and a part of every
//! layer's rows through the weights phase. After a phase they send each other what they need of its results.
//!
//! *Why the number of threads does not change a bit.* Every element of a matrix product is one chain of multiply-adds in a
//! fixed order, wherever rows, columns or tiles are cut. A gradient sums over the rows in their order. Augmentation, noise
//! and dropout of a row are functions of seed, epoch and row. Losses and penalties are kept per row and summed in order. So the cuts decide
//! who computes a number, never its value.

mod batch;
mod crew;
mod layer_state;
mod rows;
mod tasks;
#[cfg(test)]
mod tests;
mod weights;

pub use batch::{Batch, BatchLoss, Objective};

use crate::{
    data::Augmentation,
    error::{Error, Quantity, Result},
    files::memory,
    group::{Exchange, Group, Part},
    nn::{Activation, Autoencoder, Dropout, Layer, Parameters, check_max_norm},
    train::{Frozen, OptimizerState, optimizer::check_rate, targets},
};
use crew::Crew;
use rayon::prelude::*;
use rows::{RowBlock, RowResult, RowSource};
use std::{fmt, ops::Range, sync::Arc};
use weights::WeightsPhase;

/// Rows per block, where a batch is cut into blocks. More rows make better use of the weights that a block reads; fewer
/// occupy more workers.
const MIN_BLOCK_ROWS: usize = 48;
const MAX_BLOCK_ROWS: usize = 128;

/// A training step with its buffers: loss, gradients and update for one batch. It allocates nothing after the first call.
///
/// The result is the same bits for any number of threads. To see or to change the gradients before the update, call
/// [`gradients`](Self::gradients) and [`OptimizerState::update`] instead of [`run`](Self::run).
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
    /// The layers that the buffers were made for.
    layers: Vec<LayerShape>,
    encoder_depth: usize,
    cut: Cut,
    blocks: Vec<RowBlock>,
    weights: WeightsPhase,
    clipping: Option<Clipping>,
    augmentation: Option<Augmentation>,
    /// The other processes, if there are any.
    exchange: Option<Exchange>,
}

/// The largest norm of the gradients, and room for them: clipping needs all of them before the first update.
#[derive(Debug)]
struct Clipping {
    max_norm: f32,
    gradients: Parameters,
}

impl Step {
    /// Allocates buffers for batches of up to `batch_size` rows. They are laid out for the number of threads of the current
    /// `rayon` pool; a step may run in another pool.
    ///
    /// # Errors
    /// If the batch size is 0 or its buffers do not fit into memory, the loss does not fit the model's output or its delta is invalid, or a penalty
    /// is negative or not finite.
    pub fn new(model: &Autoencoder, objective: Objective, batch_size: usize) -> Result<Self> {
        if batch_size == 0 {
            return Err(Error::setting("batch_size", batch_size, "at least 1"));
        }
        objective.loss.check_fits(model.output_layer().activation)?;
        objective.penalties.iter().try_for_each(|penalty| penalty.check())?;
        let cut = Cut::new(batch_size, 1);
        Ok(Self {
            objective,
            batch_size,
            layers: model.layers().iter().map(LayerShape::from).collect(),
            encoder_depth: model.encoder_depth(),
            cut,
            blocks: cut.blocks(model, batch_size)?,
            weights: WeightsPhase::new(model, Part::WHOLE, rayon::current_num_threads()),
            clipping: None,
            augmentation: None,
            exchange: None,
        })
    }

    /// Shares the step out over the processes of a group: each computes some rows of the batch and updates some rows of the
    /// weights. Every process creates the same step, and calls [`run`](Self::run) and [`gradients`](Self::gradients) with the
    /// same batches. The results have the bits of a single process.
    ///
    /// Each process updates the moments of its own weights alone. Before an [`OptimizerState`] is saved or
    /// [updates](OptimizerState::update) by gradients, call [`gather_moments`](Self::gather_moments). A step that clips
    /// updates all moments everywhere.
    ///
    /// # Errors
    /// [`Error::Shape`] if the layers of the model are not those that the step was created for, [`Error::Setting`] if the
    /// batch's buffers do not fit into memory.
    pub fn group(mut self, model: &Autoencoder, group: Arc<dyn Group>) -> Result<Self> {
        self.check_model(model)?;
        let part = Part::of(&*group);
        self.cut = Cut::new(self.batch_size, part.size);
        self.blocks = self.cut.blocks(model, self.batch_size)?;
        let mut weights = WeightsPhase::new(model, part, rayon::current_num_threads());
        weights.freeze((0..self.layers.len()).map(|layer| !self.weights.is_trained(layer)));
        self.weights = weights;
        self.exchange = (part.size > 1).then(|| Exchange::new(group));
        Ok(self)
    }

    /// Collects the optimizer's moments from all processes of the [group](Self::group). Without a group it does nothing.
    ///
    /// # Errors
    /// [`Error::Shape`] if the optimizer is not that of the model, and the errors of the group.
    pub fn gather_moments(&mut self, model: &Autoencoder, optimizer: &mut OptimizerState) -> Result<()> {
        self.check_model(model)?;
        optimizer.check_fits(model)?;
        if let Some(exchange) = &mut self.exchange
            && optimizer.is_partial
        {
            weights::exchange_moments(exchange, optimizer)?;
            optimizer.is_partial = false;
        }
        Ok(())
    }

    /// Clips the gradients of each step to an L2 norm, as PyTorch's `clip_grad_norm_` does: if their norm is larger, all
    /// of them are multiplied by `max_norm / (norm + 1e-6)`.
    ///
    /// The norm is that of all gradients together, penalties included, without those of frozen layers. It is summed in
    /// `f64`, row by row of the weights, so that it has the same bits on any number of threads. A step that clips keeps all
    /// gradients until the update, for which it needs the memory of another model and a little more time.
    ///
    /// # Errors
    /// [`Error::Setting`] if the norm is not a finite number above 0.
    pub fn clip_norm(mut self, model: &Autoencoder, max_norm: f32) -> Result<Self> {
        check_max_norm(max_norm)?;
        self.check_model(model)?;
        self.clipping = Some(Clipping { max_norm, gradients: Parameters::zeros(model) });
        Ok(self)
    }

    /// Freezes layers: they keep their bits and their moments, need no time for gradients and updates, and are no part of
    /// the norm to which gradients are clipped. The penalties on their weights, which are constant, are not counted in the
    /// loss. A second call replaces the layers of the first.
    ///
    /// # Errors
    /// [`Error::Setting`] if there is no such layer, or no layer is left to train.
    pub fn freeze(mut self, frozen: &Frozen) -> Result<Self> {
        frozen.check_fits(self.layers.len(), self.encoder_depth)?;
        let encoder_depth = self.encoder_depth;
        self.weights.freeze((0..self.layers.len()).map(|layer| frozen.covers(layer, encoder_depth)));
        Ok(self)
    }

    /// Changes the rows of each batch: they are images, and input and target of a step are the changed ones. The changes
    /// are a function of the batch's seed and epoch and of the row.
    ///
    /// # Errors
    /// [`Error::Setting`] if a field of the augmentation is outside its range, [`Error::Shape`] if the model's inputs are
    /// not `height * width * channels`.
    pub fn augmentation(mut self, augmentation: Augmentation) -> Result<Self> {
        augmentation.check()?;
        augmentation.check_features(self.layers[0].weight.0)?;
        self.augmentation = Some(augmentation);
        Ok(self)
    }

    /// Takes one step on the current `rayon` pool: loss, gradients, update. Returns the loss before the update.
    ///
    /// # Errors
    /// [`Error::Setting`] if the learning rate is negative or not finite. [`Error::Shape`] if the batch is empty or larger
    /// than the step's batch size, if an index is outside the data set, if the rows do not have the model's width, or if
    /// the layers of model or optimizer are not those that the step was created for. [`Error::Data`] if a target is
    /// outside [0, 1] with sigmoid outputs or outside [-1, 1] with tanh outputs, or a weight is negative or not finite.
    /// [`Error::NotFinite`] if a row, the loss, a gradient or a weight is not finite. The weights have been updated only if
    /// the error reports a gradient or a weight.
    pub fn run(
        &mut self,
        model: &mut Autoencoder,
        optimizer: &mut OptimizerState,
        learning_rate: f32,
        batch: &Batch,
    ) -> Result<BatchLoss> {
        check_rate(learning_rate)?;
        self.check(model, batch)?;
        optimizer.check_fits(model)?;
        let updates_part = self.exchange.is_some() && self.clipping.is_none();
        if !updates_part {
            optimizer.check_whole()?;
        }
        let loss = self.rows(model, batch)?;
        let Self { objective, blocks, weights, clipping, exchange, .. } = self;
        if let Some(Clipping { max_norm, gradients }) = clipping {
            weights.gradients(model, objective, blocks, gradients);
            if let Some(exchange) = exchange {
                weights.exchange_gradients(exchange, gradients)?;
            }
            if let Some(layer) = weights.clip(gradients, Some(*max_norm)) {
                return Err(batch.not_finite(Quantity::Gradient, Some(layer), None));
            }
            if let Some(layer) = optimizer.apply(model, gradients, learning_rate) {
                return Err(batch.not_finite(Quantity::Weight, Some(layer), None));
            }
            weights.shrink(model, objective, learning_rate);
        } else {
            weights.run(model, objective, optimizer, learning_rate, blocks);
            optimizer.is_partial |= updates_part;
            if let Some(exchange) = exchange {
                weights.exchange_weights(exchange, model)?;
            }
            if let Some((layer, what)) = weights.not_finite() {
                return Err(batch.not_finite(what, Some(layer), None));
            }
        }
        Ok(BatchLoss { penalty: loss.penalty + self.weights.penalty(), ..loss })
    }

    /// Computes the loss and the gradients of a batch without an update: of the loss plus penalties, a mean over all
    /// elements of the batch, [clipped](Self::clip_norm) if the step clips.
    ///
    /// Change them as you like and apply them with [`OptimizerState::update`]. Unchanged, they give the bits of
    /// [`run`](Self::run); an objective with a proximal Lasso also needs [`shrink`](Self::shrink) after the update.
    ///
    /// ```
    /// use autoencoder::{Autoencoder, Optimizer, data::digits, nn::Parameters};
    /// use autoencoder::train::{Batch, Objective, OptimizerState, Step};
    /// let digits = digits::generate(32, 0)?;
    /// let mut model = Autoencoder::builder(784).code(16).build()?;
    /// let mut optimizer = OptimizerState::new(Optimizer::adam(), &model)?;
    /// let mut step = Step::new(&model, Objective::default(), 32)?;
    /// let mut gradients = Parameters::zeros(&model);
    /// let rows: Vec<_> = (0..32).collect();
    /// for number in 1..=3 {
    ///     let batch = Batch { samples: &digits, rows: &rows, noise: None, seed: 0, epoch: 1, number };
    ///     let loss = step.gradients(&model, &batch, &mut gradients)?;
    ///     for values in gradients.slices_mut() {
    ///         values.iter_mut().for_each(|g| *g = g.clamp(-0.01, 0.01));
    ///     }
    ///     optimizer.update(&mut model, &gradients, 0.001)?;
    ///     println!("loss {:.4}, norm {:.4}", loss.total(), gradients.norm());
    /// }
    /// # Ok::<(), autoencoder::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`run`](Self::run), and [`Error::Shape`] if `gradients` do not have the shapes of the model.
    pub fn gradients(
        &mut self,
        model: &Autoencoder,
        batch: &Batch,
        gradients: &mut Parameters,
    ) -> Result<BatchLoss> {
        self.check(model, batch)?;
        gradients.check_fits(model)?;
        let loss = self.rows(model, batch)?;
        let max_norm = self.clipping.as_ref().map(|clipping| clipping.max_norm);
        let Self { objective, blocks, weights, exchange, .. } = self;
        weights.gradients(model, objective, blocks, gradients);
        if let Some(exchange) = exchange {
            weights.exchange_gradients(exchange, gradients)?;
        }
        if let Some(layer) = weights.clip(gradients, max_norm) {
            return Err(batch.not_finite(Quantity::Gradient, Some(layer), None));
        }
        Ok(BatchLoss { penalty: loss.penalty + self.weights.penalty(), ..loss })
    }

    /// Applies the proximal penalties of the objective to all layers that are not frozen. [`run`](Self::run) does so by
    /// itself; your own loop calls it after each [`OptimizerState::update`]. Without a proximal Lasso it does nothing.
    ///
    /// # Errors
    /// [`Error::Shape`] if the layers of the model are not those that the step was created for, [`Error::Setting`] if the
    /// learning rate is negative or not finite.
    pub fn shrink(&self, model: &mut Autoencoder, learning_rate: f32) -> Result<()> {
        check_rate(learning_rate)?;
        self.check_model(model)?;
        self.weights.shrink(model, &self.objective, learning_rate);
        Ok(())
    }

    /// Runs the rows phase. Fails if a row or the loss is invalid. The penalty is that on the code.
    fn rows(&mut self, model: &Autoencoder, batch: &Batch) -> Result<BatchLoss> {
        let loss = self.rows_phase(model, batch, batch.weight()?)?;
        let fits = |row: &RowResult| row.input_is_finite && row.target_fits;
        if !loss.data.is_finite() || !self.results().all(fits) {
            return Err(self.cause(batch, model.output_layer().activation));
        }
        Ok(loss)
    }

    /// The reason why the rows phase failed.
    fn cause(&self, batch: &Batch, output: Activation) -> Error {
        if let Some((what, row)) = batch.first_not_finite() {
            return batch.not_finite(what, None, Some(row));
        }
        if let Some(place) = self.results().position(|row| !row.target_fits) {
            let row = batch.rows[place];
            let mut target = vec![0.0; batch.samples.features()];
            targets::copy(batch.samples, row, &mut target);
            let what = targets::TRAINING.of_targets(batch.samples);
            if let Some(error) = targets::unreachable(what, row, &target, output) {
                return error;
            }
        }
        let place = self.results().position(|row| !row.loss.is_finite());
        batch.not_finite(Quantity::Loss, None, place.map(|place| batch.rows[place]))
    }

    /// The results of the batch's rows, in order.
    fn results(&self) -> impl Iterator<Item = &RowResult> {
        self.blocks.iter().flat_map(RowBlock::results)
    }

    /// Computes the loss and the deltas of every row. The penalty is that on the code. The batch has a total `weight`.
    fn rows_phase(&mut self, model: &Autoencoder, batch: &Batch, weight: f64) -> Result<BatchLoss> {
        let objective = &self.objective;
        let mean_weight = weight / batch.rows.len() as f64;
        let source = RowSource { batch, augmentation: self.augmentation.as_ref(), mean_weight };
        let part = self.exchange.as_ref().map_or(Part::WHOLE, Exchange::part);
        let own = part.range(self.blocks.len());
        let rows = |index| &batch.rows[self.cut.rows(index, batch.rows.len())];
        if let [block] = &mut self.blocks[own.clone()] {
            block.run(model, objective, source, rows(own.start), Crew::of_pool());
        } else {
            let blocks = self.blocks[own.clone()].par_iter_mut().enumerate().with_max_len(1);
            blocks.for_each(|(index, block)| {
                block.run(model, objective, source, rows(own.start + index), Crew::ALONE);
            });
        }
        if let Some(exchange) = &mut self.exchange {
            let needs_inputs = self.weights.needs_inputs();
            let others = self.blocks.iter_mut().enumerate().filter(|(index, _)| !own.contains(index));
            others.for_each(|(index, block)| {
                block.run_elsewhere(source, rows(index), needs_inputs, Crew::of_pool());
            });
            exchange.run_each("rows", |writer, reader, wire| {
                let blocks = part.at(writer).range(self.blocks.len());
                let is_trained = |layer| self.weights.is_trained(layer);
                rows::fields(&mut self.blocks[blocks], part.at(reader), wire, is_trained);
            })?;
        }
        let elements = (batch.rows.len() * model.inputs()) as f64;
        Ok(BatchLoss {
            data: self.results().map(|row| f64::from(row.weight) * row.loss).sum::<f64>() / elements,
            penalty: self.results().map(|row| row.code_penalty).sum(),
            mse: self.results().map(|row| f64::from(row.weight) * row.squared_error).sum::<f64>() / elements,
            weight,
        })
    }

    fn check(&self, model: &Autoencoder, batch: &Batch) -> Result<()> {
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
        let len = batch.samples.len();
        if let Some(row) = batch.rows.iter().find(|row| **row >= len) {
            return Err(Error::shape("index of a row", format_args!("0 to {}", len.saturating_sub(1)), row));
        }
        if self.augmentation.is_some() {
            Augmentation::check_targets(batch.samples)?;
        }
        self.check_model(model)
    }

    fn check_model(&self, model: &Autoencoder) -> Result<()> {
        let layers = || model.layers().iter().map(LayerShape::from);
        if model.layers().len() != self.layers.len() {
            return Err(Error::shape("layers of the model", self.layers.len(), model.layers().len()));
        }
        if let Some((index, (own, found))) =
            self.layers.iter().zip(layers()).enumerate().find(|(_, (own, found))| **own != *found)
        {
            let found = format_args!("{found} at layer {index}");
            return Err(Error::shape("layers of the model", format_args!("{own}"), found));
        }
        if model.encoder_depth() != self.encoder_depth {
            return Err(Error::shape("layers of the encoder", self.encoder_depth, model.encoder_depth()));
        }
        Ok(())
    }
}

/// A layer without its parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
struct LayerShape {
    weight: (usize, usize),
    activation: Activation,
    dropout: Dropout,
}

impl fmt::Display for LayerShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { weight: (inputs, outputs), activation, dropout } = self;
        write!(f, "{inputs} to {outputs} with {activation} and dropout {}", dropout.rate())
    }
}

impl From<&Layer> for LayerShape {
    fn from(layer: &Layer) -> Self {
        let Layer { dense, activation, dropout } = layer;
        Self { weight: dense.weight().dim(), activation: *activation, dropout: *dropout }
    }
}

/// How batches are cut: into a part for each process, and parts into blocks.
#[derive(Debug, Clone, Copy)]
struct Cut {
    parts: usize,
    blocks_of_part: usize,
}

impl Cut {
    /// For batches of up to `batch_size` rows and the number of threads of the current pool.
    fn new(batch_size: usize, parts: usize) -> Self {
        let rows_of_part = batch_size.div_ceil(parts);
        let most_rows = block_rows(rows_of_part, rayon::current_num_threads());
        Self { parts, blocks_of_part: rows_of_part.div_ceil(most_rows) }
    }

    /// The positions in a batch of `len` rows that belong to a block. Blocks of a short batch are smaller, so that all workers
    /// have some.
    fn rows(self, block: usize, len: usize) -> Range<usize> {
        let rows_of_part = len.div_ceil(self.parts);
        let rows_of_block = rows_of_part.div_ceil(self.blocks_of_part);
        let start = block / self.blocks_of_part * rows_of_part;
        let end = len.min(start + rows_of_part);
        let start = start + block % self.blocks_of_part * rows_of_block;
        start.min(end)..(start + rows_of_block).min(end)
    }

    fn blocks(self, model: &Autoencoder, batch_size: usize) -> Result<Vec<RowBlock>> {
        let (blocks, rows) = (self.blocks_of_part * self.parts, self.rows(0, batch_size).len());
        let elements = blocks.checked_mul(rows);
        let elements = elements.and_then(|rows| rows.checked_mul(RowBlock::elements_per_row(model)));
        memory::check("batch_size", batch_size, elements)?;
        Ok((0..blocks).map(|_| RowBlock::new(model, rows)).collect())
    }
}

/// The most rows per block: one block has all rows if the workers are to share it.
fn block_rows(batch_size: usize, workers: usize) -> usize {
    let rows = batch_size.div_ceil(workers);
    if rows < MIN_BLOCK_ROWS { batch_size } else { rows.min(MAX_BLOCK_ROWS) }
}
