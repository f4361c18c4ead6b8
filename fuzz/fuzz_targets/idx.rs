//! IDX files, as arrays and as images. An array that loads has as many elements as its shape says.
#![no_main]

use autoencoder::data::idx;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    if let Ok(array) = idx::read_array(file, "file") {
        assert_eq!(array.bytes.len(), array.shape.iter().product::<usize>());
        if let Ok(images) = idx::image_set("images", array, None) {
            assert_eq!(images.pixels().len(), images.len() * images.features());
        }
    }
});
