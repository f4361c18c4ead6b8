use crate::{error::Quantity, group::Part, nn::Layer};
use ndarray::Array1;
use std::ops::Range;

/// Maximum weights per tile, to within one row: small enough that a tile's gradient stays in a core's cache until the
/// update, and that the last tiles of a phase leave no worker idle for long.
const TILE_WEIGHTS: usize = 49_152;
/// Rows of a tile, where the layer has them, below which its product slows down.
const MIN_TILE_ROWS: usize = 12;

/// Rows of each tile where a layer's rows, or some of them, are cut; the last tile may have fewer. With more than two
/// workers, the number of tiles is a multiple of the number of workers if the layer has enough rows, so that no worker gets
/// much more than another.
fn tile_rows(rows: usize, outputs: usize, workers: usize) -> usize {
    let mut tiles = (rows * outputs).div_ceil(TILE_WEIGHTS);
    if workers > 2 {
        tiles = tiles.next_multiple_of(workers).min(rows.div_ceil(MIN_TILE_ROWS).max(tiles));
    }
    rows.div_ceil(tiles.clamp(1, rows.max(1))).max(1)
}

/// Per-layer state of the weights phase.
#[derive(Debug)]
pub(super) struct LayerState {
    /// True if the layer has no tasks; everything below then stays as it was created.
    pub frozen: bool,
    /// The rows of the weights that this process updates.
    pub own: Range<usize>,
    /// True if this process updates the biases.
    pub owns_bias: bool,
    pub tile_rows: usize,
    pub tiles: Vec<Tile>,
    /// The penalties' value over each row of the weights before the update. By rows, so that the sum does not depend on
    /// the tiles.
    pub penalties: Vec<f64>,
    /// The sums of the squared gradients of each row of the weights and, last, of the biases, where gradients are computed
    /// without an update. By rows, for the same reason.
    pub squares: Vec<f64>,
    pub bias_gradient: Array1<f32>,
    pub bias_finite: bool,
    /// The records of the other processes together.
    pub elsewhere: Tile,
}

/// The record of a tile's update.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tile {
    pub gradient_finite: bool,
    pub weights_finite: bool,
}

impl Tile {
    pub(super) const FINITE: Self = Self { gradient_finite: true, weights_finite: true };
}

impl LayerState {
    pub(super) fn new(layer: &Layer, index: usize, part: Part, workers: usize) -> Self {
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
    pub(super) fn own_record(&self) -> Tile {
        let weights_finite = self.bias_finite && self.tiles.iter().all(|tile| tile.weights_finite);
        let gradient_finite = || {
            self.bias_gradient.iter().all(|g| g.is_finite())
                && self.tiles.iter().all(|tile| tile.gradient_finite)
        };
        Tile { weights_finite, gradient_finite: weights_finite || gradient_finite() }
    }

    /// The quantity that is not finite, if any.
    pub(super) fn not_finite(&self) -> Option<Quantity> {
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
