use crate::{
    data::Dataset,
    error::{Error, Result},
};
use std::fmt;

/// Rows or [pairs](super::Pairs) with weights: how much each counts in training, such as 0.1 for a doubtful row.
///
/// The loss of a batch is the weighted mean `(weight * loss).sum() / (weight.sum() * features)`, where `loss` has one value
/// per row, summed over its features. Only the ratios of the weights in a batch have an effect, and equal weights have
/// none. A row of weight 0 has no effect on the loss, and a batch of nothing else has a loss of 0.
///
/// The reported loss and mean squared error of training are weighted in the same way. Penalties, validation, evaluation and
/// anomaly scores are not: there each row counts once.
///
/// ```
/// use autoencoder::{Autoencoder, TrainConfig, Trainer, data::{Weighted, digits}};
/// let digits = digits::generate(100, 1)?;
/// let labels = digits.labels().expect("drawn digits have labels");
/// let weights: Vec<f32> = labels.iter().map(|&label| if label == 7 { 5.0 } else { 1.0 }).collect();
/// let rows = Weighted::new(&digits, weights)?;
///
/// let mut model = Autoencoder::builder(784).code(16).build()?;
/// Trainer::new(TrainConfig::new().epochs(2)).fit(&mut model, &rows)?;
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Clone)]
pub struct Weighted<'a> {
    rows: &'a dyn Dataset,
    weights: Vec<f32>,
}

impl<'a> Weighted<'a> {
    /// Gives each row a weight. Weights that the rows already have are replaced.
    ///
    /// # Errors
    /// [`Error::Shape`] if there is not one weight per row. [`Error::Data`] if a weight is negative or not finite, or if none
    /// is above 0.
    pub fn new(rows: &'a dyn Dataset, weights: impl Into<Vec<f32>>) -> Result<Self> {
        let weights = weights.into();
        if weights.len() != rows.len() {
            return Err(Error::shape("weights", rows.len(), weights.len()));
        }
        let weighted = Self { rows, weights };
        check_weights(&weighted)?;
        Ok(weighted)
    }
}

/// Refuses weights that are negative or not finite, and those of which none is above 0.
pub(crate) fn check_weights(rows: &dyn Dataset) -> Result<()> {
    (0..rows.len()).try_for_each(|row| check_weight(row, rows.weight(row)))?;
    if !rows.is_empty() && (0..rows.len()).all(|row| rows.weight(row) == 0.0) {
        return Err(Error::data("weights", "at least one above 0", "0 for every row"));
    }
    Ok(())
}

/// Refuses a weight that is negative or not finite.
pub(crate) fn check_weight(row: usize, weight: f32) -> Result<()> {
    if weight >= 0.0 && weight.is_finite() {
        return Ok(());
    }
    Err(Error::data("weight", "a finite number of at least 0", format_args!("{weight} at row {row}")))
}

impl fmt::Debug for Weighted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rows, features) = (self.len(), self.features());
        f.debug_struct("Weighted").field("rows", &rows).field("features", &features).finish_non_exhaustive()
    }
}

impl Dataset for Weighted<'_> {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn features(&self) -> usize {
        self.rows.features()
    }

    fn copy_row(&self, row: usize, out: &mut [f32]) {
        self.rows.copy_row(row, out);
    }

    fn has_targets(&self) -> bool {
        self.rows.has_targets()
    }

    fn copy_target(&self, row: usize, out: &mut [f32]) {
        self.rows.copy_target(row, out);
    }

    fn weight(&self, row: usize) -> f32 {
        self.weights[row]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Pairs;
    use ndarray::Array2;

    #[test]
    fn invalid_weights_are_refused() {
        let rows = Array2::zeros((3, 4));
        let error = |weights: &[f32]| Weighted::new(&rows, weights).unwrap_err().to_string();
        assert_eq!(error(&[1.0, 1.0]), "weights: expected 3, found 2");
        for bad in [-1.0, f32::NAN, f32::INFINITY] {
            let expected = format!("weight: expected a finite number of at least 0, found {bad} at row 1");
            assert_eq!(error(&[1.0, bad, 1.0]), expected);
        }
        assert_eq!(error(&[0.0; 3]), "weights: expected at least one above 0, found 0 for every row");
        assert!(Weighted::new(&rows, [0.0, 1e-30, 1e30]).is_ok());
        assert!(Weighted::new(&Array2::zeros((0, 4)), []).is_ok());
    }

    #[test]
    fn fingerprints_cover_weights_and_pairs_keep_them() {
        let rows = Array2::from_shape_fn((3, 4), |(row, column)| (row * 4 + column) as f32);
        let weighted = |weights: [f32; 3]| Weighted::new(&rows, weights).unwrap();
        let heavy = weighted([1.0, 2.0, 1.0]);
        assert_eq!(weighted([1.0; 3]).fingerprint(), rows.fingerprint());
        assert_ne!(heavy.fingerprint(), rows.fingerprint());
        assert_ne!(heavy.fingerprint(), weighted([1.0, 2.5, 1.0]).fingerprint());
        let pairs = Pairs::new(&rows, &rows).unwrap();
        let of_pairs = Weighted::new(&pairs, [1.0, 2.0, 1.0]).unwrap();
        assert_eq!(of_pairs.fingerprint(), Pairs::new(&heavy, &rows).unwrap().fingerprint());
        assert_ne!(of_pairs.fingerprint(), pairs.fingerprint());
    }
}
