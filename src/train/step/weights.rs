use super::{
    Objective,
    crew::{Crew, Slot},
    layer_state::{LayerState, Tile},
    rows::RowBlock,
    tasks::{Change, Phase, Task, TileGradients},
};
use crate::{
    error::{Quantity, Result},
    group::{Exchange, Part, Wire},
    kernels::slice_mut,
    nn::{Autoencoder, Parameters, clip_factor},
    train::optimizer::OptimizerState,
};
use ndarray::{ArrayViewMut1, ArrayViewMut2};
use std::slice;

/// The weights phase: every tile of every layer goes through its gradient over the whole batch, the penalties and the
/// optimizer. A tile sums the blocks in their order, regardless of which worker runs it.
#[derive(Debug)]
pub(super) struct WeightsPhase {
    layers: Vec<LayerState>,
    gradients: TileGradients,
    /// Empty between the steps; kept for its memory.
    slots: Vec<Slot<Task<'static>>>,
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
