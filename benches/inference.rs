//! Applying a model: one image, and a block of a thousand.

use autoencoder::{Autoencoder, data::digits, ndarray::s};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

fn reconstruct(c: &mut Criterion) {
    let images = digits::generate(1_000, 1).expect("digits").to_array();
    let model = Autoencoder::builder(784).hidden(&[512, 256]).code(100).build().expect("model");
    let mut group = c.benchmark_group("reconstruct");
    for rows in [1, 1_000] {
        group.throughput(Throughput::Elements(rows as u64));
        group.bench_function(format!("{rows} images"), |b| {
            b.iter(|| black_box(model.reconstruct(images.slice(s![..rows, ..])).expect("a fit")));
        });
    }
}

criterion_group!(benches, reconstruct);
criterion_main!(benches);
