use super::{
    Objective,
    crew::{Crew, Slot},
    rows::RowBlock,
};
use crate::{
    error::Quantity,
    kernels::buffers,
    nn::{Autoencoder, Dense, Layer, LayerParameters, Parameters},
    train::optimizer::{OptimizerState, Update},
};
use ndarray::{Array1, Array2, ArrayViewMut, ArrayViewMut2, Dimension, s};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Maximum weights per tile, to within one row: small enough that a tile's gradient stays in a core's cache until the
/// update, and that the last tiles of a phase leave no worker idle for long.
const TILE_WEIGHTS: usize = 49_152;
/// Rows of a tile, where the layer has them, below which its product slows down.
const MIN_TILE_ROWS: usize = 12;

/// Rows of each tile of a layer; the last one may have fewer. With more than two workers their number is a multiple of
/// the workers', so that none has more than another.
fn tile_rows((inputs, outputs): (usize, usize), workers: usize) -> usize {
    let mut tiles = (inputs * outputs).div_ceil(TILE_WEIGHTS);
    if workers > 2 {
        tiles = tiles.next_multiple_of(workers).min(inputs.div_ceil(MIN_TILE_ROWS).max(tiles));
    }
    inputs.div_ceil(tiles.min(inputs))
}

/// The weights phase: every tile of every layer goes through its gradient over the whole batch, the penalties and the
/// optimizer. A tile sums the blocks in their order, whoever has it.
#[derive(Debug)]
pub(super) struct WeightsPhase {
    workers: usize,
    layers: Vec<LayerState>,
    gradients: TileGradients,
    /// Empty between the steps; kept for its memory.
    slots: Vec<Slot<Task<'static>>>,
}

/// Per-layer state of the weights phase.
#[derive(Debug)]
struct LayerState {
    tile_rows: usize,
    tiles: Vec<Tile>,
    /// The penalties' value over each row of the weights before the update. By rows, so that the sum does not depend on
    /// the tiles.
    penalties: Vec<f64>,
    bias_gradient: Array1<f32>,
    bias_finite: bool,
}

/// What is left of a tile after its update.
#[derive(Debug, Clone)]
struct Tile {
    gradient_finite: bool,
    weights_finite: bool,
    /// Its gradient, if gradients are kept.
    kept: Option<Vec<f32>>,
}

impl LayerState {
    fn new(layer: &Layer, workers: usize) -> Self {
        let (inputs, outputs) = layer.dense.weight().dim();
        let tile_rows = tile_rows((inputs, outputs), workers);
        let tile = Tile { gradient_finite: true, weights_finite: true, kept: None };
        Self {
            tile_rows,
            tiles: vec![tile; inputs.div_ceil(tile_rows)],
            penalties: vec![0.0; inputs],
            bias_gradient: Array1::zeros(outputs),
            bias_finite: true,
        }
    }

    /// The gradient of the last step, if it was kept.
    fn gradient(&self) -> Option<LayerParameters> {
        let tiles: Option<Vec<_>> = self.tiles.iter().map(|tile| tile.kept.as_deref()).collect();
        let (weights, outputs) = (tiles?.concat(), self.bias_gradient.len());
        let weight = Array2::from_shape_vec((weights.len() / outputs, outputs), weights).ok()?;
        Some(LayerParameters { weight, bias: self.bias_gradient.clone() })
    }

    /// What is not finite, if anything.
    fn not_finite(&self) -> Option<Quantity> {
        if self.bias_finite && self.tiles.iter().all(|tile| tile.weights_finite) {
            return None;
        }
        let bias_gradient_finite = self.bias_gradient.iter().all(|g| g.is_finite());
        let gradient_finite = bias_gradient_finite && self.tiles.iter().all(|tile| tile.gradient_finite);
        Some(if gradient_finite { Quantity::Weight } else { Quantity::Gradient })
    }
}

/// Room for the gradient of a tile, one per worker: the tile's update reads it from the cache, and it need not go to
/// memory.
#[derive(Debug, Default)]
struct TileGradients {
    of_worker: Vec<Mutex<Array1<f32>>>,
}

