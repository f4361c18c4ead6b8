use crate::{every_bit_flipped, peak, refused};
use autoencoder::{Autoencoder, Error};

pub(crate) const METADATA: &str = r#""__metadata__":{"autoencoder":"{\"version\":1,\"inputs\":3,\"encoder\":[{\"outputs\":2,\"activation\":\"relu\",\"dropout\":0.0}],\"decoder\":[{\"outputs\":3,\"activation\":\"sigmoid\",\"dropout\":0.0}]}"}"#;
/// Tensors of a model 3-2-3: name, shape, first and last byte.
pub(crate) const TENSORS: [(&str, &str, usize, usize); 4] = [
    ("encoder.0.weight", "[2,3]", 0, 24),
    ("encoder.0.bias", "[2]", 24, 32),
    ("decoder.0.weight", "[3,2]", 32, 56),
    ("decoder.0.bias", "[3]", 56, 68),
];

pub(crate) fn read(file: &[u8]) -> Result<Autoencoder, Error> {
    Autoencoder::from_bytes(file, "file")
}

pub(crate) fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

pub(crate) fn tensor(entry: (&str, &str, usize, usize)) -> String {
    of_type("F32", entry)
}

pub(crate) fn of_type(dtype: &str, (name, shape, start, end): (&str, &str, usize, usize)) -> String {
    format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{start},{end}]}}"#)
}

pub(crate) fn header() -> String {
    format!("{{{METADATA},{}}}", TENSORS.map(tensor).join(","))
}

#[test]
fn truncated_at_every_byte() {
    let file = file(&header(), &[0; 68]);
    assert_eq!(read(&file).unwrap().widths(), [3, 2, 3]);
    for length in 0..file.len() {
        refused(&file[..length], 8, read);
    }
    let longer = [&file[..], &[0]].concat();
    assert!(refused(&longer, 8, read).contains("nothing after the tensors"));
}

#[test]
fn every_bit_flipped_once() {
    let file = file(&header(), &[0; 68]);
    let accepted = every_bit_flipped(&file, 0..(file.len() - 68) * 8, 8, read);
    assert!(accepted < 40, "{accepted}");
    // Flipping one bit of a zero cannot make it infinite.
    assert_eq!(every_bit_flipped(&file, (file.len() - 68) * 8..file.len() * 8, 8, read), 68 * 8);
}

#[test]
fn lengths_of_the_header() {
    let sound = file(&header(), &[0; 68]);
    let right = header().len() as u64;
    for length in (0..2_000).chain((0..64).map(|bit| 1 << bit)).chain([u64::MAX, u64::MAX - 7, 100_000_001]) {
        let mut file = sound.clone();
        file[..8].copy_from_slice(&length.to_le_bytes());
        if length != right {
            refused(&file, 8, read);
        }
    }
}

/// A NaN weight anywhere is refused.
#[test]
fn weights_that_are_not_finite() {
    for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for place in 0..17 {
            let mut data = [0; 68];
            data[4 * place..][..4].copy_from_slice(&bad.to_le_bytes());
            assert!(refused(&file(&header(), &data), 8, read).contains("finite"));
        }
    }
}

#[test]
fn tensors_that_overlap_or_leave_gaps() {
    for (place, start, end) in
        [(1, 0, 8), (1, 16, 24), (1, 20, 28), (1, 25, 33), (3, 60, 72), (0, 4, 28), (2, 56, 32), (3, 0, 12)]
    {
        let mut tensors = TENSORS;
        (tensors[place].2, tensors[place].3) = (start, end);
        let header = format!("{{{METADATA},{}}}", tensors.map(tensor).join(","));
        for length in [68, 72, 60] {
            refused(&file(&header, &vec![0; length]), 8, read);
        }
    }
}

/// Two tensors with the same name are refused (the last one used to win).
#[test]
fn names_that_come_twice() {
    let twice = format!("{},{}", tensor(TENSORS[0]), TENSORS.map(tensor).join(","));
    let error = refused(&file(&format!("{{{METADATA},{twice}}}"), &[0; 68]), 8, read);
    assert!(error.contains("`encoder.0.weight` twice"), "{error}");
    let header = format!("{{{METADATA},{METADATA},{}}}", TENSORS.map(tensor).join(","));
    assert!(refused(&file(&header, &[0; 68]), 8, read).contains("twice"));
}

