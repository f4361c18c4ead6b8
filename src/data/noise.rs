use crate::{
    error::{Error, Result},
    kernels::{self, elementwise},
    random::{self, Stream},
};
use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

/// The kind and strength of noise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NoiseKind {
    /// Adds normal noise of mean 0.
    Gaussian {
        /// The variance (not the standard deviation) of a pixel in [0, 1].
        variance: f32,
    },
    /// Sets a pixel to 0 or to 1, equally often.
    SaltAndPepper {
        /// The probability that a pixel is set.
        probability: f32,
    },
    /// Sets a pixel to 0 (Vincent et al. 2008, <https://doi.org/10.1145/1390156.1390294>).
    Masking {
        /// The probability that a pixel becomes 0.
        probability: f32,
    },
}

impl NoiseKind {
    fn check(self) -> Result<()> {
        match self {
            Self::Gaussian { variance } if !(0.0..=f32::MAX).contains(&variance) => {
                Err(Error::setting("noise variance", variance, "a finite number of at least 0"))
            }
            Self::SaltAndPepper { probability } | Self::Masking { probability }
                if !(0.0..=1.0).contains(&probability) =>
            {
                Err(Error::setting("noise probability", probability, "a number in [0, 1]"))
            }
            _ => Ok(()),
        }
    }
}

/// Noise that corrupts a model's input; the target stays clean.
///
/// The corrupted values are not limited to [0, 1] unless [`clamped`](Self::clamped) asks for it. PSNR of a noisy
/// input differs a lot between the two, so results must say which.
///
/// ```
/// use autoencoder::data::Noise;
/// use ndarray::Array2;
/// let noisy = Noise::gaussian(0.25)?.clamped().corrupt(Array2::zeros((2, 9)).view(), 7);
/// assert!(noisy.iter().all(|x| (0.0..=1.0).contains(x)));
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "UncheckedNoise")]
pub struct Noise {
    kinds: Vec<NoiseKind>,
    clamp: bool,
}

/// Noise as a file has it.
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
    /// Noise of a kind.
    ///
    /// # Errors
    /// If the variance is negative or not finite, or the probability outside [0, 1].
    pub fn new(kind: NoiseKind) -> Result<Self> {
        Self::mixture(&[kind])
    }

    /// Noise that draws for each row one of several kinds, each equally likely: for a model that is to denoise them
    /// all.
    ///
    /// # Errors
    /// If there is no kind, and as [`new`](Self::new) for each.
    pub fn mixture(kinds: &[NoiseKind]) -> Result<Self> {
        if kinds.is_empty() {
            return Err(Error::setting("kinds of noise", 0, "at least 1"));
        }
        kinds.iter().try_for_each(|kind| kind.check())?;
        Ok(Self { kinds: kinds.to_vec(), clamp: false })
    }

    /// Gaussian noise of a variance.
    ///
    /// # Errors
    /// If the variance is negative or not finite.
    pub fn gaussian(variance: f32) -> Result<Self> {
        Self::new(NoiseKind::Gaussian { variance })
    }

    /// The same noise, its result limited to [0, 1].
    pub fn clamped(mut self) -> Self {
        self.clamp = true;
        self
    }

    /// The kind and strength; several of a mixture.
    pub fn kinds(&self) -> &[NoiseKind] {
        &self.kinds
    }

    /// Whether corrupted values are limited to [0, 1].
    pub fn is_clamped(&self) -> bool {
        self.clamp
    }

    /// Corrupts one row in place.
    pub fn apply(&self, row: &mut [f32], rng: &mut impl Rng) {
        // A single kind draws nothing here.
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

    /// A corrupted copy of images `[images, features]`, the same for the same seed; each image's noise depends on
    /// its row alone. It is the noise that evaluation uses, not that of training.
    pub fn corrupt(&self, images: ArrayView2<f32>, seed: u64) -> Array2<f32> {
        let mut noisy = images.as_standard_layout().into_owned();
        self.corrupt_rows(noisy.view_mut(), seed, 0);
        noisy
    }

    /// Corrupts rows in place as [`corrupt`](Self::corrupt) does, where they are those from row `first` on.
    pub(crate) fn corrupt_rows(&self, rows: ArrayViewMut2<f32>, seed: u64, first: usize) {
        for (offset, row) in kernels::rows_mut(rows).enumerate() {
            self.apply(row, &mut random::rng(seed, Stream::TestNoise, 0, first + offset));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIXELS: usize = 100_000;

    fn corrupted(kind: NoiseKind, value: f32) -> Array2<f32> {
        let images = Array2::from_elem((100, PIXELS / 100), value);
        Noise::new(kind).unwrap().corrupt(images.view(), 5)
    }

    fn share(values: &Array2<f32>, value: f32) -> f64 {
        values.iter().filter(|&&v| v == value).count() as f64 / PIXELS as f64
    }

    #[test]
    fn files_are_checked_as_constructors_are() {
        let parse = |json: &str| serde_json::from_str::<Noise>(json).map_err(|error| error.to_string());
        let noise = Noise::gaussian(0.5).unwrap().clamped();
        assert_eq!(parse(&serde_json::to_string(&noise).unwrap()), Ok(noise));
        let error = parse(r#"{"kinds":[{"gaussian":{"variance":-1.0}}],"clamp":false}"#).unwrap_err();
        assert!(error.contains("noise variance"), "{error}");
        assert!(parse(r#"{"kinds":[{"masking":{"probability":7.0}}]}"#).is_err());
        assert!(parse(r#"{"kinds":[]}"#).is_err());
    }

    #[test]
    fn a_mixture_draws_one_kind_a_row_each_equally_often() {
        let probabilities = [0.0, 0.5, 1.0];
        let kinds = probabilities.map(|probability| NoiseKind::Masking { probability });
        let noisy = Noise::mixture(&kinds).unwrap().corrupt(Array2::ones((3_000, 100)).view(), 9);
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
    fn gaussian_has_the_variance_asked_for() {
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
    fn salt_pepper_and_masks_have_the_rate_asked_for() {
        // 6 standard errors of a share near 0.15 and 0.3 of 100,000.
        let noisy = corrupted(NoiseKind::SaltAndPepper { probability: 0.3 }, 0.5);
        assert!((share(&noisy, 0.0) - 0.15).abs() < 0.007 && (share(&noisy, 1.0) - 0.15).abs() < 0.007);
        assert!((share(&noisy, 0.5) - 0.7).abs() < 0.009);
        let noisy = corrupted(NoiseKind::Masking { probability: 0.3 }, 0.5);
        assert!((share(&noisy, 0.0) - 0.3).abs() < 0.009 && (share(&noisy, 0.5) - 0.7).abs() < 0.009);
    }

    #[test]
    fn strength_is_checked() {
        for variance in [-0.1, f32::NAN, f32::INFINITY] {
            assert!(Noise::gaussian(variance).is_err());
        }
        for probability in [-0.1, 1.1, f32::NAN] {
            assert!(Noise::new(NoiseKind::Masking { probability }).is_err());
            assert!(Noise::new(NoiseKind::SaltAndPepper { probability }).is_err());
        }
    }

    #[test]
    fn clamping_is_off_until_asked_for() {
        let images = Array2::from_elem((10, 100), 0.5);
        let noise = Noise::gaussian(1.0).unwrap();
        let (free, clamped) = (noise.corrupt(images.view(), 1), noise.clamped().corrupt(images.view(), 1));
        assert!(free.iter().any(|x| *x < 0.0) && free.iter().any(|x| *x > 1.0));
        assert_eq!(free.mapv(|x| x.clamp(0.0, 1.0)), clamped);
    }
}
