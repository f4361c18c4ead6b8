//! Inference: one image, one image into a buffer, and a block of a thousand.

use autoencoder::{
    Autoencoder,
    data::digits,
    ndarray::{Array2, s},
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

fn reconstruct(c: &mut Criterion) {
    let images = digits::generate(1_000, 1).expect("digits").to_array().unwrap();
    let model = Autoencoder::builder(784).hidden(&[512, 256]).code(100).build().expect("model");
    let mut group = c.benchmark_group("reconstruct");
    for rows in [1, 1_000_usize] {
        group.throughput(Throughput::Elements(rows as u64));
        group.bench_function(format!("{rows} images"), |b| {
            b.iter(|| black_box(model.reconstruct(&images.slice(s![..rows, ..])).expect("a fit")));
        });
    }
    let mut output = Array2::zeros((1, 784));
    group.throughput(Throughput::Elements(1));
    group.bench_function("1 image into a buffer", |b| {
        b.iter(|| {
            model.reconstruct_into(&images.slice(s![..1, ..]), &mut output).expect("a fit");
            black_box(&output);
        });
    });
}

criterion_group!(benches, reconstruct);
criterion_main!(benches);
