use super::{
    Objective,
    crew::{Crew, Slot},
    rows::RowBlock,
};
use crate::{
    error::Quantity,
    kernels::{buffers, elementwise, slice, slice_mut},
    nn::{Autoencoder, Dense, Layer, LayerParameters, Parameters, clip_factor},
    train::optimizer::{OptimizerState, Update, Updates},
};
use ndarray::{Array1, ArrayViewMut2, s};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Maximum weights per tile, to within one row: small enough that a tile's gradient stays in a core's cache until the
/// update, and that the last tiles of a phase leave no worker idle for long.
const TILE_WEIGHTS: usize = 49_152;
/// Rows of a tile, where the layer has them, below which its product slows down.
const MIN_TILE_ROWS: usize = 12;

/// Rows of each tile of a layer; the last tile may have fewer. With more than two workers, the number of tiles is a multiple
/// of the number of workers if the layer has enough rows, so that no worker gets much more than another.
fn tile_rows((inputs, outputs): (usize, usize), workers: usize) -> usize {
    let mut tiles = (inputs * outputs).div_ceil(TILE_WEIGHTS);
    if workers > 2 {
        tiles = tiles.next_multiple_of(workers).min(inputs.div_ceil(MIN_TILE_ROWS).max(tiles));
    }
    inputs.div_ceil(tiles.min(inputs))
}

/// The weights phase: every tile of every layer goes through its gradient over the whole batch, the penalties and the
/// optimizer. A tile sums the blocks in their order, regardless of which worker runs it.
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
    /// True if the layer has no tasks; everything below then stays as it was created.
    frozen: bool,
    tile_rows: usize,
    tiles: Vec<Tile>,
    /// The penalties' value over each row of the weights before the update. By rows, so that the sum does not depend on
    /// the tiles.
    penalties: Vec<f64>,
    /// The sums of the squared gradients of each row of the weights and, last, of the biases, where gradients are computed
    /// without an update. By rows, for the same reason.
    squares: Vec<f64>,
    bias_gradient: Array1<f32>,
    bias_finite: bool,
}

/// The record of a tile's update.
#[derive(Debug, Clone)]
struct Tile {
    gradient_finite: bool,
    weights_finite: bool,
}

impl LayerState {
    fn new(layer: &Layer, workers: usize) -> Self {
        let (inputs, outputs) = layer.dense.weight().dim();
        let tile_rows = tile_rows((inputs, outputs), workers);
        let tile = Tile { gradient_finite: true, weights_finite: true };
        Self {
            frozen: false,
            tile_rows,
            tiles: vec![tile; inputs.div_ceil(tile_rows)],
            penalties: vec![0.0; inputs],
            squares: vec![0.0; inputs + 1],
            bias_gradient: Array1::zeros(outputs),
            bias_finite: true,
        }
    }

    /// The quantity that is not finite, if any.
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

    /// Leaves layers out from now on.
    pub(super) fn freeze(&mut self, frozen: impl Iterator<Item = bool>) {
        for (layer, frozen) in self.layers.iter_mut().zip(frozen) {
            layer.frozen = frozen;
            // They count until the next step replaces them, which it does not for a frozen layer.
            layer.penalties.fill(0.0);
            layer.squares.fill(0.0);
        }
    }

    /// The penalties' value over all weights before the update.
    pub(super) fn penalty(&self) -> f64 {
        self.layers.iter().flat_map(|layer| &layer.penalties).sum()
    }

    /// The first layer that is not finite after the update, and which quantity is not.
    pub(super) fn not_finite(&self) -> Option<(usize, Quantity)> {
        self.layers.iter().enumerate().find_map(|(index, layer)| Some((index, layer.not_finite()?)))
    }

    /// The L2 norm of the [gradients](Self::gradients) of all layers that are not frozen.
    fn norm(&self) -> f64 {
        self.layers.iter().flat_map(|layer| &layer.squares).sum::<f64>().sqrt()
    }

    /// The first layer whose [gradients](Self::gradients) are not finite. Squares of finite `f32` do not overflow in `f64`.
    fn gradient_not_finite(&self) -> Option<usize> {
        self.layers.iter().position(|layer| layer.squares.iter().any(|sum| !sum.is_finite()))
    }

