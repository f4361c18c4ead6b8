//! Drawn digits: a data set like MNIST that needs no file.

use crate::{
    data::{ImageSet, strokes},
    error::{Error, Result},
    random::{self, Stream},
};
use rayon::prelude::*;

const CLASSES: usize = 10;

/// Draws `count` digits of 28 x 28 pixels; image `i` shows the digit `i % 10`. Each image depends only on the seed and its
/// index, so a larger set starts with the same images.
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
/// [`Error::Setting`] if `count` is 0 or the images do not fit in memory.
pub fn generate(count: usize, seed: u64) -> Result<ImageSet> {
    let pixels = strokes::SIDE * strokes::SIDE;
    let mut images = Vec::new();
    let size = count.checked_mul(pixels).filter(|&size| size > 0 && images.try_reserve_exact(size).is_ok());
    let expected = "at least 1, and images that fit in memory";
    let size = size.ok_or_else(|| Error::setting("count", count, expected))?;
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
    fn an_image_depends_on_seed_and_index() {
        let few = generate(30, 5).unwrap();
        assert_eq!(few, generate(100, 5).unwrap().head(30).unwrap());
        assert_ne!(few, generate(30, 6).unwrap());
        assert_eq!(few.labels().unwrap()[20..], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn invalid_counts_are_errors() {
        for count in [0, usize::MAX, usize::MAX / 784] {
            assert!(generate(count, 1).is_err(), "{count}");
        }
    }
}
