//! Random draws have the documented distribution: ten million draws, six standard errors, fixed seeds.

use autoencoder::{
    bench::{Stream, corrupt_training_row, dropout_mask, rng},
    data::{Noise, NoiseKind},
    ndarray::Array2,
    nn::Dropout,
    train::shuffled,
};
use rand::RngCore;
use std::collections::HashSet;

const ROWS: usize = 10_000;
const COLUMNS: usize = 1_000;
const DRAWS: f64 = (ROWS * COLUMNS) as f64;
const SIGMAS: f64 = 6.0;

/// Noise on a constant image, as in evaluation.
fn corrupted(noise: &Noise, value: f32, seed: u64) -> Array2<f32> {
    noise.corrupt(&Array2::from_elem((ROWS, COLUMNS), value), seed)
}

/// The same as in training, with one generator per row and epoch.
fn corrupted_in_training(noise: &Noise, value: f32, seed: u64) -> Array2<f32> {
    let mut rows = Array2::from_elem((ROWS, COLUMNS), value);
    for (index, row) in rows.outer_iter_mut().enumerate() {
        corrupt_training_row(noise, row.into_slice().unwrap(), seed, 1 + index % 3, index);
    }
    rows
}

/// Asserts the mean over all draws, given the standard deviation of one draw.
fn check_mean(what: &str, found: f64, expected: f64, deviation: f64) {
    let error = deviation / DRAWS.sqrt();
    assert!(
        (found - expected).abs() <= SIGMAS * error,
        "{what}: {found} for {expected}, standard error {error}"
    );
}

fn mean(values: &Array2<f32>, of: impl Fn(f64) -> f64) -> f64 {
    values.iter().map(|&value| of(f64::from(value))).sum::<f64>() / values.len() as f64
}

fn share(values: &Array2<f32>, of: impl Fn(f32) -> bool) -> f64 {
    values.iter().filter(|value| of(**value)).count() as f64 / values.len() as f64
}

fn check_share(what: &str, values: &Array2<f32>, of: impl Fn(f32) -> bool, expected: f64) {
    check_mean(what, share(values, of), expected, (expected * (1.0 - expected)).sqrt());
}

#[test]
fn gaussian_noise_has_the_moments_and_tails_of_the_normal_distribution() {
    let noise = |variance| Noise::gaussian(variance).unwrap();
    for (variance, draws) in [
        (0.25, corrupted(&noise(0.25), 0.0, 1)),
        (1.0, corrupted_in_training(&noise(1.0), 0.0, 2)),
        (1e-4, corrupted(&noise(1e-4), 0.0, 3)),
    ] {
        let deviation = f64::sqrt(variance);
        let moment = |power: i32| mean(&draws, |x| (x / deviation).powi(power));
        // Standard errors from the moments 2, 4, 6 and 8 of the normal distribution: 1, 3, 15, 105.
        check_mean("mean", moment(1), 0.0, 1.0);
        check_mean("variance", moment(2), 1.0, 2.0_f64.sqrt());
        check_mean("skewness", moment(3), 0.0, 15.0_f64.sqrt());
        check_mean("kurtosis", moment(4), 3.0, 96.0_f64.sqrt());
        for (sigmas, tail) in [(1.0, 0.158_655_254), (2.0, 0.022_750_132), (4.0, 3.167_124e-5)] {
            let limit = (sigmas * deviation) as f32;
            check_share("upper tail", &draws, |x| x > limit, tail);
            check_share("lower tail", &draws, |x| x < -limit, tail);
        }
    }
}

/// Clamping cuts off the tails: with mean 0.5 and variance 0.25, a sixth of the values is at each end.
#[test]
fn clamped_noise_has_its_mass_on_the_ends() {
    let draws = corrupted(&Noise::gaussian(0.25).unwrap().clamped(), 0.5, 4);
    check_share("black", &draws, |x| x == 0.0, 0.158_655_254);
    check_share("white", &draws, |x| x == 1.0, 0.158_655_254);
    assert!(draws.iter().all(|x| (0.0..=1.0).contains(x)));
}

