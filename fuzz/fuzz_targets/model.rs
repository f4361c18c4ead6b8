//! Models in safetensors files. A model that loads has finite weights and can be applied.
#![no_main]

use autoencoder::{Autoencoder, ndarray::Array2};

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    if let Ok(model) = Autoencoder::from_bytes(file, "file") {
        assert!(model.layers().iter().all(|layer| layer.dense.weight().iter().all(|w| w.is_finite())));
        let rows = Array2::zeros((1, model.inputs()));
        assert_eq!(model.reconstruct(&rows).unwrap().dim(), rows.dim());
    }
});
