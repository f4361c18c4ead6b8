//! Random rows of 784 values: each kind of noise, and dropout masks.

use autoencoder::{
    bench::{corrupt_training_row, dropout_mask},
    data::Noise,
    nn::Dropout,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const PIXELS: usize = 784;

fn randomness(c: &mut Criterion) {
    let mut group = c.benchmark_group("random rows of 784");
    group.throughput(Throughput::Elements(PIXELS as u64));
    let mut row = vec![0.5; PIXELS];
    for (name, noise) in [
        ("gaussian", Noise::gaussian(0.25)),
        ("salt and pepper", Noise::salt_and_pepper(0.3)),
        ("masking", Noise::masking(0.3)),
    ] {
        let noise = noise.expect("noise");
        group.bench_function(name, |b| {
            b.iter(|| corrupt_training_row(&noise, black_box(&mut row), 1, 1, 1));
        });
    }
    let dropout = Dropout::new(0.2).expect("a rate");
    group.bench_function("dropout", |b| b.iter(|| dropout_mask(dropout, black_box(&mut row), 1, 0, 1, 1)));
}

criterion_group!(benches, randomness);
criterion_main!(benches);
