use crate::{
    compute::{self, elementwise},
    nn::{Activation, Autoencoder, Layer, RowLoss},
    random::{self, Stream},
    train::{Batch, Objective},
};
use ndarray::{Array2, ArrayView2, s};

/// A share of a batch's rows with everything that is computed of them: the rows phase fills it, the weights phase
/// reads it. A row's numbers depend on nothing but the row and the weights.
#[derive(Debug)]
pub(crate) struct RowBlock {
    rows: usize,
    input: Array2<f32>,
    target: Array2<f32>,
    /// A layer's outputs after its dropout.
    outputs: Vec<Array2<f32>>,
    /// A layer's dropout mask; without rows where it has no dropout.
    masks: Vec<Array2<f32>>,
    /// The loss's derivative by a layer's sums.
    deltas: Vec<Array2<f32>>,
    /// Loss, squared error and penalties on the code, summed over the rows.
    pub sums: RowSums,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RowSums {
    pub loss: RowLoss,
    pub code_penalty: f64,
}

impl RowBlock {
    pub(crate) fn new(model: &Autoencoder, capacity: usize) -> Self {
        let layers = model.layers();
        let outputs = || layers.iter().map(|l| Array2::zeros((capacity, l.dense.outputs()))).collect();
        let mask = |l: &Layer| match l.dropout.is_none() {
            true => Array2::zeros((0, 0)),
            false => Array2::zeros((capacity, l.dense.outputs())),
        };
        Self {
            rows: 0,
            input: Array2::zeros((capacity, model.inputs())),
            target: Array2::zeros((capacity, model.inputs())),
            outputs: outputs(),
            masks: layers.iter().map(mask).collect(),
            deltas: outputs(),
            sums: RowSums::default(),
        }
    }

    /// Whether the block has none of the batch's rows, as when the last batch is short.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The inputs of a layer, `[rows, in]`.
    pub(crate) fn layer_input(&self, layer: usize) -> ArrayView2<'_, f32> {
        let input = layer.checked_sub(1).map_or(&self.input, |before| &self.outputs[before]);
        input.slice(s![..self.rows, ..])
    }

    /// The loss's derivative by a layer's sums, `[rows, out]`.
    pub(crate) fn delta(&self, layer: usize) -> ArrayView2<'_, f32> {
        self.deltas[layer].slice(s![..self.rows, ..])
    }

    /// The rows phase: gather, noise, forward, loss, backward, for some rows of a batch from `first` on.
    pub(crate) fn run(&mut self, model: &Autoencoder, objective: &Objective, batch: &Batch, first: usize) {
        let end = batch.rows.len().min(first + self.input.nrows());
        let rows = &batch.rows[first.min(end)..end];
        self.rows = rows.len();
        self.sums = RowSums::default();
        if rows.is_empty() {
            return;
        }
        self.gather(batch, rows);
        self.forward(model.layers(), batch, rows);
        self.loss(model, objective, batch.rows.len());
        self.backward(model, objective, batch.rows.len());
    }

    fn gather(&mut self, batch: &Batch, rows: &[usize]) {
        let inputs = compute::rows_mut(self.input.view_mut());
        let targets = compute::rows_mut(self.target.view_mut());
        for ((&row, input), target) in rows.iter().zip(inputs).zip(targets) {
            batch.samples.copy_row(row, target);
            input.copy_from_slice(target);
            if let Some(noise) = batch.noise {
                noise.apply(input, &mut random::rng(batch.seed, Stream::TrainNoise, batch.epoch, row));
            }
        }
    }

    fn forward(&mut self, layers: &[Layer], batch: &Batch, rows: &[usize]) {
        for (index, layer) in layers.iter().enumerate() {
            let (before, after) = self.outputs.split_at_mut(index);
            let input = before.last().unwrap_or(&self.input).slice(s![..self.rows, ..]);
            let mut output = after[0].slice_mut(s![..self.rows, ..]);
            // The loss needs the last layer's sums and applies its activation itself.
            let is_last = index + 1 == layers.len();
            let activation = if is_last { Activation::Identity } else { layer.activation };
            layer.dense.forward(input, activation, output.view_mut());
            if !layer.dropout.is_none() {
                let masks = compute::rows_mut(self.masks[index].view_mut());
                for ((&row, output), mask) in rows.iter().zip(compute::rows_mut(output)).zip(masks) {
                    layer.dropout.mask(mask, batch.seed, index, batch.epoch, row);
                    elementwise::multiply(output, mask);
                }
            }
        }
    }

    /// Loss and squared error of the outputs, the last layer's delta, the value of penalties on the code.
    fn loss(&mut self, model: &Autoencoder, objective: &Objective, batch_rows: usize) {
        let last = self.outputs.len() - 1;
        let activation = model.output_layer().activation;
        let elements = (batch_rows * model.inputs()) as f32;
        let outputs = compute::rows_mut(self.outputs[last].view_mut());
        let targets = compute::rows(self.target.view());
        let deltas = compute::rows_mut(self.deltas[last].view_mut());
        for ((output, target), delta) in outputs.zip(targets).zip(deltas).take(self.rows) {
            let row = objective.loss.row(activation, output, target, elements, delta);
            self.sums.loss.loss += row.loss;
            self.sums.loss.squared_error += row.squared_error;
        }
        for code in compute::rows(self.outputs[model.encoder_depth() - 1].view()).take(self.rows) {
            let penalties = objective.penalties.iter();
            self.sums.code_penalty += penalties.map(|p| p.of_code(code, batch_rows)).sum::<f64>();
        }
    }

    /// The deltas of all layers but the last, from the back: `delta_l = (delta_(l+1) Wᵀ) * mask * f'`.
    fn backward(&mut self, model: &Autoencoder, objective: &Objective, batch_rows: usize) {
        let layers = model.layers();
        for index in (0..layers.len() - 1).rev() {
            let (before, after) = self.deltas.split_at_mut(index + 1);
            let mut delta = before[index].slice_mut(s![..self.rows, ..]);
            layers[index + 1].dense.backward_input(after[0].slice(s![..self.rows, ..]), delta.view_mut());

            let layer = &layers[index];
            let outputs = compute::rows(self.outputs[index].view());
            let mut masks = compute::rows(self.masks[index].view());
            for (delta, output) in compute::rows_mut(delta).zip(outputs) {
                if index + 1 == model.encoder_depth() {
                    objective.penalties.iter().for_each(|p| p.add_code_gradient(delta, output, batch_rows));
                }
                if let Some(mask) = masks.next() {
                    elementwise::multiply(delta, mask);
                }
                layer.activation.backward(delta, output, layer.dropout.scale());
            }
        }
    }
}
