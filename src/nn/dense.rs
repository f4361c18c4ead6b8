use crate::{
    error::{Error, Result},
    kernels::{self, Accum, buffers, elementwise, gemm, gemm_sum},
    nn::Activation,
};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2, s};

/// The weights and biases of a fully connected layer, `y = f(x W + b)`.
///
/// `W` is `[in, out]`, `b` is `[out]`, and a batch is `[batch, features]` with one row per example.
// In the backward pass, `delta` `[batch, out]` is the gradient of the loss with respect to the pre-activations `x W + b`.
// With respect to the input the gradient is then `delta Wᵀ`, with respect to the weights `xᵀ delta`, and with respect to
// the biases the sum of delta's rows.
#[derive(Debug, PartialEq)]
pub struct Dense {
    weight: Array2<f32>,
    bias: Array1<f32>,
}

impl Clone for Dense {
    fn clone(&self) -> Self {
        Self { weight: buffers::aligned_copy(self.weight()), bias: self.bias.clone() }
    }
}

impl Dense {
    /// Creates a layer from weights `[in, out]` and biases `[out]`.
    ///
    /// # Errors
    /// [`Error::Shape`] if the number of biases is not `out`, or a dimension is 0.
    pub fn new(weight: Array2<f32>, bias: Array1<f32>) -> Result<Self> {
        if bias.len() != weight.ncols() {
            return Err(Error::shape("biases of a layer", weight.ncols(), bias.len()));
        }
        if weight.is_empty() {
            return Err(Error::shape("[in, out] of a layer", format_args!("at least 1 each"), weight.dim()));
        }
        // The kernels go over rows as slices.
        Ok(Self {
            weight: buffers::aligned_copy(weight.view()),
            bias: bias.as_standard_layout().into_owned(),
        })
    }

    /// Returns the number of inputs.
    pub fn inputs(&self) -> usize {
        self.weight.nrows()
    }

    /// Returns the number of outputs.
    pub fn outputs(&self) -> usize {
        self.weight.ncols()
    }

    /// Returns the weights, `[in, out]`.
    pub fn weight(&self) -> ArrayView2<'_, f32> {
        self.weight.view()
    }

    /// Returns the biases, `[out]`.
    pub fn bias(&self) -> ArrayView1<'_, f32> {
        self.bias.view()
    }

    /// Returns the weights `[in, out]` and biases `[out]`, mutably.
    pub fn parameters_mut(&mut self) -> (ArrayViewMut2<'_, f32>, ArrayViewMut1<'_, f32>) {
        (self.weight.view_mut(), self.bias.view_mut())
    }

    /// Computes `output = f(input W + b)` for the outputs from index `start` on, as many as `output` has columns.
    ///
    /// # Shapes
    /// `input` `[batch, in]`, `output` `[batch, columns]` with contiguous rows.
    ///
    /// # Panics
    /// If the shapes do not fit or a row of `output` is not contiguous.
    #[track_caller]
    pub(crate) fn forward(
        &self,
        input: ArrayView2<f32>,
        activation: Activation,
        start: usize,
        mut output: ArrayViewMut2<f32>,
    ) {
        let columns = start..start + output.ncols();
        gemm(Accum::Replace, output.view_mut(), input, self.weight.slice(s![.., columns.clone()]));
        let bias = &self.bias.as_slice().expect("made contiguous by `new`")[columns];
        for row in kernels::rows_mut(output) {
            elementwise::add(row, bias);
            activation.apply(row);
        }
    }

    /// Computes the gradient of the loss with respect to the inputs from index `start` on, as many as `input_delta` has
    /// columns: `input_delta = delta Wᵀ`.
    ///
    /// # Shapes
    /// `delta` `[batch, out]`, `input_delta` `[batch, columns]`.
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub(crate) fn backward_input(
        &self,
        delta: ArrayView2<f32>,
        start: usize,
        input_delta: ArrayViewMut2<f32>,
    ) {
        let inputs = start..start + input_delta.ncols();
        gemm(Accum::Replace, input_delta, delta, self.weight.slice(s![inputs, ..]).reversed_axes());
    }

    /// Computes the gradient of the loss with respect to the weights, or some rows of them, summed over the blocks of a
    /// batch: `gradient = ` the sum of `inputᵀ delta`.
    ///
    /// # Shapes
    /// For each block `input` `[block rows, rows]` (the columns of the layer's input that belong to these rows of `W`) and
    /// `delta` `[block rows, out]`; `gradient` `[rows, out]`.
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub(crate) fn weight_gradient<'a>(
        blocks: impl IntoIterator<Item = (ArrayView2<'a, f32>, ArrayView2<'a, f32>)>,
        gradient: ArrayViewMut2<f32>,
    ) {
        let pairs = blocks.into_iter().map(|(input, delta)| (input.reversed_axes(), delta));
        gemm_sum(Accum::Replace, gradient, pairs);
    }

    /// Adds the gradient of the loss with respect to the biases: `gradient += ` the sum of `delta`'s rows.
    ///
    /// # Shapes
    /// `delta` `[batch, out]` with contiguous rows, `gradient` `[out]`.
    ///
    /// # Panics
    /// If a row of `delta` is not contiguous.
    #[track_caller]
    pub(crate) fn bias_gradient(delta: ArrayView2<f32>, gradient: &mut [f32]) {
        for row in kernels::rows(delta) {
            elementwise::add(gradient, row);
        }
    }
}
