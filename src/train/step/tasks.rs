//! The tasks of the weights phase: tiles and biases.

use super::{
    Objective,
    crew::{Crew, Slot},
    layer_state::{LayerState, Tile},
    rows::RowBlock,
};
use crate::{
    kernels::{self, buffers, elementwise, slice_mut},
    nn::{Dense, Layer, LayerParameters},
    train::optimizer::{Update, Updates},
};
use ndarray::{Array1, ArrayViewMut2, s};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Room for the gradient of a tile, one per worker: the tile's update reads it from the cache, and it need not go to
/// memory.
#[derive(Debug, Default)]
pub(super) struct TileGradients {
    of_worker: Vec<Mutex<Array1<f32>>>,
}

impl TileGradients {
    /// Makes room for every worker of the pool that it is called in. Later calls in it allocate nothing.
    pub(super) fn prepare(&mut self, largest: usize) {
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

/// A part of a layer's parameters to update, or to compute the gradient of.
#[derive(Debug)]
pub(super) enum Task<'a> {
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
pub(super) struct Change {
    pub updates: Updates,
    /// The threshold of proximal penalties depends on it.
    pub learning_rate: f32,
}

/// The data that the tasks of a layer share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Phase<'a> {
    pub objective: &'a Objective,
    pub blocks: &'a [RowBlock],
    pub index: usize,
    pub depth: usize,
    pub in_encoder: bool,
}

impl<'a> Phase<'a> {
    pub(super) fn add_tasks(
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

    pub(super) fn add_gradient_tasks(
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
    pub(super) fn run(self, gradients: &TileGradients) {
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
