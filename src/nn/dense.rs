use crate::{
    error::{Error, Result},
    kernels::{self, Accum, buffers, elementwise, gemm, gemm_sum},
    nn::Activation,
};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2, s};

/// A fully connected layer: `y = f(x W + b)`.
///
/// `W` is `[in, out]`, `b` is `[out]`, a batch is `[batch, features]` with a row an example.
///
/// Backward, with `delta` `[batch, out]` the loss's derivative by the sums `x W + b`:
/// by the input it is `delta Wᵀ`, by the weights `xᵀ delta`, by the biases the sum of delta's rows.
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
    /// A layer of weights `[in, out]` and biases `[out]`.
    ///
    /// # Errors
    /// If there are not as many biases as outputs, or a dimension is 0.
    pub fn new(weight: Array2<f32>, bias: Array1<f32>) -> Result<Self> {
        if bias.len() != weight.ncols() {
            return Err(Error::shape("biases of a layer", weight.ncols(), bias.len()));
        }
        if weight.is_empty() {
            return Err(Error::setting("shape of a layer", weight.dim(), "at least 1 input and 1 output"));
        }
        // The kernels go over rows as slices.
        Ok(Self {
            weight: buffers::aligned_copy(weight.view()),
            bias: bias.as_standard_layout().into_owned(),
        })
    }

    /// The number of inputs.
    pub fn inputs(&self) -> usize {
        self.weight.nrows()
    }

    /// The number of outputs.
    pub fn outputs(&self) -> usize {
        self.weight.ncols()
    }

    /// The weights, `[in, out]`.
    pub fn weight(&self) -> ArrayView2<'_, f32> {
        self.weight.view()
    }

    /// The biases, `[out]`.
    pub fn bias(&self) -> ArrayView1<'_, f32> {
        self.bias.view()
    }

    /// Weights and biases to be changed.
    pub fn parameters_mut(&mut self) -> (ArrayViewMut2<'_, f32>, ArrayViewMut1<'_, f32>) {
        (self.weight.view_mut(), self.bias.view_mut())
    }

    /// `output = f(input W + b)`.
    ///
    /// # Shapes
    /// `input` `[batch, in]`, `output` `[batch, out]` with contiguous rows.
    ///
    /// # Panics
    /// If the shapes do not fit or a row of `output` is not contiguous.
    #[track_caller]
    pub fn forward(&self, input: ArrayView2<f32>, activation: Activation, output: ArrayViewMut2<f32>) {
        assert_eq!(output.ncols(), self.outputs(), "columns of the output");
        self.forward_columns(input, activation, 0, output);
    }

    /// [`forward`](Self::forward) for the outputs from `start` on, as many as `output` has columns.
    #[track_caller]
    pub(crate) fn forward_columns(
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

    /// The loss's derivative by the input: `input_delta = delta Wᵀ`.
    ///
    /// # Shapes
    /// `delta` `[batch, out]`, `input_delta` `[batch, in]`.
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub fn backward_input(&self, delta: ArrayView2<f32>, input_delta: ArrayViewMut2<f32>) {
        assert_eq!(input_delta.ncols(), self.inputs(), "columns of the input's delta");
        self.backward_columns(delta, 0, input_delta);
    }

    /// [`backward_input`](Self::backward_input) for the inputs from `start` on, as many as `input_delta` has columns.
    #[track_caller]
    pub(crate) fn backward_columns(
        &self,
        delta: ArrayView2<f32>,
        start: usize,
        input_delta: ArrayViewMut2<f32>,
    ) {
        let inputs = start..start + input_delta.ncols();
        gemm(Accum::Replace, input_delta, delta, self.weight.slice(s![inputs, ..]).reversed_axes());
    }

    /// The loss's derivative by the weights, or by some rows of them, summed over the blocks of a batch:
    /// `gradient = ` the sum of `inputᵀ delta`.
    ///
    /// # Shapes
    /// Of each block `input` `[rows of the block, rows]` (the columns of the layer's input that belong to the rows of
    /// `W`) and `delta` `[rows of the block, out]`; `gradient` `[rows, out]`.
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub fn weight_gradient<'a>(
        blocks: impl IntoIterator<Item = (ArrayView2<'a, f32>, ArrayView2<'a, f32>)>,
        gradient: ArrayViewMut2<f32>,
    ) {
        let pairs = blocks.into_iter().map(|(input, delta)| (input.reversed_axes(), delta));
        gemm_sum(Accum::Replace, gradient, pairs);
    }

    /// The loss's derivative by the biases: `gradient += ` the sum of `delta`'s rows.
    ///
    /// # Shapes
    /// `delta` `[batch, out]` with contiguous rows, `gradient` `[out]`.
    ///
    /// # Panics
    /// If a row of `delta` is not contiguous.
    #[track_caller]
    pub fn bias_gradient(delta: ArrayView2<f32>, gradient: &mut [f32]) {
        for row in kernels::rows(delta) {
            elementwise::add(gradient, row);
        }
    }
}