impl TileGradients {
    /// Makes room for every worker of the pool that it is called in. Later calls in it allocate nothing.
    fn prepare(&mut self, largest: usize) {
        let workers = rayon::current_num_threads().max(self.of_worker.len());
        self.of_worker.resize_with(workers, || Mutex::new(buffers::aligned_zeros(largest)));
    }

    /// The calling worker's room.
    fn of_this_worker(&self) -> MutexGuard<'_, Array1<f32>> {
        let worker = rayon::current_thread_index().unwrap_or(0);
        // Nobody else has it: a worker finishes one tile before it takes the next.
        self.of_worker[worker].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WeightsPhase {
    pub(super) fn new(model: &Autoencoder, workers: usize) -> Self {
        Self {
            workers,
            layers: model.layers().iter().map(|layer| LayerState::new(layer, workers)).collect(),
            gradients: TileGradients::default(),
            slots: vec![],
        }
    }

    /// Keeps the gradients with respect to the weights, too, from the next step on.
    pub(super) fn keep_gradients(&mut self) {
        self.layers.iter_mut().flat_map(|layer| &mut layer.tiles).for_each(|tile| tile.kept = Some(vec![]));
    }

    /// The gradients of the last step, if they were kept.
    pub(super) fn gradients(&self) -> Option<Parameters> {
        self.layers.iter().map(LayerState::gradient).collect()
    }

    /// The penalties' value over all weights before the update.
    pub(super) fn penalty(&self) -> f64 {
        self.layers.iter().flat_map(|layer| &layer.penalties).sum()
    }

    /// The first layer that is not finite after the update, and what of it is not.
    pub(super) fn not_finite(&self) -> Option<(usize, Quantity)> {
        self.layers.iter().enumerate().find_map(|(index, layer)| Some((index, layer.not_finite()?)))
    }

    pub(super) fn run(
        &mut self,
        model: &mut Autoencoder,
        objective: &Objective,
        state: &mut OptimizerState,
        learning_rate: f32,
        blocks: &[RowBlock],
    ) {
        let shapes = model.layers().iter().map(|layer| layer.dense.weight().dim());
        let largest = shapes.map(|shape| tile_rows(shape, self.workers) * shape.1).max();
        self.gradients.prepare(largest.unwrap_or(0));
        let rows: usize = blocks.iter().map(|block| block.results().len()).sum();
        let crew = Crew::of_pool().for_operations(rows * model.parameter_count());
        let update = state.begin_step(learning_rate);
        let (depth, encoder_depth) = (model.layers().len(), model.encoder_depth());

        let mut slots = recycle(std::mem::take(&mut self.slots));
        let moments = state.first.layers_mut().iter_mut().zip(state.second.layers_mut());
        let layers = model.layers_mut().iter_mut().zip(&mut self.layers).zip(moments);
        for (index, ((layer, state), (first, second))) in layers.enumerate() {
            let in_encoder = index < encoder_depth;
            let phase = Phase { objective, blocks, update, learning_rate, index, depth, in_encoder };
            phase.add_tasks(layer, state, [first, second], crew, &mut slots);
        }
        crew.run_slots(&slots, |task| task.run(&self.gradients));
        slots.clear();
        self.slots = recycle(slots);
    }
}

/// An empty vector for another lifetime, with the memory of this one: the standard library collects in place.
fn recycle<'a>(mut slots: Vec<Slot<Task<'_>>>) -> Vec<Slot<Task<'a>>> {
    slots.clear();
    slots.into_iter().map(|_| unreachable!("the vector is empty")).collect()
}

/// A part of a layer's parameters to update.
#[derive(Debug)]
enum Task<'a> {
    Tile {
        phase: Phase<'a>,
        tile: &'a mut Tile,
        /// The first of its rows of the weights.
        start: usize,
        outputs: usize,
        weights: &'a mut [f32],
        /// The optimizer's first and second moments.
        moments: [&'a mut [f32]; 2],
        penalties: &'a mut [f64],
    },
    Bias {
        phase: Phase<'a>,
        bias: &'a mut [f32],
        moments: [&'a mut [f32]; 2],
        gradient: &'a mut [f32],
        finite: &'a mut bool,
    },
}

/// What the tasks of a layer share.
#[derive(Debug, Clone, Copy)]
struct Phase<'a> {
    objective: &'a Objective,
    blocks: &'a [RowBlock],
    update: Update,
    learning_rate: f32,
    index: usize,
    depth: usize,
    in_encoder: bool,
}

