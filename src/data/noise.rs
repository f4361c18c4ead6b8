use crate::{
    error::{Error, Result},
    kernels::{self, elementwise},
    random::{self, Stream},
};
use ndarray::{Array2, ArrayRef2, ArrayViewMut2};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

/// A kind of noise with its parameter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NoiseKind {
    /// Adds normally distributed noise with mean 0.
    Gaussian {
        /// The variance (not the standard deviation), for values in [0, 1].
        variance: f32,
    },
    /// Sets values to 0 or to 1, equally often.
    SaltAndPepper {
        /// The probability that a value is replaced.
        probability: f32,
    },
    /// Sets values to 0 (Vincent et al. 2008, <https://doi.org/10.1145/1390156.1390294>).
    Masking {
        /// The probability that a value becomes 0.
        probability: f32,
    },
}

impl NoiseKind {
    fn check(self) -> Result<()> {
        match self {
            Self::Gaussian { variance } if !(0.0..=f32::MAX).contains(&variance) => {
                Err(Error::setting("variance", variance, "a finite number of at least 0"))
            }
            Self::SaltAndPepper { probability } | Self::Masking { probability }
                if !(0.0..=1.0).contains(&probability) =>
            {
                Err(Error::setting("probability", probability, "a number in [0, 1]"))
            }
            _ => Ok(()),
        }
    }
}

/// Noise that corrupts the inputs of a model; the targets stay clean.
///
/// Corrupted values may leave [0, 1] unless the noise is [`clamped`](Self::clamped). This changes the PSNR of a noisy input
/// by several dB, so results should say which noise they are for.
///
/// ```
/// use autoencoder::{Noise, ndarray::Array2};
/// let noisy = Noise::gaussian(0.25)?.clamped().corrupt(&Array2::zeros((2, 9)), 7);
/// assert!(noisy.iter().all(|x| (0.0..=1.0).contains(x)));
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "UncheckedNoise")]
pub struct Noise {
    kinds: Vec<NoiseKind>,
    clamp: bool,
}

/// Noise as stored in a file, before its parameters are checked.
#[derive(Deserialize)]
struct UncheckedNoise {
    kinds: Vec<NoiseKind>,
    #[serde(default)]
    clamp: bool,
}

impl TryFrom<UncheckedNoise> for Noise {
    type Error = Error;

    fn try_from(UncheckedNoise { kinds, clamp }: UncheckedNoise) -> Result<Self> {
        Ok(Self { clamp, ..Self::mixture(&kinds)? })
    }
}

impl Noise {
    /// Creates noise of one kind.
    ///
    /// # Errors
    /// [`Error::Setting`] if the variance is negative or not finite, or the probability outside [0, 1].
    pub fn new(kind: NoiseKind) -> Result<Self> {
        Self::mixture(&[kind])
    }

    /// Creates noise that draws one of several kinds for each row, all equally likely, to train one model for all of them.
    ///
    /// # Errors
    /// [`Error::Setting`] if there are no kinds, and as [`new`](Self::new) for each.
    pub fn mixture(kinds: &[NoiseKind]) -> Result<Self> {
        if kinds.is_empty() {
            return Err(Error::setting("kinds", kinds, "at least 1 kind of noise"));
        }
        kinds.iter().try_for_each(|kind| kind.check())?;
        Ok(Self { kinds: kinds.to_vec(), clamp: false })
    }

    /// Creates Gaussian noise with this variance (not standard deviation), for values in [0, 1].
    ///
    /// # Errors
    /// [`Error::Setting`] if the variance is negative or not finite.
    pub fn gaussian(variance: f32) -> Result<Self> {
        Self::new(NoiseKind::Gaussian { variance })
    }

    /// Creates noise that sets values to 0 or 1, equally often, with this probability.
    ///
    /// # Errors
    /// [`Error::Setting`] if the probability is outside [0, 1].
    pub fn salt_and_pepper(probability: f32) -> Result<Self> {
        Self::new(NoiseKind::SaltAndPepper { probability })
    }

    /// Creates noise that sets values to 0 with this probability.
    ///
    /// # Errors
    /// [`Error::Setting`] if the probability is outside [0, 1].
    pub fn masking(probability: f32) -> Result<Self> {
        Self::new(NoiseKind::Masking { probability })
    }

    /// Clamps the corrupted values to [0, 1].
    pub fn clamped(mut self) -> Self {
        self.clamp = true;
        self
    }

    /// Returns the kind of noise, or the several kinds of a mixture.
    pub fn kinds(&self) -> &[NoiseKind] {
        &self.kinds
    }

    /// Returns whether corrupted values are clamped to [0, 1].
    pub fn is_clamped(&self) -> bool {
        self.clamp
    }

    /// Returns a corrupted copy of `rows`, `[rows, features]`. The noise of a row is a function of the seed and the index
    /// of the row. Evaluation with this seed uses the same noise; training uses a different stream.
    pub fn corrupt(&self, rows: &ArrayRef2<f32>, seed: u64) -> Array2<f32> {
        let mut noisy = rows.as_standard_layout().into_owned();
        self.corrupt_rows(noisy.view_mut(), seed, 0);
        noisy
    }

    /// Corrupts rows in place as [`corrupt`](Self::corrupt) does, where `first` is the index of the first one.
    pub(crate) fn corrupt_rows(&self, rows: ArrayViewMut2<f32>, seed: u64, first: usize) {
        for (offset, row) in kernels::rows_mut(rows).enumerate() {
            self.apply(row, &mut random::rng(seed, Stream::TestNoise, 0, first + offset));
        }
    }

