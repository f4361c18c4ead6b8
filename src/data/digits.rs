//! Drawn digits: a data set of MNIST's kind that needs no file.

use crate::{
    data::{ImageSet, strokes},
    error::{Error, Result},
    random::{self, Stream},
};
use rayon::prelude::*;

const CLASSES: usize = 10;

/// Draws `count` digits of 28 x 28 pixels, the ten classes in turn. Each image is a function of the seed and its
/// place, so that more of them begin with the same ones.
///
/// ```
/// use autoencoder::data::digits;
/// let digits = digits::generate(20, 1)?;
/// assert_eq!(digits.image_shape(), (28, 28));
/// assert_eq!(digits.labels().unwrap()[..3], [0, 1, 2]);
/// # Ok::<(), autoencoder::Error>(())
/// ```
///
/// # Errors
/// If `count` is 0 or the images do not fit memory.
pub fn generate(count: usize, seed: u64) -> Result<ImageSet> {
    let pixels = strokes::SIDE * strokes::SIDE;
    let mut images = Vec::new();
    let size = count.checked_mul(pixels).filter(|&size| size > 0 && images.try_reserve_exact(size).is_ok());
    let expected = "at least 1, and images that fit memory";
    let size = size.ok_or_else(|| Error::setting("number of digits", count, expected))?;
    images.resize(size, 0);
    images.par_chunks_exact_mut(pixels).enumerate().for_each(|(index, image)| {
        let mut rng = random::rng(seed, Stream::Digits, 0, index);
        image.copy_from_slice(&strokes::draw((index % CLASSES) as u8, &mut rng));
    });
    let labels = (0..count).map(|index| (index % CLASSES) as u8).collect();
    ImageSet::new("drawn digits", (strokes::SIDE, strokes::SIDE), images)?.with_labels(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_and_place_decide() {
        let few = generate(30, 5).unwrap();
        assert_eq!(few, generate(100, 5).unwrap().head(30).unwrap());
        assert_ne!(few, generate(30, 6).unwrap());
        assert_eq!(few.labels().unwrap()[20..], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn counts_that_cannot_be_are_errors() {
        for count in [0, usize::MAX, usize::MAX / 784] {
            assert!(generate(count, 1).is_err(), "{count}");
        }
    }
}
