//! Compares products with plain chains of multiply-adds, bit for bit, on every instruction set of the CPU.

use super::{
    Accum, gemm, gemm_sum,
    plan::{Kernel, Skippable, Strategy, Term},
    simd::{FUSED, Matrix},
};
use crate::kernels::cpu::{Isa, tests::on_every_isa};
use ndarray::{Array2, ArrayView2, s};

fn random(rows: usize, columns: usize, seed: u32) -> Array2<f32> {
    let mut state = seed;
    Array2::from_shape_fn((rows, columns), |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    })
}

/// Returns a random matrix with zeros. In row `i`, about the fraction `density(i)` is not zero.
fn with_zeros(rows: usize, columns: usize, seed: u32, density: impl Fn(usize) -> f32) -> Array2<f32> {
    let mut matrix = random(rows, columns, seed);
    let draws = random(rows, columns, seed + 1000);
    for (((i, _), x), draw) in matrix.indexed_iter_mut().zip(&draws) {
        if draw.abs() >= density(i) {
            *x = 0.0;
        }
    }
    matrix
}

/// A matrix inside a larger one whose other elements are NaN. Layout 0 has longer rows, layout 1 is transposed, layout 2
/// takes every second row, backwards, and every third column.
struct Embedded {
    store: Array2<f32>,
    layout: usize,
}

impl Embedded {
    fn new(matrix: &Array2<f32>, layout: usize) -> Self {
        let (rows, columns) = matrix.dim();
        let shape = [(rows, columns + 3), (columns + 3, rows), (2 * rows, 3 * columns)][layout];
        let mut store = Array2::from_elem(shape, f32::NAN);
        match layout {
            0 => store.slice_mut(s![.., ..columns]).assign(matrix),
            1 => store.slice_mut(s![..columns, ..]).assign(&matrix.t()),
            _ => store.slice_mut(s![..;-2, ..;3]).assign(matrix),
        }
        Self { store, layout }
    }

    fn view(&self) -> ArrayView2<'_, f32> {
        let (rows, columns) = self.store.dim();
        match self.layout {
            0 => self.store.slice(s![.., ..columns - 3]),
            1 => self.store.slice(s![..rows - 3, ..]).reversed_axes(),
            _ => self.store.slice(s![..;-2, ..;3]),
        }
    }
}

/// Checks products of dense factors, with many zeros in `lhs`, and with many zeros in `rhs`.
fn check(isa: Isa, m: usize, k: usize, n: usize) {
    for (left, right) in [(1.0, 1.0), (0.3, 1.0), (1.0, 0.3)] {
        check_product(isa, &with_zeros(m, k, 1, |_| left), &with_zeros(k, n, 2, |_| right));
    }
}

fn check_product(isa: Isa, a: &Array2<f32>, b: &Array2<f32>) {
    let ((m, k), n) = (a.dim(), b.ncols());
    let c = random(m, n, 3);
    let fused = FUSED || isa != Isa::Portable;
    for accum in [Accum::Replace, Accum::Add] {
        let start = |i, j| if accum == Accum::Add { c[[i, j]] } else { 0.0 };
        let chain = Array2::from_shape_fn((m, n), |(i, j)| {
            (0..k).fold(start(i, j), |sum, p| {
                if fused { a[[i, p]].mul_add(b[[p, j]], sum) } else { a[[i, p]] * b[[p, j]] + sum }
            })
        });
        let exact = Array2::from_shape_fn((m, n), |(i, j)| {
            (0..k).fold(f64::from(start(i, j)), |sum, p| sum + f64::from(a[[i, p]]) * f64::from(b[[p, j]]))
        });
        for (lhs, rhs) in (0..9).map(|pair| (pair / 3, pair % 3)) {
            let mut store = Array2::from_elem((m, n + 5), f32::NAN);
            let mut dst = store.slice_mut(s![.., 2..n + 2]);
            if accum == Accum::Add {
                dst.assign(&c);
            }
            // A sum, so that zeros of both factors are skipped.
            gemm_sum(accum, dst, [(Embedded::new(a, lhs).view(), Embedded::new(b, rhs).view())]);
            let what = format!("{isa:?}, {accum:?}, {m}x{k}x{n}, layouts {lhs} and {rhs}");
            let inside = store.slice(s![.., 2..n + 2]);
            assert!(inside.iter().zip(&chain).all(|(x, y)| x.to_bits() == y.to_bits()), "{what}");
            let near = |(x, y): (&f32, &f64)| (f64::from(*x) - y).abs() <= 1e-6 * (k + 1) as f64;
            assert!(inside.iter().zip(&exact).all(near), "{what}");
            let outside =
                store.slice(s![.., ..2]).iter().chain(store.slice(s![.., n + 2..])).all(|x| x.is_nan());
            assert!(outside, "{what}: wrote outside");
        }
    }
}

