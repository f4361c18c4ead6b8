//! Weights, history and metrics depend only on data, configuration and seed: checked on random configurations.

use crate::{
    common::{digest, fixed},
    processes::in_processes,
};
use autoencoder::{
    Autoencoder, TrainConfig, Trainer,
    data::{Augmentation, Noise, NoiseKind, digits},
    metrics::{Evaluation, evaluate},
    ndarray::{Array2, Axis},
    nn::{Activation, Init, Loss, Penalty, Scope},
    train::{Frozen, History, Optimizer, shuffled},
};
use proptest::{collection::vec, prelude::*, sample::select};
use sha2::{Digest, Sha256};
use std::{ops::ControlFlow, sync::LazyLock};

const THREADS: [usize; 6] = [1, 2, 3, 4, 8, 16];
/// Pixels taken from the middle rows of the drawn digits.
const PIXELS: usize = 196;

/// Rows in [0, 1], and validation rows that do not fill a block.
static ROWS: LazyLock<[Array2<f32>; 2]> = LazyLock::new(|| {
    [(300, 1), (131, 2)].map(|(count, seed)| {
        let images = digits::generate(count, seed).unwrap().to_array().unwrap();
        let middle: Vec<_> = (294..294 + PIXELS).collect();
        images.select(Axis(1), &middle)
    })
});

fn activation() -> impl Strategy<Value = Activation> {
    select(vec![
        Activation::Relu,
        Activation::LeakyRelu { slope: 0.1 },
        Activation::Elu,
        Activation::Silu,
        Activation::Gelu,
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Identity,
    ])
}

fn model() -> impl Strategy<Value = Autoencoder> {
    // The widest layers are cut into several tiles.
    let width = || prop_oneof![4 => 1..90_usize, 1 => 170..300_usize];
    let widths = (vec(width(), 0..4), prop::option::weighted(0.3, vec(width(), 0..3)), 1..50_usize);
    let rest = (activation(), activation(), select(vec![0.0, 0.1, 0.5]), any::<u64>());
    let init = select(vec![Init::He, Init::Glorot, Init::Pytorch]);
    (widths, rest, init).prop_map(|((hidden, decoder, code), (inner, middle, dropout, seed), init)| {
        let builder = Autoencoder::builder(PIXELS).hidden(&hidden).code(code).init(init).seed(seed);
        let builder = builder.hidden_activation(inner).code_activation(middle).dropout(dropout);
        let builder = match &decoder {
            Some(widths) => builder.decoder_hidden(widths),
            None => builder,
        };
        builder.build().unwrap()
    })
}

fn noise() -> impl Strategy<Value = Noise> {
    let kinds = [
        NoiseKind::Gaussian { variance: 0.3 },
        NoiseKind::SaltAndPepper { probability: 0.2 },
        NoiseKind::Masking { probability: 0.4 },
    ];
    (vec(select(kinds.to_vec()), 1..4), any::<bool>()).prop_map(|(kinds, clamp)| {
        let noise = Noise::mixture(&kinds).unwrap();
        if clamp { noise.clamped() } else { noise }
    })
}

/// Of the rows of pixels as images.
fn augmentation() -> impl Strategy<Value = Augmentation> {
    let shapes = select(vec![(7, 28), (14, 14), (196, 1)]);
    (shapes, 0.0..2.0_f32, 0.0..0.5_f32, 0.0..0.9_f32).prop_map(|(shape, shift, other, unchanged)| {
        let augmentation = Augmentation::new(shape).shift(shift).rotation(other).scale(other).shear(other);
        augmentation.unchanged(unchanged)
    })
}

fn config() -> impl Strategy<Value = TrainConfig> {
    let penalties = [
        Penalty::lasso(1e-4),
        Penalty::Lasso { lambda: 1e-5, scope: Scope::All },
        Penalty::ProximalLasso { lambda: 1e-3, scope: Scope::Encoder },
        Penalty::L2 { lambda: 1e-4, scope: Scope::All },
        Penalty::CodeL1 { lambda: 1e-4 },
    ];
    let optimizers = [
        Optimizer::adam(),
        Optimizer::adamw(0.01),
        Optimizer::adamw_sparing_biases(0.03),
        Optimizer::Sgd { momentum: 0.9 },
    ];
    // Smaller than a block, a block, larger, larger than the set; few numbers divide 300.
    let batch_size = prop_oneof![1..64_usize, 64..200_usize, select(vec![64, 128, 256, 299, 300, 1000])];
    let sizes = (1..3_usize, batch_size, any::<u64>());
    let terms = vec(select(penalties.to_vec()), 0..3);
    let (loss, optimizer) = (
        select(vec![Loss::Mse, Loss::Bce, Loss::Mae, Loss::Huber { delta: 0.2 }]),
        select(optimizers.to_vec()),
    );
    let frozen = select(vec![Frozen::Encoder, Frozen::Decoder, Frozen::Layers(vec![1])]);
    let limits = (
        prop::option::weighted(0.3, select(vec![0.001, 0.01, 0.1, 1.0])),
        prop::option::weighted(0.3, frozen),
        prop::option::weighted(0.3, augmentation()),
    );
    (sizes, terms, loss, optimizer, prop::option::of(noise()), limits).prop_map(
        |(
            (epochs, batch_size, seed),
            penalties,
            loss,
            optimizer,
            noise,
            (clip_norm, freeze, augmentation),
        )| {
            let config = TrainConfig::new().epochs(epochs).batch_size(batch_size).seed(seed);
            let mut config = penalties.into_iter().fold(config, TrainConfig::add_penalty);
            (config.noise, config.clip_norm, config.freeze) = (noise, clip_norm, freeze);
            config.augmentation = augmentation;
            config.loss(loss).optimizer(optimizer)
        },
    )
}

