use super::{Batch, Objective, crew::Crew};
use crate::{
    data::Augmentation,
    group::{Part, Wire},
    kernels::{self, buffers::Buffer, elementwise, rows_mut},
    nn::{Autoencoder, Layer},
    random::{self, Stream},
    train::targets,
};
use ndarray::{ArrayView2, Axis, Slice};
use std::slice;

/// Some of a batch's rows with everything that is computed from them: the rows phase fills it, the weights phase reads
/// it. A row's numbers depend on the row and the weights alone.
///
/// The rows phase is a sequence of stages: gather, each layer forward, the loss, each layer backward. A [`Crew`] shares
/// out the rows or the columns of a stage.
#[derive(Debug)]
pub(super) struct RowBlock {
    rows: usize,
    target: Buffer,
    /// The inputs, if they are not the targets.
    input: Buffer,
    /// True with noise, or if rows have targets of their own.
    has_input: bool,
    /// Each layer's outputs after its dropout.
    outputs: Vec<Buffer>,
    /// The pre-activations of each layer that needs them for its derivative.
    pre_activations: Vec<Option<Buffer>>,
    /// Each layer's dropout mask, if it has dropout.
    masks: Vec<Option<Buffer>>,
    /// The gradients of the loss with respect to each layer's pre-activations.
    deltas: Vec<Buffer>,
    results: Vec<RowResult>,
}

/// Where a block gets its rows.
#[derive(Clone, Copy)]
pub(super) struct RowSource<'a> {
    pub batch: &'a Batch<'a>,
    pub augmentation: Option<&'a Augmentation>,
    pub mean_weight: f64,
}

/// A row's contribution to the loss. Kept per row, so that sums have one order however a batch is cut into blocks.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RowResult {
    /// The row's weight, relative to the mean weight of the batch: exactly 1 where all weights are equal.
    pub weight: f32,
    /// The loss, summed over the features, without the weight.
    pub loss: f64,
    /// The squared error, summed over the features, without the weight.
    pub squared_error: f64,
    /// The penalties on the row's code.
    pub code_penalty: f64,
    /// True if the outputs can reach the target.
    pub target_fits: bool,
    /// False if an input that is not the target is not finite. The loss reveals a non-finite target.
    pub input_is_finite: bool,
}

impl RowBlock {
    pub(super) fn new(model: &Autoencoder, capacity: usize) -> Self {
        let layers = model.layers();
        let buffer = |layer: &Layer| Buffer::new(capacity, layer.dense.outputs());
        Self {
            rows: 0,
            target: Buffer::new(capacity, model.inputs()),
            input: Buffer::new(capacity, model.inputs()),
            has_input: false,
            outputs: layers.iter().map(buffer).collect(),
            pre_activations: layers
                .iter()
                .map(|layer| layer.activation.needs_pre_activations().then(|| buffer(layer)))
                .collect(),
            masks: layers.iter().map(|layer| (!layer.dropout.is_off()).then(|| buffer(layer))).collect(),
            deltas: layers.iter().map(buffer).collect(),
            results: Vec::with_capacity(capacity),
        }
    }

    /// Buffer elements needed per row.
    pub(super) fn elements_per_row(model: &Autoencoder) -> usize {
        let widths = model.widths();
        let row = |&width: &usize| Buffer::row_stride(width);
        // Targets and inputs; of each layer outputs, deltas and perhaps a mask and pre-activations.
        2 * row(&widths[0]) + 4 * widths[1..].iter().map(row).sum::<usize>()
    }

    /// Returns true if the block has none of the batch's rows, as when the last batch is short.
    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// One result per row.
    pub(super) fn results(&self) -> &[RowResult] {
        &self.results
    }

