use crate::error::{Error, Result};
use ndarray::{Array2, ArrayRef2, ArrayView1, Axis};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// Shifts and scales each column of a table to mean 0 and standard deviation 1, as the training rows have them.
///
/// Fit it on the training rows only, and apply it to all rows that the model sees. It stays outside the model:
/// [`Autoencoder::reconstruct`](crate::Autoencoder::reconstruct) takes and returns standardized rows. To keep the two
/// together, store the standardizer in the metadata of the model, and read it back after loading the model.
///
/// ```
/// use autoencoder::{Autoencoder, data::Standardizer, ndarray::array};
/// let train = array![[1.0, 500.0], [3.0, 500.0]];
/// let standardizer = Standardizer::fit(&train)?;
/// let rows = standardizer.transform(&train)?;
/// assert_eq!(rows, array![[-1.0, 0.0], [1.0, 0.0]]); // the second column is constant
/// assert_eq!(standardizer.invert(&rows)?, train);
///
/// let mut model = Autoencoder::builder(2).code(1).build()?;
/// model.set_metadata(Standardizer::KEY, standardizer.to_metadata())?;
/// let loaded = Autoencoder::from_bytes(&model.to_bytes()?, "a copy")?;
/// assert_eq!(Standardizer::from_metadata(loaded.metadata())?, standardizer);
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Columns", into = "Columns")]
pub struct Standardizer {
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

impl Standardizer {
    /// The key under which a model's metadata hold its standardizer.
    pub const KEY: &str = "standardizer";

    /// Computes the mean and the standard deviation of each column in f64. The deviation is that of the rows themselves: a
    /// mean over `rows`, not `rows - 1`, as in scikit-learn. A constant column gets a deviation of 1, so it becomes 0.
    ///
    /// # Shapes
    /// `rows` `[rows, columns]`.
    ///
    /// # Errors
    /// [`Error::Shape`] if there are no rows or no columns, [`Error::Data`] at the first non-finite value.
    pub fn fit(rows: &ArrayRef2<f32>) -> Result<Self> {
        if rows.is_empty() {
            return Err(Error::shape(
                "rows to standardize",
                format_args!("at least 1 of at least 1 column"),
                rows.dim(),
            ));
        }
        check_finite(rows)?;
        let count = rows.nrows() as f64;
        let column = |values: ArrayView1<f32>| {
            let first = values[0];
            // A sum of equal values, divided by their number, need not be exactly that value.
            if values.iter().all(|&value| value == first) {
                return (f64::from(first), 1.0);
            }
            let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
            let squares = values.iter().map(|&value| (f64::from(value) - mean).powi(2));
            (mean, (squares.sum::<f64>() / count).sqrt())
        };
        let (mean, deviation) = rows.axis_iter(Axis(1)).map(column).unzip();
        Ok(Self { mean, deviation })
    }

    /// Returns rows with `(value - mean) / deviation` of each column, computed in f64.
    ///
    /// # Shapes
    /// `rows` and result `[rows, columns]`.
    ///
    /// # Errors
    /// [`Error::Shape`] if the number of columns is not that of the standardizer, [`Error::Data`] at the first value that is
    /// not finite or whose result does not fit an f32.
    pub fn transform(&self, rows: &ArrayRef2<f32>) -> Result<Array2<f32>> {
        self.map(rows, |value, mean, deviation| (value - mean) / deviation)
    }

    /// Returns rows with `value * deviation + mean` of each column: the inverse of [`transform`](Self::transform), up to
    /// rounding to f32.
    ///
    /// # Shapes
    /// `rows` and result `[rows, columns]`.
    ///
    /// # Errors
    /// As [`transform`](Self::transform).
    pub fn invert(&self, rows: &ArrayRef2<f32>) -> Result<Array2<f32>> {
        self.map(rows, |value, mean, deviation| value * deviation + mean)
    }

    /// Returns the mean of each column.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Returns the standard deviation of each column, 1 for a constant one.
    pub fn deviation(&self) -> &[f64] {
        &self.deviation
    }

