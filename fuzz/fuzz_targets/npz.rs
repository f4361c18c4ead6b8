//! NumPy's archives: the list of arrays, and the only array as images, rows and labels.
#![no_main]

use autoencoder::data::npz;
use std::io::Cursor;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    let stream = || Cursor::new(file);
    if let Ok(arrays) = npz::read_arrays(stream(), "file") {
        for array in arrays.iter().take(3) {
            assert!(!array.to_string().contains('\n'));
            let _ = npz::read(stream(), "file", Some(&array.name), Some((2, 2)));
        }
    }
    if let Ok(images) = npz::read(stream(), "file", None, None) {
        assert_eq!(images.pixels().len(), images.len() * images.features());
    }
});
