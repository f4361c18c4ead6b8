use crate::{
    data::Dataset,
    error::{Error, Result},
    kernels::{
        self,
        resample::{AffineMap, MAX_SIDE, resample},
    },
    random::{self, Stream},
};
use ndarray::Array2;
use rand_chacha::{ChaCha8Rng, rand_core::RngCore};
use serde::{Deserialize, Serialize};
use std::f32::consts::PI;

/// The largest scale: images shrink to a tenth at most.
const MAX_SCALE: f32 = 0.9;

/// Random affine changes of images in training, drawn anew for each row in each epoch.
///
/// An image is sheared, scaled and rotated about its center, and then shifted. Each amount is uniform on an interval
/// around no change. Values between pixels are interpolated bilinearly, and values from outside are 0. The changed row is
/// both input and target; [noise](crate::Noise) is added to the input afterwards. Validation and evaluation see the rows
/// as they are.
///
/// Set it with [`TrainConfig::augmentation`](crate::TrainConfig::augmentation), or with
/// [`Step::augmentation`](crate::train::Step::augmentation) in your own loop. Both check the fields. By default, all
/// amounts are 0.
///
/// ```
/// use autoencoder::{TrainConfig, data::{Augmentation, digits}};
/// let mild = Augmentation::new((28, 28)).shift(0.5).rotation(0.08).scale(0.05).shear(0.08).unchanged(0.3);
/// let config = TrainConfig::new().augmentation(mild);
/// config.check()?;
/// let seen = mild.augmented(&digits::generate(10, 1)?, config.seed, 1)?; // in the first epoch
/// assert_eq!(seen.dim(), (10, 784));
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[must_use]
pub struct Augmentation {
    /// Height and width of the images in pixels, up to 65,536 each.
    pub shape: (usize, usize),
    /// Values per pixel, 1 for gray and 3 for color. A row has the shape `[height, width, channels]`. Default: 1.
    pub channels: usize,
    /// Largest shift to each side along each axis, in pixels; fractions count. From 0 to 65,536.
    pub shift: f32,
    /// Largest rotation in either direction, in radians. From 0 to pi.
    pub rotation: f32,
    /// Largest relative change of size: 0.05 is a factor from 0.95 to 1.05. From 0 to 0.9.
    pub scale: f32,
    /// Largest horizontal shear in either direction: the offset of a row of pixels, divided by its distance from the
    /// center. From 0 to 1.
    pub shear: f32,
    /// Probability that an image stays as it is.
    pub unchanged: f32,
}

impl Augmentation {
    /// Creates an augmentation of gray images of this height and width that changes nothing yet.
    pub fn new(shape: (usize, usize)) -> Self {
        Self { shape, channels: 1, shift: 0.0, rotation: 0.0, scale: 0.0, shear: 0.0, unchanged: 0.0 }
    }

    /// Sets the number of values per pixel, 1 or 3.
    pub fn channels(self, channels: usize) -> Self {
        Self { channels, ..self }
    }

    /// Sets the largest shift along each axis, in pixels.
    pub fn shift(self, pixels: f32) -> Self {
        Self { shift: pixels, ..self }
    }

    /// Sets the largest rotation in either direction, in radians.
    pub fn rotation(self, radians: f32) -> Self {
        Self { rotation: radians, ..self }
    }

    /// Sets the largest relative change of size.
    pub fn scale(self, scale: f32) -> Self {
        Self { scale, ..self }
    }

    /// Sets the largest horizontal shear in either direction.
    pub fn shear(self, shear: f32) -> Self {
        Self { shear, ..self }
    }

    /// Sets the probability that an image stays as it is.
    pub fn unchanged(self, probability: f32) -> Self {
        Self { unchanged: probability, ..self }
    }

