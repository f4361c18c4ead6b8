//! Gzip data after the two magic bytes, so that the input always reaches the decoder.
#![no_main]

use autoencoder::data::idx;

libfuzzer_sys::fuzz_target!(|rest: &[u8]| {
    let file = [&[0x1f, 0x8b], rest].concat();
    if let Ok(array) = idx::read_array(&file[..], "file") {
        let elements = array.shape.iter().product::<usize>();
        assert!(array.bytes.len().is_multiple_of(elements.max(1)), "{} of {elements}", array.bytes.len());
    }
});
