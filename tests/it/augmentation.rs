//! Augmentation against a plain implementation in `f64`, and its place in training.

use autoencoder::{
    Autoencoder, Error, Noise, TrainConfig, Trainer,
    bench::{Stream, rng},
    data::{Augmentation, Dataset, Pairs, digits},
    metrics::evaluate,
    ndarray::{Array2, Axis},
    nn::Parameters,
    train::{Batch, Objective, Optimizer, OptimizerState, Step},
};
use rand_chacha::rand_core::RngCore;

const SEED: u64 = 11;
const EPOCH: usize = 4;

fn mild() -> Augmentation {
    Augmentation::new((28, 28)).shift(0.5).rotation(0.08).scale(0.05).shear(0.08).unchanged(0.3)
}

fn strong(shape: (usize, usize)) -> Augmentation {
    Augmentation::new(shape).shift(4.0).rotation(3.1).scale(0.9).shear(1.0)
}

/// Smooth values in [0, 1], different in every channel.
fn images(rows: usize, features: usize) -> Array2<f32> {
    Array2::from_shape_fn((rows, features), |(row, feature)| {
        0.5 + 0.5 * ((row * 13 + feature) as f32 * 0.61).sin()
    })
}

/// The numbers that a row's changes are made from, each uniform on [0, 1).
fn draws(row: usize) -> [f64; 6] {
    let mut rng = rng(SEED, Stream::Augmentation, EPOCH, row);
    std::array::from_fn(|_| (rng.next_u64() >> 11) as f64 * 2.0_f64.powi(-53))
}

/// Draws a changed image by its definition: each pixel goes back through the inverse of shear, scale and rotation about
/// the center, and shift.
fn reference(a: &Augmentation, image: &[f32], row: usize) -> Vec<f64> {
    let [unchanged, right, down, rotation, scale, shear] = draws(row);
    if unchanged < f64::from(a.unchanged) {
        return image.iter().map(|&x| x.into()).collect();
    }
    let amount = |limit: f32, unit: f64| -f64::from(limit) + 2.0 * f64::from(limit) * unit;
    let (angle, size) = (amount(a.rotation, rotation), 1.0 + amount(a.scale, scale));
    let slope = amount(a.shear, shear);
    let forward = |x: f64, y: f64| {
        let (x, y) = (size * (x + slope * y), size * y);
        [x * angle.cos() - y * angle.sin(), x * angle.sin() + y * angle.cos()]
    };
    let ([a00, a10], [a01, a11]) = (forward(1.0, 0.0), forward(0.0, 1.0));
    let determinant = a00 * a11 - a01 * a10;
    let (height, width) = a.shape;
    let (middle_x, middle_y) = ((width as f64 - 1.0) / 2.0, (height as f64 - 1.0) / 2.0);
    let value = |x: i64, y: i64, channel: usize| {
        if x < 0 || y < 0 || x >= width as i64 || y >= height as i64 {
            return 0.0;
        }
        f64::from(image[(y as usize * width + x as usize) * a.channels + channel])
    };
    let mut out = vec![];
    for y in 0..height {
        for x in 0..width {
            let x = x as f64 - middle_x - amount(a.shift, right);
            let y = y as f64 - middle_y - amount(a.shift, down);
            let source_x = (a11 * x - a01 * y) / determinant + middle_x;
            let source_y = (a00 * y - a10 * x) / determinant + middle_y;
            let (left, top) = (source_x.floor(), source_y.floor());
            for channel in 0..a.channels {
                let mut sum = 0.0;
                for (near_x, near_y) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                    let weight = |offset: i64, fraction: f64| {
                        if offset == 0 { 1.0 - fraction } else { fraction }
                    };
                    let near = value(left as i64 + near_x, top as i64 + near_y, channel);
                    sum += weight(near_x, source_x - left) * weight(near_y, source_y - top) * near;
                }
                out.push(sum);
            }
        }
    }
    out
}