    /// The inputs of a layer, `[rows, in]`.
    pub(super) fn layer_input(&self, layer: usize) -> ArrayView2<'_, f32> {
        let first = if self.has_input { &self.input } else { &self.target };
        layer.checked_sub(1).map_or(first, |before| &self.outputs[before]).view(self.rows)
    }

    /// The gradient of the loss with respect to a layer's pre-activations, `[rows, out]`.
    pub(super) fn delta(&self, layer: usize) -> ArrayView2<'_, f32> {
        self.deltas[layer].view(self.rows)
    }

    /// The rows phase for some rows of a batch.
    pub(super) fn run(
        &mut self,
        model: &Autoencoder,
        objective: &Objective,
        source: RowSource,
        rows: &[usize],
        crew: Crew,
    ) {
        let batch = source.batch;
        self.begin(batch, rows);
        if rows.is_empty() {
            return;
        }
        self.gather(source, rows, crew);
        self.forward(model.layers(), batch, rows, crew);
        self.loss(model, objective, batch.rows.len(), crew);
        self.backward(model, objective, batch.rows.len(), crew);
    }

    /// The rows phase for rows that another process computes, whose [`fields`] follow. The inputs, which no process sends, are
    /// needed for the gradient of the first layer alone.
    pub(super) fn run_elsewhere(
        &mut self,
        source: RowSource,
        rows: &[usize],
        needs_inputs: bool,
        crew: Crew,
    ) {
        self.begin(source.batch, rows);
        if needs_inputs && !rows.is_empty() {
            self.gather(source, rows, crew);
        }
    }

    fn begin(&mut self, batch: &Batch, rows: &[usize]) {
        self.rows = rows.len();
        self.has_input = batch.noise.is_some() || batch.samples.has_targets();
        self.results.clear();
        self.results.resize(rows.len(), RowResult::default());
    }

    /// Copies the rows, augments them, draws their noise and scales their weights.
    fn gather(&mut self, source: RowSource, rows: &[usize], crew: Crew) {
        let RowSource { batch, augmentation, mean_weight } = source;
        // Where all weights are 0, so are the loss and its gradient.
        let unit = if mean_weight > 0.0 { mean_weight } else { 1.0 };
        let crew = crew.for_elements(self.rows * batch.samples.features());
        let each = crew.rows_each(self.rows);
        let (mut targets, mut inputs) = (self.target.view_mut(self.rows), self.input.view_mut(self.rows));
        let targets = targets.axis_chunks_iter_mut(Axis(0), each);
        let inputs = inputs.axis_chunks_iter_mut(Axis(0), each);
        let results = self.results.chunks_mut(each);
        let chunks = rows.chunks(each).zip(targets.zip(inputs)).zip(results);
        crew.for_each(chunks, |((rows, (targets, inputs)), results)| {
            let buffers = rows_mut(targets).zip(rows_mut(inputs));
            for ((&row, (target, input)), result) in rows.iter().zip(buffers).zip(results) {
                result.weight = (f64::from(batch.samples.weight(row)) / unit) as f32;
                result.input_is_finite = true;
                if batch.samples.has_targets() {
                    batch.samples.copy_row(row, input);
                    batch.samples.copy_target(row, target);
                    result.input_is_finite = elementwise::are_finite(input);
                } else {
                    match augmentation {
                        // Until there is noise, the buffer of the input is free.
                        Some(augmentation) => {
                            augmentation.copy_row(batch.samples, row, target, input, batch.seed, batch.epoch);
                        }
                        None => batch.samples.copy_row(row, target),
                    }
                    if batch.noise.is_some() {
                        input.copy_from_slice(target);
                    }
                }
                if let Some(noise) = batch.noise {
                    noise.apply(input, &mut random::rng(batch.seed, Stream::TrainNoise, batch.epoch, row));
                }
            }
        });
    }

    /// The outputs of all layers but the last, and the logits of the last: the loss stage turns them into outputs.
    fn forward(&mut self, layers: &[Layer], batch: &Batch, rows: &[usize], crew: Crew) {
        for (index, layer) in layers.iter().enumerate() {
            self.draw_masks(index, layer, batch, rows, crew);
            let (before, after) = self.outputs.split_at_mut(index);
            let first = if self.has_input { &self.input } else { &self.target };
            let input = before.last().unwrap_or(first).view(self.rows);
            let mask = self.masks[index].as_ref().map(|mask| mask.view(self.rows));
            let is_last = index + 1 == layers.len();

            let crew = crew.for_operations(input.len() * layer.dense.outputs());
            let each = crew.columns_each(layer.dense.outputs());
            let mut output = after[0].view_mut(self.rows);
            // The loss stage keeps the last layer's.
            let mut kept = self.pre_activations[index].as_mut().filter(|_| !is_last);
            let mut kept = kept.as_mut().map(|kept| kept.view_mut(self.rows));
            let mut kept = kept.as_mut().map(|kept| kept.axis_chunks_iter_mut(Axis(1), each));
            let panels = output.axis_chunks_iter_mut(Axis(1), each).enumerate();
            let panels =
                panels.map(|(panel, output)| (panel, output, kept.as_mut().and_then(Iterator::next)));
            crew.for_each(panels, |(panel, mut output, kept)| {
                let start = panel * each;
                if is_last {
                    layer.logits(input, start, output.view_mut());
                } else if let Some(mut kept) = kept {
                    layer.logits(input, start, kept.view_mut());
                    for (output, kept) in rows_mut(output.view_mut()).zip(kernels::rows(kept.view())) {
                        output.copy_from_slice(kept);
                        layer.activation.apply(output);
                    }
                } else {
                    layer.forward(input, start, output.view_mut());
                }
                if let Some(mask) = mask {
                    let mask = mask.slice_axis(Axis(1), Slice::from(start..start + output.ncols()));
                    rows_mut(output)
                        .zip(kernels::rows(mask))
                        .for_each(|(output, mask)| elementwise::multiply(output, mask));
                }
            });
        }
    }

    fn draw_masks(&mut self, index: usize, layer: &Layer, batch: &Batch, rows: &[usize], crew: Crew) {
        let Some(masks) = &mut self.masks[index] else { return };
        let crew = crew.for_elements(self.rows * layer.dense.outputs());
        let each = crew.rows_each(self.rows);
        let mut masks = masks.view_mut(self.rows);
        crew.for_each(rows.chunks(each).zip(masks.axis_chunks_iter_mut(Axis(0), each)), |(rows, masks)| {
            for (&row, mask) in rows.iter().zip(rows_mut(masks)) {
                layer.dropout.mask(mask, batch.seed, index, batch.epoch, row);
            }
        });
    }

    /// Each row's result, the outputs and the delta of the last layer.
    fn loss(&mut self, model: &Autoencoder, objective: &Objective, batch_rows: usize, crew: Crew) {
        let last = self.outputs.len() - 1;
        let code = model.encoder_depth() - 1;
        let activation = model.output_layer().activation;
        let elements = (batch_rows * model.inputs()) as f32;

        let crew = crew.for_elements(self.rows * model.inputs());
        let each = crew.rows_each(self.rows);
        let (before, after) = self.outputs.split_at_mut(last);
        let mut outputs = after[0].view_mut(self.rows);
        let mut deltas = self.deltas[last].view_mut(self.rows);
        let chunks =
            outputs.axis_chunks_iter_mut(Axis(0), each).zip(deltas.axis_chunks_iter_mut(Axis(0), each));
        let target = self.target.view(self.rows);
        let codes = before[code].view(self.rows);
        let read = target.axis_chunks_iter(Axis(0), each).zip(codes.axis_chunks_iter(Axis(0), each));
        let mut kept = self.pre_activations[last].as_mut().map(|kept| kept.view_mut(self.rows));
        let mut kept = kept.as_mut().map(|kept| kept.axis_chunks_iter_mut(Axis(0), each));
        let chunks = chunks.zip(read).zip(self.results.chunks_mut(each));
        let chunks = chunks.map(|chunk| (chunk, kept.as_mut().and_then(Iterator::next)));
        crew.for_each(chunks, |((((outputs, deltas), (target, codes)), results), kept)| {
            let mut kept = kept.map(rows_mut);
            let rows =
                rows_mut(outputs).zip(rows_mut(deltas)).zip(kernels::rows(target)).zip(kernels::rows(codes));
            for ((((output, delta), target), code), result) in rows.zip(results) {
                let penalties = objective.penalties.iter().map(|penalty| penalty.of_code(code, batch_rows));
                let code_penalty = penalties.sum();
                let target_fits = targets::are_reachable(target, activation);
                let of_logits = objective.loss.of_logits(output, target);
                let kept = kept.as_mut().and_then(Iterator::next).map(|kept| {
                    kept.copy_from_slice(output);
                    &*kept
                });
                // From here on `output` holds the outputs instead of the logits.
                activation.apply(output);
                let squared_error = elementwise::squared_error(output, target);
                let values = [&*output, kept.unwrap_or(output)];
                objective.loss.gradient(delta, activation, values, target, result.weight / elements);
                let of_outputs = || objective.loss.of_outputs(output, target);
                let loss = of_logits.or_else(of_outputs).unwrap_or(squared_error);
                *result = RowResult { loss, squared_error, code_penalty, target_fits, ..*result };
            }
        });
    }

    /// The deltas of all layers but the last, from the back: `delta_l = (delta_(l+1) Wᵀ) * mask * f'`.
    fn backward(&mut self, model: &Autoencoder, objective: &Objective, batch_rows: usize, crew: Crew) {
        let layers = model.layers();
        for index in (0..layers.len() - 1).rev() {
            let (layer, next) = (&layers[index], &layers[index + 1].dense);
            let (before, after) = self.deltas.split_at_mut(index + 1);
            let delta = after[0].view(self.rows);
            let output = self.outputs[index].view(self.rows);
            let kept = self.pre_activations[index].as_ref().map_or(output, |kept| kept.view(self.rows));
            let mask = self.masks[index].as_ref().map(|mask| mask.view(self.rows));

            let crew = crew.for_operations(delta.len() * next.inputs());
            let each = crew.columns_each(next.inputs());
            let mut deltas = before[index].view_mut(self.rows);
            let panels = deltas.axis_chunks_iter_mut(Axis(1), each).enumerate();
            crew.for_each(panels, |(panel, mut deltas)| {
                let start = panel * each;
                next.backward_input(delta, start, deltas.view_mut());
                let columns = Slice::from(start..start + deltas.ncols());
                let output = output.slice_axis(Axis(1), columns);
                let kept = kept.slice_axis(Axis(1), columns);
                let mut masks = mask.map(|mask| kernels::rows(mask.slice_axis_move(Axis(1), columns)));
                let rows = rows_mut(deltas).zip(kernels::rows(output)).zip(kernels::rows(kept));
                for ((delta, output), kept) in rows {
                    if index + 1 == model.encoder_depth() {
                        objective
                            .penalties
                            .iter()
                            .for_each(|p| p.add_code_gradient(delta, output, batch_rows));
                    }
                    if let Some(mask) = masks.as_mut().and_then(Iterator::next) {
                        elementwise::multiply(delta, mask);
                    }
                    layer.activation.backward(delta, kept, layer.dropout.scale());
                }
            });
        }
    }
}

