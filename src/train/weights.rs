use crate::{
    compute::aligned,
    nn::{Autoencoder, Dense, Layer},
    train::{
        Objective,
        optimizer::{LayerMoments, Moments, OptimizerState, Update},
        rows::RowBlock,
    },
};
use ndarray::{Array1, Array2, ArrayViewMut, ArrayViewMut2, Dimension, s};
use rayon::prelude::*;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Weights of a tile, at most but for a row: few enough that a tile's gradient stays in a core's cache until the update,
/// and that the last tiles of a phase leave no worker idle for long.
const TILE_WEIGHTS: usize = 49_152;

/// Rows of a layer's tiles, of which the last alone may have fewer.
fn tile_rows((inputs, outputs): (usize, usize)) -> usize {
    let tiles = (inputs * outputs).div_ceil(TILE_WEIGHTS).min(inputs);
    inputs.div_ceil(tiles)
}

/// The loss's derivative by a layer's weights and biases, penalties included.
#[derive(Debug, Clone, PartialEq)]
pub struct Gradient {
    /// By the weights, `[in, out]`.
    pub weight: Array2<f32>,
    /// By the biases, `[out]`.
    pub bias: Array1<f32>,
}

/// The weights phase's side of a layer.
#[derive(Debug)]
pub(crate) struct LayerUpdate {
    tile_rows: usize,
    tiles: Vec<Tile>,
    bias_gradient: Array1<f32>,
    bias_finite: bool,
}

/// What is left of a tile after its update.
#[derive(Debug, Clone)]
struct Tile {
    /// The penalties' value over its weights before the update.
    penalty: f64,
    gradient_finite: bool,
    weights_finite: bool,
    /// Its gradient, if gradients are kept.
    kept: Option<Vec<f32>>,
}

impl LayerUpdate {
    pub(crate) fn new(layer: &Layer) -> Self {
        let (inputs, outputs) = layer.dense.weight().dim();
        let tile_rows = tile_rows((inputs, outputs));
        let tile = Tile { penalty: 0.0, gradient_finite: true, weights_finite: true, kept: None };
        let tiles = vec![tile; inputs.div_ceil(tile_rows)];
        Self { tile_rows, tiles, bias_gradient: Array1::zeros(outputs), bias_finite: true }
    }

    /// From now on the weights' gradients are kept, too.
    pub(crate) fn keep_gradient(&mut self) {
        self.tiles.iter_mut().for_each(|tile| tile.kept = Some(vec![]));
    }

    /// The gradient of the last step, if it was kept.
    pub(crate) fn gradient(&self) -> Option<Gradient> {
        let tiles: Option<Vec<_>> = self.tiles.iter().map(|tile| tile.kept.as_deref()).collect();
        let (weights, outputs) = (tiles?.concat(), self.bias_gradient.len());
        let weight = Array2::from_shape_vec((weights.len() / outputs, outputs), weights).ok()?;
        Some(Gradient { weight, bias: self.bias_gradient.clone() })
    }

    /// The penalties' value over the layer's weights before the update.
    pub(crate) fn penalty(&self) -> f64 {
        self.tiles.iter().map(|tile| tile.penalty).sum()
    }

    /// Whether all parameters were finite after the update.
    pub(crate) fn is_finite(&self) -> bool {
        self.bias_finite && self.tiles.iter().all(|tile| tile.weights_finite)
    }

    /// Whether the gradient that led to the update was finite.
    pub(crate) fn gradient_is_finite(&self) -> bool {
        self.tiles.iter().all(|tile| tile.gradient_finite) && self.bias_gradient.iter().all(|g| g.is_finite())
    }
}

/// Room for the gradient of a tile, one a worker: the tile's update reads it out of the cache, and it need not go to
/// memory.
#[derive(Debug, Default)]
pub(crate) struct TileGradients {
    of_worker: Vec<Mutex<Array1<f32>>>,
}

impl TileGradients {
    /// Makes room for every worker of the pool that it is called in. Later calls in it allocate nothing.
    fn prepare(&mut self, model: &Autoencoder) {
        let shapes = model.layers().iter().map(|layer| layer.dense.weight().dim());
        let largest = shapes.map(|shape| tile_rows(shape) * shape.1).max();
        let room = || Mutex::new(aligned::zeros(largest.unwrap_or(0)));
        let workers = rayon::current_num_threads();
        self.of_worker.resize_with(workers.max(self.of_worker.len()), room);
    }

