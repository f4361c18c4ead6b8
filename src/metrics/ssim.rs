use crate::{
    data::channels,
    error::{Error, Result},
};
use ndarray::{ArrayRef1, ArrayRef2, s};
use rayon::prelude::*;

/// Taps of the window: a Gaussian with standard deviation 1.5, truncated at 3.5 deviations.
const TAPS: usize = 11;
const DEVIATION: f64 = 1.5;
const K1: f64 = 0.01;
const K2: f64 = 0.03;

/// Returns the structural similarity of two images of `shape` (height, width), whose values have the range `data_range`. It
/// is at most 1 (Wang et al. 2004, <https://doi.org/10.1109/TIP.2003.819861>).
///
/// Images are gray, with height * width values, or in color, with 3 * height * width, the channels of a pixel together; the
/// similarity is then the mean over the channels.
///
/// For one channel, the result is the mean over all positions of a window of 11 x 11 pixels with Gaussian weights (standard deviation 1.5), with
/// population covariances. It equals scikit-image's with `gaussian_weights=True, sigma=1.5, use_sample_covariance=False`
/// and the same data range; for color, also `channel_axis=2`.
///
/// ```
/// use autoencoder::{data::digits, metrics::ssim};
/// let digits = digits::generate(2, 1)?.to_array()?;
/// assert_eq!(ssim(&digits.row(0), &digits.row(0), (28, 28), 1.0)?, 1.0);
/// assert!(ssim(&digits.row(0), &digits.row(1), (28, 28), 1.0)? < 0.9);
/// # Ok::<(), autoencoder::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] if an image does not have that many values or is smaller than the window, [`Error::Setting`] if the data
/// range is not a finite number above 0.
pub fn ssim(
    image: &ArrayRef1<f32>,
    reference: &ArrayRef1<f32>,
    shape: (usize, usize),
    data_range: f64,
) -> Result<f64> {
    if !(data_range > 0.0 && data_range.is_finite()) {
        return Err(Error::setting("data_range", data_range, "a finite number above 0"));
    }
    if shape.0.min(shape.1) < TAPS {
        return Err(Error::shape(
            "(height, width) of images for SSIM",
            format_args!("at least 11 each"),
            shape,
        ));
    }
    let channels = channels(shape, reference.len())?;
    if image.len() != reference.len() {
        return Err(Error::shape("pixels of an image to compare", reference.len(), image.len()));
    }
    let channel = |first: usize| {
        let values = |image: &ArrayRef1<f32>| {
            image.slice(s![first..; channels]).iter().map(|&value| f64::from(value)).collect::<Vec<_>>()
        };
        similarity(&values(image), &values(reference), shape, data_range)
    };
    Ok((0..channels).map(channel).sum::<f64>() / channels as f64)
}

/// The similarity of one channel.
fn similarity(x: &[f64], y: &[f64], shape: (usize, usize), data_range: f64) -> f64 {
    let smooth = |value: &dyn Fn(usize) -> f64| windows(&(0..x.len()).map(value).collect::<Vec<_>>(), shape);
    let mean_x = smooth(&|i| x[i]);
    let mean_y = smooth(&|i| y[i]);
    let mean_xx = smooth(&|i| x[i] * x[i]);
    let mean_yy = smooth(&|i| y[i] * y[i]);
    let mean_xy = smooth(&|i| x[i] * y[i]);
    let c1 = (K1 * data_range).powi(2);
    let c2 = (K2 * data_range).powi(2);
    let at = |i: usize| {
        let square_x = mean_x[i] * mean_x[i];
        let square_y = mean_y[i] * mean_y[i];
        let product = mean_x[i] * mean_y[i];
        let variances = (mean_xx[i] - square_x) + (mean_yy[i] - square_y);
        let covariance = mean_xy[i] - product;
        (2.0 * mean_x[i] * mean_y[i] + c1) * (2.0 * covariance + c2)
            / ((square_x + square_y + c1) * (variances + c2))
    };
    (0..mean_x.len()).map(at).sum::<f64>() / mean_x.len() as f64
}

/// Returns the mean of [`ssim`] over pairs of images, both `[images, height * width]`, or three times as wide for color.
///
/// # Errors
/// As [`ssim`], and [`Error::Shape`] if the shapes differ or there are no images.
pub fn ssim_mean(
    images: &ArrayRef2<f32>,
    references: &ArrayRef2<f32>,
    shape: (usize, usize),
    data_range: f64,
) -> Result<f64> {
    if images.dim() != references.dim() || images.is_empty() {
        return Err(Error::shape("images to compare", references.dim(), images.dim()));
    }
    let pair = |row| ssim(&images.row(row), &references.row(row), shape, data_range);
    let each = (0..images.nrows()).into_par_iter().map(pair).collect::<Result<Vec<_>>>()?;
    Ok(each.iter().sum::<f64>() / each.len() as f64)
}

