//! Every random number is a function of (seed, stream, epoch, row), whatever was drawn before.
//!
//! A ChaCha8 generator is keyed by seed, stream and epoch, and its nonce is the row. So every row has its own generator,
//! which any worker can create on the spot. The output of ChaCha is the same on every platform.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

/// The purpose of a random number. Streams are independent: a disabled feature changes no other stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stream {
    /// Initial weights; the row is the layer.
    Init,
    /// The order of the rows in an epoch.
    Shuffle,
    /// Noise on a training row.
    TrainNoise,
    /// Noise on an evaluated row.
    TestNoise,
    /// Dropout on a training row, one stream per layer.
    Dropout {
        /// The layer, from 0 at the input.
        layer: usize,
    },
    /// The drawn digits; the row is the image.
    Digits,
    /// Augmentation of a training row.
    Augmentation,
}

impl Stream {
    fn key(self) -> u64 {
        match self {
            Self::Init => 1,
            Self::Shuffle => 2,
            Self::TrainNoise => 3,
            Self::TestNoise => 4,
            Self::Digits => 5,
            Self::Augmentation => 6,
            Self::Dropout { layer } => (1_u64 << 32).saturating_add(layer as u64),
        }
    }
}

/// Creates the generator of one row in one epoch of a stream.
pub fn rng(seed: u64, stream: Stream, epoch: usize, row: usize) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (part, word) in key.chunks_exact_mut(8).zip([seed, stream.key(), epoch as u64]) {
        part.copy_from_slice(&word.to_le_bytes());
    }
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(row as u64);
    rng
}

/// Returns the numbers `0..len` in the random order of an epoch: the order in which
/// [`Trainer`](crate::Trainer) visits `len` rows.
///
/// ```
/// use autoencoder::train::shuffled;
/// let mut order = shuffled(100, 7, 1);
/// assert_ne!(order, shuffled(100, 7, 2));
/// order.sort();
/// assert!(order.into_iter().eq(0..100));
/// ```
pub fn shuffled(len: usize, seed: u64, epoch: usize) -> Vec<usize> {
    // Fisher and Yates' shuffle.
    let mut rng = rng(seed, Stream::Shuffle, epoch, 0);
    let mut order: Vec<usize> = (0..len).collect();
    for last in (1..len).rev() {
        order.swap(last, below(&mut rng, last as u64 + 1) as usize);
    }
    order
}

/// Draws a number uniformly from `0..bound`, without bias (Lemire 2019, <https://doi.org/10.1145/3230636>). Written out
/// because the algorithm of `rand` may change with its version, and the order of a training set must not.
fn below(rng: &mut ChaCha8Rng, bound: u64) -> u64 {
    loop {
        let product = u128::from(rng.next_u64()) * u128::from(bound);
        let low = product as u64;
        if low >= bound || low >= bound.wrapping_neg() % bound {
            return (product >> 64) as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_epochs_rows_and_seeds_differ() {
        let first = |seed, stream, epoch, row| rng(seed, stream, epoch, row).next_u64();
        let base = first(1, Stream::TrainNoise, 1, 1);
        assert_eq!(base, first(1, Stream::TrainNoise, 1, 1));
        for other in [
            first(2, Stream::TrainNoise, 1, 1),
            first(1, Stream::TestNoise, 1, 1),
            first(1, Stream::Augmentation, 1, 1),
            first(1, Stream::Dropout { layer: 0 }, 1, 1),
            first(1, Stream::Dropout { layer: (u64::MAX - (1 << 32) + 4) as usize }, 1, 1),
            first(1, Stream::TrainNoise, 2, 1),
            first(1, Stream::TrainNoise, 1, 2),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn shuffles_are_permutations_and_depend_on_the_epoch() {
        let mut order = shuffled(1000, 3, 1);
        assert_ne!(order, shuffled(1000, 3, 2));
        assert_eq!(order, shuffled(1000, 3, 1));
        order.sort_unstable();
        assert!(order.into_iter().eq(0..1000));
        assert!(shuffled(0, 3, 1).is_empty());
    }

    #[test]
    fn every_position_is_equally_likely() {
        // 6,000 shuffles of 5: chi-square of the position of row 0, 4 degrees of freedom, p = 1e-6 at 33.4.
        let mut counts = [0.0_f64; 5];
        for epoch in 0..6_000 {
            counts[shuffled(5, 11, epoch).iter().position(|&r| r == 0).unwrap()] += 1.0;
        }
        let chi2: f64 = counts.iter().map(|c| (c - 1200.0).powi(2) / 1200.0).sum();
        assert!(chi2 < 33.4, "{counts:?}");
    }
}
