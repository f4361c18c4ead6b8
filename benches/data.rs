//! Making data ready: reading gzip IDX, drawing digits, noise, dropout masks.

use autoencoder::{
    data::{
        Noise, NoiseKind, digits,
        idx::{self, Encoding},
    },
    nn::Dropout,
    random::{Stream, rng},
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const IMAGES: usize = 1_000;
const PIXELS: usize = 784;

fn loading(c: &mut Criterion) {
    let digits = digits::generate(IMAGES, 1).expect("digits");
    let mut group = c.benchmark_group("loading");
    group.throughput(Throughput::Bytes((IMAGES * PIXELS) as u64));
    for (name, encoding) in [("plain", Encoding::Plain), ("gzip", Encoding::Gzip)] {
        let mut file = Vec::new();
        idx::write(&mut file, "memory", &[IMAGES, 28, 28], digits.pixels(), encoding).expect("written");
        group.bench_function(name, |b| {
            b.iter(|| black_box(idx::read(file.as_slice(), "memory").expect("read")));
        });
    }
    group.finish();
    c.bench_function("drawing 1,000 digits", |b| {
        b.iter(|| black_box(digits::generate(IMAGES, 1).expect("digits")))
    });
}

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

criterion_group!(benches, loading, randomness);
criterion_main!(benches);
