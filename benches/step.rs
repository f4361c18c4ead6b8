//! One training step on one thread and on all: plain, with noise, with dropout, with the Lasso, on augmented images, at two batch sizes.
//!
//! The model has been trained for three epochs before. Fresh weights would hide what later steps cost: moments that have
//! decayed, saturated outputs, hidden units that are zero.

use autoencoder::{
    Autoencoder,
    data::{Augmentation, ImageSet, Noise, digits},
    nn::Penalty,
    train::{Batch, Objective, Optimizer, OptimizerState, Step, shuffled},
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const IMAGES: usize = 20_000;
const EPOCHS: usize = 3;
const RATE: f32 = 1e-3;

fn mild() -> Augmentation {
    Augmentation::new((28, 28)).shift(0.5).rotation(0.08).scale(0.05).shear(0.08).unchanged(0.3)
}

/// A model and an optimizer after some epochs, and what the next step needs.
struct Trained {
    model: Autoencoder,
    optimizer: OptimizerState,
    objective: Objective,
    noise: Option<Noise>,
    augmentation: Option<Augmentation>,
    batch_size: usize,
}

impl Trained {
    fn new(images: &ImageSet, hidden: &[usize], variant: &str, batch_size: usize) -> Self {
        let dropout = if variant == "dropout" { 0.2 } else { 0.0 };
        let noise = (variant == "noise").then(|| Noise::gaussian(0.25).expect("noise"));
        let augmentation = (variant == "augmented").then(mild);
        let penalties = if variant == "lasso" { vec![Penalty::lasso(1e-5)] } else { vec![] };
        let builder = Autoencoder::builder(784).hidden(hidden).code(100).dropout(dropout);
        let model = builder.build().expect("model");
        let optimizer = OptimizerState::new(Optimizer::adam(), &model).expect("optimizer");
        let objective = Objective { penalties, ..Objective::default() };
        let mut trained = Self { model, optimizer, objective, noise, augmentation, batch_size };
        let mut step = trained.step();
        for epoch in 1..=EPOCHS {
            for (index, rows) in shuffled(IMAGES, 0, epoch).chunks(batch_size).enumerate() {
                trained.run(&mut step, images, rows, epoch, index + 1);
            }
        }
        trained
    }

    fn step(&self) -> Step {
        let step = Step::new(&self.model, self.objective.clone(), self.batch_size).expect("step");
        match self.augmentation {
            Some(augmentation) => step.augmentation(augmentation).expect("images of this shape"),
            None => step,
        }
    }

    fn run(&mut self, step: &mut Step, images: &ImageSet, rows: &[usize], epoch: usize, number: usize) {
        let batch = Batch { samples: images, rows, noise: self.noise.as_ref(), seed: 0, epoch, number };
        black_box(step.run(&mut self.model, &mut self.optimizer, RATE, &batch).expect("a step"));
    }
}

fn steps(c: &mut Criterion) {
    let images = digits::generate(IMAGES, 1).expect("digits");
    let mut group = c.benchmark_group("step");
    let cores = rayon::current_num_threads();
    for (name, hidden) in
        [("784-512-256-100", &[512, 256][..]), ("784-512-384-256-128-100", &[512, 384, 256, 128])]
    {
        for (variant, batch_size) in [
            ("plain", 128),
            ("plain", 512),
            ("noise", 128),
            ("dropout", 128),
            ("lasso", 128),
            ("augmented", 128),
        ] {
            let mut trained = Trained::new(&images, hidden, variant, batch_size);
            group.throughput(Throughput::Elements(batch_size as u64));
            for threads in [1, cores] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("pool");
                group.bench_function(format!("{name}/{variant}/batch {batch_size}/{threads} threads"), |b| {
                    pool.install(|| {
                        let mut step = trained.step();
                        let mut batches = shuffled(IMAGES, 1, 1).into_iter().cycle();
                        let mut rows = vec![0; batch_size];
                        b.iter(|| {
                            rows.fill_with(|| batches.next().expect("a cycle"));
                            trained.run(&mut step, &images, &rows, EPOCHS + 1, 1);
                        });
                    });
                });
            }
        }
    }
}

criterion_group!(benches, steps);
criterion_main!(benches);
