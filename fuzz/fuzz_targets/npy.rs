//! NumPy files, with and without a requested shape.
#![no_main]

use autoencoder::data::npy;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    for shape in [None, Some((1, 2)), Some((2, 2))] {
        if let Ok(images) = npy::read(file, "file", shape) {
            assert_eq!(images.pixels().len(), images.len() * images.features());
            assert!(shape.is_none_or(|shape| shape == images.image_shape()));
        }
    }
});