    /// Computes all gradients, penalties included, and clips them, but updates nothing. Those of frozen layers are zeros
    /// and marked. Returns the first layer whose gradients are not finite; nothing is clipped then.
    pub(super) fn gradients(
        &mut self,
        model: &Autoencoder,
        objective: &Objective,
        blocks: &[RowBlock],
        max_norm: Option<f32>,
        gradients: &mut Parameters,
    ) -> Option<usize> {
        let crew = crew(model, blocks);
        let (depth, encoder_depth) = (model.layers().len(), model.encoder_depth());
        let mut slots = recycle(std::mem::take(&mut self.slots));
        let layers = model.layers().iter().zip(&mut self.layers).zip(gradients.layers_mut());
        for (index, ((layer, state), gradient)) in layers.enumerate() {
            gradient.frozen = state.frozen;
            if state.frozen {
                gradient.weight.fill(0.0);
                gradient.bias.fill(0.0);
                continue;
            }
            let phase = Phase { objective, blocks, index, depth, in_encoder: index < encoder_depth };
            phase.add_gradient_tasks(layer, state, gradient, crew, &mut slots);
        }
        self.slots = run_tasks(crew, slots, &self.gradients);
        let not_finite = self.gradient_not_finite();
        if let Some(max_norm) = max_norm
            && not_finite.is_none()
        {
            gradients.scale(clip_factor(self.norm(), max_norm));
        }
        not_finite
    }

    /// Applies the proximal penalties to all layers that are not frozen.
    pub(super) fn shrink(&self, model: &mut Autoencoder, objective: &Objective, learning_rate: f32) {
        let encoder_depth = model.encoder_depth();
        for (index, (weight, _)) in model.parameters_mut().enumerate() {
            if self.layers[index].frozen {
                continue;
            }
            let weights = slice_mut(weight);
            for term in &objective.penalties {
                term.after_update(weights, index < encoder_depth, learning_rate);
            }
        }
    }

    /// Updates all layers that are not frozen.
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
        let crew = crew(model, blocks);
        let change = Change { updates: state.begin_step(learning_rate), learning_rate };
        let (depth, encoder_depth) = (model.layers().len(), model.encoder_depth());

        let mut slots = recycle(std::mem::take(&mut self.slots));
        let moments = state.first.layers_mut().iter_mut().zip(state.second.layers_mut());
        let layers = model.layers_mut().iter_mut().zip(&mut self.layers).zip(moments);
        for (index, ((layer, state), (first, second))) in layers.enumerate() {
            if state.frozen {
                continue;
            }
            let phase = Phase { objective, blocks, index, depth, in_encoder: index < encoder_depth };
            phase.add_tasks(layer, state, [first, second], change, crew, &mut slots);
        }
        self.slots = run_tasks(crew, slots, &self.gradients);
    }
}

/// The workers of a weights phase.
fn crew(model: &Autoencoder, blocks: &[RowBlock]) -> Crew {
    let rows: usize = blocks.iter().map(|block| block.results().len()).sum();
    Crew::of_pool().for_operations(rows * model.parameter_count())
}

/// Runs all tasks. Returns an empty vector with the memory of theirs.
fn run_tasks(crew: Crew, tasks: Vec<Slot<Task>>, gradients: &TileGradients) -> Vec<Slot<Task<'static>>> {
    crew.run_slots(&tasks, |task| task.run(gradients));
    recycle(tasks)
}

/// Returns an empty vector for another lifetime with the memory of this one. The standard library collects in place, which it
/// does not promise; `tests/allocation.rs` would notice.
fn recycle<'a>(mut slots: Vec<Slot<Task<'_>>>) -> Vec<Slot<Task<'a>>> {
    slots.clear();
    slots.into_iter().map(|_| unreachable!("the vector is empty")).collect()
}

/// A part of a layer's parameters to update, or to compute the gradient of.
#[derive(Debug)]
enum Task<'a> {
    Tile {
        phase: Phase<'a>,
        change: Change,
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
        update: Update,
        bias: &'a mut [f32],
        moments: [&'a mut [f32]; 2],
        gradient: &'a mut [f32],
        finite: &'a mut bool,
    },
    TileGradient {
        phase: Phase<'a>,
        start: usize,
        outputs: usize,
        weights: &'a [f32],
        gradient: &'a mut [f32],
        penalties: &'a mut [f64],
        squares: &'a mut [f64],
    },
    BiasGradient {
        phase: Phase<'a>,
        gradient: &'a mut [f32],
        square: &'a mut f64,
    },
}

/// A step's change of all parameters.
#[derive(Debug, Clone, Copy)]
struct Change {
    updates: Updates,
    /// The threshold of proximal penalties depends on it.
    learning_rate: f32,
}

