use crate::{
    data::Dataset,
    error::{Error, Result},
};
use std::fmt;

/// Pairs of an input and the target that a model should make of it, such as a noisy and a clean image of the same object.
///
/// Wherever rows are taken, pairs are, too: training, validation, evaluation, anomaly scores and checkpoints.
/// [Noise](crate::Noise) is applied to the inputs.
///
/// ```
/// use autoencoder::{Autoencoder, TrainConfig, Trainer, data::{Pairs, digits}, metrics::evaluate};
/// let clean = digits::generate(200, 1)?;
/// let dark = clean.to_array()? / 2.0;
/// let pairs = Pairs::new(&dark, &clean)?;
///
/// let mut model = Autoencoder::builder(784).code(16).build()?;
/// Trainer::new(TrainConfig::new().epochs(2)).fit(&mut model, &pairs)?;
/// let found = evaluate(&model, &pairs, None, 0)?;
/// assert!(found.noisy_input.is_some()); // the quality of the inputs, compared with the targets
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Pairs<'a> {
    inputs: &'a dyn Dataset,
    targets: &'a dyn Dataset,
}

impl<'a> Pairs<'a> {
    /// Joins inputs and targets, row by row. Both have the shape `[rows, features]`. Where `targets` are pairs themselves,
    /// their inputs are the targets. Weights are those of `inputs`.
    ///
    /// # Errors
    /// [`Error::Shape`] if the numbers of rows or of features differ.
    pub fn new(inputs: &'a dyn Dataset, targets: &'a dyn Dataset) -> Result<Self> {
        let shape = |rows: &dyn Dataset| [rows.len(), rows.features()];
        if shape(inputs) != shape(targets) {
            return Err(Error::shape("targets", shape(inputs), shape(targets)));
        }
        Ok(Self { inputs, targets })
    }
}

impl fmt::Debug for Pairs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rows, features) = (self.len(), self.features());
        f.debug_struct("Pairs").field("rows", &rows).field("features", &features).finish_non_exhaustive()
    }
}

impl Dataset for Pairs<'_> {
    fn len(&self) -> usize {
        self.inputs.len()
    }

    fn features(&self) -> usize {
        self.inputs.features()
    }

    fn copy_row(&self, row: usize, out: &mut [f32]) {
        self.inputs.copy_row(row, out);
    }

    fn has_targets(&self) -> bool {
        true
    }

    fn copy_target(&self, row: usize, out: &mut [f32]) {
        self.targets.copy_row(row, out);
    }

    fn weight(&self, row: usize) -> f32 {
        self.inputs.weight(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn shapes_that_differ_are_an_error() {
        let rows = Array2::zeros((3, 4));
        for other in [(2, 4), (3, 5), (4, 3)] {
            let error = Pairs::new(&rows, &Array2::zeros(other)).unwrap_err();
            assert!(matches!(error, Error::Shape { what: "targets", .. }), "{error}");
        }
    }

    #[test]
    fn fingerprints_cover_inputs_and_targets() {
        let rows = Array2::from_shape_fn((3, 4), |(row, column)| (row * 4 + column) as f32);
        let mut other = rows.clone();
        other[[2, 3]] = 0.5;
        let print = |inputs, targets| Pairs::new(inputs, targets).unwrap().fingerprint();
        let prints = [rows.fingerprint(), print(&rows, &rows), print(&rows, &other), print(&other, &rows)];
        for (index, print) in prints.iter().enumerate() {
            assert!(!prints[..index].contains(print), "{index}");
        }
        assert_eq!(print(&rows, &other.t().to_owned().t()), prints[2]);
    }
}
