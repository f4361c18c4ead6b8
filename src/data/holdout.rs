use crate::{
    data::{Dataset, ImageSet},
    error::{Error, Result},
    random::shuffled,
};
use std::fmt;

/// The indices of the rows for training and for testing, both in ascending order.
///
/// The choice is drawn at random from a seed, because files are often sorted by class or by time.
///
/// ```
/// use autoencoder::{data::Holdout, ndarray::{Array2, Axis}};
/// let rows = Array2::from_shape_fn((100, 3), |(row, column)| (row + column) as f32 / 102.0);
/// let holdout = Holdout::new(rows.nrows(), 0.2, 7)?;
/// let (train, test) = (rows.select(Axis(0), &holdout.train), rows.select(Axis(0), &holdout.test));
/// assert_eq!((train.nrows(), test.nrows()), (80, 20));
/// # Ok::<(), autoencoder::Error>(())
/// ```
///
/// [`ImageSet::split`] splits images, and [`Subset`] any rows without copying them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holdout {
    /// Rows to train on, at least one.
    pub train: Vec<usize>,
    /// Rows to test on, at least one.
    pub test: Vec<usize>,
}

impl Holdout {
    /// Draws `test_fraction` of `rows` rows for testing, rounded up.
    ///
    /// # Errors
    /// [`Error::Setting`] if there is not at least one row to test on and one to train on.
    pub fn new(rows: usize, test_fraction: f64, seed: u64) -> Result<Self> {
        Self::draw(shuffled(rows, seed, 0), test_fraction)
    }

    /// Draws the same fraction of the rows of every class, to within one row. `labels` has one label per
    /// row.
    ///
    /// ```
    /// use autoencoder::data::Holdout;
    /// let labels = [1, 1, 1, 1, 7, 7, 7, 7, 7, 7, 7, 7];
    /// let holdout = Holdout::by_class(&labels, 0.25, 3)?;
    /// assert_eq!(holdout.test.iter().map(|&row| labels[row]).collect::<Vec<_>>(), [1, 7, 7]);
    /// # Ok::<(), autoencoder::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn by_class(labels: &[u8], test_fraction: f64, seed: u64) -> Result<Self> {
        let mut order = shuffled(labels.len(), seed, 0);
        order.sort_by_key(|&row| labels[row]);
        Self::draw(order, test_fraction)
    }

    /// Takes test rows from the order at equal distances, so that any part of it has its fraction of them.
    fn draw(order: Vec<usize>, test_fraction: f64) -> Result<Self> {
        let rows = order.len();
        let count = (rows as f64 * test_fraction).ceil();
        if !(count >= 1.0 && count < rows as f64) {
            let value = format!("{test_fraction} of {rows} rows");
            let expected = "at least 1 row to test on and 1 to train on";
            return Err(Error::Setting { name: "test_fraction", value, expected });
        }
        // In u128, the product of two lengths cannot overflow.
        let tests_before = |position: usize| position as u128 * count as u128 / rows as u128;
        let is_test = |position: usize| tests_before(position + 1) > tests_before(position);
        let mut holdout = Self { train: Vec::new(), test: Vec::new() };
        for (position, row) in order.into_iter().enumerate() {
            if is_test(position) { holdout.test.push(row) } else { holdout.train.push(row) }
        }
        holdout.train.sort_unstable();
        holdout.test.sort_unstable();
        Ok(holdout)
    }
}

impl ImageSet {
    /// Chooses test images, by class if there are labels, without copying any.
    ///
    /// # Errors
    /// As [`Holdout::new`].
    pub fn holdout(&self, test_fraction: f64, seed: u64) -> Result<Holdout> {
        match self.labels() {
            Some(labels) => Holdout::by_class(labels, test_fraction, seed),
            None => Holdout::new(self.len(), test_fraction, seed),
        }
    }

    /// Copies the images into a training set and a test set, by class if there are labels: see [`Holdout`].
    ///
    /// ```
    /// use autoencoder::data::digits;
    /// let (train, test) = digits::generate(200, 1)?.split(0.1, 0)?;
    /// assert_eq!((train.len(), test.len()), (180, 20));
    /// # Ok::<(), autoencoder::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Holdout::new`].
    pub fn split(&self, test_fraction: f64, seed: u64) -> Result<(Self, Self)> {
        let holdout = self.holdout(test_fraction, seed)?;
        Ok((self.select(&holdout.train)?, self.select(&holdout.test)?))
    }
}