    /// Returns the value for a model's metadata: JSON with the lists `mean` and `deviation`, from which
    /// [`from_metadata`](Self::from_metadata) restores every bit. The metadata have room for at least 190,000 columns.
    pub fn to_metadata(&self) -> String {
        let list = |numbers: &[f64]| {
            numbers.iter().map(|number| format!("{number:?}")).collect::<Vec<_>>().join(",")
        };
        format!(r#"{{"mean":[{}],"deviation":[{}]}}"#, list(&self.mean), list(&self.deviation))
    }

    /// Reads the standardizer from [a model's metadata](crate::Autoencoder::metadata), under [`KEY`](Self::KEY).
    ///
    /// # Errors
    /// [`Error::Format`] if there is none, or it is invalid.
    pub fn from_metadata(metadata: &BTreeMap<String, String>) -> Result<Self> {
        const FILE: &str = "metadata of the model";
        let invalid = |found: &dyn fmt::Display| Error::format(FILE, Self::KEY, "a standardizer", found);
        let json = metadata.get(Self::KEY).ok_or_else(|| invalid(&"none"))?;
        serde_json::from_str(json).map_err(|error| invalid(&error))
    }

    /// Maps each value with its column's mean and deviation.
    fn map(&self, rows: &ArrayRef2<f32>, of: impl Fn(f64, f64, f64) -> f64) -> Result<Array2<f32>> {
        if rows.ncols() != self.mean.len() {
            return Err(Error::shape("columns to standardize", self.mean.len(), rows.ncols()));
        }
        check_finite(rows)?;
        let mut mapped = Array2::zeros(rows.dim());
        for ((row, column), value) in mapped.indexed_iter_mut() {
            let found = of(f64::from(rows[[row, column]]), self.mean[column], self.deviation[column]);
            *value = found as f32;
            if !value.is_finite() {
                let found = format_args!("{found:e} in row {row}, column {column}");
                return Err(Error::data("standardized rows", "numbers that fit an f32", found));
            }
        }
        Ok(mapped)
    }
}

fn check_finite(rows: &ArrayRef2<f32>) -> Result<()> {
    match rows.indexed_iter().find(|(_, value)| !value.is_finite()) {
        None => Ok(()),
        Some(((row, column), value)) => {
            let found = format_args!("{value} in row {row}, column {column}");
            Err(Error::data("rows to standardize", "finite numbers", found))
        }
    }
}

/// A standardizer as it is stored, before it is checked.
#[derive(Serialize, Deserialize)]
struct Columns {
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

impl From<Standardizer> for Columns {
    fn from(Standardizer { mean, deviation }: Standardizer) -> Self {
        Self { mean, deviation }
    }
}

impl TryFrom<Columns> for Standardizer {
    type Error = Error;

