//! Linear methods to compare autoencoders with: PCA and the linear MMSE denoiser.
//!
//! Both solve one eigenproblem. Let the training rows have mean `μ` and covariance `C = U Λ Uᵀ`. PCA with `d` components
//! reconstructs `μ + U diag(1, .., 1, 0, .., 0) Uᵀ (x - μ)`, the best linear map of that rank. The best linear denoiser
//! for white noise of variance `s` is `μ + U diag(λ / (λ + s)) Uᵀ (x - μ)`, the Wiener filter.

use crate::errors::{data, setting, shape};
use autoencoder::{
    Dataset, Result,
    bench::{Accum, elementwise, gemm, rows_mut},
};
use nalgebra::{DMatrix, SymmetricEigen};
use ndarray::{Array1, Array2, ArrayView2, Axis, linalg::general_mat_mul, s};
use rayon::prelude::*;

const BLOCK_ROWS: usize = 1_000;
/// Iterations after which the eigenvalue solver gives up. Images take a few thousand.
const MAX_ITERATIONS: usize = 1_000_000;

/// Principal component analysis: the mean, components and variances of a data set.
///
/// ```
/// use autoencoder::{data::digits, metrics::ImageQuality};
/// use autoencoder_study::baseline::Pca;
/// let digits = digits::generate(500, 1)?;
/// let pca = Pca::fit(&digits)?;
/// let images = digits.to_array()?;
/// let rough = pca.reconstruction(10)?.apply(images.view())?;
/// let fine = pca.reconstruction(100)?.apply(images.view())?;
/// let mse = |output: &ndarray::Array2<f32>| ImageQuality::compare(output, &images, 1.0).map(|q| q.mse);
/// assert!(mse(&fine)? < mse(&rough)? / 3.0);
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Pca {
    mean: Array1<f64>,
    /// One component per column, in the order of the variances.
    components: Array2<f64>,
    variances: Array1<f64>,
}

impl Pca {
    /// Computes the mean, the components and their variances (divided by the number of rows).
    ///
    /// # Errors
    /// If there are no rows, a value is not finite, or the eigenproblem does not converge.
    pub fn fit(samples: &dyn Dataset) -> Result<Self> {
        if samples.is_empty() || samples.features() == 0 {
            return Err(shape("rows to analyze", "at least 1 with 1 feature", samples.len()));
        }
        let (mean, covariance) = moments(samples);
        if !mean.iter().all(|m| m.is_finite()) {
            return Err(data("rows", "finite numbers", "others"));
        }
        let features = mean.len();
        let matrix = DMatrix::from_iterator(features, features, covariance);
        let Some(eigen) = SymmetricEigen::try_new(matrix, f64::EPSILON, MAX_ITERATIONS) else {
            return Err(setting("eigenvalues of the covariance", "not found", "finite eigenvalues"));
        };
        let mut order: Vec<usize> = (0..features).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        let vectors = &eigen.eigenvectors;
        Ok(Self {
            components: Array2::from_shape_fn((features, features), |(row, c)| vectors[(row, order[c])]),
            // Rounding may make a zero variance negative.
            variances: order.iter().map(|&c| eigen.eigenvalues[c].max(0.0)).collect(),
            mean,
        })
    }

    /// Returns the mean row `[features]`.
    pub fn mean(&self) -> &Array1<f64> {
        &self.mean
    }

    /// Returns the variances along the components, largest first.
    pub fn variances(&self) -> &Array1<f64> {
        &self.variances
    }

    /// Returns the components `[features, features]`, one per column, in the order of the variances.
    pub fn components(&self) -> &Array2<f64> {
        &self.components
    }

    /// Projects rows `[rows, features]`, minus the mean, onto the first components. Returns `[rows, components]`.
    ///
    /// # Errors
    /// If `components` exceeds the number of features, or the rows have a different number of features.
    pub fn project(&self, rows: ArrayView2<f32>, components: usize) -> Result<Array2<f32>> {
        self.check(components)?;
        if rows.ncols() != self.mean.len() {
            return Err(shape("features of a row", self.mean.len(), rows.ncols()));
        }
        let axes = self.components.slice(s![.., ..components]).mapv(|x| x as f32);
        Ok((&rows - &self.mean.mapv(|m| m as f32)).dot(&axes))
    }

    /// Returns the map that reconstructs rows from the first `components`.
    ///
    /// # Errors
    /// If `components` exceeds the number of features.
    pub fn reconstruction(&self, components: usize) -> Result<LinearMap> {
        self.check(components)?;
        Ok(self.map(|component| f64::from(u8::from(component < components))))
    }

    /// Returns the best linear denoiser for additive Gaussian noise that is not clamped.
    ///
    /// # Errors
    /// If the variance is negative or not finite.
    pub fn denoiser(&self, noise_variance: f64) -> Result<LinearMap> {
        if !(0.0..=f64::MAX).contains(&noise_variance) {
            return Err(setting("noise_variance", noise_variance, "a finite number of at least 0"));
        }
        Ok(self.map(|component| match self.variances[component] {
            0.0 => 0.0,
            variance => variance / (variance + noise_variance),
        }))
    }

    fn check(&self, components: usize) -> Result<()> {
        if components > self.mean.len() {
            return Err(setting("components", components, "at most the number of features"));
        }
        Ok(())
    }

