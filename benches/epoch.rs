//! An epoch of 6,000 images (shuffle, gather, steps), on one thread and on all.

use autoencoder::{Autoencoder, TrainConfig, Trainer, data::digits};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const IMAGES: usize = 6_000;

fn epochs(c: &mut Criterion) {
    let images = digits::generate(IMAGES, 1).expect("digits");
    let mut group = c.benchmark_group("epoch");
    group.throughput(Throughput::Elements(IMAGES as u64)).sample_size(10);
    for (name, hidden) in
        [("784-512-256-100", &[512, 256][..]), ("784-512-384-256-128-100", &[512, 384, 256, 128])]
    {
        for threads in [1, rayon::current_num_threads()] {
            group.bench_function(format!("{name}/{threads} threads"), |b| {
                let mut model = Autoencoder::builder(784).hidden(hidden).code(100).build().expect("model");
                b.iter(|| {
                    let config = TrainConfig::new().epochs(1).threads(threads);
                    Trainer::new(config).fit(&mut model, &images).expect("an epoch")
                });
            });
        }
    }
}

criterion_group!(benches, epochs);
criterion_main!(benches);
