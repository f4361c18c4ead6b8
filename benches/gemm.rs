//! The step's matrix products on one thread, in elements a second where an element is one floating-point operation:
//! read "Gelem/s" as GFLOP/s, and hold it against the peak that is printed first.

use autoencoder::{
    compute::{Accum, gemm, peak_gflops},
    ndarray::{Array2, ArrayView2},
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

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
    }
}

criterion_group!(benches, products);
criterion_main!(benches);