#[test]
fn salt_pepper_and_masks_come_at_their_rate() {
    for probability in [0.0, 1e-3, 0.1, 0.5, 0.999, 1.0] {
        let (rate, seed) = (f64::from(probability), 5);
        let noise = Noise::new(NoiseKind::SaltAndPepper { probability }).unwrap();
        for draws in [corrupted(&noise, 0.5, seed), corrupted_in_training(&noise, 0.5, seed)] {
            check_share("salt", &draws, |x| x == 1.0, rate / 2.0);
            check_share("pepper", &draws, |x| x == 0.0, rate / 2.0);
            check_share("kept", &draws, |x| x == 0.5, 1.0 - rate);
        }
        let noise = Noise::new(NoiseKind::Masking { probability }).unwrap();
        let draws = corrupted(&noise, 0.5, seed);
        check_share("masked", &draws, |x| x == 0.0, rate);
        check_share("kept", &draws, |x| x == 0.5, 1.0 - rate);
    }
}

#[test]
fn dropout_keeps_the_expectation() {
    for rate in [1.0 / 65_536.0, 0.01, 0.2, 0.5, 0.9, 0.999] {
        let dropout = Dropout::new(rate).unwrap();
        let mut masks = Array2::zeros((ROWS, COLUMNS));
        for (row, mask) in masks.outer_iter_mut().enumerate() {
            dropout_mask(dropout, mask.into_slice().unwrap(), 6, row % 4, 1 + row % 3, row);
        }
        let rate = f64::from(dropout.rate());
        check_share("dropped", &masks, |x| x == 0.0, rate);
        check_mean("mask", mean(&masks, |x| x), 1.0, (rate / (1.0 - rate)).sqrt());
        assert!((f64::from(dropout.scale()) * (1.0 - rate) - 1.0).abs() < 1e-7);
    }
}

/// The first draws of a generator, normalized to mean 0 and variance 1.
fn uniform(seed: u64, stream: Stream, epoch: usize, row: usize) -> Vec<f64> {
    let mut rng = rng(seed, stream, epoch, row);
    let unit = |word: u64| (word >> 11) as f64 / (1_u64 << 53) as f64;
    (0..300_000).map(|_| (unit(rng.next_u64()) - 0.5) * 12.0_f64.sqrt()).collect()
}

#[test]
fn seeds_streams_epochs_and_rows_are_uncorrelated() {
    let top = 1 << 63;
    let streams = [
        (0, Stream::TrainNoise, 1, 0),
        (1, Stream::TrainNoise, 1, 0),
        (top, Stream::TrainNoise, 1, 0),
        (0, Stream::TestNoise, 1, 0),
        (0, Stream::Shuffle, 1, 0),
        (0, Stream::Init, 1, 0),
        (0, Stream::Digits, 1, 0),
        (0, Stream::Dropout { layer: 0 }, 1, 0),
        (0, Stream::Dropout { layer: 1 }, 1, 0),
        (0, Stream::TrainNoise, 0, 0),
        (0, Stream::TrainNoise, 2, 0),
        (0, Stream::TrainNoise, usize::MAX, 0),
        (0, Stream::TrainNoise, 1, 1),
        (0, Stream::TrainNoise, 1, 2),
        (0, Stream::TrainNoise, 1, usize::MAX),
        (1, Stream::TrainNoise, 0, 0),
        (3, Stream::TrainNoise, 0, 1),
    ];
    let draws: Vec<_> = streams.iter().map(|&(seed, s, epoch, row)| uniform(seed, s, epoch, row)).collect();
    let correlation = |a: &[f64], b: &[f64]| {
        let products: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
        products / (a.len().min(b.len()) as f64).sqrt()
    };
    for (index, a) in draws.iter().enumerate() {
        for (other, b) in draws[..index].iter().enumerate() {
            // Also with a lag between them.
            for lag in 0..3 {
                let found = correlation(a, &b[lag..]);
                assert!(found.abs() < SIGMAS, "{:?} {:?}: {found}", streams[index], streams[other]);
            }
        }
        assert!((1..6).all(|lag| correlation(a, &a[lag..]).abs() < SIGMAS), "{:?}", streams[index]);
    }
}

/// Half a million generators start with different words. By chance, two would agree in one of 10^8 cases.
#[test]
fn no_two_generators_are_the_same() {
    let ends = |count: u64| (0..count).chain((0..count).map(|x| u64::MAX - x));
    let mut streams =
        vec![Stream::Init, Stream::Shuffle, Stream::TrainNoise, Stream::TestNoise, Stream::Digits];
    streams.extend((0..5).map(|layer| Stream::Dropout { layer }));
    let (mut words, mut generators) = (HashSet::new(), 0);
    for stream in streams {
        for seed in ends(20) {
            for epoch in ends(10) {
                for row in ends(30) {
                    words.insert(rng(seed, stream, epoch as usize, row as usize).next_u64());
                    generators += 1;
                }
            }
        }
    }
    assert_eq!((words.len(), generators), (generators, 480_000));
}

