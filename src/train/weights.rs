use crate::{
    compute::Accum,
    nn::{Autoencoder, Dense, Layer},
    train::{
        Objective,
        optimizer::{LayerMoments, Moments, OptimizerState, Update},
        rows::RowBlock,
    },
};
use ndarray::{Array1, Array2, ArrayViewMut, ArrayViewMut2, Axis, Dimension, s};
use rayon::prelude::*;

/// Weights of a tile, about: small enough that weights, gradient and moments of a tile stay in a core's cache
/// between its product and its update, and that the last tiles of a phase leave no worker idle for long.
const TILE_WEIGHTS: usize = 32_768;

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
    pub gradient: Gradient,
    tile_rows: usize,
    tiles: Vec<TileReport>,
    bias_finite: bool,
}

#[derive(Debug, Clone, Copy)]
struct TileReport {
    penalty: f64,
    finite: bool,
}

impl LayerUpdate {
    pub(crate) fn new(layer: &Layer) -> Self {
        let (inputs, outputs) = layer.dense.weight().dim();
        let tile_rows = (TILE_WEIGHTS / outputs).clamp(1, inputs);
        let gradient = Gradient { weight: Array2::zeros((inputs, outputs)), bias: Array1::zeros(outputs) };
        let tiles = vec![TileReport { penalty: 0.0, finite: true }; inputs.div_ceil(tile_rows)];
        Self { gradient, tile_rows, tiles, bias_finite: true }
    }

    /// The penalties' value over the layer's weights before the update.
    pub(crate) fn penalty(&self) -> f64 {
        self.tiles.iter().map(|tile| tile.penalty).sum()
    }

    /// Whether all parameters were finite after the update.
    pub(crate) fn is_finite(&self) -> bool {
        self.bias_finite && self.tiles.iter().all(|tile| tile.finite)
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
) {
    let step = state.begin_step(learning_rate);
    let encoder_depth = model.encoder_depth();
    let layers = model.layers_mut().par_iter_mut().zip(updates).zip(&mut state.layers);
    layers.enumerate().with_max_len(1).for_each(|(index, ((layer, update), moments))| {
        let phase =
            Phase { objective, blocks, step, learning_rate, index, in_encoder: index < encoder_depth };
        phase.layer(layer, update, moments);
    });
}

/// What the tiles of a layer share.
struct Phase<'a> {
    objective: &'a Objective,
    blocks: &'a [RowBlock],
    step: Update,
    learning_rate: f32,
    index: usize,
    in_encoder: bool,
}

impl Phase<'_> {
    fn layer(&self, layer: &mut Layer, update: &mut LayerUpdate, moments: &mut LayerMoments) {
        let LayerUpdate { gradient, tile_rows, tiles, bias_finite } = update;
        let LayerMoments { weight: Moments { first, second }, bias: bias_moments } = moments;
        let (weight, bias) = layer.dense.parameters_mut();

        let tile_rows = *tile_rows;
        let tile_elements = tile_rows * weight.ncols();
        let weights = slice_mut(weight).par_chunks_mut(tile_elements);
        let moments = first.par_chunks_mut(tile_elements).zip(second.par_chunks_mut(tile_elements));
        let gradients = gradient.weight.axis_chunks_iter_mut(Axis(0), tile_rows).into_par_iter();
        let tiles = tiles.par_iter_mut().zip(weights).zip(gradients).zip(moments).enumerate();
        let update_tiles = || {
            tiles.with_max_len(1).for_each(|(tile, (((report, weights), mut gradient), moments))| {
                self.weight_gradient(tile * tile_rows, gradient.view_mut());
                *report = self.update(weights, slice_mut(gradient), moments);
            });
        };
        let update_bias = || {
            let gradient = slice_mut(gradient.bias.view_mut());
            self.bias_gradient(gradient);
            let Moments { first, second } = bias_moments;
            *bias_finite = self.step.apply(slice_mut(bias), first, second, gradient);
        };
        rayon::join(update_tiles, update_bias);
    }

    /// The blocks that hold rows of the batch, and how each adds to a sum over them.
    fn filled_blocks(&self) -> impl Iterator<Item = (Accum, &RowBlock)> {
        let accums = std::iter::once(Accum::Replace).chain(std::iter::repeat(Accum::Add));
        accums.zip(self.blocks.iter().filter(|block| !block.is_empty()))
    }

    /// The data's gradient by the weights from row `first` on, summed over the batch.
    fn weight_gradient(&self, first: usize, mut gradient: ArrayViewMut2<f32>) {
        let end = first + gradient.nrows();
        for (accum, block) in self.filled_blocks() {
            let input = block.layer_input(self.index);
            let input = input.slice(s![.., first..end]);
            Dense::weight_gradient(accum, input, block.delta(self.index), gradient.view_mut());
        }
    }

    fn bias_gradient(&self, gradient: &mut [f32]) {
        for (accum, block) in self.filled_blocks() {
            Dense::bias_gradient(accum, block.delta(self.index), gradient);
        }
    }

    /// Adds the penalties to a tile's gradient and updates its weights.
    fn update(
        &self,
        weights: &mut [f32],
        gradient: &mut [f32],
        (first, second): (&mut [f32], &mut [f32]),
    ) -> TileReport {
        let mut penalty = 0.0;
        for term in &self.objective.penalties {
            penalty += term.of_weights(weights, self.in_encoder);
            term.add_weight_gradient(gradient, weights, self.in_encoder);
        }
        let finite = self.step.apply(weights, first, second, gradient);
        for term in &self.objective.penalties {
            term.after_update(weights, self.in_encoder, self.learning_rate);
        }
        TileReport { penalty, finite }
    }
}

fn slice_mut<D: Dimension>(array: ArrayViewMut<'_, f32, D>) -> &mut [f32] {
    array.into_slice().expect("parameters and gradients are in standard layout")
}
