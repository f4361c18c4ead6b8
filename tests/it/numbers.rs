//! Extreme numbers: degenerate data, hostile settings and divergence end in finite results or a typed error.

use crate::common::{digest, fixed};
use autoencoder::{
    Autoencoder, Error, TrainConfig, Trainer,
    data::{Augmentation, Dataset, ImageSet, Noise, NoiseKind, digits},
    error::Quantity,
    metrics::{ImageQuality, evaluate, ssim},
    ndarray::{Array2, Axis, s},
    nn::{Activation, Dropout, Init, Loss, Penalty, Scope},
    train::{History, Optimizer},
};
use proptest::{collection::vec, prelude::*, sample::select};

const OPTIMIZERS: [Optimizer; 3] = [
    Optimizer::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
    Optimizer::AdamW { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01, decay_biases: true },
    Optimizer::Sgd { momentum: 0.9 },
];

fn weights_are_finite(model: &Autoencoder) -> bool {
    let dense = model.layers().iter().map(|layer| &layer.dense);
    dense.flat_map(|dense| dense.weight().into_iter().chain(dense.bias())).all(|weight| weight.is_finite())
}

/// Every run must end with finite metrics and weights, or with an error that says what stopped it and where.
fn check(result: &Result<History, Error>, model: &Autoencoder, config: &TrainConfig, batches: usize) {
    match result {
        Ok(history) => {
            assert!(weights_are_finite(model));
            assert_eq!(history.epochs.len(), config.epochs);
            for epoch in &history.epochs {
                assert!([epoch.loss, epoch.data_loss, epoch.mse].iter().all(|x| x.is_finite()), "{epoch:?}");
                let validation = epoch.validation.unwrap().output;
                assert!(validation.mse.is_finite() && !validation.psnr_mean_db.is_nan(), "{epoch:?}");
            }
        }
        Err(Error::NotFinite { what, layer, row, epoch, batch }) => {
            let of_a_layer = matches!(what, Quantity::Gradient | Quantity::Weight);
            assert_eq!(layer.is_some(), of_a_layer);
            assert!(layer.is_none_or(|layer| layer < model.layers().len()));
            assert!((1..=config.epochs).contains(epoch) && (1..=batches).contains(batch));
            assert_eq!(row.is_some(), *what == Quantity::Loss);
            // Rows and targets are checked before training.
            assert!(!matches!(what, Quantity::Input | Quantity::Target));
            let layer = layer.map_or(String::new(), |layer| format!(" of layer {layer}"));
            let row = row.map_or(String::new(), |row| format!(" (first in row {row})"));
            let start = format!(
                "the {what}{layer} is not finite in epoch {epoch}, batch {batch}{row}, although the rows are finite: "
            );
            let said = result.as_ref().unwrap_err().to_string();
            assert!(said.starts_with(&start), "{said}");
        }
        Err(error @ (Error::Setting { .. } | Error::Shape { .. } | Error::Data { .. })) => {
            let said = error.to_string();
            assert!(said.contains(": expected ") && said.lines().count() == 1, "{said}");
        }
        Err(other) => panic!("{other}"),
    }
}

fn fit(
    config: &TrainConfig,
    model: &mut Autoencoder,
    rows: &dyn Dataset,
    validation: &dyn Dataset,
) -> Result<History, Error> {
    let result = Trainer::new(config.clone()).validation(validation).fit(model, rows);
    check(&result, model, config, rows.len().div_ceil(config.batch_size.max(1)));
    result
}