/// Visits the fields of some blocks that the weights phase of the process `reader` reads: the results of the rows; the inputs
/// of each layer to train that belong to its rows of the weights, without the inputs of the model; and the layer's deltas.
/// The order does not depend on where blocks end, because every process cuts them for its own threads.
pub(super) fn fields(
    blocks: &mut [RowBlock],
    reader: Part,
    wire: &mut Wire,
    is_trained: impl Fn(usize) -> bool,
) {
    for result in blocks.iter_mut().flat_map(|block| &mut block.results) {
        let RowResult { weight, loss, squared_error, code_penalty, target_fits, input_is_finite } = result;
        wire.f32s(slice::from_mut(weight));
        [loss, squared_error, code_penalty].into_iter().for_each(|sum| wire.f64s(slice::from_mut(sum)));
        wire.flags([target_fits, input_is_finite]);
    }
    let layers = blocks.first().map_or(0, |block| block.deltas.len());
    for layer in (0..layers).filter(|layer| is_trained(*layer)) {
        for block in &mut *blocks {
            if let Some(before) = layer.checked_sub(1) {
                let inputs = block.outputs[before].view_mut(block.rows);
                let columns = reader.range(inputs.ncols());
                rows_mut(inputs).for_each(|row| wire.f32s(&mut row[columns.clone()]));
            }
        }
        for block in &mut *blocks {
            rows_mut(block.deltas[layer].view_mut(block.rows)).for_each(|row| wire.f32s(row));
        }
    }
}