/// The data that the tasks of a layer share.
#[derive(Debug, Clone, Copy)]
struct Phase<'a> {
    objective: &'a Objective,
    blocks: &'a [RowBlock],
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
        change: Change,
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
            let phase = self;
            let task = Task::Tile { phase, change, tile, start, outputs, weights, moments, penalties };
            slots.push(Slot::new(crew.owner(index, count), task));
        }
        let task = Task::Bias {
            phase: self,
            update: change.updates.biases,
            bias: slice_mut(bias),
            moments: [slice_mut(first.bias.view_mut()), slice_mut(second.bias.view_mut())],
            gradient: slice_mut(state.bias_gradient.view_mut()),
            finite: &mut state.bias_finite,
        };
        slots.push(Slot::new(crew.owner(self.index, self.depth), task));
    }

    fn add_gradient_tasks(
        self,
        layer: &'a Layer,
        state: &'a mut LayerState,
        gradient: &'a mut LayerParameters,
        crew: Crew,
        slots: &mut Vec<Slot<Task<'a>>>,
    ) {
        let (phase, rows, outputs) = (self, state.tile_rows, layer.dense.outputs());
        let (count, inputs) = (state.tiles.len(), layer.dense.inputs());
        let (squares, bias_square) = state.squares.split_at_mut(inputs);
        let weights = slice(layer.dense.weight()).chunks(rows * outputs);
        let gradients = slice_mut(gradient.weight.view_mut()).chunks_mut(rows * outputs);
        let sums = state.penalties.chunks_mut(rows).zip(squares.chunks_mut(rows));
        for (index, ((weights, gradient), (penalties, squares))) in
            weights.zip(gradients).zip(sums).enumerate()
        {
            let start = index * rows;
            let task = Task::TileGradient { phase, start, outputs, weights, gradient, penalties, squares };
            slots.push(Slot::new(crew.owner(index, count), task));
        }
        let gradient = slice_mut(gradient.bias.view_mut());
        let task = Task::BiasGradient { phase, gradient, square: &mut bias_square[0] };
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

    /// The gradient of some rows of the weights with the penalties', and the penalties' value over each of these rows.
    fn penalized_gradient(
        &self,
        start: usize,
        outputs: usize,
        weights: &[f32],
        gradient: &mut [f32],
        penalties: &mut [f64],
    ) {
        self.weight_gradient(start, outputs, gradient);
        penalties.fill(0.0);
        for term in &self.objective.penalties {
            for (value, row) in penalties.iter_mut().zip(weights.chunks(outputs)) {
                *value += term.of_weights(row, self.in_encoder);
            }
            term.add_weight_gradient(gradient, weights, self.in_encoder);
        }
    }

    fn bias_gradient(&self, gradient: &mut [f32]) {
        gradient.fill(0.0);
        self.filled_blocks().for_each(|block| Dense::bias_gradient(block.delta(self.index), gradient));
    }
}

impl Task<'_> {
    fn run(self, gradients: &TileGradients) {
        match self {
            Self::Tile {
                phase,
                change,
                tile,
                start,
                outputs,
                weights,
                moments: [first, second],
                penalties,
            } => {
                let mut gradient = gradients.of_this_worker();
                let gradient = &mut slice_mut(gradient.view_mut())[..weights.len()];
                phase.penalized_gradient(start, outputs, weights, gradient, penalties);
                tile.weights_finite = change.updates.weights.apply(weights, first, second, gradient);
                tile.gradient_finite = tile.weights_finite || gradient.iter().all(|g| g.is_finite());
                for term in &phase.objective.penalties {
                    term.after_update(weights, phase.in_encoder, change.learning_rate);
                }
            }
            Self::Bias { phase, update, bias, moments: [first, second], gradient, finite } => {
                phase.bias_gradient(gradient);
                *finite = update.apply(bias, first, second, gradient);
            }
            Self::TileGradient { phase, start, outputs, weights, gradient, penalties, squares } => {
                phase.penalized_gradient(start, outputs, weights, gradient, penalties);
                for (sum, row) in squares.iter_mut().zip(gradient.chunks(outputs)) {
                    *sum = elementwise::square_sum(row);
                }
            }
            Self::BiasGradient { phase, gradient, square } => {
                phase.bias_gradient(gradient);
                *square = elementwise::square_sum(gradient);
            }
        }
    }
}
