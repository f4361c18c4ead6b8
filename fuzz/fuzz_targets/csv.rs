//! CSV tables, with and without options, as numbers and as images. A table that loads has finite numbers.
#![no_main]

use autoencoder::data::csv::{self, CsvOptions};

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    let forced = CsvOptions { delimiter: Some(b','), header: Some(false), label: Some("1".to_owned()) };
    for options in [CsvOptions::default(), forced] {
        if let Ok(table) = csv::read(file, "file", &options) {
            assert!(table.rows.iter().all(|number| number.is_finite()));
            assert!(table.columns.is_empty() || table.columns.len() == table.rows.ncols());
            assert!(table.labels.as_ref().is_none_or(|labels| labels.len() == table.rows.nrows()));
            for shape in [(1, table.rows.ncols()), (2, 2)] {
                if let Ok(images) = table.images("images", shape) {
                    assert_eq!((images.len(), images.image_shape()), (table.rows.nrows(), shape));
                }
            }
        }
    }
});
