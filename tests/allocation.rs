//! A training step and `reconstruct_into` allocate nothing after the first call.

use autoencoder::{
    Autoencoder,
    data::{Augmentation, Dataset, Noise, Pairs, Weighted, digits},
    ndarray::Array2,
    nn::{Activation, Loss, Parameters, Penalty},
    train::{Batch, Frozen, Objective, Optimizer, OptimizerState, Step},
};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering},
};

/// Counts the allocations of all threads.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

#[expect(unsafe_code, reason = "an allocator is unsafe by its trait; it only counts")]
// SAFETY: every call is forwarded unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's guarantees are those that the system's allocator needs.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's guarantees are those that the system's allocator needs.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A single test, because the counter covers the whole process.
#[test]
fn nothing_is_allocated_after_the_first_time() {
    a_step();
    a_reconstruction();
}

fn a_reconstruction() {
    let model = Autoencoder::builder(784).hidden(&[128, 64]).code(20).build().unwrap();
    for rows in [1, 100] {
        let images = digits::generate(rows, 1).unwrap().to_array().unwrap();
        let mut output = Array2::zeros(images.dim());
        let mut reconstruct = || {
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            model.reconstruct_into(&images, &mut output).unwrap();
            ALLOCATIONS.load(Ordering::Relaxed) - before
        };
        // A thread of the pool that made the images may still be starting, hence more than one try.
        assert!((0..10).any(|_| reconstruct() == 0), "{rows} rows");
    }
}

/// Plain steps, clipped ones, and gradients and updates apart.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Manner {
    Plain,
    Clipped,
    Apart,
}

fn a_step() {
    for manner in [Manner::Plain, Manner::Clipped, Manner::Apart] {
        steps(manner);
    }
}

fn steps(manner: Manner) {
    let digits = digits::generate(300, 1).unwrap();
    let dark = digits.to_array().unwrap() / 2.0;
    let pairs = Pairs::new(&dark, &digits).unwrap();
    let rows: Vec<_> = (0..300).collect();
    let weighted = Weighted::new(&pairs, (0..300).map(|row| (row % 3) as f32).collect::<Vec<_>>()).unwrap();
    let kinds =
        [("augmented rows", &digits as &dyn Dataset), ("pairs", &pairs), ("weighted pairs", &weighted)];
    for (threads, (name, samples)) in
        [1, 2, 4, 16].into_iter().flat_map(|threads| kinds.map(|kind| (threads, kind)))
    {
        let mut model = Autoencoder::builder(784)
            .hidden(&[128, 64])
            .code(20)
            .dropout(0.3)
            .hidden_activation(Activation::Silu)
            .build()
            .unwrap();
        let mut state = OptimizerState::new(Optimizer::adam(), &model).unwrap();
        let penalties = vec![Penalty::lasso(1e-5), Penalty::CodeL1 { lambda: 1e-4 }];
        let mut step = Step::new(&model, Objective { loss: Loss::Bce, penalties }, 128).unwrap();
        if manner != Manner::Plain {
            step = step.freeze(&Frozen::Layers(vec![1])).unwrap().clip_norm(&model, 0.01).unwrap();
        }
        if !samples.has_targets() {
            step = step.augmentation(Augmentation::new((28, 28)).shift(1.0).rotation(0.1)).unwrap();
        }
        let mut gradients = Parameters::zeros(&model);
        let noise = Some(Noise::gaussian(0.3).unwrap().clamped());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        // Allocations of six batches, two of them short. The first ones may still create buffers of a thread, and a thread
        // may get its first task late, so the fewest of several tries count.
        let counted = pool.install(|| {
            let mut fewest = usize::MAX;
            let mut before = ALLOCATIONS.load(Ordering::Relaxed);
            for (index, rows) in rows.chunks(128).cycle().take(36).enumerate() {
                let batch =
                    Batch { samples, rows, noise: noise.as_ref(), seed: 0, epoch: 1, number: index + 1 };
                if manner == Manner::Apart {
                    step.gradients(&model, &batch, &mut gradients).unwrap();
                    gradients.clip_norm(0.001).unwrap();
                    state.update(&mut model, &gradients, 1e-3).unwrap();
                } else {
                    step.run(&mut model, &mut state, 1e-3, &batch).unwrap();
                }
                if index % 6 == 5 {
                    let now = ALLOCATIONS.load(Ordering::Relaxed);
                    fewest = fewest.min(now - before);
                    before = now;
                }
            }
            fewest
        });
        assert_eq!(counted, 0, "{name}, {manner:?}, {threads} threads");
    }
}
