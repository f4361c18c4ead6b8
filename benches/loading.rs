//! Loading images: IDX files, plain and gzip, beside the decoder alone; drawing digits.

use autoencoder::data::{
    digits,
    idx::{self, Encoding},
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flate2::read::GzDecoder;
use std::{hint::black_box, io::Read};

const IMAGES: usize = 1_000;
const PIXELS: usize = 784;

fn loading(c: &mut Criterion) {
    let digits = digits::generate(IMAGES, 1).expect("digits");
    let mut group = c.benchmark_group("loading");
    group.throughput(Throughput::Bytes((IMAGES * PIXELS) as u64));
    for (name, encoding) in [("plain", Encoding::Plain), ("gzip", Encoding::Gzip)] {
        let mut file = Vec::new();
        idx::write_array(&mut file, "memory", &[IMAGES, 28, 28], digits.pixels(), encoding).expect("written");
        group.bench_function(name, |b| {
            b.iter(|| black_box(idx::read_array(file.as_slice(), "memory").expect("read")));
        });
        if encoding == Encoding::Gzip {
            group.bench_function("gzip, decoder alone", |b| {
                b.iter(|| {
                    let mut bytes = Vec::with_capacity(IMAGES * PIXELS + 16);
                    GzDecoder::new(file.as_slice()).read_to_end(&mut bytes).expect("decoded");
                    black_box(bytes)
                });
            });
        }
    }
    group.finish();
    c.bench_function("drawing 1,000 digits", |b| {
        b.iter(|| black_box(digits::generate(IMAGES, 1).expect("digits")))
    });
}

criterion_group!(benches, loading);
criterion_main!(benches);
