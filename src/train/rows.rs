use crate::{
    compute::{aligned::Buffer, elementwise},
    nn::{Activation, Autoencoder, Layer, RowLoss},
    random::{self, Stream},
    train::{Batch, Objective},
};
use ndarray::ArrayView2;

/// A share of a batch's rows with everything that is computed of them: the rows phase fills it, the weights phase
/// reads it. A row's numbers depend on nothing but the row and the weights.
#[derive(Debug)]
pub(crate) struct RowBlock {
    rows: usize,
    input: Buffer,
    target: Buffer,
    /// A layer's outputs after its dropout.
    outputs: Vec<Buffer>,
    /// A layer's dropout mask, if it has dropout.
    masks: Vec<Option<Buffer>>,
    /// The loss's derivative by a layer's sums.
    deltas: Vec<Buffer>,
    /// What each row adds to the loss and to the penalties on the code: apart, so that their sum has one order however
    /// the batch is cut into blocks.
    pub losses: Vec<RowLoss>,
    pub code_penalties: Vec<f64>,
    /// Whether the loss is defined for all targets.
    pub targets_fit: bool,
}

impl RowBlock {
    pub(crate) fn new(model: &Autoencoder, capacity: usize) -> Self {
        let layers = model.layers();
        let buffer = |layer: &Layer| Buffer::new(capacity, layer.dense.outputs());
        Self {
            rows: 0,
            input: Buffer::new(capacity, model.inputs()),
            target: Buffer::new(capacity, model.inputs()),
            outputs: layers.iter().map(buffer).collect(),
            masks: layers.iter().map(|layer| (!layer.dropout.is_none()).then(|| buffer(layer))).collect(),
            deltas: layers.iter().map(buffer).collect(),
            losses: Vec::with_capacity(capacity),
            code_penalties: Vec::with_capacity(capacity),
            targets_fit: true,
        }
    }

    /// What a row takes of memory.
    pub(crate) fn elements_of_a_row(model: &Autoencoder) -> usize {
        let widths = model.widths();
        let row = |&width: &usize| Buffer::elements_of_a_row(width);
        // Input and target; of each layer outputs, deltas and perhaps a mask.
        2 * row(&widths[0]) + 3 * widths[1..].iter().map(row).sum::<usize>()
    }

    /// Whether the block has none of the batch's rows, as when the last batch is short.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Whether all values of the rows, without noise, are finite.
    pub(crate) fn targets_are_finite(&self) -> bool {
        self.target.rows(self.rows).flatten().all(|value| value.is_finite())
    }

    /// The inputs of a layer, `[rows, in]`.
    pub(crate) fn layer_input(&self, layer: usize) -> ArrayView2<'_, f32> {
        let input = layer.checked_sub(1).map_or(&self.input, |before| &self.outputs[before]);
        input.view(self.rows)
    }

    /// The loss's derivative by a layer's sums, `[rows, out]`.
    pub(crate) fn delta(&self, layer: usize) -> ArrayView2<'_, f32> {
        self.deltas[layer].view(self.rows)
    }

    /// The rows phase: gather, noise, forward, loss, backward, for the `index`th share of a batch.
    pub(crate) fn run(&mut self, model: &Autoencoder, objective: &Objective, batch: &Batch, index: usize) {
        let rows = batch.rows.chunks(self.input.capacity()).nth(index).unwrap_or_default();
        self.rows = rows.len();
        self.losses.clear();
        self.code_penalties.clear();
        self.targets_fit = true;
        if rows.is_empty() {
            return;
        }
        self.gather(batch, rows);
        self.forward(model.layers(), batch, rows);
        self.loss(model, objective, batch.rows.len());
        self.backward(model, objective, batch.rows.len());
    }

    fn gather(&mut self, batch: &Batch, rows: &[usize]) {
        let inputs = self.input.rows_mut(self.rows);
        let targets = self.target.rows_mut(self.rows);
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
            let input = before.last().unwrap_or(&self.input).view(self.rows);
            let output = &mut after[0];
            // The loss needs the last layer's sums and applies its activation itself.
            let is_last = index + 1 == layers.len();
            let activation = if is_last { Activation::Identity } else { layer.activation };
            layer.dense.forward(input, activation, output.view_mut(self.rows));
            if let Some(masks) = &mut self.masks[index] {
                let outputs = output.rows_mut(self.rows);
                for ((&row, output), mask) in rows.iter().zip(outputs).zip(masks.rows_mut(self.rows)) {
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
        let outputs = self.outputs[last].rows_mut(self.rows);
        let targets = self.target.rows(self.rows);
        for ((output, target), delta) in outputs.zip(targets).zip(self.deltas[last].rows_mut(self.rows)) {
            self.targets_fit &= objective.loss.allows(target);
            self.losses.push(objective.loss.row(activation, output, target, elements, delta));
        }
        for code in self.outputs[model.encoder_depth() - 1].rows(self.rows) {
            let penalties = objective.penalties.iter().map(|penalty| penalty.of_code(code, batch_rows));
            self.code_penalties.push(penalties.sum());
        }
    }

    /// The deltas of all layers but the last, from the back: `delta_l = (delta_(l+1) Wᵀ) * mask * f'`.
    fn backward(&mut self, model: &Autoencoder, objective: &Objective, batch_rows: usize) {
        let layers = model.layers();
        for index in (0..layers.len() - 1).rev() {
            let (before, after) = self.deltas.split_at_mut(index + 1);
            let deltas = &mut before[index];
            layers[index + 1].dense.backward_input(after[0].view(self.rows), deltas.view_mut(self.rows));

            let layer = &layers[index];
            let mut masks = self.masks[index].as_ref().map(|masks| masks.rows(self.rows));
            for (delta, output) in deltas.rows_mut(self.rows).zip(self.outputs[index].rows(self.rows)) {
                if index + 1 == model.encoder_depth() {
                    objective.penalties.iter().for_each(|p| p.add_code_gradient(delta, output, batch_rows));
                }
                if let Some(mask) = masks.as_mut().and_then(Iterator::next) {
                    elementwise::multiply(delta, mask);
                }
                layer.activation.backward(delta, output, layer.dropout.scale());
            }
        }
    }
}
