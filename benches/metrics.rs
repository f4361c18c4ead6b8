//! Metrics: PSNR and SSIM of a thousand images.

use autoencoder::{
    data::{Noise, digits},
    metrics::{ImageQuality, ssim_mean},
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const IMAGES: usize = 1_000;

fn metrics(c: &mut Criterion) {
    let clean = digits::generate(IMAGES, 1).expect("digits").to_array().unwrap();
    let noisy = Noise::gaussian(0.1).expect("noise").corrupt(&clean, 1);
    let mut group = c.benchmark_group("metrics");
    group.throughput(Throughput::Elements(IMAGES as u64));
    group.bench_function("mse and psnr", |b| {
        b.iter(|| black_box(ImageQuality::compare(&noisy, &clean, 1.0).expect("quality")));
    });
    group.bench_function("ssim", |b| {
        b.iter(|| black_box(ssim_mean(&noisy, &clean, (28, 28), 1.0).expect("ssim")));
    });
}

criterion_group!(benches, metrics);
criterion_main!(benches);
