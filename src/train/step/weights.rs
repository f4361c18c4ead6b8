use super::{
    Objective,
    crew::{Crew, Slot},
    rows::RowBlock,
};
use crate::{
    error::{Quantity, Result},
    group::{Exchange, Part, Wire},
    kernels::{self, buffers, elementwise, slice_mut},
    nn::{Autoencoder, Dense, Layer, LayerParameters, Parameters, clip_factor},
    train::optimizer::{OptimizerState, Update, Updates},
};
use ndarray::{Array1, ArrayViewMut1, ArrayViewMut2, s};
use std::{
    ops::Range,
    slice,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Maximum weights per tile, to within one row: small enough that a tile's gradient stays in a core's cache until the
/// update, and that the last tiles of a phase leave no worker idle for long.
const TILE_WEIGHTS: usize = 49_152;
/// Rows of a tile, where the layer has them, below which its product slows down.
const MIN_TILE_ROWS: usize = 12;

/// Rows of each tile where a layer's rows, or some of them, are cut; the last tile may have fewer. With more than two workers, the number of tiles is a multiple
/// of the number of workers if the layer has enough rows, so that no worker gets much more than another.
fn tile_rows(rows: usize, outputs: usize, workers: usize) -> usize {
    let mut tiles = (rows * outputs).div_ceil(TILE_WEIGHTS);
    if workers > 2 {
        tiles = tiles.next_multiple_of(workers).min(rows.div_ceil(MIN_TILE_ROWS).max(tiles));
    }
    rows.div_ceil(tiles.clamp(1, rows.max(1))).max(1)
}

/// The weights phase: every tile of every layer goes through its gradient over the whole batch, the penalties and the
/// optimizer. A tile sums the blocks in their order, regardless of which worker runs it.
#[derive(Debug)]
pub(super) struct WeightsPhase {
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
    /// The rows of the weights that this process updates.
    own: Range<usize>,
    /// True if this process updates the biases.
    owns_bias: bool,
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
    /// The records of the other processes together.
    elsewhere: Tile,
}

/// The record of a tile's update.
#[derive(Debug, Clone, Copy)]
struct Tile {
    gradient_finite: bool,
    weights_finite: bool,
}

impl Tile {
    const FINITE: Self = Self { gradient_finite: true, weights_finite: true };
}

impl LayerState {
    fn new(layer: &Layer, index: usize, part: Part, workers: usize) -> Self {
        let (inputs, outputs) = layer.dense.weight().dim();
        let own = part.range(inputs);
        let tile_rows = tile_rows(own.len(), outputs, workers);
        Self {
            frozen: false,
            owns_bias: part.has(index),
            tile_rows,
            tiles: vec![Tile::FINITE; own.len().div_ceil(tile_rows)],
            own,
            penalties: vec![0.0; inputs],
            squares: vec![0.0; inputs + 1],
            bias_gradient: Array1::zeros(outputs),
            bias_finite: true,
            elsewhere: Tile::FINITE,
        }
    }

    /// The record of all of this process's updates.
    fn own_record(&self) -> Tile {
        let weights_finite = self.bias_finite && self.tiles.iter().all(|tile| tile.weights_finite);
        let gradient_finite = || {
            self.bias_gradient.iter().all(|g| g.is_finite())
                && self.tiles.iter().all(|tile| tile.gradient_finite)
        };
        Tile { weights_finite, gradient_finite: weights_finite || gradient_finite() }
    }

    /// The quantity that is not finite, if any.
    fn not_finite(&self) -> Option<Quantity> {
        let (own, elsewhere) = (self.own_record(), self.elsewhere);
        if own.weights_finite && elsewhere.weights_finite {
            None
        } else if own.gradient_finite && elsewhere.gradient_finite {
            Some(Quantity::Weight)
        } else {
            Some(Quantity::Gradient)
        }
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
    pub(super) fn new(model: &Autoencoder, part: Part, workers: usize) -> Self {
        let layers = model.layers().iter().enumerate();
        Self {
            layers: layers.map(|(index, layer)| LayerState::new(layer, index, part, workers)).collect(),
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

    /// Computes this process's gradients, penalties included, but updates nothing. Those of frozen layers are zeros and
    /// marked.
    pub(super) fn gradients(
        &mut self,
        model: &Autoencoder,
        objective: &Objective,
        blocks: &[RowBlock],
        gradients: &mut Parameters,
    ) {
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
    }

    /// Clips all gradients. Returns the first layer whose gradients are not finite; nothing is clipped then.
    pub(super) fn clip(&self, gradients: &mut Parameters, max_norm: Option<f32>) -> Option<usize> {
        let not_finite = self.gradient_not_finite();
        if let Some(max_norm) = max_norm
            && not_finite.is_none()
        {
            gradients.scale(clip_factor(self.norm(), max_norm));
        }
        not_finite
    }

    /// The layers that are not frozen.
    fn trained(&mut self) -> impl Iterator<Item = (usize, &mut LayerState)> {
        self.layers.iter_mut().enumerate().filter(|(_, layer)| !layer.frozen)
    }

    /// Returns true if a layer is trained.
    pub(super) fn is_trained(&self, layer: usize) -> bool {
        !self.layers[layer].frozen
    }

    /// Returns true if this process computes gradients of the first layer's weights.
    pub(super) fn needs_inputs(&self) -> bool {
        self.layers.first().is_some_and(|layer| !layer.frozen && !layer.own.is_empty())
    }

    /// Exchanges the [gradients](Self::gradients).
    pub(super) fn exchange_gradients(
        &mut self,
        exchange: &mut Exchange,
        gradients: &mut Parameters,
    ) -> Result<()> {
        let part = exchange.part();
        exchange.run("weights", |rank, wire| {
            let part = part.at(rank);
            for (index, state) in self.trained() {
                let own = part.range(state.penalties.len());
                let gradient = &mut gradients.layers_mut()[index];
                own_parameters(wire, part, index, gradient.weight.view_mut(), gradient.bias.view_mut());
                wire.f64s(&mut state.penalties[own.clone()]);
                wire.f64s(&mut state.squares[own]);
                if part.has(index) {
                    wire.f64s(state.squares.last_mut().map_or(&mut [], slice::from_mut));
                }
            }
        })
    }

    /// Exchanges the updated weights and biases.
    pub(super) fn exchange_weights(
        &mut self,
        exchange: &mut Exchange,
        model: &mut Autoencoder,
    ) -> Result<()> {
        let own_part = exchange.part();
        self.trained().for_each(|(_, state)| state.elsewhere = Tile::FINITE);
        exchange.run("weights", |rank, wire| {
            let part = own_part.at(rank);
            for (index, state) in self.trained() {
                let (weight, bias) = model.layers_mut()[index].dense.parameters_mut();
                own_parameters(wire, part, index, weight, bias);
                let own = part.range(state.penalties.len());
                wire.f64s(&mut state.penalties[own]);
                let mut record = if part == own_part { state.own_record() } else { Tile::FINITE };
                wire.flags([&mut record.gradient_finite, &mut record.weights_finite]);
                if part != own_part {
                    state.elsewhere.gradient_finite &= record.gradient_finite;
                    state.elsewhere.weights_finite &= record.weights_finite;
                }
            }
        })
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
        let tiles = model.layers().iter().zip(&self.layers);
        let largest = tiles.map(|(layer, state)| state.tile_rows * layer.dense.outputs()).max();
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

/// Exchanges the optimizer's moments, of which every process updates its own.
pub(super) fn exchange_moments(exchange: &mut Exchange, state: &mut OptimizerState) -> Result<()> {
    let part = exchange.part();
    exchange.run("moments", |rank, wire| {
        for moments in [&mut state.first, &mut state.second] {
            for (index, layer) in moments.layers_mut().iter_mut().enumerate() {
                own_parameters(wire, part.at(rank), index, layer.weight.view_mut(), layer.bias.view_mut());
            }
        }
    })
}

/// Visits the part of a layer's parameters that a process updates: some rows of the weights, and all biases or none.
fn own_parameters(
    wire: &mut Wire,
    part: Part,
    layer: usize,
    weight: ArrayViewMut2<f32>,
    bias: ArrayViewMut1<f32>,
) {
    let (rows, outputs) = weight.dim();
    let own = part.range(rows);
    wire.f32s(&mut slice_mut(weight)[own.start * outputs..own.end * outputs]);
    if part.has(layer) {
        wire.f32s(slice_mut(bias));
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
        let own = state.own.start * outputs..state.own.end * outputs;
        let weights = slice_mut(weight)[own.clone()].chunks_mut(rows * outputs);
        let first_weights = slice_mut(first.weight.view_mut())[own.clone()].chunks_mut(rows * outputs);
        let second_weights = slice_mut(second.weight.view_mut())[own].chunks_mut(rows * outputs);
        let penalties = state.penalties[state.own.clone()].chunks_mut(rows);
        let parts = weights.zip(first_weights).zip(second_weights).zip(penalties);
        for (index, (tile, (((weights, first), second), penalties))) in
            state.tiles.iter_mut().zip(parts).enumerate()
        {
            let (start, moments) = (state.own.start + index * rows, [first, second]);
            let phase = self;
            let task = Task::Tile { phase, change, tile, start, outputs, weights, moments, penalties };
            slots.push(Slot::new(crew.owner(index, count), task));
        }
        if !state.owns_bias {
            return;
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
        let own = state.own.start * outputs..state.own.end * outputs;
        let weights = kernels::slice(layer.dense.weight())[own.clone()].chunks(rows * outputs);
        let gradients = slice_mut(gradient.weight.view_mut())[own].chunks_mut(rows * outputs);
        let penalties = state.penalties[state.own.clone()].chunks_mut(rows);
        let sums = penalties.zip(squares[state.own.clone()].chunks_mut(rows));
        for (index, ((weights, gradient), (penalties, squares))) in
            weights.zip(gradients).zip(sums).enumerate()
        {
            let start = state.own.start + index * rows;
            let task = Task::TileGradient { phase, start, outputs, weights, gradient, penalties, squares };
            slots.push(Slot::new(crew.owner(index, count), task));
        }
        if !state.owns_bias {
            return;
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