impl<'a> Phase<'a> {
    fn add_tasks(
        self,
        layer: &'a mut Layer,
        state: &'a mut LayerState,
        moments: [&'a mut LayerParameters; 2],
        crew: Crew,
        slots: &mut Vec<Slot<Task<'a>>>,
    ) {
        let (weight, bias) = layer.dense.parameters_mut();
        let [first, second] = moments;
        let (rows, outputs) = (state.tile_rows, weight.ncols());
        let count = state.tiles.len();
        let weights = slice_mut(weight).chunks_mut(rows * outputs);
        let first_weights = slice_mut(first.weight.view_mut()).chunks_mut(rows * outputs);
        let second_weights = slice_mut(second.weight.view_mut()).chunks_mut(rows * outputs);
        let parts = weights.zip(first_weights).zip(second_weights).zip(state.penalties.chunks_mut(rows));
        for (index, (tile, (((weights, first), second), penalties))) in
            state.tiles.iter_mut().zip(parts).enumerate()
        {
            let (start, moments) = (index * rows, [first, second]);
            let task = Task::Tile { phase: self, tile, start, outputs, weights, moments, penalties };
            slots.push(Slot::new(crew.owner(index, count), task));
        }
        let task = Task::Bias {
            phase: self,
            bias: slice_mut(bias),
            moments: [slice_mut(first.bias.view_mut()), slice_mut(second.bias.view_mut())],
            gradient: slice_mut(state.bias_gradient.view_mut()),
            finite: &mut state.bias_finite,
        };
        slots.push(Slot::new(crew.owner(self.index, self.depth), task));
    }

    /// The blocks that have rows of the batch.
    fn filled_blocks(&self) -> impl Iterator<Item = &RowBlock> {
        self.blocks.iter().filter(|block| !block.is_empty())
    }

    /// The gradient of the data's loss with respect to some rows of the weights, summed over the batch.
    fn weight_gradient(&self, start: usize, outputs: usize, gradient: &mut [f32]) {
        let rows = gradient.len() / outputs;
        let gradient = ArrayViewMut2::from_shape((rows, outputs), gradient).expect("whole rows");
        let blocks = self.filled_blocks().map(|block| {
            let input = block.layer_input(self.index).slice_move(s![.., start..start + rows]);
            (input, block.delta(self.index))
        });
        Dense::weight_gradient(blocks, gradient);
    }

    fn bias_gradient(&self, gradient: &mut [f32]) {
        gradient.fill(0.0);
        self.filled_blocks().for_each(|block| Dense::bias_gradient(block.delta(self.index), gradient));
    }
}

impl Task<'_> {
    fn run(self, gradients: &TileGradients) {
        match self {
            Self::Tile { phase, tile, start, outputs, weights, moments: [first, second], penalties } => {
                let mut gradient = gradients.of_this_worker();
                let gradient = &mut slice_mut(gradient.view_mut())[..weights.len()];
                phase.weight_gradient(start, outputs, gradient);
                let Phase { objective, in_encoder, learning_rate, .. } = phase;
                penalties.fill(0.0);
                for term in &objective.penalties {
                    for (value, row) in penalties.iter_mut().zip(weights.chunks(outputs)) {
                        *value += term.of_weights(row, in_encoder);
                    }
                    term.add_weight_gradient(gradient, weights, in_encoder);
                }
                tile.weights_finite = phase.update.apply(weights, first, second, gradient);
                tile.gradient_finite = tile.weights_finite || gradient.iter().all(|g| g.is_finite());
                for term in &objective.penalties {
                    term.after_update(weights, in_encoder, learning_rate);
                }
                if let Some(kept) = &mut tile.kept {
                    kept.clear();
                    kept.extend_from_slice(gradient);
                }
            }
            Self::Bias { phase, bias, moments: [first, second], gradient, finite } => {
                phase.bias_gradient(gradient);
                *finite = phase.update.apply(bias, first, second, gradient);
            }
        }
    }
}

fn slice_mut<D: Dimension>(array: ArrayViewMut<'_, f32, D>) -> &mut [f32] {
    array.into_slice().expect("parameters and gradients are in standard layout")
}