    /// Corrupts one row in place.
    pub(crate) fn apply(&self, row: &mut [f32], rng: &mut impl Rng) {
        // A single kind must draw no random number here: its results do not depend on mixtures.
        let kind = match self.kinds.as_slice() {
            [kind] => kind,
            several => &several[rng.random_range(0..several.len())],
        };
        match *kind {
            NoiseKind::Gaussian { variance } => {
                let deviation = variance.sqrt();
                for pixel in row.iter_mut() {
                    let normal: f32 = StandardNormal.sample(rng);
                    *pixel += deviation * normal;
                }
            }
            NoiseKind::SaltAndPepper { probability } => {
                for pixel in row.iter_mut() {
                    let draw: f32 = rng.random();
                    if draw < probability {
                        *pixel = if draw < probability / 2.0 { 0.0 } else { 1.0 };
                    }
                }
            }
            NoiseKind::Masking { probability } => {
                for pixel in row.iter_mut() {
                    if rng.random::<f32>() < probability {
                        *pixel = 0.0;
                    }
                }
            }
        }
        if self.clamp {
            elementwise::clamp_unit(row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIXELS: usize = 100_000;

    fn corrupted(kind: NoiseKind, value: f32) -> Array2<f32> {
        let images = Array2::from_elem((100, PIXELS / 100), value);
        Noise::new(kind).unwrap().corrupt(&images, 5)
    }

    fn fraction(values: &Array2<f32>, value: f32) -> f64 {
        values.iter().filter(|&&v| v == value).count() as f64 / PIXELS as f64
    }

    #[test]
    fn files_are_checked_as_constructors_are() {
        let parse = |json: &str| serde_json::from_str::<Noise>(json).map_err(|error| error.to_string());
        let noise = Noise::gaussian(0.5).unwrap().clamped();
        assert_eq!(parse(&serde_json::to_string(&noise).unwrap()), Ok(noise));
        let error = parse(r#"{"kinds":[{"gaussian":{"variance":-1.0}}],"clamp":false}"#).unwrap_err();
        assert!(error.contains("variance"), "{error}");
        assert!(parse(r#"{"kinds":[{"masking":{"probability":7.0}}]}"#).is_err());
        assert!(parse(r#"{"kinds":[]}"#).is_err());
    }

    #[test]
    fn a_mixture_draws_one_kind_per_row_all_equally_often() {
        let probabilities = [0.0, 0.5, 1.0];
        let kinds = probabilities.map(|probability| NoiseKind::Masking { probability });
        let noisy = Noise::mixture(&kinds).unwrap().corrupt(&Array2::ones((3_000, 100)), 9);
        let mut counts = [0; 3];
        for row in noisy.rows() {
            match row.sum() {
                100.0 => counts[0] += 1,
                0.0 => counts[2] += 1,
                kept if (20.0..80.0).contains(&kept) => counts[1] += 1,
                kept => panic!("{kept} of 100 pixels kept"),
            }
        }
        // 6 standard errors of a third of 3,000.
        assert!(counts.iter().all(|count| (845..=1155).contains(count)), "{counts:?}");
        assert!(Noise::mixture(&[]).is_err());
    }

    #[test]
    fn gaussian_has_the_requested_variance() {
        for variance in [0.1, 0.5, 1.0] {
            let noisy = corrupted(NoiseKind::Gaussian { variance }, 0.25);
            let mean = noisy.iter().map(|&x| f64::from(x)).sum::<f64>() / PIXELS as f64;
            let found = noisy.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / PIXELS as f64;
            let variance = f64::from(variance);
            // 6 standard errors: sqrt(variance / n) of the mean, variance * sqrt(2 / n) of the variance.
            assert!((mean - 0.25).abs() < 6.0 * (variance / PIXELS as f64).sqrt(), "{mean}");
            assert!((found - variance).abs() < 6.0 * variance * (2.0 / PIXELS as f64).sqrt(), "{found}");
        }
    }

    #[test]
    fn salt_pepper_and_masks_have_the_requested_rate() {
        // 6 standard errors of a fraction near 0.15 and 0.3 of 100,000.
        let noisy = corrupted(NoiseKind::SaltAndPepper { probability: 0.3 }, 0.5);
        assert!((fraction(&noisy, 0.0) - 0.15).abs() < 0.007 && (fraction(&noisy, 1.0) - 0.15).abs() < 0.007);
        assert!((fraction(&noisy, 0.5) - 0.7).abs() < 0.009);
        let noisy = corrupted(NoiseKind::Masking { probability: 0.3 }, 0.5);
        assert!((fraction(&noisy, 0.0) - 0.3).abs() < 0.009 && (fraction(&noisy, 0.5) - 0.7).abs() < 0.009);
    }

    #[test]
    fn parameters_are_checked() {
        for variance in [-0.1, f32::NAN, f32::INFINITY] {
            assert!(Noise::gaussian(variance).is_err());
        }
        for probability in [-0.1, 1.1, f32::NAN] {
            assert!(Noise::masking(probability).is_err());
            assert!(Noise::salt_and_pepper(probability).is_err());
        }
    }

    #[test]
    fn clamping_is_off_by_default() {
        let images = Array2::from_elem((10, 100), 0.5);
        let noise = Noise::gaussian(1.0).unwrap();
        let (free, clamped) = (noise.corrupt(&images, 1), noise.clamped().corrupt(&images, 1));
        assert!(free.iter().any(|x| *x < 0.0) && free.iter().any(|x| *x > 1.0));
        assert_eq!(free.mapv(|x| x.clamp(0.0, 1.0)), clamped);
    }
}