    fn try_from(Columns { mean, deviation }: Columns) -> Result<Self> {
        if mean.is_empty() || mean.len() != deviation.len() {
            let lengths = (mean.len(), deviation.len());
            return Err(Error::shape(
                "numbers of (means, deviations)",
                format_args!("as many of each, at least 1"),
                lengths,
            ));
        }
        if let Some(mean) = mean.iter().find(|mean| !mean.is_finite()) {
            return Err(Error::data("mean", "a finite number", mean));
        }
        if let Some(bad) = deviation.iter().find(|deviation| !(**deviation > 0.0 && deviation.is_finite())) {
            return Err(Error::data("deviation", "a finite number above 0", bad));
        }
        Ok(Self { mean, deviation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn table() -> Array2<f32> {
        Array2::from_shape_fn((101, 3), |(row, column)| {
            let value = (row as f32 * 0.7).sin();
            [1e6 + 1e3 * value, 0.1, 1e-20 * value][column]
        })
    }

    #[test]
    fn columns_get_mean_0_and_deviation_1_and_come_back() {
        let rows = table();
        let standardizer = Standardizer::fit(&rows).unwrap();
        let standard = standardizer.transform(&rows).unwrap();
        for (column, deviation) in [(0, 1.0), (1, 0.0), (2, 1.0)] {
            let values: Vec<_> = standard.column(column).iter().map(|&x| f64::from(x)).collect();
            let mean = values.iter().sum::<f64>() / 101.0;
            let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 101.0;
            assert!(
                mean.abs() < 1e-6 && (variance.sqrt() - deviation).abs() < 1e-6,
                "{column}: {mean} {variance}"
            );
        }
        let back = standardizer.invert(&standard).unwrap();
        assert!(back.iter().zip(&rows).all(|(back, row)| (back - row).abs() <= 1e-6 * row.abs().max(1e-19)));
        // A constant column comes back exactly, though 101 times 0.1 is not a multiple of 0.1.
        assert!(back.column(1).iter().all(|&x| x == 0.1));
        assert_eq!((standardizer.mean()[1], standardizer.deviation()[1]), (f64::from(0.1_f32), 1.0));
        // Other layouts.
        let transposed = rows.t().as_standard_layout().into_owned();
        assert_eq!(Standardizer::fit(&transposed.t()).unwrap(), standardizer);
        assert_eq!(standardizer.transform(&transposed.t()).unwrap(), standard);
        // A single row is constant.
        assert_eq!(Standardizer::fit(&array![[7.0, -7.0]]).unwrap().deviation(), [1.0, 1.0]);
    }

    #[test]
    fn what_does_not_fit_is_an_error_that_says_where() {
        let standardizer = Standardizer::fit(&table()).unwrap();
        let narrow = Array2::zeros((5, 2));
        for error in [standardizer.transform(&narrow).unwrap_err(), standardizer.invert(&narrow).unwrap_err()]
        {
            assert_eq!(error.to_string(), "columns to standardize: expected 3, found 2");
        }
        assert_eq!(standardizer.transform(&Array2::zeros((0, 3))).unwrap().dim(), (0, 3));
        for empty in [Array2::zeros((0, 3)), Array2::zeros((3, 0))] {
            assert!(matches!(Standardizer::fit(&empty), Err(Error::Shape { .. })));
        }
        for bad in [f32::NAN, f32::INFINITY] {
            let mut rows = table();
            rows[[4, 1]] = bad;
            let expected =
                format!("rows to standardize: expected finite numbers, found {bad} in row 4, column 1");
            for error in [
                Standardizer::fit(&rows).unwrap_err(),
                standardizer.transform(&rows).unwrap_err(),
                standardizer.invert(&rows).unwrap_err(),
            ] {
                assert_eq!(error.to_string(), expected);
            }
        }
        // Finite, but far beyond the training rows.
        let error = standardizer.transform(&array![[0.0, 0.0, 1e30]]).unwrap_err();
        assert!(
            error.to_string().contains("fit an f32") && error.to_string().contains("row 0, column 2"),
            "{error}"
        );
    }

    /// Means and deviations from 1e-38 to 1e38 come back with every bit.
    #[test]
    fn metadata_keep_every_bit_and_are_checked() {
        let extreme = [1e-45, f32::MIN_POSITIVE, 0.1, 1e20, f32::MAX];
        let rows = Array2::from_shape_fn((4, 5), |(row, column)| extreme[column] / (row + 1) as f32);
        for rows in [table(), rows] {
            let standardizer = Standardizer::fit(&rows).unwrap();
            let metadata = BTreeMap::from([(Standardizer::KEY.to_owned(), standardizer.to_metadata())]);
            assert_eq!(Standardizer::from_metadata(&metadata).unwrap(), standardizer);
            let json = serde_json::to_string(&standardizer).unwrap();
            assert_eq!(serde_json::from_str::<Standardizer>(&json).unwrap(), standardizer);
        }
        let error = Standardizer::from_metadata(&BTreeMap::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "metadata of the model: standardizer: expected a standardizer, found none"
        );
        for json in [
            "",
            "{}",
            r#"{"mean":[],"deviation":[]}"#,
            r#"{"mean":[1.0],"deviation":[1.0,1.0]}"#,
            r#"{"mean":[1.0],"deviation":[0.0]}"#,
            r#"{"mean":[1.0],"deviation":[-1.0]}"#,
            r#"{"mean":[null],"deviation":[1.0]}"#,
            r#"{"mean":[1e999],"deviation":[1.0]}"#,
        ] {
            let metadata = BTreeMap::from([(Standardizer::KEY.to_owned(), json.to_owned())]);
            assert!(matches!(Standardizer::from_metadata(&metadata), Err(Error::Format { .. })), "{json}");
        }
    }
}