#[test]
fn awkward_shapes_in_every_layout() {
    on_every_isa(|isa| {
        for m in [1, 2, 3, 5, 8, 12, 13, 25, 31] {
            for n in [1, 7, 8, 9, 15, 16, 17, 31, 33, 47, 64, 65, 100, 131] {
                for k in [1, 2, 17, 37] {
                    check(isa, m, k, n);
                }
            }
        }
        for (m, k, n) in
            [(64, 784, 100), (3, 1031, 37), (1, 513, 784), (100, 512, 33), (23, 1537, 90), (300, 130, 97)]
        {
            check(isa, m, k, n);
        }
    });
}

#[test]
fn empty_products() {
    on_every_isa(|isa| {
        for (m, k, n) in [(0, 3, 4), (3, 0, 4), (3, 4, 0), (0, 0, 0)] {
            check(isa, m, k, n);
        }
    });
}

#[test]
fn a_row_does_not_depend_on_other_rows() {
    on_every_isa(|isa| {
        // All products of the first matrix are dense. In the second, some rows are dense and others almost empty.
        let b = random(784, 100, 5);
        let sides = [random(64, 784, 4), with_zeros(64, 784, 4, |row| (row % 8) as f32 / 7.0)];
        for (a, layout) in sides.iter().flat_map(|a| [0, 1, 2].map(|layout| (a, layout))) {
            let b = Embedded::new(&b, layout);
            let product = |rows: ArrayView2<f32>| {
                let mut result = Array2::zeros((rows.nrows(), 100));
                gemm(Accum::Replace, result.view_mut(), rows, b.view());
                result
            };
            let all = product(a.view());
            for (first, rows) in [(0, 1), (5, 1), (63, 1), (5, 3), (7, 1), (40, 9), (47, 17)] {
                let some = product(a.slice(s![first..first + rows, ..]));
                assert_eq!(some, all.slice(s![first..first + rows, ..]), "{isa:?}, {rows} rows from {first}");
            }
        }
    });
}

#[test]
fn a_sum_is_one_product_after_the_other() {
    // Steps and layouts of `rhs`: terms that fit one pass; more than fit one, in number and in steps; some transposed and
    // some not; empty ones; none at all.
    let many: Vec<_> = (0..20).map(|i| (1 + i % 3, 0)).collect();
    let sums: [&[(usize, usize)]; 6] = [
        &[(64, 0), (64, 0)],
        &[(300, 0), (300, 0), (5, 0)],
        &many,
        &[(3, 0), (0, 0), (17, 1), (4, 2)],
        &[(0, 0)],
        &[],
    ];
    on_every_isa(|isa| {
        for (sum, (m, n)) in
            sums.into_iter().flat_map(|sum| [(1, 40), (64, 100), (13, 5)].map(|shape| (sum, shape)))
        {
            let terms: Vec<_> = (1..)
                .zip(sum)
                .map(|(seed, &(k, layout))| {
                    // Many zeros in `lhs`, in `rhs`, in neither.
                    let densities = [(0.3, 1.0), (1.0, 0.3), (1.0, 0.3), (1.0, 1.0)];
                    let (left, right) = densities[seed as usize % densities.len()];
                    let (lhs, rhs) =
                        (with_zeros(m, k, seed, |_| left), with_zeros(k, n, seed + 100, |_| right));
                    (Embedded::new(&lhs, 1), Embedded::new(&rhs, layout))
                })
                .collect();
            let pairs = || terms.iter().map(|(lhs, rhs)| (lhs.view(), rhs.view()));
            for accum in [Accum::Replace, Accum::Add] {
                let start = random(m, n, 7);
                let (mut found, mut expected) = (start.clone(), start);
                if accum == Accum::Replace {
                    expected.fill(0.0);
                }
                pairs().for_each(|(lhs, rhs)| gemm(Accum::Add, expected.view_mut(), lhs, rhs));
                gemm_sum(accum, found.view_mut(), pairs());
                assert_eq!(found, expected, "{isa:?}, {accum:?}, {m}x{n}, {sum:?}");
            }
        }
    });
}

#[test]
fn nan_is_never_skipped() {
    on_every_isa(|isa| {
        for (layout, rows) in [0, 1, 2].into_iter().flat_map(|layout| [1, 3, 40].map(|rows| (layout, rows))) {
            let row = rows - 1;
            let place = format!("{isa:?}, layout {layout}, {rows} rows");
            let product = |a: &Array2<f32>, b: &Array2<f32>| {
                let mut result = Array2::zeros((a.nrows(), b.ncols()));
                gemm(Accum::Replace, result.view_mut(), Embedded::new(a, layout).view(), b.view());
                result
            };
            let mut sparse = with_zeros(rows, 70, 1, |_| 0.3);
            sparse[[row, 5]] = f32::NAN;
            assert!(product(&sparse, &random(70, 50, 2)).row(row).iter().all(|x| x.is_nan()), "{place}");
            let mut dense = random(rows, 70, 1);
            dense[[row, 5]] = f32::NAN;
            let mut sparse = with_zeros(70, 50, 1, |_| 0.3);
            assert!(
                product(&dense, &sparse).row(row).iter().all(|x| x.is_nan()),
                "{place}, zeros of weights"
            );
            sparse[[5, 49]] = f32::NAN;
            assert!(product(&random(rows, 70, 2), &sparse).column(49).iter().all(|x| x.is_nan()), "{place}");
        }
    });
}