/// Noise is uncorrelated between neighboring rows, between epochs, and between training and evaluation.
#[test]
fn noise_of_neighboring_rows_and_epochs_is_uncorrelated() {
    let noise = Noise::gaussian(1.0).unwrap();
    let (test, train) = (corrupted(&noise, 0.0, 7), corrupted_in_training(&noise, 0.0, 7));
    let other_seed = corrupted(&noise, 0.0, 8);
    let product = |a: &Array2<f32>, b: &Array2<f32>, rows: usize, columns: usize| {
        let shift = rows * COLUMNS + columns;
        let (a, b) = (a.as_slice().unwrap(), b.as_slice().unwrap());
        a.iter().zip(&b[shift..]).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() / DRAWS
    };
    check_mean("pixel and next", product(&test, &test, 0, 1), 0.0, 1.0);
    check_mean("row and next", product(&test, &test, 1, 0), 0.0, 1.0);
    check_mean("row and next in another epoch", product(&train, &train, 1, 0), 0.0, 1.0);
    check_mean("row and third in the same epoch", product(&train, &train, 3, 0), 0.0, 1.0);
    check_mean("training and evaluation", product(&train, &test, 0, 0), 0.0, 1.0);
    check_mean("two seeds", product(&test, &other_seed, 0, 0), 0.0, 1.0);
}

/// Asserts that counts of equally likely cells are within six standard errors of equal: Pearson's chi-square with a
/// limit from Wilson and Hilferty's approximation.
fn check_uniform(what: &str, counts: &[u32]) {
    let (cells, total) = (counts.len() as f64, counts.iter().map(|&c| f64::from(c)).sum::<f64>());
    let expected = total / cells;
    let found: f64 = counts.iter().map(|&c| (f64::from(c) - expected).powi(2) / expected).sum();
    let freedom = cells - 1.0;
    let limit = |sigmas: f64| {
        let spread = 2.0 / (9.0 * freedom);
        freedom * (1.0 - spread + sigmas * spread.sqrt()).powi(3)
    };
    // Counts that are too even are as wrong as uneven ones.
    let range = if freedom > 30.0 { limit(-SIGMAS) } else { 0.0 }..limit(SIGMAS);
    assert!(range.contains(&found), "{what}: chi-square {found:.1} with {freedom} degrees, {range:?}");
}

/// Each of the 120 orders of five rows is equally likely, by epoch and by seed.
#[test]
fn every_order_is_equally_likely() {
    let number = |order: &[usize]| {
        let smaller_behind = |i: usize| order[i + 1..].iter().filter(|&&later| later < order[i]).count();
        (0..5).fold(0, |number, i| number * (5 - i) + smaller_behind(i))
    };
    let (mut by_epoch, mut by_seed) = ([0; 120], [0; 120]);
    for index in 0..240_000 {
        by_epoch[number(&shuffled(5, 11, index))] += 1;
        by_seed[number(&shuffled(5, index as u64, 1))] += 1;
    }
    check_uniform("epochs", &by_epoch);
    check_uniform("seeds", &by_seed);
}

/// Positions of rows in long orders, their neighbors, and their positions in the next epoch.
#[test]
fn long_shuffles_are_uniform_and_epochs_independent() {
    const ROWS: usize = 1_000;
    const CELLS: usize = 20;
    let cell = |place: usize| place * CELLS / ROWS;
    let mut places = vec![0; CELLS * CELLS];
    let mut epochs = vec![0; CELLS * CELLS];
    let mut neighbors = vec![0; CELLS * CELLS];
    let place_of = |order: &[usize]| {
        let mut places = vec![0; ROWS];
        order.iter().enumerate().for_each(|(place, &row)| places[row] = place);
        places
    };
    let mut before = place_of(&shuffled(ROWS, 3, 0));
    // One row per cell and shuffle, so that counts are independent.
    for epoch in 1..=20_000 {
        let order = shuffled(ROWS, 3, epoch);
        let now = place_of(&order);
        let row = epoch * 7 % ROWS;
        places[cell(row) * CELLS + cell(now[row])] += 1;
        epochs[cell(before[row]) * CELLS + cell(now[row])] += 1;
        neighbors[cell(order[0]) * CELLS + cell(order[1])] += 1;
        before = now;
    }
    check_uniform("places", &places);
    check_uniform("epochs", &epochs);
    // Two different rows, so a cell with itself is as likely as any other except for one part in a thousand.
    check_uniform("neighbors", &neighbors);
}