/// Some rows of a data set, in any order, without a copy. Targets and weights are those of the rows.
///
/// ```
/// use autoencoder::{Dataset, data::{Holdout, Subset, digits}};
/// let digits = digits::generate(200, 1)?;
/// let holdout = Holdout::new(digits.len(), 0.1, 0)?;
/// let (train, test) = (Subset::new(&digits, &holdout.train)?, Subset::new(&digits, &holdout.test)?);
/// assert_eq!((train.len(), test.len()), (180, 20));
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Subset<'a> {
    rows: &'a dyn Dataset,
    indices: &'a [usize],
}

impl<'a> Subset<'a> {
    /// Selects the rows at `indices`. An index may occur several times.
    ///
    /// # Errors
    /// [`Error::Shape`] if an index is out of range.
    pub fn new(rows: &'a dyn Dataset, indices: &'a [usize]) -> Result<Self> {
        match indices.iter().find(|&&index| index >= rows.len()) {
            Some(index) => Err(Error::Shape {
                what: "index of a row",
                expected: format!("less than {}", rows.len()),
                found: index.to_string(),
            }),
            None => Ok(Self { rows, indices }),
        }
    }
}

impl fmt::Debug for Subset<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rows, features) = (self.len(), self.features());
        f.debug_struct("Subset").field("rows", &rows).field("features", &features).finish_non_exhaustive()
    }
}

impl Dataset for Subset<'_> {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn features(&self) -> usize {
        self.rows.features()
    }

    fn copy_row(&self, row: usize, out: &mut [f32]) {
        self.rows.copy_row(self.indices[row], out);
    }

    fn has_targets(&self) -> bool {
        self.rows.has_targets()
    }

    fn copy_target(&self, row: usize, out: &mut [f32]) {
        self.rows.copy_target(self.indices[row], out);
    }

    fn weight(&self, row: usize) -> f32 {
        self.rows.weight(self.indices[row])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Pairs, Weighted, digits};
    use ndarray::{Array2, Axis};

    #[test]
    fn every_row_is_on_one_side_and_the_seed_decides_which() {
        let holdout = Holdout::new(103, 0.1, 1).unwrap();
        assert_eq!((holdout.train.len(), holdout.test.len()), (92, 11));
        let mut all = [&holdout.train[..], &holdout.test].concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..103));
        assert_eq!(Holdout::new(103, 0.1, 1).unwrap(), holdout);
        assert_ne!(Holdout::new(103, 0.1, 2).unwrap().test, holdout.test);
        assert!(holdout.test.windows(2).any(|pair| pair[1] - pair[0] != holdout.test[1] - holdout.test[0]));
    }

    #[test]
    fn each_class_has_its_fraction() {
        let labels: Vec<u8> = (0..1000).map(|row| [3, 3, 3, 3, 3, 3, 3, 8, 8, 200][row % 10]).collect();
        for seed in 0..5 {
            let holdout = Holdout::by_class(&labels, 0.15, seed).unwrap();
            let count = |class| holdout.test.iter().filter(|&&row| labels[row] == class).count();
            assert_eq!([3, 8, 200].map(count).iter().sum::<usize>(), 150);
            for (class, expected) in [(3, 105_usize), (8, 30), (200, 15)] {
                assert!(count(class).abs_diff(expected) <= 1, "{class}: {}", count(class));
            }
        }
        let (train, test) = digits::generate(90, 1).unwrap().split(0.2, 4).unwrap();
        assert_eq!((train.labels().unwrap().len(), test.labels().unwrap().len()), (72, 18));
    }

    #[test]
    fn a_side_without_rows_is_an_error() {
        for (rows, fraction) in
            [(10, 0.0), (10, 1.0), (10, 0.95), (10, -1.0), (10, f64::NAN), (1, 0.5), (0, 0.5)]
        {
            let error = Holdout::new(rows, fraction, 0).unwrap_err().to_string();
            assert!(error.contains("at least 1 row to test on"), "{rows} {fraction}: {error}");
        }
        assert_eq!(Holdout::new(2, 1e-9, 0).unwrap().test.len(), 1);
    }

    #[test]
    fn a_subset_has_the_rows_targets_and_weights() {
        let inputs = Array2::from_shape_fn((5, 2), |(row, column)| (row * 2 + column) as f32);
        let targets = &inputs + 100.0;
        let pairs = Pairs::new(&inputs, &targets).unwrap();
        let weighted = Weighted::new(&pairs, [1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        let indices = [4, 0, 4];
        let subset = Subset::new(&weighted, &indices).unwrap();
        let (chosen, aims) = (inputs.select(Axis(0), &indices), targets.select(Axis(0), &indices));
        let same = Pairs::new(&chosen, &aims).unwrap();
        let same = Weighted::new(&same, [5.0, 1.0, 5.0]).unwrap();
        assert_eq!(subset.fingerprint(), same.fingerprint());
        assert!(Subset::new(&inputs, &[5]).is_err());
    }
}
