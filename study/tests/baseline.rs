//! Linear methods on degenerate rows, and on real data if `AUTOENCODER_DATA` names its folder.

use autoencoder::{
    Error,
    data::{
        Noise,
        catalog::{DATA_VARIABLE, PublishedDataset, Split},
    },
    metrics::ImageQuality,
};
use autoencoder_study::baseline::Pca;
use ndarray::Array2;
use std::{
    env,
    io::{self, Write},
    path::PathBuf,
};

#[test]
fn linear_methods_of_degenerate_rows_are_defined() {
    for rows in [
        Array2::zeros((9, 5)),
        Array2::from_elem((9, 5), 0.3),
        Array2::from_shape_fn((1, 5), |(_, column)| column as f32),
        Array2::from_elem((1, 1), 0.3),
    ] {
        let pca = Pca::fit(&rows).unwrap();
        // All rows are the same image, so all linear methods return it for any input.
        assert!(pca.variances().iter().all(|&variance| variance < 1e-12));
        for map in [pca.reconstruction(0), pca.reconstruction(1), pca.denoiser(0.0), pca.denoiser(1e300)] {
            let found = map.unwrap().apply(rows.view()).unwrap();
            assert!(ImageQuality::compare(&found, &rows, 1.0).unwrap().mse < 1e-12);
        }
    }
    for bad in [f32::NAN, f32::INFINITY] {
        assert!(matches!(Pca::fit(&Array2::from_elem((4, 3), bad)), Err(Error::Data { .. })));
    }
    let pca = Pca::fit(&Array2::from_elem((4, 3), f32::MAX)).unwrap();
    assert!(pca.variances().iter().all(|variance| variance.is_finite()));
}

/// The folder of data sets, or a message on standard error, which the test runner does not capture.
fn data(test: &str) -> Option<PathBuf> {
    let folder = env::var_os(DATA_VARIABLE).filter(|value| !value.is_empty());
    if folder.is_none() {
        let word = format!("{test}: skipped, {DATA_VARIABLE} names no data\n");
        io::stderr().write_all(word.as_bytes()).unwrap();
    }
    folder.map(PathBuf::from)
}

/// PCA and the linear denoiser on real data, compared with the results of a separate f64 program.
#[test]
fn linear_baselines_reach_their_figures() {
    let Some(folder) = data("linear_baselines_reach_their_figures") else { return };
    for (known, components, expected, denoised) in
        [(PublishedDataset::Mnist, 30, 17.52, 15.75), (PublishedDataset::FashionMnist, 30, 18.06, 16.16)]
    {
        let [train, test] =
            [Split::Train, Split::Test].map(|split| known.load(split, Some(&folder)).unwrap());
        let pca = Pca::fit(&train).unwrap();
        let clean = test.to_array().unwrap();
        let quality = |output: &Array2<f32>| ImageQuality::compare(output, &clean, 1.0).unwrap();
        let rough = quality(&pca.reconstruction(components).unwrap().apply(clean.view()).unwrap());
        assert!((rough.psnr_pooled_db - expected).abs() < 0.01, "{rough:?}");
        if known == PublishedDataset::Mnist {
            assert!((rough.mse * 784.0 - 13.866).abs() < 0.001, "{rough:?}");
        }
        let noisy = Noise::gaussian(0.5).unwrap().corrupt(&clean, 1);
        let found = quality(&pca.denoiser(0.5).unwrap().apply(noisy.view()).unwrap());
        assert!((found.psnr_pooled_db - denoised).abs() < 0.05, "{found:?}");
    }
}
