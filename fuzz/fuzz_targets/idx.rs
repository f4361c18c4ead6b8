//! IDX files, as arrays, as images and as labels. An array that loads has as many elements as its shape says.
#![no_main]

use autoencoder::data::idx;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    if let Ok(array) = idx::read_array(file, "file") {
        let elements = array.shape.iter().product::<usize>();
        assert!(array.bytes.len().is_multiple_of(elements.max(1)), "{} of {elements}", array.bytes.len());
        if let Ok(labels) = array.labels() {
            assert_eq!(labels.len(), array.shape[0]);
        }
        for shape in [None, Some((1, 2)), Some((2, 2))] {
            if let Ok(images) = array.clone().images("images", shape) {
                assert_eq!(images.pixels().len(), images.len() * images.features());
                assert_eq!(images.clone().transpose().transpose(), images);
            }
        }
    }
});