/// The weighted mean of the window at each of its positions, row by row.
fn windows(image: &[f64], (height, width): (usize, usize)) -> Vec<f64> {
    let taps = taps();
    let rows = height - TAPS + 1;
    let columns = width - TAPS + 1;
    let mut across = vec![0.0; height * columns];
    for (mean, row) in across.chunks_exact_mut(columns).zip(image.chunks_exact(width)) {
        taps.iter().zip(row.windows(columns)).for_each(|(tap, shifted)| add_scaled(mean, *tap, shifted));
    }
    let mut means = vec![0.0; rows * columns];
    for (y, mean) in means.chunks_exact_mut(columns).enumerate() {
        let below = across[y * columns..].chunks_exact(columns);
        taps.iter().zip(below).for_each(|(tap, row)| add_scaled(mean, *tap, row));
    }
    means
}

fn add_scaled(sum: &mut [f64], factor: f64, values: &[f64]) {
    sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor * value);
}

fn taps() -> [f64; TAPS] {
    let weight = |tap: usize| (-0.5 * ((tap as f64 - (TAPS / 2) as f64) / DEVIATION).powi(2)).exp();
    let taps: [f64; TAPS] = std::array::from_fn(weight);
    let sum: f64 = taps.iter().sum();
    taps.map(|tap| tap / sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;
    use ndarray::{Array1, Array2};

    /// Image `i` of the pair that `tests/golden/ssim.py` describes.
    fn pair((height, width): (usize, usize), i: f64) -> [Array1<f32>; 2] {
        let place = |index: usize| ((index % width) as f64, (index / width) as f64);
        let a = Array1::from_shape_fn(height * width, |index| {
            let (x, y) = place(index);
            (0.5 + 0.5 * (0.3 * x + 0.2 * y * (i + 1.0) + i).sin()) as f32
        });
        let b = Array1::from_shape_fn(height * width, |index| {
            let (x, y) = place(index);
            (f64::from(a[index]) + 0.1 * (i + 1.0) * (1.7 * x + 2.3 * y).sin()) as f32
        });
        [a, b]
    }

    #[test]
    fn values_equal_those_of_scikit_image() {
        let mut lines = 0;
        for line in include_str!("../../tests/golden/ssim.csv").lines().skip(1) {
            let fields: Vec<f64> = line.split(',').map(|field| field.parse().unwrap()).collect();
            let shape = (fields[0] as usize, fields[1] as usize);
            let [a, b] = pair(shape, fields[2]);
            let found = ssim(&a, &b, shape, fields[3]).unwrap();
            assert_abs_diff_eq!(found, fields[4], epsilon = 1e-6);
            lines += 1;
        }
        assert_eq!(lines, 24);
    }

    /// Of two even images only the first constant is left: black against gray.
    #[test]
    fn even_images_differ_by_the_first_constant() {
        let (black, gray) = (Array1::zeros(144), Array1::from_elem(144, 0.5));
        let found = ssim(&black, &gray, (12, 12), 1.0).unwrap();
        assert_abs_diff_eq!(found, 1e-4 / (0.25 + 1e-4), epsilon = 1e-9);
    }

    #[test]
    fn colors_are_compared_channel_by_channel() {
        let shape = (12, 15);
        let pairs = [0.0, 1.0, 2.0].map(|i| pair(shape, i));
        let interleaved =
            |which: usize| Array1::from_shape_fn(3 * 180, |index| pairs[index % 3][which][index / 3]);
        let expected = pairs.iter().map(|[a, b]| ssim(a, b, shape, 1.0).unwrap()).sum::<f64>() / 3.0;
        let found = ssim(&interleaved(0), &interleaved(1), shape, 1.0).unwrap();
        assert_abs_diff_eq!(found, expected, epsilon = 1e-12);
        assert!(ssim(&interleaved(0), &pairs[0][1], shape, 1.0).is_err());
    }

    #[test]
    fn the_mean_is_over_images() {
        let shape = (12, 15);
        let [first, second] = [pair(shape, 0.0), pair(shape, 3.0)];
        let stack = |which: usize| {
            Array2::from_shape_fn((2, 180), |(row, pixel)| [&first, &second][row][which][pixel])
        };
        let expected = [&first, &second].map(|[a, b]| ssim(a, b, shape, 1.0).unwrap());
        let found = ssim_mean(&stack(0), &stack(1), shape, 1.0).unwrap();
        assert_abs_diff_eq!(found, (expected[0] + expected[1]) / 2.0, epsilon = 1e-12);
    }

    #[test]
    fn images_of_the_wrong_size_are_errors() {
        let [a, b] = pair((12, 15), 0.0);
        for (shape, range) in
            [((10, 18), 1.0), ((12, 14), 1.0), ((usize::MAX, 15), 1.0), ((12, 15), 0.0), ((12, 15), f64::NAN)]
        {
            assert!(ssim(&a, &b, shape, range).is_err(), "{shape:?}");
        }
        let none = Array2::zeros((0, 180));
        assert!(ssim_mean(&none, &none, (12, 15), 1.0).is_err());
    }
}