/// Nine tensors that fit their shapes and end 4 bytes below 2^64, so that adding the header's length wraps around.
#[test]
fn offsets_that_wrap_around() {
    let largest = (1_usize << 61) - 4;
    let mut ends: Vec<_> = (0..=8).map(|i| i * largest).collect();
    ends.push(usize::MAX - 3);
    let tensors = ends.windows(2).enumerate().map(|(index, pair)| {
        let name = TENSORS.get(index).map_or(format!("t{index}"), |tensor| tensor.0.to_owned());
        tensor((&name, &format!("[{}]", (pair[1] - pair[0]) / 4), pair[0], pair[1]))
    });
    let header = format!("{{{METADATA},{}}}", tensors.collect::<Vec<_>>().join(","));
    for length in [0, 4, 68] {
        let error = refused(&file(&header, &vec![0; length]), 8, read);
        assert!(error.contains("expected 18446744073709551612 bytes"), "{error}");
    }
}

#[test]
fn types_and_shapes_of_every_other_kind() {
    let sound = header();
    for (from, to) in [
        ("\"F32\"", "\"F64\""),
        ("\"F32\"", "\"F16\""),
        ("\"F32\"", "\"F4\""),
        ("\"F32\"", "\"U8\""),
        ("\"F32\"", "\"nothing\\n\\u001b[31m\""),
        ("\"F32\"", "32"),
        ("\"F32\"", "null"),
        ("[2,3]", "[3,2]"),
        ("[2,3]", "[6]"),
        ("[2,3]", "[1,2,3]"),
        ("[2,3]", "[]"),
        ("[2,3]", "[-2,-3]"),
        ("[2,3]", "[2.0,3.0]"),
        ("[2,3]", "[4294967295,4294967295,4294967295]"),
        ("[2,3]", "[18446744073709551615,2]"),
        ("[2,3]", "[18446744073709551616]"),
        ("[2,3]", "[0,3]"),
        ("[0,24]", "[0]"),
        ("[0,24]", "[0,24,24]"),
        ("[0,24]", "[24,0]"),
        ("[0,24]", "[-1,23]"),
        ("[0,24]", "[0,18446744073709551615]"),
        ("data_offsets", "offsets"),
        ("__metadata__", "__metadata_"),
        ("\"autoencoder\"", "\"autodecoder\""),
        (r#"{"autoencoder":"#, r#"{"other":1,"autoencoder":"#),
        (r#"\"inputs\":3"#, r#"\"inputs\":0"#),
        (r#"\"inputs\":3"#, r#"\"inputs\":4294967295"#),
        (r#"\"inputs\":3"#, r#"\"inputs\":18446744073709551615"#),
        (r#"\"inputs\":3"#, r#"\"inputs\":-3"#),
        (r#"\"dropout\":0.0"#, r#"\"dropout\":1e999"#),
        (r#"\"dropout\":0.0"#, r#"\"dropout\":-0.5"#),
        (r#"\"relu\""#, r#"{\"leaky_relu\":{\"slope\":1e999}}"#),
        (r#"\"version\":1"#, r#"\"version\":1,\"version\":1"#),
        (r#"\"encoder\":["#, r#"\"encoder\":[],\"more\":["#),
    ] {
        let damaged = sound.replacen(from, to, 1);
        assert_ne!(damaged, sound, "{from}");
        refused(&file(&damaged, &[0; 68]), 8, read);
    }
    for header in ["", "{}", "[]", "null", "{", "\u{feff}{}", "{\"__metadata__\":null}", "{\"a\":{}}"] {
        refused(&file(header, &[]), 8, read);
        refused(&file(header, &[0; 68]), 8, read);
    }
    for bracket in ["[", "{\"a\":", "{\"__metadata__\":{\"autoencoder\":"] {
        refused(&file(&bracket.repeat(100_000), &[]), 8, read);
    }
    refused(&[&8_u64.to_le_bytes()[..], &[0xff; 8]].concat(), 8, read);
}

#[test]
fn ten_thousand_tensors() {
    let name = |i: usize| format!("encoder.{}.{}", 2 * (i / 2), ["weight", "bias"][i % 2]);
    let all: Vec<_> = (0..10_000).map(|i| tensor((&name(i), "[1]", 4 * i, 4 * i + 4))).collect();
    let error = refused(&file(&format!("{{{METADATA},{}}}", all.join(",")), &[0; 40_000]), 8, read);
    assert!(error.contains("expected `decoder.0.weight`, found no such tensor"), "{error}");
    let same = vec![tensor(TENSORS[0]); 10_000].join(",");
    refused(&file(&format!("{{{METADATA},{same}}}"), &[0; 68]), 8, read);
    let empty: Vec<_> = (0..10_000).map(|i| tensor((&format!("t{i}"), "[0]", 0, 0))).collect();
    refused(&file(&format!("{{{METADATA},{}}}", empty.join(",")), &[]), 8, read);
}

/// A model of ten thousand tensors loads.
#[test]
fn a_model_of_ten_thousand_tensors() {
    let layer = r#"{\"outputs\":1,\"activation\":\"relu\",\"dropout\":0.0}"#;
    let layers = vec![layer; 2_500].join(",");
    let metadata = format!(
        r#""__metadata__":{{"autoencoder":"{{\"version\":1,\"inputs\":1,\"encoder\":[{layers}],\"decoder\":[{layers}]}}"}}"#
    );
    let mut all = Vec::new();
    for stack in ["encoder", "decoder"] {
        for layer in 0..2_500 {
            for (kind, shape) in [("weight", "[1,1]"), ("bias", "[1]")] {
                let start = 4 * all.len();
                all.push(tensor((&format!("{stack}.{}.{kind}", 2 * layer), shape, start, start + 4)));
            }
        }
    }
    let file = file(&format!("{{{metadata},{}}}", all.join(",")), &[0; 40_000]);
    let (model, held) = peak(|| read(&file));
    assert_eq!(model.unwrap().layers().len(), 5_000);
    assert!(held < 8 * file.len(), "{held} for {}", file.len());
}

/// Headers that are short as text but large in memory.
#[test]
fn headers_that_swell() {
    const TIMES: usize = 16;
    let long = 1 << 19;
    let entries: String = (0..100_000).map(|i| format!("\"{i:x}\":\"\",")).collect();
    let tensors: String = (0..20_000)
        .map(|i| format!(r#""{i:x}":{{"dtype":"U8","shape":[],"data_offsets":[{i},{}]}},"#, i + 1))
        .collect();
    for header in [
        format!(r#"{{"a":{{"dtype":"F32","shape":[{}0],"data_offsets":[0,0]}}}}"#, "0,".repeat(long)),
        format!(r#"{{"a":[{}[]]}}"#, "[],".repeat(long)),
        format!(r#"{{"a":{{"b":[{}0]}}}}"#, "0,".repeat(long)),
        format!(r#"{{"__metadata__":{{{entries}"a":""}}}}"#),
        format!("{{{tensors}{METADATA}}}"),
        format!(r#"{{"{}":0}}"#, "a".repeat(long)),
        format!(r#"{{"a":{{"dtype":"{}"}}}}"#, "a".repeat(long)),
        format!("{{{METADATA},{}}}", tensor((&"a".repeat(long), "[2,3]", 1, 25))),
        header().replacen("relu", &"a".repeat(long), 1),
        header().replacen("[2,3]", &format!("[{}2,3]", "1,".repeat(long)), 1),
        " ".repeat(long),
    ] {
        refused(&file(&header, &[0; 68]), TIMES, read);
    }
}

/// A file with too many or too long entries of metadata is refused, and one at the limits takes little memory.
#[test]
fn metadata_beyond_the_limits() {
    let with = |entries: &str| {
        let metadata = METADATA.replacen('{', &format!("{{{entries},"), 1);
        file(&format!("{{{metadata},{}}}", TENSORS.map(tensor).join(",")), &[0; 68])
    };
    let entries = |count: usize| (0..count).map(|i| format!("\"{i:x}\":\"\"")).collect::<Vec<_>>().join(",");
    let long = |bytes: usize| format!("\"long\":\"{}\"", "x".repeat(bytes - 4));
    for entries in [entries(1_000), long(10_000_000)] {
        let file = with(&entries);
        let (model, held) = peak(|| read(&file));
        assert!(!model.unwrap().metadata().is_empty());
        assert!(held < 8 * file.len() + crate::FIXED, "{held} for {}", file.len());
    }
    for entries in [entries(1_001), entries(100_000), long(10_000_001)] {
        let error = refused(&with(&entries), 16, read);
        assert!(
            error.starts_with("file: metadata: expected at most 1000 entries and 10000000 bytes"),
            "{error}"
        );
    }
    let file = with(r#""checkpoint":"ignored","format":"pt""#);
    assert_eq!(read(&file).unwrap().metadata().len(), 1);
}

#[test]
fn a_megabyte_that_claims_gigabytes() {
    let tensors = TENSORS.map(|(name, shape, start, end)| (name, shape, start << 28, end << 28));
    let tensors =
        tensors.map(|(name, _, start, end)| tensor((name, &format!("[{}]", (end - start) / 4), start, end)));
    let header = format!("{{{METADATA},{}}}", tensors.join(","));
    refused(&file(&header, &vec![0; 1 << 20]), 4, read);
}

#[cfg(target_os = "linux")]
#[test]
fn a_path_without_end() {
    assert!(matches!(Autoencoder::load("/dev/zero"), Err(Error::Format { .. })));
}
