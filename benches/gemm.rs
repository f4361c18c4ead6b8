//! The matrix products of a training step on one thread, with operands laid out as in a step: activations and deltas in
//! buffers whose rows start cache lines an odd number of lines apart, weights and gradients without gaps.
//!
//! "Nonzero" is the fraction of nonzero elements of the input (forward, gradient) or of the delta (delta).
//!
//! For each product, the last lines print its speed in GFLOP/s and as a percentage of the core's peak, which
//! multiply-adds on registers reach. Multiplications by zero count as operations, so a product that skips zeros may exceed
//! 100%. Criterion's "elem" are floating-point operations.

use autoencoder::{
    bench::{Accum, Buffer, aligned_copy, aligned_zeros, gemm, gemm_sum, peak_gflops},
    ndarray::{Array2, s},
};
use criterion::{
    BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::Instant;

/// Layers of the study's model, `[inputs, outputs]`.
const LAYERS: [[usize; 2]; 3] = [[784, 512], [512, 256], [256, 100]];
/// Rows of the blocks that a batch of 128 is cut into, with two threads and with one.
const ROWS: [usize; 2] = [64, 128];
/// The fraction of nonzero elements: dense, after ReLU, and in images with a black background.
const DENSITIES: [f64; 3] = [1.0, 0.5, 0.2];
/// The weights of which a training step computes the gradient at once.
const TILE: usize = 48 * 1024;

fn products(c: &mut Criterion) {
    let peak = peak_gflops();
    let mut group = c.benchmark_group("gemm");
    let mut summary = Vec::new();
    for [inputs, outputs] in LAYERS {
        let weights = aligned_copy(random(inputs, outputs, 1.0).view());
        let tile_rows = inputs.div_ceil((inputs * outputs).div_ceil(TILE));
        for rows in ROWS {
            let operations = 2 * rows * inputs * outputs;
            for density in DENSITIES {
                let input = buffer(&random(rows, inputs, density));
                let delta = buffer(&random(rows, outputs, density));
                let dense_delta = buffer(&random(rows, outputs, 1.0));
                let mut output = Buffer::new(rows, outputs);
                let mut input_delta = Buffer::new(rows, inputs);
                let mut gradient = aligned_zeros(tile_rows * outputs);
                let mut bench = |product: &str, run: &mut dyn FnMut()| {
                    let percent = 100.0 * density;
                    let name = format!("{product} {inputs}x{outputs}, {rows} rows, {percent:.0}% nonzero");
                    let gflops = measure(&mut group, &name, operations, run);
                    summary.push((name, gflops));
                };
                bench("forward", &mut || {
                    gemm(Accum::Replace, output.view_mut(rows), input.view(rows), weights.view());
                });
                bench("delta", &mut || {
                    gemm(Accum::Replace, input_delta.view_mut(rows), delta.view(rows), weights.t());
                });
                bench("gradient", &mut || {
                    for first in (0..inputs).step_by(tile_rows) {
                        let end = inputs.min(first + tile_rows);
                        let tile = gradient.slice_mut(s![..(end - first) * outputs]);
                        let tile = tile.into_shape_with_order((end - first, outputs)).expect("a tile");
                        let input = input.view(rows).slice_move(s![.., first..end]);
                        gemm_sum(Accum::Replace, tile, [(input.reversed_axes(), dense_delta.view(rows))]);
                    }
                });
            }
        }
    }
    group.finish();
    println!("Peak of one core: {peak:.0} GFLOP/s. Speed of each product's fastest sample:");
    for (name, gflops) in summary.into_iter().filter(|&(_, gflops)| gflops > 0.0) {
        println!("{name:<44} {gflops:>5.0} GFLOP/s, {:>3.0}% of peak", 100.0 * gflops / peak);
    }
}

/// Benchmarks `run` and returns the speed of the fastest sample in GFLOP/s, or 0 if the benchmark is filtered out.
fn measure(
    group: &mut BenchmarkGroup<WallTime>,
    name: &str,
    operations: usize,
    run: &mut dyn FnMut(),
) -> f64 {
    let mut seconds = f64::INFINITY;
    group.throughput(Throughput::Elements(operations as u64));
    group.bench_function(name, |b| {
        b.iter_custom(|iterations| {
            let start = Instant::now();
            (0..iterations).for_each(|_| run());
            let elapsed = start.elapsed();
            seconds = seconds.min(elapsed.as_secs_f64() / iterations as f64);
            elapsed
        });
    });
    operations as f64 / seconds / 1e9
}

/// Returns a matrix of which about the fraction `density` is nonzero, without a pattern.
fn random(rows: usize, columns: usize, density: f64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    Array2::from_shape_simple_fn((rows, columns), || {
        if rng.random_bool(density) { rng.random_range(0.5..1.5) } else { 0.0 }
    })
}

/// Copies a matrix into a buffer like those of a training step.
fn buffer(matrix: &Array2<f32>) -> Buffer {
    let mut buffer = Buffer::new(matrix.nrows(), matrix.ncols());
    buffer.view_mut(matrix.nrows()).assign(matrix);
    buffer
}

criterion_group!(benches, products);
criterion_main!(benches);
