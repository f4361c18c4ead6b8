//! Random rows of 784 values: each kind of noise, and dropout masks.

use autoencoder::{
    data::{Noise, NoiseKind},
    nn::Dropout,
    random::{Stream, rng},
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const PIXELS: usize = 784;

fn randomness(c: &mut Criterion) {
    let mut group = c.benchmark_group("random rows of 784");
    group.throughput(Throughput::Elements(PIXELS as u64));
    let mut row = vec![0.5; PIXELS];
    for (name, kind) in [
        ("gaussian", NoiseKind::Gaussian { variance: 0.25 }),
        ("salt and pepper", NoiseKind::SaltAndPepper { probability: 0.3 }),
        ("masking", NoiseKind::Masking { probability: 0.3 }),
    ] {
        let noise = Noise::new(kind).expect("noise");
        group.bench_function(name, |b| {
            b.iter(|| noise.apply(black_box(&mut row), &mut rng(1, Stream::TrainNoise, 1, 1)));
        });
    }
    let dropout = Dropout::new(0.2).expect("a rate");
    group.bench_function("dropout", |b| b.iter(|| dropout.mask(black_box(&mut row), 1, 0, 1, 1)));
}

criterion_group!(benches, randomness);
criterion_main!(benches);