    /// The calling worker's room.
    fn of_this_worker(&self) -> MutexGuard<'_, Array1<f32>> {
        let worker = rayon::current_thread_index().unwrap_or(0);
        // Nobody else has it: a worker finishes one tile before it takes the next.
        self.of_worker[worker].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The weights phase: every tile of every layer gets its gradient, the penalties' share and its update. A tile's
/// sums run over the blocks in their order, whichever worker has it.
pub(crate) fn run(
    model: &mut Autoencoder,
    objective: &Objective,
    state: &mut OptimizerState,
    learning_rate: f32,
    blocks: &[RowBlock],
    updates: &mut [LayerUpdate],
    gradients: &mut TileGradients,
) {
    gradients.prepare(model);
    let gradients = &*gradients;
    let step = state.begin_step(learning_rate);
    let encoder_depth = model.encoder_depth();
    let layers = model.layers_mut().par_iter_mut().zip(updates).zip(&mut state.layers);
    layers.enumerate().with_max_len(1).for_each(|(index, ((layer, update), moments))| {
        let in_encoder = index < encoder_depth;
        let phase = Phase { objective, blocks, gradients, step, learning_rate, index, in_encoder };
        phase.layer(layer, update, moments);
    });
}

/// What the tiles of a layer share.
struct Phase<'a> {
    objective: &'a Objective,
    blocks: &'a [RowBlock],
    gradients: &'a TileGradients,
    step: Update,
    learning_rate: f32,
    index: usize,
    in_encoder: bool,
}

impl Phase<'_> {
    fn layer(&self, layer: &mut Layer, update: &mut LayerUpdate, moments: &mut LayerMoments) {
        let LayerUpdate { tile_rows, tiles, bias_gradient, bias_finite } = update;
        let LayerMoments { weight: Moments { first, second }, bias: bias_moments } = moments;
        let (weight, bias) = layer.dense.parameters_mut();

        let (tile_rows, outputs) = (*tile_rows, weight.ncols());
        let tile_elements = tile_rows * outputs;
        let weights = slice_mut(weight).par_chunks_mut(tile_elements);
        let moments = first.par_chunks_mut(tile_elements).zip(second.par_chunks_mut(tile_elements));
        let tiles = tiles.par_iter_mut().zip(weights).zip(moments).enumerate();
        let update_tiles = || {
            tiles.with_max_len(1).for_each(|(index, ((tile, weights), moments))| {
                let mut gradient = self.gradients.of_this_worker();
                let gradient = &mut slice_mut(gradient.view_mut())[..weights.len()];
                self.weight_gradient(index * tile_rows, outputs, gradient);
                self.update(tile, weights, gradient, moments);
            });
        };
        let update_bias = || {
            let gradient = slice_mut(bias_gradient.view_mut());
            self.bias_gradient(gradient);
            let Moments { first, second } = bias_moments;
            *bias_finite = self.step.apply(slice_mut(bias), first, second, gradient);
        };
        rayon::join(update_tiles, update_bias);
    }

    /// The blocks that hold rows of the batch.
    fn filled_blocks(&self) -> impl Iterator<Item = &RowBlock> {
        self.blocks.iter().filter(|block| !block.is_empty())
    }

    /// The data's gradient by the weights from row `first` on, summed over the batch.
    fn weight_gradient(&self, first: usize, outputs: usize, gradient: &mut [f32]) {
        let rows = gradient.len() / outputs;
        let gradient = ArrayViewMut2::from_shape((rows, outputs), gradient).expect("whole rows");
        let blocks = self.filled_blocks().map(|block| {
            let input = block.layer_input(self.index).slice_move(s![.., first..first + rows]);
            (input, block.delta(self.index))
        });
        Dense::weight_gradient(blocks, gradient);
    }

    fn bias_gradient(&self, gradient: &mut [f32]) {
        gradient.fill(0.0);
        self.filled_blocks().for_each(|block| Dense::bias_gradient(block.delta(self.index), gradient));
    }

    /// Adds the penalties to a tile's gradient and updates its weights.
    fn update(
        &self,
        tile: &mut Tile,
        weights: &mut [f32],
        gradient: &mut [f32],
        (first, second): (&mut [f32], &mut [f32]),
    ) {
        tile.penalty = 0.0;
        for term in &self.objective.penalties {
            tile.penalty += term.of_weights(weights, self.in_encoder);
            term.add_weight_gradient(gradient, weights, self.in_encoder);
        }
        tile.weights_finite = self.step.apply(weights, first, second, gradient);
        tile.gradient_finite = tile.weights_finite || gradient.iter().all(|g| g.is_finite());
        for term in &self.objective.penalties {
            term.after_update(weights, self.in_encoder, self.learning_rate);
        }
        if let Some(kept) = &mut tile.kept {
            kept.clear();
            kept.extend_from_slice(gradient);
        }
    }
}

fn slice_mut<D: Dimension>(array: ArrayViewMut<'_, f32, D>) -> &mut [f32] {
    array.into_slice().expect("parameters and gradients are in standard layout")
}