    /// Returns the map `μ + U diag(gain) Uᵀ (x - μ)`.
    fn map(&self, gain: impl Fn(usize) -> f64) -> LinearMap {
        let gains = Array1::from_shape_fn(self.mean.len(), gain);
        let map = (&self.components * &gains).dot(&self.components.t());
        LinearMap { mean: self.mean.mapv(|m| m as f32), map: map.mapv(|m| m as f32) }
    }
}

/// A symmetric linear map around a mean.
#[derive(Debug, Clone)]
pub struct LinearMap {
    mean: Array1<f32>,
    map: Array2<f32>,
}

impl LinearMap {
    /// Applies the map to each row. Input and output are `[rows, features]`.
    ///
    /// # Errors
    /// If the inputs have a different number of features.
    pub fn apply(&self, inputs: ArrayView2<f32>) -> Result<Array2<f32>> {
        if inputs.ncols() != self.mean.len() {
            return Err(shape("features of a row", self.mean.len(), inputs.ncols()));
        }
        let mut outputs = Array2::zeros(inputs.dim());
        let blocks = outputs.axis_chunks_iter_mut(Axis(0), BLOCK_ROWS).into_par_iter();
        blocks.zip(inputs.axis_chunks_iter(Axis(0), BLOCK_ROWS)).for_each(|(mut output, input)| {
            gemm(Accum::Replace, output.view_mut(), (&input - &self.mean).view(), self.map.view());
            let mean = self.mean.as_slice().unwrap_or_default();
            rows_mut(output).for_each(|row| elementwise::add(row, mean));
        });
        Ok(outputs)
    }
}

/// Computes the mean and the covariance of the rows in f64, block by block, in order.
fn moments(samples: &dyn Dataset) -> (Array1<f64>, Array2<f64>) {
    let (count, features) = (samples.len(), samples.features());
    let mut row = vec![0.0; features];
    let mut mean = Array1::<f64>::zeros(features);
    for index in 0..count {
        samples.copy_row(index, &mut row);
        mean.iter_mut().zip(&row).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    mean /= count as f64;

    let mut covariance = Array2::zeros((features, features));
    for start in (0..count).step_by(BLOCK_ROWS) {
        let mut block = Array2::zeros((BLOCK_ROWS.min(count - start), features));
        for (index, mut centered) in block.outer_iter_mut().enumerate() {
            samples.copy_row(start + index, &mut row);
            let values = row.iter().zip(&mean).map(|(&x, mean)| f64::from(x) - mean);
            centered.iter_mut().zip(values).for_each(|(place, value)| *place = value);
        }
        general_mat_mul(1.0 / count as f64, &block.t(), &block, 1.0, &mut covariance);
    }
    (mean, covariance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;
    use ndarray::array;

    /// The rows lie near a line; components and variances are computed by hand.
    #[test]
    fn two_dimensions_by_hand() {
        let rows = array![[3.0_f32, 5.0], [5.0, 3.0], [0.0, 0.0], [8.0, 8.0]];
        let pca = Pca::fit(&rows).unwrap();
        // Centered at (4, 4): (-1, 1), (1, -1), (-4, -4), (4, 4).
        assert_abs_diff_eq!(pca.variances(), &array![16.0, 1.0], epsilon = 1e-12);
        let first = pca.components().column(0).mapv(f64::abs);
        assert_abs_diff_eq!(first, array![0.5_f64.sqrt(), 0.5_f64.sqrt()], epsilon = 1e-12);

        let along = pca.project(rows.view(), 1).unwrap().mapv(f32::abs);
        let root = 2.0_f32.sqrt();
        assert_abs_diff_eq!(along, array![[0.0], [0.0], [4.0 * root], [4.0 * root]], epsilon = 1e-5);
        let flat = pca.reconstruction(1).unwrap().apply(rows.view()).unwrap();
        assert_abs_diff_eq!(flat, array![[4.0, 4.0], [4.0, 4.0], [0.0, 0.0], [8.0, 8.0]], epsilon = 1e-5);
        // Gains 16 / 20 and 1 / 5.
        let denoised = pca.denoiser(4.0).unwrap().apply(rows.view()).unwrap();
        let expected = array![[3.8, 4.2], [4.2, 3.8], [0.8, 0.8], [7.2, 7.2]];
        assert_abs_diff_eq!(denoised, expected, epsilon = 1e-5);
        let all = pca.reconstruction(2).unwrap().apply(rows.view()).unwrap();
        assert_abs_diff_eq!(all, rows, epsilon = 1e-5);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let pca = Pca::fit(&array![[1.0_f32, 1.0], [1.0, 1.0]]).unwrap();
        assert!(pca.reconstruction(3).is_err() && pca.project(array![[1.0, 1.0]].view(), 3).is_err());
        assert!(pca.project(array![[1.0]].view(), 1).is_err());
        assert!(pca.denoiser(-1.0).is_err() && pca.denoiser(f64::NAN).is_err());
        assert!(pca.denoiser(0.0).unwrap().apply(array![[1.0]].view()).is_err());
        assert_eq!(pca.denoiser(0.0).unwrap().apply(array![[2.0, 3.0]].view()).unwrap(), array![[1.0, 1.0]]);
        assert!(Pca::fit(&Array2::<f32>::zeros((0, 2))).is_err());
        assert!(Pca::fit(&array![[f32::NAN, 1.0]]).is_err());
    }
}
