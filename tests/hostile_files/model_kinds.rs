//! Models as people have them: weights of other widths, other names, and files of another format.

use crate::{
    FIXED, every_bit_flipped,
    model::{METADATA, TENSORS, file, header, of_type, read, tensor},
    peak, refused,
};

/// The model with elements of another type.
fn converted<const N: usize>(dtype: &str, values: [[u8; N]; 17]) -> Vec<u8> {
    let tensors =
        TENSORS.map(|(name, shape, start, end)| of_type(dtype, (name, shape, start / 4 * N, end / 4 * N)));
    file(&format!("{{{METADATA},{}}}", tensors.join(",")), values.as_flattened())
}

/// Weights of 16 and 64 bits, truncated and with each bit flipped.
#[test]
fn weights_of_other_widths() {
    let halves = converted("F16", [0x3c00_u16.to_le_bytes(); 17]);
    let brains = converted("BF16", [0x3f80_u16.to_le_bytes(); 17]);
    let doubles = converted("F64", [1_f64.to_le_bytes(); 17]);
    let singles = read(&converted("F32", [1_f32.to_le_bytes(); 17])).unwrap();
    for file in [halves, brains, doubles] {
        assert_eq!(read(&file).unwrap(), singles);
        for length in 0..file.len() {
            refused(&file[..length], 8, read);
        }
        every_bit_flipped(&file, 0..file.len() * 8, 8, read);
    }
}

/// The error names the tensor, the value and its position.
#[test]
fn numbers_that_are_not_finite_in_single_precision() {
    let second = |bad: f64| {
        let mut values = [[0; 8]; 17];
        values[4] = bad.to_le_bytes();
        converted("F64", values)
    };
    for (bad, expected) in
        [(1e300, "1e300 at [1, 1]"), (f64::NAN, "NaN at [1, 1]"), (-3.5e38, "-3.5e38 at [1, 1]")]
    {
        let error = refused(&second(bad), 8, read);
        assert!(error.starts_with("file: tensor: expected `encoder.0.weight` of finite numbers"), "{error}");
        assert!(error.ends_with(expected), "{error}");
    }
    assert!(read(&second(1e-300)).is_ok());
    let mut halves = [[0; 2]; 17];
    halves[7] = 0x7c00_u16.to_le_bytes();
    let error = refused(&converted("F16", halves), 8, read);
    assert!(error.contains("`encoder.0.bias`") && error.ends_with("inf at [1]"), "{error}");
    for dtype in ["U8", "I64", "F8_E4M3"] {
        let size = if dtype == "I64" { 8 } else { 1 };
        let tensors = TENSORS
            .map(|(name, shape, start, end)| of_type(dtype, (name, shape, start / 4 * size, end / 4 * size)));
        let error =
            refused(&file(&format!("{{{METADATA},{}}}", tensors.join(",")), &vec![0; 17 * size]), 8, read);
        assert!(error.contains("as F32, F64, F16 or BF16, found"), "{error}");
    }
}

#[test]
fn metadata_that_are_null_or_no_strings() {
    let tensors = TENSORS.map(tensor).join(",");
    let error = refused(&file(&format!(r#"{{"__metadata__":null,{tensors}}}"#), &[0; 68]), 8, read);
    assert!(error.contains("found none; save the model with python/exchange.py"), "{error}");
    let numbers = METADATA.replacen('{', r#"{"epoch":3,"#, 1);
    let error = refused(&file(&format!("{{{numbers},{tensors}}}"), &[0; 68]), 8, read);
    assert!(error.contains("metadata `epoch`: invalid type: integer `3`, expected a string"), "{error}");
}

/// A tensor that is missing, extra or misnamed is named.
#[test]
fn tensors_with_other_names() {
    let renamed = |from: &str, to: &str| file(&header().replace(from, to), &[0; 68]);
    for (from, to, expected) in [
        (
            "encoder.0.weight",
            "encoder.0.weights",
            "found `encoder.0.weights`; did you mean `encoder.0.weight`?",
        ),
        ("\"encoder.", "\"module.encoder.", "`module.encoder.0.weight`, with the prefix of DataParallel"),
        ("\"encoder.0.weight", "\"net.encoder.0.weight", "remove the prefix `net.`"),
        ("encoder.0.weight", "layer1", "found no such tensor, but `layer1`"),
        ("[3,2]", "[2,3]", "expected `decoder.0.weight` of shape [3, 2], found [2, 3]; transpose it"),
    ] {
        let error = refused(&renamed(from, to), 8, read);
        assert!(error.contains(expected), "{expected}: {error}");
    }
    let extra = tensor(("classifier.weight", "[0]", 68, 68));
    let error = refused(
        &file(&format!("{{{METADATA},{},{extra}}}", TENSORS.map(tensor).join(",")), &[0; 68]),
        8,
        read,
    );
    assert!(error.ends_with("found `classifier.weight`; remove it"), "{error}");
}

#[test]
fn files_of_another_format_are_named() {
    let long = |start: &[u8]| [start, &[b' '; 2_000]].concat();
    for (start, expected) in [
        (
            b"PK\x03\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x08\0\0\0data.pkl".to_vec(),
            "PyTorch's own format",
        ),
        (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.".to_vec(), "PyTorch's own format"),
        (b"\x08\x07\x12\x07pytorch".to_vec(), "an ONNX model"),
        (b"\x93NUMPY\x01\0".to_vec(), "a NumPy .npy file"),
        (b"version https://git-lfs.github.com/spec/v1\n".to_vec(), "`git lfs pull`"),
        (b"<!DOCTYPE html>".to_vec(), "an HTML page"),
        (b"\x1f\x8b\x08\0\0\0\0\0".to_vec(), "gzip; decompress it first"),
        (b"{\"weights\": 1}".to_vec(), "JSON text"),
        (vec![], "an empty file"),
    ] {
        for file in [start.clone(), if start.is_empty() { vec![] } else { long(&start) }] {
            let error = refused(&file, 8, read);
            assert!(
                error.starts_with("file: content: expected safetensors, found") && error.contains(expected),
                "{error}"
            );
        }
    }
}

/// Large weights of 16 or 64 bits take no more memory for their size than those of 32 bits.
#[test]
fn memory_is_that_of_the_file() {
    let metadata = METADATA
        .replace(r#"\"inputs\":3"#, r#"\"inputs\":30000"#)
        .replace(r#"\"outputs\":3"#, r#"\"outputs\":30000"#);
    for (dtype, size) in [("F16", 2), ("BF16", 2), ("F32", 4), ("F64", 8)] {
        let mut end = 0;
        let mut next = |name, shape, elements: usize| {
            let start = end;
            end += elements * size;
            of_type(dtype, (name, shape, start, end))
        };
        let tensors = [
            next("encoder.0.weight", "[2,30000]", 60_000),
            next("encoder.0.bias", "[2]", 2),
            next("decoder.0.weight", "[30000,2]", 60_000),
            next("decoder.0.bias", "[30000]", 30_000),
        ];
        let file = file(&format!("{{{metadata},{}}}", tensors.join(",")), &vec![0; end]);
        let (model, held) = peak(|| read(&file));
        assert_eq!(model.unwrap().widths(), [30000, 2, 30000]);
        assert!(held <= FIXED + 8 * file.len(), "{dtype}: {held} for {}", file.len());
    }
}
