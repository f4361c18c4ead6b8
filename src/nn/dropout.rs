use crate::{
    error::{Error, Result},
    kernels::elementwise,
    random::{self, Stream},
};
use rand::RngCore;
use serde::{Deserialize, Serialize};

const LEVELS: f32 = 65_536.0;

/// Inverted dropout (Srivastava et al. 2014).
///
/// In training, a unit is set to 0 with probability `rate` and otherwise multiplied by `1 / (1 - rate)`, so inference needs
/// no correction. The rate is rounded to a multiple of 1/65,536, and the mask of a row is a function of seed, layer, epoch
/// and row.
///
/// ```
/// use autoencoder::nn::Dropout;
/// let dropout = Dropout::new(0.2)?;
/// assert!((dropout.rate() - 0.2).abs() < 1e-5 && !dropout.is_off());
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f32", into = "f32")]
pub struct Dropout {
    threshold: u16,
}

impl Dropout {
    /// No dropout.
    pub const OFF: Self = Self { threshold: 0 };

    /// Creates dropout with this rate.
    ///
    /// # Errors
    /// [`Error::Setting`] if the rate is outside [0, 1).
    pub fn new(rate: f32) -> Result<Self> {
        if !(0.0..1.0).contains(&rate) {
            return Err(Error::setting("dropout", rate, "a rate in [0, 1)"));
        }
        Ok(Self { threshold: (rate * LEVELS).round().min(LEVELS - 1.0) as u16 })
    }

    /// Returns the probability that a unit is dropped.
    pub fn rate(self) -> f32 {
        f32::from(self.threshold) / LEVELS
    }

    /// Returns the factor of units that are kept, `1 / (1 - rate)`.
    pub fn scale(self) -> f32 {
        LEVELS / (LEVELS - f32::from(self.threshold))
    }

    /// Returns whether no unit is ever dropped.
    pub fn is_off(self) -> bool {
        self.threshold == 0
    }

    /// Writes the mask of one row, with one element per unit of the layer: 0 for a dropped unit, otherwise
    /// [`scale`](Self::scale).
    pub(crate) fn mask(self, mask: &mut [f32], seed: u64, layer: usize, epoch: usize, row: usize) {
        const CHUNK: usize = 256;
        let mut rng = random::rng(seed, Stream::Dropout { layer }, epoch, row);
        let mut random = [[0; 2]; CHUNK];
        for mask in mask.chunks_mut(CHUNK) {
            let random = &mut random[..mask.len()];
            rng.fill_bytes(random.as_flattened_mut());
            elementwise::dropout_mask(mask, random, self.threshold, self.scale());
        }
    }
}

impl TryFrom<f32> for Dropout {
    type Error = Error;

    fn try_from(rate: f32) -> Result<Self> {
        Self::new(rate)
    }
}

impl From<Dropout> for f32 {
    fn from(dropout: Dropout) -> Self {
        dropout.rate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_keep_the_expectation() {
        let dropout = Dropout::new(0.3).unwrap();
        let mut mask = vec![0.0; 100_000];
        dropout.mask(&mut mask, 1, 2, 3, 4);
        assert!(mask.iter().all(|&m| m == 0.0 || m == dropout.scale()));
        assert!((dropout.scale() - 1.0 / 0.7).abs() < 2e-5);
        let mean = mask.iter().map(|&m| f64::from(m)).sum::<f64>() / 100_000.0;
        // 6 standard errors: sqrt(rate / (1 - rate) / n).
        assert!((mean - 1.0).abs() < 6.0 * (0.3 / 0.7 / 100_000.0_f64).sqrt(), "{mean}");
    }

    #[test]
    fn masks_differ_by_layer_epoch_and_row_but_not_by_width() {
        let dropout = Dropout::new(0.5).unwrap();
        let mask = |layer, epoch, row, width| {
            let mut mask = vec![0.0; width];
            dropout.mask(&mut mask, 9, layer, epoch, row);
            mask
        };
        let base = mask(0, 1, 2, 300);
        assert_ne!(base, mask(1, 1, 2, 300));
        assert_ne!(base, mask(0, 2, 2, 300));
        assert_ne!(base, mask(0, 1, 3, 300));
        assert_eq!(base[..256], mask(0, 1, 2, 256));
    }

    #[test]
    fn rates_are_checked() {
        for rate in [-0.1, 1.0, 1.5, f32::NAN] {
            assert!(Dropout::new(rate).is_err(), "{rate}");
        }
        let nearly_one = Dropout::new(1.0 - f32::EPSILON).unwrap();
        assert!(nearly_one.scale().is_finite());
        assert!(Dropout::new(0.0).unwrap().is_off());
    }
}