#[test]
fn zeros_decide_the_strategy() {
    let [dense, transposed, sparse, both] =
        [(Kernel::Dense, false), (Kernel::Dense, true), (Kernel::Sparse, false), (Kernel::Sparse, true)]
            .map(|(kernel, transposed)| Strategy { kernel, transposed });
    let choose = |a: &Array2<f32>, b: &Array2<f32>| {
        let matrix = |view: ArrayView2<f32>| Matrix::new(view.as_ptr().cast_mut(), view.strides());
        [(0, 0), (0, 1), (0, 2), (1, 0)].map(|(left, right)| {
            let a = Embedded::new(a, left);
            let b = Embedded::new(b, right);
            let term = Term { k: a.view().ncols(), lhs: matrix(a.view()), rhs: matrix(b.view()) };
            // SAFETY: the shapes match and are not empty, and the views outlive the call.
            unsafe { Strategy::choose(a.view().nrows(), b.view().ncols(), term, Skippable::AllZeros) }
        })
    };
    let full = random(200, 100, 1);
    let [fifth, half, most] = [0.2, 0.5, 0.8].map(|density| with_zeros(200, 100, 1, |_| density));
    let b = random(100, 100, 2);
    let half_b = with_zeros(100, 100, 2, |_| 0.45);
    assert_eq!(choose(&full, &b), [dense, transposed, transposed, dense]);
    assert_eq!(choose(&half, &b), [sparse; 4]);
    assert_eq!(choose(&most, &b), [dense, transposed, transposed, dense]);
    // In a sum, zeros of `rhs` count, too.
    assert_eq!(choose(&full, &half_b), [both, transposed, transposed, both]);
    assert_eq!(choose(&most, &half_b), [both, transposed, transposed, both]);
    assert_eq!(choose(&half, &half_b), [sparse; 4]);
    assert_eq!(choose(&fifth, &half_b), [sparse; 4]);
    assert_eq!(choose(&half, &with_zeros(100, 100, 2, |_| 0.2)), [both, sparse, sparse, both]);
    // Narrow results need more zeros.
    let more = with_zeros(200, 100, 1, |_| 0.55);
    assert_eq!(choose(&more, &b)[0], sparse);
    assert_eq!(choose(&more, &random(100, 17, 2))[0], dense);
    assert_eq!(choose(&fifth, &random(100, 17, 2))[0], sparse);
    // A single row, if the rows of `rhs` are contiguous; too few columns for a vector; too few rows to transpose.
    let row = random(1, 100, 1);
    assert_eq!(choose(&row, &b), [sparse, transposed, transposed, sparse]);
    assert_eq!(choose(&fifth, &random(100, 15, 2)), [dense, transposed, transposed, dense]);
    assert_eq!(choose(&random(15, 100, 1), &half_b), [dense, transposed, transposed, dense]);
}

#[test]
#[should_panic(expected = "gemm: (2, 3) times (4, 5) into 2x5")]
fn mismatched_shapes_panic() {
    gemm(Accum::Add, Array2::zeros((2, 5)).view_mut(), random(2, 3, 1).view(), random(4, 5, 1).view());
}

#[test]
#[should_panic(expected = "rows of the result must be contiguous")]
fn a_strided_result_panics() {
    let mut dst = Array2::zeros((5, 2)).reversed_axes();
    gemm(Accum::Add, dst.view_mut(), random(2, 3, 1).view(), random(3, 5, 1).view());
}

/// Holds for every strategy: the zero terms that a sparse product skips would have turned -0 into 0.
#[test]
fn sums_that_underflow_are_positive_zero() {
    on_every_isa(|isa| {
        for (m, n) in [(1, 16), (1, 100), (7, 16), (64, 33), (64, 100)] {
            for nonzero in [40, 4] {
                let lhs = Array2::from_shape_fn((m, 40), |(_, p)| if p < nonzero { 1e-30 } else { 0.0 });
                let rhs = Array2::from_elem((40, n), -1e-30);
                let mut dst = Array2::from_elem((m, n), f32::NAN);
                gemm(Accum::Replace, dst.view_mut(), lhs.view(), rhs.view());
                assert!(dst.iter().all(|x| x.to_bits() == 0), "{isa:?}, {m}x{n}, {nonzero} of 40");
            }
        }
    });
}
