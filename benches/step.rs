//! One training step of 128 rows on one thread and on all: plain, with noise, with dropout, with the Lasso.

use autoencoder::{
    Autoencoder,
    data::{Noise, digits},
    nn::Penalty,
    train::{Batch, Objective, Optimizer, OptimizerState, Step},
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const ROWS: usize = 128;

fn steps(c: &mut Criterion) {
    let samples = digits::generate(ROWS, 1).expect("digits");
    let rows: Vec<_> = (0..ROWS).collect();
    let mut group = c.benchmark_group("step");
    group.throughput(Throughput::Elements(ROWS as u64));
    let cores = rayon::current_num_threads();
    for (name, hidden) in
        [("784-512-256-100", &[512, 256][..]), ("784-512-384-256-128-100", &[512, 384, 256, 128])]
    {
        for (variant, noise, dropout, penalties) in [
            ("plain", None, 0.0, vec![]),
            ("noise", Some(Noise::gaussian(0.25).expect("noise")), 0.0, vec![]),
            ("dropout", None, 0.2, vec![]),
            ("lasso", None, 0.0, vec![Penalty::lasso(1e-5)]),
        ] {
            for threads in [1, cores] {
                let builder = Autoencoder::builder(784).hidden(hidden).code(100).dropout(dropout);
                let mut model = builder.build().expect("model");
                let mut state = OptimizerState::new(Optimizer::adam(), &model).expect("optimizer");
                let objective = Objective { penalties: penalties.clone(), ..Objective::default() };
                let mut step = Step::new(&model, objective, ROWS).expect("step");
                let batch = Batch {
                    samples: &samples,
                    rows: &rows,
                    noise: noise.as_ref(),
                    seed: 0,
                    epoch: 1,
                    number: 1,
                };
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("pool");
                group.bench_function(format!("{name}/{variant}/{threads} threads"), |b| {
                    pool.install(|| {
                        b.iter(|| black_box(step.run(&mut model, &mut state, 1e-3, &batch).expect("a step")));
                    });
                });
            }
        }
    }
}

criterion_group!(benches, steps);
criterion_main!(benches);
