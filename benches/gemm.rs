//! The step's matrix products on one thread, in elements a second where an element is one floating-point operation:
//! read "Gelem/s" as GFLOP/s, and hold it against the peak that is printed first. Where only a fifth or a half of the left
//! side is nonzero, the operations with zeros count as well.

use autoencoder::{
    bench::{Accum, gemm, peak_gflops},
    ndarray::{Array2, ArrayView2},
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn products(c: &mut Criterion) {
    let array =
        |rows, columns| Array2::from_shape_fn((rows, columns), |(i, j)| ((i * 7 + j * 3) % 13) as f32 - 6.0);
    println!("multiply-adds in registers alone: {:.1} GFLOP/s", peak_gflops());
    let mut group = c.benchmark_group("gemm");
    for (name, inputs, outputs) in [("784x512", 784, 512), ("512x256", 512, 256), ("256x100", 256, 100)] {
        let (x, w, delta) = (array(64, inputs), array(inputs, outputs), array(64, outputs));
        let mut bench = |phase: &str, lhs: ArrayView2<f32>, rhs: ArrayView2<f32>| {
            let mut dst = Array2::zeros((lhs.nrows(), rhs.ncols()));
            group.throughput(Throughput::Elements(2 * (dst.len() * lhs.ncols()) as u64));
            group.bench_function(format!("{phase} {name}"), |b| {
                b.iter(|| gemm(Accum::Replace, dst.view_mut(), lhs, rhs));
            });
        };
        bench("forward", x.view(), w.view());
        bench("delta", delta.view(), w.t());
        bench("gradient", x.t(), delta.view());
        for (share, nonzero) in [("a fifth", 0.2), ("half", 0.5)] {
            let x = with_zeros(&x, nonzero);
            bench(&format!("forward, {share} nonzero,"), x.view(), w.view());
            bench(&format!("gradient, {share} nonzero,"), x.t(), delta.view());
        }
    }
}

/// Leaves about that share of the elements, without a pattern.
fn with_zeros(matrix: &Array2<f32>, share: f64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    matrix.map(|&x| if rng.random_bool(share) { x.abs() + 1.0 } else { 0.0 })
}

criterion_group!(benches, products);
criterion_main!(benches);
