use autoencoder::{Dataset, Error, ImageSet, Result, bench::channels};
use std::fmt;

/// The rows of a data set: images, an array, [pairs](autoencoder::data::Pairs), or your own type.
///
/// ```
/// use autoencoder::{data::{Pairs, digits}, ndarray::Array2};
/// use autoencoder_study::sweep::Rows;
/// let (train, test) = (digits::generate(100, 1)?, digits::generate(20, 2)?);
/// let rows = Rows::images(&train, &test);
///
/// let (dark_train, dark_test) = (train.to_array()? / 2.0, test.to_array()? / 2.0);
/// let (train, test) = (Pairs::new(&dark_train, &train)?, Pairs::new(&dark_test, &test)?);
/// let rows = Rows::new(&train, &test).image_shape((28, 28));
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Clone, Copy)]
#[must_use]
pub struct Rows<'a> {
    /// Training rows.
    pub train: &'a dyn Dataset,
    /// Test rows, for validation after each epoch and for the record.
    pub test: &'a dyn Dataset,
    /// Height and width, if rows are images. Needed for the structural similarity alone.
    pub image_shape: Option<(usize, usize)>,
}

impl<'a> Rows<'a> {
    /// Rows of any kind.
    pub fn new(train: &'a dyn Dataset, test: &'a dyn Dataset) -> Self {
        Self { train, test, image_shape: None }
    }

    /// Images, gray or in color.
    pub fn images(train: &'a ImageSet, test: &'a ImageSet) -> Self {
        Self::new(train, test).image_shape(test.image_shape())
    }

    /// Height and width of rows that are images. A run fails if rows do not have that many values, or three times as many.
    pub fn image_shape(mut self, shape: (usize, usize)) -> Self {
        self.image_shape = Some(shape);
        self
    }

    /// Checks that the rows are images of the given shape, if there is one.
    pub(super) fn check(&self) -> Result<()> {
        let Some(shape) = self.image_shape else { return Ok(()) };
        match channels(shape, self.test.features()) {
            Err(Error::Shape { expected, found, .. }) => {
                Err(Error::Shape { what: "image_shape", expected, found: format!("{found} columns") })
            }
            result => result.map(drop),
        }
    }

    pub(super) fn fingerprints(&self) -> [String; 2] {
        [self.train.fingerprint(), self.test.fingerprint()]
    }
}

impl fmt::Debug for Rows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lengths = [self.train.len(), self.test.len()];
        f.debug_struct("Rows")
            .field("rows", &lengths)
            .field("features", &self.test.features())
            .finish_non_exhaustive()
    }
}