#[test]
fn images_equal_the_reference() {
    for shape in [(28, 28), (5, 9), (32, 7), (2, 2), (1, 6), (6, 1), (1, 1)] {
        for channels in [1, 3] {
            let mild = Augmentation { shape, ..mild() };
            for augmentation in [mild, strong(shape), Augmentation::new(shape).shift(1.5)] {
                let augmentation = augmentation.channels(channels);
                let images = images(40, shape.0 * shape.1 * channels);
                let found = augmentation.augmented(&images, SEED, EPOCH).unwrap();
                for (row, image) in images.outer_iter().enumerate() {
                    let expected = reference(&augmentation, image.to_slice().unwrap(), row);
                    for (pixel, (&found, expected)) in found.row(row).iter().zip(expected).enumerate() {
                        let error = (f64::from(found) - expected).abs();
                        assert!(
                            error < 2e-5,
                            "{augmentation:?}, row {row}, pixel {pixel}: {found} {expected}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn no_amount_and_no_probability_leave_images_as_they_are() {
    let rows = digits::generate(50, 1).unwrap().to_array().unwrap();
    for same in [Augmentation::new((28, 28)), mild().unchanged(1.0)] {
        assert_eq!(same.augmented(&rows, SEED, EPOCH).unwrap(), rows);
    }
    let found = mild().augmented(&rows, SEED, EPOCH).unwrap();
    let same: Vec<_> = (0..50).filter(|&row| found.row(row) == rows.row(row)).collect();
    let expected: Vec<_> = (0..50).filter(|&row| draws(row)[0] < f64::from(0.3_f32)).collect();
    assert!(same == expected && !same.is_empty(), "{same:?}");
    for (seed, epoch) in [(SEED, EPOCH + 1), (SEED + 1, EPOCH)] {
        assert_ne!(mild().augmented(&rows, seed, epoch).unwrap(), found);
    }
}

/// Targets that outputs can reach stay reachable.
#[test]
fn values_stay_in_their_range() {
    for (low, shape) in [(0.0, (28, 28)), (-1.0, (14, 56))] {
        let rows = images(200, 784).mapv(|x| {
            if x < 0.4 {
                low
            } else if x > 0.8 {
                1.0
            } else {
                x
            }
        });
        let found = strong(shape).scale(0.1).augmented(&rows, SEED, EPOCH).unwrap();
        assert!(found.iter().all(|x| (low..=1.0).contains(x)));
    }
}

/// A step on augmented rows has the bits of a step on the rows that `augmented` returns, with noise and without.
#[test]
fn a_step_sees_the_augmented_rows() {
    let rows = digits::generate(150, 1).unwrap();
    let model = Autoencoder::builder(784).hidden(&[20]).code(5).build().unwrap();
    let seen = mild().augmented(&rows, SEED, EPOCH).unwrap();
    let order: Vec<_> = (0..150).rev().collect();
    let noise = Noise::gaussian(0.3).unwrap();
    for noise in [None, Some(&noise)] {
        let gradients = |samples: &dyn Dataset, augmentation: Augmentation| {
            let step = Step::new(&model, Objective::default(), 150).unwrap();
            let mut step = step.augmentation(augmentation).unwrap();
            let mut found = Parameters::zeros(&model);
            let batch = Batch { samples, rows: &order, noise, seed: SEED, epoch: EPOCH, number: 1 };
            let loss = step.gradients(&model, &batch, &mut found).unwrap();
            (loss, found)
        };
        let nothing = Augmentation::new((28, 28));
        assert!(gradients(&rows, mild()) == gradients(&seen, nothing));
        assert!(gradients(&rows, mild()) != gradients(&rows, nothing));
    }
}

#[test]
fn training_is_augmented_and_validation_is_not() {
    let (rows, others) = (digits::generate(100, 1).unwrap(), digits::generate(30, 2).unwrap());
    let first = Autoencoder::builder(784).code(8).build().unwrap();
    let config = TrainConfig::new().epochs(1).batch_size(32).seed(SEED);
    let fit = |config: TrainConfig, samples: &dyn Dataset| {
        let mut model = first.clone();
        let history = Trainer::new(config).validation(&others).fit(&mut model, samples).unwrap();
        (model, history.epochs[0].validation.unwrap())
    };
    let (model, validation) = fit(config.clone().augmentation(mild()), &rows);
    let seen = mild().augmented(&rows, SEED, 1).unwrap();
    assert!(model == fit(config.clone(), &seen).0 && model != fit(config, &rows).0);
    assert_eq!(validation, evaluate(&model, &others, None, SEED).unwrap());
}

#[test]
fn settings_that_do_not_fit_are_errors() {
    let valid = mild();
    for (name, invalid) in [
        ("shape", Augmentation { shape: (0, 28), ..valid }),
        ("shape", Augmentation { shape: (28, usize::MAX), ..valid }),
        ("channels", valid.channels(2)),
        ("shift", valid.shift(-1.0)),
        ("shift", valid.shift(f32::INFINITY)),
        ("rotation", valid.rotation(4.0)),
        ("scale", valid.scale(1.0)),
        ("scale", valid.scale(f32::NAN)),
        ("shear", valid.shear(1.5)),
        ("unchanged", valid.unchanged(1.1)),
    ] {
        let error = TrainConfig::new().augmentation(invalid).check().unwrap_err();
        assert!(error.to_string().starts_with(&format!("{name} = ")), "{error}");
        assert!(invalid.augmented(&images(1, 784), 0, 1).is_err());
    }

    let rows = images(40, 784);
    let pairs = Pairs::new(&rows, &rows).unwrap();
    let mut model = Autoencoder::builder(784).code(2).build().unwrap();
    let before = model.clone();
    let mut refused = |augmentation: Augmentation, samples: &dyn Dataset| {
        let trainer = Trainer::new(TrainConfig::new().augmentation(augmentation));
        trainer.fit(&mut model, samples).unwrap_err()
    };
    assert!(matches!(refused(valid, &pairs), Error::Data { .. }));
    for wrong in [Augmentation::new((28, 29)), valid.channels(3)] {
        let error = refused(wrong, &rows);
        assert!(matches!(error, Error::Shape { .. }), "{error}");
        assert!(wrong.augmented(&rows, 0, 1).is_err());
    }
    assert_eq!(model, before);

    let step = Step::new(&model, Objective::default(), 40).unwrap();
    let mut step = step.augmentation(valid).unwrap();
    let mut optimizer = OptimizerState::new(Optimizer::adam(), &model).unwrap();
    let batch = Batch { samples: &pairs, rows: &[0], noise: None, seed: 0, epoch: 1, number: 1 };
    assert!(matches!(step.run(&mut model, &mut optimizer, 0.1, &batch), Err(Error::Data { .. })));
    assert!(valid.augmented(&pairs, 0, 1).is_err());
}

#[test]
fn errors_name_the_remedy() {
    let color = images(2, 12);
    let error = Augmentation::new((2, 2)).augmented(&color, SEED, EPOCH).unwrap_err().to_string();
    assert!(
        error.contains("expected 12, the features of a row; for rows in color, set `channels(3)`"),
        "{error}"
    );
    let error = Augmentation::new((2, 3)).augmented(&color, SEED, EPOCH).unwrap_err().to_string();
    assert!(error.ends_with("expected 12, the features of a row, found 2 * 3 * 1"), "{error}");
    let degrees = TrainConfig::new().augmentation(Augmentation::new((2, 2)).rotation(15.0));
    assert!(degrees.check().unwrap_err().to_string().contains("radians"));
}

#[test]
fn settings_without_augmentation_are_stored_as_before() {
    let config = TrainConfig::new();
    assert!(!serde_json::to_string(&config).unwrap().contains("augmentation"));
    let config = config.augmentation(mild());
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<TrainConfig>(&text).unwrap(), config);
}

/// Shifts are uniform and independent of each other, and have no direction.
#[test]
fn shifts_are_spread_evenly() {
    // A single bright pixel in the middle, whose center of mass moves by the shift.
    let mut image = Array2::zeros((1, 81));
    image[[0, 40]] = 1.0;
    let rows = image.select(Axis(0), &vec![0; 4_000]);
    let found = Augmentation::new((9, 9)).shift(3.0).augmented(&rows, SEED, EPOCH).unwrap();
    let centers: Vec<[f64; 2]> = found
        .outer_iter()
        .map(|row| {
            let mean = |at: &dyn Fn(usize) -> usize| -> f64 {
                row.iter().enumerate().map(|(pixel, &x)| f64::from(x) * (at(pixel) as f64 - 4.0)).sum()
            };
            [mean(&|pixel| pixel % 9), mean(&|pixel| pixel / 9)]
        })
        .collect();
    let mean_of = |value: &dyn Fn(&[f64; 2]) -> f64| centers.iter().map(value).sum::<f64>() / 4_000.0;
    // Standard errors: 0.027 for the means, 0.042 for the variances of 3, 0.047 for the covariance.
    for axis in [0, 1] {
        assert!(mean_of(&|center| center[axis]).abs() < 0.14);
        assert!((mean_of(&|center| center[axis].powi(2)) - 3.0).abs() < 0.22);
    }
    assert!(mean_of(&|center| center[0] * center[1]).abs() < 0.25);
    assert!(centers.iter().flatten().all(|shift| shift.abs() < 3.001));
}