#[test]
fn a_learning_rate_out_of_all_proportion_is_survived_or_named() {
    let (train, test) = (digits::generate(100, 1).unwrap(), digits::generate(10, 2).unwrap());
    let (mut survived, mut named) = (0, 0);
    for rate in [1e-45, 1e3, 1e10, 1e20, f32::MAX] {
        for optimizer in OPTIMIZERS {
            for loss in [Loss::Mse, Loss::Bce] {
                for batch_size in [32, 100] {
                    let config = TrainConfig::new().epochs(3).batch_size(batch_size).learning_rate(rate);
                    let config = config.optimizer(optimizer).loss(loss);
                    let mut model = Autoencoder::builder(784).hidden(&[32, 16]).code(8).build().unwrap();
                    match fit(&config, &mut model, &train, &test) {
                        Ok(_) => survived += 1,
                        Err(Error::NotFinite { .. }) => named += 1,
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        }
    }
    assert!(survived > 10 && named > 10, "{survived} survived, {named} named");
}

/// The last update of an epoch can leave finite weights and non-finite outputs.
#[test]
fn a_model_that_diverged_in_its_last_step_is_not_taken_for_a_good_one() {
    let (train, test) = (digits::generate(20, 1).unwrap(), digits::generate(5, 2).unwrap());
    let config = TrainConfig::new().epochs(1).learning_rate(1e20);
    let mut model = Autoencoder::builder(784).hidden(&[32, 16]).code(8).build().unwrap();
    let error = fit(&config, &mut model, &train, &test).unwrap_err();
    assert!(
        error.to_string().starts_with("the validation error is not finite in epoch 1, batch 1"),
        "{error}"
    );
    assert!(weights_are_finite(&model));
}

#[test]
fn degenerate_images_are_learnt() {
    let noise = [None, Some(Noise::gaussian(0.1).unwrap())];
    for (name, rows) in [
        ("all zero", Array2::zeros((40, 30))),
        ("all one", Array2::ones((40, 30))),
        ("constant", Array2::from_elem((40, 30), 0.3)),
        ("a single image", Array2::from_shape_fn((1, 30), |(_, pixel)| pixel as f32 / 30.0)),
        ("a single pixel", Array2::from_elem((40, 1), 0.7)),
        ("a single pixel of a single image", Array2::from_elem((1, 1), 0.7)),
        ("denormal", Array2::from_elem((40, 30), 1e-42)),
    ] {
        for loss in [Loss::Mse, Loss::Bce] {
            for noise in &noise {
                // The code is wider than some of the inputs, the batch larger than any of the sets.
                let builder = Autoencoder::builder(rows.ncols()).hidden(&[16]).code(20);
                let mut model = builder.hidden_activation(Activation::Tanh).build().unwrap();
                let mut config = TrainConfig::new().epochs(400).learning_rate(0.01).loss(loss);
                config.noise = noise.clone();
                let history = fit(&config, &mut model, &rows, &rows).unwrap();
                let mse = history.epochs[399].validation.unwrap().output.mse;
                assert!(mse < 1e-3, "{name}, {loss:?}, {noise:?}: {mse}");
            }
        }
    }
}

/// A batch size larger than the data set puts all rows into one batch.
#[test]
fn a_batch_larger_than_the_set_is_the_set() {
    let rows = digits::generate(7, 1).unwrap();
    let trained = |batch_size| {
        let mut model = Autoencoder::builder(784).code(1_000).build().unwrap();
        let config = TrainConfig::new().epochs(2).batch_size(batch_size);
        fit(&config, &mut model, &rows, &rows).unwrap();
        digest(&model)
    };
    assert_eq!(trained(7), trained(8));
    assert_eq!(trained(7), trained(usize::MAX));
    assert_ne!(trained(7), trained(6));
}

#[test]
fn a_pixel_that_is_no_number_is_named() {
    let mut pixels = digits::generate(300, 1).unwrap().to_array().unwrap();
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        pixels[[217, 93]] = bad;
        let error = ImageSet::from_array("bad", (28, 28), &pixels).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("pixel: expected a number in [0, 1], found {bad} at row 217, column 93")
        );

        // In the training rows: an error before training, even if noise replaces it in the input.
        let place = format!("expected finite numbers, found {bad} at row 217, column 93");
        let masked = Noise::new(NoiseKind::Masking { probability: 1.0 }).unwrap();
        for noise in [None, Some(masked), Some(Noise::gaussian(0.1).unwrap().clamped())] {
            let mut config = TrainConfig::new().batch_size(50).seed(5);
            config.noise = noise;
            let mut model = Autoencoder::builder(784).hidden(&[16]).code(4).dropout(0.5).build().unwrap();
            let error = Trainer::new(config.clone()).fit(&mut model, &pixels).unwrap_err();
            assert_eq!(error.to_string(), format!("rows to train on: {place}"));
            let error = Trainer::new(config.loss(Loss::Bce)).fit(&mut model, &pixels).unwrap_err();
            assert_eq!(error.to_string(), format!("rows to train on: {place}"));
        }

        // In the validation rows, too.
        let mut model = Autoencoder::builder(784).code(4).build().unwrap();
        let clean = digits::generate(60, 1).unwrap();
        let trainer = Trainer::new(TrainConfig::new().batch_size(50)).validation(&pixels);
        let error = trainer.fit(&mut model, &clean).unwrap_err();
        assert_eq!(error.to_string(), format!("validation rows: {place}"));
    }
}

/// A NaN stays visible, in its own row only.
#[test]
fn a_row_of_nan_spoils_no_other() {
    let clean = digits::generate(200, 1).unwrap().to_array().unwrap();
    for activation in [
        Activation::Relu,
        Activation::LeakyRelu { slope: 0.1 },
        Activation::Elu,
        Activation::Silu,
        Activation::Gelu,
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Identity,
    ] {
        let builder = Autoencoder::builder(784).hidden(&[40]).code(10).hidden_activation(activation);
        let model = builder.build().unwrap();
        let expected = model.reconstruct(&clean).unwrap();
        let errors = model.reconstruction_errors(&clean).unwrap();
        let mut spoilt = clean.clone();
        spoilt[[130, 5]] = f32::NAN;
        let found = model.reconstruct(&spoilt).unwrap();
        assert!(found.row(130).iter().all(|x| x.is_nan()), "{activation:?}");
        let others = |rows: &Array2<f32>| {
            let places: Vec<_> = (0..200).filter(|&row| row != 130).collect();
            rows.select(Axis(0), &places)
        };
        assert_eq!(others(&found), others(&expected), "{activation:?}");
        let found = model.reconstruction_errors(&spoilt).unwrap();
        assert!((0..200).all(|row| if row == 130 { found[row].is_nan() } else { found[row] == errors[row] }));
        let quality = evaluate(&model, &spoilt, None, 0).unwrap().output;
        assert!(quality.mse.is_nan() && quality.psnr_mean_db.is_nan() && quality.psnr_pooled_db.is_nan());
    }
}

#[test]
fn figures_of_degenerate_images_are_defined() {
    let same = Array2::from_elem((3, 144), 0.5);
    let zeros = Array2::zeros((3, 144));
    let quality = ImageQuality::compare(&same, &same, 1.0).unwrap();
    assert_eq!((quality.mse, quality.psnr_pooled_db), (0.0, f64::INFINITY));
    let image = |rows: &Array2<f32>| rows.slice(s![0, ..]).to_owned();
    for (a, b) in [(&same, &same), (&zeros, &zeros), (&same, &zeros)] {
        let found = ssim(&image(a), &image(b), (12, 12), 1.0).unwrap();
        assert!(if a == b { found == 1.0 } else { (0.0..0.1).contains(&found) }, "{found}");
    }
}

/// Numbers that a caller may pass by mistake.
fn number() -> impl Strategy<Value = f32> {
    let special =
        vec![0.0, -0.0, 1e-45, 1e-38, 1e-20, 1.0, 1e10, 1e20, f32::MAX, -1.0, f32::NAN, f32::INFINITY];
    prop_oneof![12 => 0.0..1.0_f32, 2 => select(special), 1 => any::<f32>()]
}

fn count() -> impl Strategy<Value = usize> {
    prop_oneof![9 => 1..9_usize, 1 => select(vec![0, 300, 1 << 60, usize::MAX])]
}

fn activation() -> impl Strategy<Value = Activation> {
    prop_oneof![
        Just(Activation::Relu),
        number().prop_map(|slope| Activation::LeakyRelu { slope }),
        Just(Activation::Elu),
        Just(Activation::Silu),
        Just(Activation::Gelu),
        Just(Activation::Sigmoid),
        Just(Activation::Tanh),
        Just(Activation::Identity),
    ]
}

fn optimizer() -> impl Strategy<Value = Optimizer> {
    prop_oneof![
        3 => select(OPTIMIZERS.to_vec()),
        1 => (number(), number(), number(), number()).prop_map(|(beta1, beta2, epsilon, weight_decay)| {
            Optimizer::AdamW { beta1, beta2, epsilon, weight_decay, decay_biases: beta1 < 0.5 }
        }),
        1 => number().prop_map(|momentum| Optimizer::Sgd { momentum }),
    ]
}

fn penalty() -> impl Strategy<Value = Penalty> {
    let scope = select(vec![Scope::Encoder, Scope::All]);
    (number(), scope, 0..4_u8).prop_map(|(lambda, scope, kind)| match kind {
        0 => Penalty::Lasso { lambda, scope },
        1 => Penalty::ProximalLasso { lambda, scope },
        2 => Penalty::L2 { lambda, scope },
        _ => Penalty::CodeL1 { lambda },
    })
}

fn noise() -> impl Strategy<Value = (Vec<NoiseKind>, bool)> {
    let kind = (number(), 0..3_u8).prop_map(|(strength, kind)| match kind {
        0 => NoiseKind::Gaussian { variance: strength },
        1 => NoiseKind::SaltAndPepper { probability: strength },
        _ => NoiseKind::Masking { probability: strength },
    });
    (vec(kind, 0..3), any::<bool>())
}

fn config() -> impl Strategy<Value = TrainConfig> {
    let sizes = (
        prop_oneof![9 => 1..4_usize, 1 => Just(0)],
        count(),
        prop::option::weighted(0.1, select(vec![0, 2, 3, 1025, usize::MAX])),
    );
    let loss = select(vec![Loss::Mse, Loss::Bce, Loss::Mae, Loss::Huber { delta: 0.2 }]);
    let parts = (sizes, number(), loss, vec(penalty(), 0..3), optimizer(), any::<u64>());
    parts.prop_map(|((epochs, batch_size, threads), rate, loss, penalties, optimizer, seed)| {
        let config = TrainConfig::new().epochs(epochs).batch_size(batch_size).learning_rate(rate).loss(loss);
        let mut config = penalties.into_iter().fold(config, TrainConfig::add_penalty);
        config.threads = threads;
        config.optimizer(optimizer).seed(seed)
    })
}

proptest! {
    #![proptest_config(fixed(15_000))]

    /// Every setter of every builder with every kind of number, then training if the settings are valid.
    #[test]
    fn hostile_settings_end_in_finite_results_or_typed_errors(
        (inputs, code, rows) in (count(), count(), 0..20_usize),
        (hidden, decoder) in (vec(count(), 0..3), prop::option::weighted(0.2, vec(count(), 0..3))),
        (inner, middle, outer) in (activation(), activation(), activation()),
        (dropout, init) in (number(), select(vec![Init::He, Init::Glorot, Init::Pytorch])),
        (mut config, noise) in (config(), prop::option::weighted(0.3, noise())),
        (values, level, narrow) in (select(vec!["constant", "ramp", "one"]), number(), 0..20_u8),
    ) {
        let mut builder = Autoencoder::builder(inputs).hidden(&hidden).code(code).dropout(dropout).init(init);
        if let Some(widths) = &decoder {
            builder = builder.decoder_hidden(widths);
        }
        let builder = builder.hidden_activation(inner).code_activation(middle).output_activation(outer);
        let model = builder.seed(config.seed).build();
        if let Err(error) = &model {
            prop_assert!(matches!(error, Error::Setting { .. }), "{}", error);
        }
        if let Some((kinds, clamp)) = noise {
            match Noise::mixture(&kinds) {
                Ok(noise) => config.noise = Some(if clamp { noise.clamped() } else { noise }),
                Err(error) => prop_assert!(matches!(error, Error::Setting { .. }), "{}", error),
            }
        }
        if let Err(error) = config.check() {
            prop_assert!(matches!(error, Error::Setting { .. }), "{}", error);
        }
        let Ok(mut model) = model else { return Ok(()) };
        let features = inputs - usize::from(narrow == 0);
        let data = Array2::from_shape_fn((rows, features), |place| match (values, place) {
            ("constant", _) | (_, (0, 0)) => level,
            ("ramp", (row, column)) => (row + column) as f32 / 40.0,
            _ => 0.5,
        });
        let before = model.clone();
        let usable = config.check().is_ok() && rows > 0 && features == inputs;
        let result = fit(&config, &mut model, &data, &data);
        prop_assert!(usable || result.is_err());
        if !usable {
            prop_assert!(model == before, "a refused run changed the model");
        }
    }

    #[test]
    fn hostile_numbers_of_one_constructor_are_typed_errors(number in number(), (a, b) in (count(), count())) {
        let setting = |result: Result<(), Error>| result.is_ok() || matches!(result, Err(Error::Setting { .. }));
        prop_assert!(setting(Dropout::new(number).map(|dropout| assert!(dropout.scale().is_finite()))));
        prop_assert!(setting(Noise::gaussian(number).map(drop)));
        for shape in [(a, b), (3, 4)] {
            let hostile = Augmentation { shift: number, ..Augmentation::new(shape) };
            let hostile = hostile.rotation(number).scale(number).shear(number).unchanged(number / 4.0);
            match hostile.augmented(&Array2::from_elem((4, 12), 1.0), 0, 1) {
                Ok(rows) => prop_assert!(rows.iter().all(|x| (0.0..=1.0).contains(x))),
                Err(error) => {
                    let typed = matches!(error, Error::Setting { .. } | Error::Shape { .. });
                    prop_assert!(typed, "{}", error);
                }
            }
        }
        let fits = |result: Result<ImageSet, Error>| match result {
            Ok(images) => images.pixels().len() == images.len() * images.features(),
            Err(error) => matches!(error, Error::Setting { .. } | Error::Shape { .. } | Error::Data { .. }),
        };
        let layer_fits = match Init::He.dense(a, b, 0, usize::MAX) {
            Ok(layer) => (layer.inputs(), layer.outputs()) == (a, b),
            Err(error) => matches!(error, Error::Setting { .. } | Error::Shape { .. }),
        };
        prop_assert!(layer_fits);
        prop_assert!(fits(ImageSet::new("hostile", (a, b), vec![0; 12])));
        prop_assert!(fits(ImageSet::from_array("hostile", (a, b), &Array2::from_elem((2, 6), number))));
        prop_assert!(fits(digits::generate(a.wrapping_sub(1), 1).and_then(|images| images.head(b))));
    }
}
