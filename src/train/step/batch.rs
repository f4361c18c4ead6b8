use crate::{
    data::{Dataset, Noise, check_weight},
    error::{Error, Quantity, Result},
    kernels::elementwise,
    nn::{Loss, Penalty},
};

/// The function that a step minimizes: a loss plus penalties.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Objective {
    /// The loss of the data.
    pub loss: Loss,
    /// Terms added to it.
    pub penalties: Vec<Penalty>,
}

/// The rows of one step. Their noise and dropout are functions of seed, epoch and row.
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    /// The data set: rows, which are their own targets, or [pairs](crate::data::Pairs), perhaps
    /// [weighted](crate::data::Weighted).
    pub samples: &'a dyn Dataset,
    /// Indices of the batch's rows in the data set.
    pub rows: &'a [usize],
    /// Noise applied to the inputs; targets stay clean.
    pub noise: Option<&'a Noise>,
    /// Seed of noise and dropout.
    pub seed: u64,
    /// Epoch, from 1.
    pub epoch: usize,
    /// Number of the batch in its epoch, from 1, for errors.
    pub number: usize,
}

impl Batch<'_> {
    pub(super) fn not_finite(&self, what: Quantity, layer: Option<usize>, row: Option<usize>) -> Error {
        Error::NotFinite { what, layer, row, epoch: self.epoch, batch: self.number }
    }

    /// The sum of its rows' weights, in their order.
    ///
    /// # Errors
    /// [`Error::Data`] for a weight that is negative or not finite.
    pub(super) fn weight(&self) -> Result<f64> {
        self.rows.iter().try_fold(0.0, |sum, &row| {
            let weight = self.samples.weight(row);
            check_weight(row, weight)?;
            Ok(sum + f64::from(weight))
        })
    }

    /// The first of its rows with an input or a target that is not finite, and which of the two.
    pub(super) fn first_not_finite(&self) -> Option<(Quantity, usize)> {
        let mut values = vec![0.0; self.samples.features()];
        let mut is_finite = |copy: fn(&dyn Dataset, usize, &mut [f32]), row| {
            copy(self.samples, row, &mut values);
            elementwise::are_finite(&values)
        };
        let own_targets = self.samples.has_targets();
        self.rows.iter().find_map(|&row| {
            if !is_finite(|samples, row, out| samples.copy_row(row, out), row) {
                return Some((Quantity::Input, row));
            }
            let target_is_finite =
                !own_targets || is_finite(|samples, row, out| samples.copy_target(row, out), row);
            (!target_is_finite).then_some((Quantity::Target, row))
        })
    }
}

/// The loss of one batch, computed with the weights before the update and with noise and dropout applied.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct BatchLoss {
    /// The loss, a mean over all elements of the batch, weighted if its rows have weights.
    pub data: f64,
    /// The penalties.
    pub penalty: f64,
    /// The mean squared error, whatever the loss, with the same weights.
    pub mse: f64,
    /// The sum of the rows' weights: without weights, their number.
    pub weight: f64,
}

impl BatchLoss {
    /// Loss plus penalties.
    pub fn total(&self) -> f64 {
        self.data + self.penalty
    }
}