    /// Returns all rows as training with this seed sees them in an epoch (from 1), without noise: `[rows, features]`.
    ///
    /// # Errors
    /// [`Error::Setting`] if a field is outside its range. [`Error::Shape`] if the rows do not have
    /// `height * width * channels` features. [`Error::Data`] if they have targets of their own.
    pub fn augmented(&self, samples: &dyn Dataset, seed: u64, epoch: usize) -> Result<Array2<f32>> {
        self.check()?;
        self.check_features(samples.features())?;
        Self::check_targets(samples)?;
        let mut rows = Array2::zeros((samples.len(), samples.features()));
        let mut scratch = vec![0.0; samples.features()];
        for (index, row) in kernels::rows_mut(rows.view_mut()).enumerate() {
            self.copy_row(samples, index, row, &mut scratch, seed, epoch);
        }
        Ok(rows)
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first field that is outside its range.
    pub(crate) fn check(&self) -> Result<()> {
        let Self { shape, channels, shift, rotation, scale, shear, unchanged } = *self;
        let (height, width) = shape;
        if !(1..=MAX_SIDE).contains(&height) || !(1..=MAX_SIDE).contains(&width) {
            return Err(Error::setting("shape", shape, "1 to 65,536 pixels each"));
        }
        if ![1, 3].contains(&channels) {
            return Err(Error::setting("channels", channels, "1 or 3"));
        }
        for (name, value, most, expected) in [
            ("shift", shift, MAX_SIDE as f32, "a number in [0, 65536]"),
            ("rotation", rotation, PI, "a number of radians in [0, pi]; `to_radians` converts degrees"),
            ("scale", scale, MAX_SCALE, "a number in [0, 0.9]"),
            ("shear", shear, 1.0, "a number in [0, 1]"),
            ("unchanged", unchanged, 1.0, "a number in [0, 1]"),
        ] {
            if !(0.0..=most).contains(&value) {
                return Err(Error::setting(name, value, expected));
            }
        }
        Ok(())
    }

    /// Checks that rows of `features` values are images of this shape.
    pub(crate) fn check_features(&self, features: usize) -> Result<()> {
        let (height, width) = self.shape;
        // Not in usize, which is too small for the largest shapes on 32-bit systems.
        if [height, width, self.channels].iter().map(|&size| size as u64).product::<u64>() == features as u64
        {
            return Ok(());
        }
        let color = 3 * height as u64 * width as u64 == features as u64;
        let remedy = if color { "; for rows in color, set `channels(3)`" } else { "" };
        let expected = format!("{features}, the features of a row{remedy}");
        let found = format!("{height} * {width} * {}", self.channels);
        Err(Error::Shape { what: "height * width * channels of the augmentation", expected, found })
    }

    /// Refuses rows with targets of their own, which would have to change with their inputs.
    pub(crate) fn check_targets(samples: &dyn Dataset) -> Result<()> {
        if samples.has_targets() {
            let found = "pairs of inputs and targets";
            return Err(Error::data("rows to augment", "rows that are their own targets", found));
        }
        Ok(())
    }

    /// Copies a row into `out` as training sees it in an epoch. `scratch` has the same length.
    pub(crate) fn copy_row(
        &self,
        samples: &dyn Dataset,
        row: usize,
        out: &mut [f32],
        scratch: &mut [f32],
        seed: u64,
        epoch: usize,
    ) {
        match self.draw(&mut random::rng(seed, Stream::Augmentation, epoch, row)) {
            None => samples.copy_row(row, out),
            Some(map) => {
                samples.copy_row(row, scratch);
                match self.channels {
                    3 => resample::<3>(out, scratch, self.shape, &map),
                    _ => resample::<1>(out, scratch, self.shape, &map),
                }
            }
        }
    }

    /// Draws the map of one image, from its pixels to those of the row; `None` if the image stays as it is.
    fn draw(&self, rng: &mut ChaCha8Rng) -> Option<AffineMap> {
        // All are drawn, so that an amount of 0 leaves the others as they are.
        let [unchanged, right, down, rotation, scale, shear] = std::array::from_fn(|_| unit(rng));
        if unchanged < f64::from(self.unchanged) {
            return None;
        }
        let amount = |limit: f32, unit: f64| f64::from(limit) * (2.0 * unit - 1.0);
        let shift = [right, down].map(|unit| amount(self.shift, unit));
        let factor = 1.0 + amount(self.scale, scale);
        Some(self.map(shift, amount(self.rotation, rotation), factor, amount(self.shear, shear)))
    }

    /// The inverse of: shear along x, scale and rotate about the center, then shift by `[x, y]`. A positive rotation turns
    /// the x axis toward the y axis, which points down.
    fn map(&self, shift: [f64; 2], rotation: f64, factor: f64, shear: f64) -> AffineMap {
        let (sin, cos) = rotation.sin_cos();
        let column = [(cos + shear * sin) / factor, -sin / factor];
        let row = [(sin - shear * cos) / factor, cos / factor];
        let (height, width) = self.shape;
        let center = [width, height].map(|side| (side - 1) as f64 / 2.0);
        let first = [-center[0] - shift[0], -center[1] - shift[1]];
        let origin = [0, 1].map(|axis| center[axis] + column[axis] * first[0] + row[axis] * first[1]);
        AffineMap::new(origin, column, row)
    }
}

/// Draws a number uniform on [0, 1).
fn unit(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}
