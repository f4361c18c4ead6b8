use crate::{
    error::{Error, Result},
    files::numbers::{Element, Kind},
};
use ndarray::{ArrayView, IxDyn, ShapeBuilder};
use ndarray_npy::npy::header::{Header, Layout};
use std::iter;

/// Returns the type of the elements, if they are numbers.
pub(super) fn element(name: &str, header: &Header) -> Result<Element> {
    let descriptor = &header.type_descriptor;
    descriptor.as_string().and_then(|text| parse(text)).ok_or_else(|| {
        let expected = "bool, integers of at most 64 bits, or floats of 16, 32 or 64 bits";
        let remedy = descriptor.as_string().and_then(|text| remedy(text)).unwrap_or_default();
        Error::format(name, "type of the elements", expected, format!("{descriptor}{remedy}"))
    })
}

/// Names a type that is not read, and says what to save instead.
fn remedy(text: &str) -> Option<&'static str> {
    let text = text.trim_start_matches(['<', '>', '=', '|', '!']);
    Some(match text.as_bytes().first()? {
        b'M' => ", dates (datetime64); convert them by astype(\"int64\")",
        b'm' => ", durations (timedelta64); convert them by astype(\"int64\")",
        b'O' => ", Python objects; make one array of numbers, as with numpy.stack",
        b'c' | b'F' | b'D' => ", complex numbers; save numpy.abs of them, or the real part",
        b'V' if text == "V2" => ", perhaps bfloat16 of JAX; convert by astype(\"float32\") before saving",
        b'V' => ", raw bytes (void); save a plain array of numbers",
        b'U' | b'S' | b'a' => ", text; save numbers",
        b'f' | b'g' => ", long floats; convert them by astype(\"float32\")",
        _ => return None,
    })
}

/// Reads a header and returns the dimensions and the name of the type, which need not be one of numbers.
#[cfg(feature = "npz")]
pub(in crate::data::formats) fn describe(
    mut stream: &mut dyn std::io::Read,
    name: &str,
) -> Result<(Vec<usize>, String)> {
    let header = super::header::header(&mut stream, name)?;
    let type_name = element(name, &header).map_or_else(|_| header.type_descriptor.to_string(), Element::name);
    Ok((header.shape, type_name))
}

/// Reads a header and returns whether the array has the type and the dimensions of images.
#[cfg(feature = "npz")]
pub(in crate::data::formats) fn can_be_images(
    mut stream: &mut dyn std::io::Read,
    name: &str,
    shape: Option<(usize, usize)>,
) -> Result<bool> {
    let header = super::header::header(&mut stream, name)?;
    let layout = crate::data::formats::layout::Layout::new(name, &header.shape, shape);
    Ok(element(name, &header).is_ok() && layout.is_ok())
}

/// Parses a type in NumPy's notation, such as `<f4`.
fn parse(text: &str) -> Option<Element> {
    let native = cfg!(target_endian = "big");
    let (big_endian, text) = match text.as_bytes().first()? {
        b'<' => (false, &text[1..]),
        b'>' | b'!' => (true, &text[1..]),
        b'=' | b'|' => (native, &text[1..]),
        _ => (native, text),
    };
    let (kind, size) = match text {
        "b1" | "?" => (Kind::Bool, 1),
        "u1" | "B" => (Kind::Unsigned, 1),
        "u2" | "H" => (Kind::Unsigned, 2),
        "u4" | "I" => (Kind::Unsigned, 4),
        "u8" | "Q" => (Kind::Unsigned, 8),
        "i1" | "b" => (Kind::Signed, 1),
        "i2" | "h" => (Kind::Signed, 2),
        "i4" | "i" => (Kind::Signed, 4),
        "i8" | "q" => (Kind::Signed, 8),
        "f2" | "e" => (Kind::Float, 2),
        "f4" | "f" => (Kind::Float, 4),
        "f8" | "d" => (Kind::Float, 8),
        _ => return None,
    };
    Some(Element { kind, size, big_endian })
}

/// Puts the elements of a column-major array in row-major order.
pub(super) fn rows_first(name: &str, header: &Header, size: usize, bytes: Vec<u8>) -> Result<Vec<u8>> {
    if header.layout != Layout::Fortran || bytes.is_empty() {
        return Ok(bytes);
    }
    // In column-major order, the bytes of an element come before its position.
    let shape: Vec<usize> = iter::once(size).chain(header.shape.iter().copied()).collect();
    let array = ArrayView::from_shape(IxDyn(&shape).f(), &bytes)
        .map_err(|error| Error::format(name, "shape", "a shape that fits in memory", error))?;
    let bytes_last: Vec<usize> = (1..shape.len()).chain([0]).collect();
    Ok(array.permuted_axes(bytes_last).iter().copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_are_no_numbers_get_a_remedy() {
        for (text, expected) in [
            ("<M8[ns]", "datetime64"),
            ("<m8[s]", "timedelta64"),
            ("|O", "numpy.stack"),
            ("<c8", "complex"),
            ("<V2", "bfloat16"),
            ("|V12", "void"),
            ("<U5", "text"),
            ("<f16", "long floats"),
        ] {
            assert!(parse(text).is_none(), "{text}");
            assert!(remedy(text).is_some_and(|remedy| remedy.contains(expected)), "{text}");
        }
    }
}