/// The digest of a history without timings; validation is included on request.
fn figures(history: &History, validation: bool) -> String {
    let mut digest = Sha256::new();
    for epoch in &history.epochs {
        for figure in [epoch.epoch as f64, epoch.loss, epoch.data_loss, epoch.mse, epoch.psnr_db] {
            digest.update(figure.to_le_bytes());
        }
        if let Some(Evaluation { output, noisy_input, .. }) = epoch.validation.filter(|_| validation) {
            for quality in [Some(output), noisy_input].into_iter().flatten() {
                for figure in [quality.mse, quality.psnr_mean_db, quality.psnr_pooled_db] {
                    digest.update(figure.to_le_bytes());
                }
            }
        }
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How a run is executed, which must not matter.
#[derive(Debug, Clone, Copy)]
struct Manner {
    /// Threads of the run's own pool, or of the caller's.
    threads: usize,
    callers_pool: bool,
    validated: bool,
    watched: bool,
}

fn run(first: &Autoencoder, config: &TrainConfig, manner: Manner) -> (Autoencoder, History) {
    let [rows, others] = &*ROWS;
    let mut model = first.clone();
    let mut fit = |config: TrainConfig| {
        let mut trainer = Trainer::new(config);
        if manner.validated {
            trainer = trainer.validation(others);
        }
        if manner.watched {
            trainer = trainer.callback(|event| {
                // At least what a progress bar does.
                std::hint::black_box(format!("{event:?}").len());
                ControlFlow::Continue(())
            });
        }
        trainer.fit(&mut model, rows).unwrap()
    };
    let history = if manner.callers_pool {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(manner.threads).build().unwrap();
        pool.install(|| fit(config.clone()))
    } else {
        fit(config.clone().threads(manner.threads))
    };
    (model, history)
}

proptest! {
    #![proptest_config(fixed(96))]

    #[test]
    fn nothing_but_data_configuration_and_seed_changes_a_bit(first in model(), config in config()) {
        let plain = Manner { threads: 1, callers_pool: false, validated: true, watched: false };
        let (reference, history) = run(&first, &config, plain);
        prop_assert_ne!(digest(&reference), digest(&first));
        for (index, threads) in THREADS.into_iter().enumerate() {
            let bit = |place: usize| (config.seed >> (3 * index + place)) & 1 == 1;
            let manner = Manner { threads, callers_pool: bit(0), validated: bit(1), watched: bit(2) };
            let (model, found) = run(&first, &config, manner);
            prop_assert_eq!(digest(&model), digest(&reference), "{:?}", manner);
            prop_assert_eq!(figures(&found, false), figures(&history, false), "{:?}", manner);
            if manner.validated {
                prop_assert_eq!(figures(&found, true), figures(&history, true), "{:?}", manner);
            }
        }
        let seed = config.seed.wrapping_add(1);
        let other = run(&first, &config.clone().seed(seed), plain).0;
        prop_assert!(digest(&other) != digest(&reference) || config.batch_size >= 300);
    }

    /// Any number of processes, with different numbers of threads.
    #[test]
    fn processes_change_no_bit(first in model(), config in config()) {
        let [rows, others] = &*ROWS;
        let alone = Manner { threads: 2, callers_pool: false, validated: true, watched: false };
        let (reference, history) = run(&first, &config, alone);
        for size in [2, 3, 5] {
            let found = in_processes(size, |group| {
                let mut model = first.clone();
                let config = config.clone().threads(1 + (group.rank() + size) % 3);
                let trainer = Trainer::new(config).validation(others).group(group);
                let history = trainer.fit(&mut model, rows).unwrap();
                (digest(&model), figures(&history, true))
            });
            for found in found {
                prop_assert_eq!(found, (digest(&reference), figures(&history, true)), "{} processes", size);
            }
        }
    }

    /// Rows in any order and partition, before or after others, on any number of threads.
    #[test]
    fn the_order_of_evaluation_changes_no_bit(
        model in model(),
        noise in noise(),
        (seed, cut) in (any::<u64>(), 1..131_usize),
    ) {
        let rows = &ROWS[1];
        let (output, codes) = (model.reconstruct(rows).unwrap(), model.encode(rows).unwrap());
        let errors = model.reconstruction_errors(rows).unwrap();
        let (clean, noisy) =
            (evaluate(&model, rows, None, seed).unwrap(), evaluate(&model, rows, Some(&noise), seed).unwrap());

        let order = shuffled(rows.nrows(), seed, 1);
        let mixed = rows.select(Axis(0), &order);
        let of_mixed = model.reconstruction_errors(&mixed).unwrap();
        let (mixed_output, mixed_codes) =
            (model.reconstruct(&mixed).unwrap(), model.encode(&mixed).unwrap());
        for (place, &row) in order.iter().enumerate() {
            prop_assert_eq!(of_mixed[place], errors[row]);
            prop_assert_eq!(mixed_output.row(place), output.row(row));
            prop_assert_eq!(mixed_codes.row(place), codes.row(row));
        }
        let (head, tail) = rows.view().split_at(Axis(0), cut);
        let parts = [tail, head].map(|part| model.reconstruction_errors(&part).unwrap());
        prop_assert_eq!([&parts[1][..], &parts[0][..]].concat(), errors);

        // Other rows first, then the same rows again, in pools of every size.
        for threads in THREADS {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let found = pool.install(|| {
                let noisy = evaluate(&model, rows, Some(&noise), seed);
                (evaluate(&model, rows, None, seed).unwrap(), noisy.unwrap())
            });
            prop_assert_eq!(found, (clean, noisy));
        }
    }
}
