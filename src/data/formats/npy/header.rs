use crate::{
    error::{Error, Result},
    files::{content, memory},
};
use ndarray_npy::npy::header::Header;
use std::io::Read;

/// A header has about 128 bytes. Longer ones are refused.
const MAX_HEADER: usize = 1 << 10;

/// Reads the header. The parser of its Python literal takes exponential time for nested brackets, so more than the two
/// pairs that a header needs, the dictionary's and the shape's, are refused before.
pub(super) fn header(stream: &mut impl Read, name: &str) -> Result<Header> {
    let bad = |found: &dyn std::fmt::Display| Error::format(name, "header", "a valid .npy header", found);
    let mut take = |len| memory::read(stream, len).map_err(Error::io(name));
    let mut bytes = take(8)?;
    let length = take(if bytes.get(6) == Some(&1) { 2 } else { 4 })?;
    bytes.extend(&length);
    let length = length.iter().rev().fold(0, |length, &byte| length << 8 | usize::from(byte));
    if !bytes.starts_with(b"\x93NUMPY") {
        bytes.extend(take(content::START).unwrap_or_default());
        let found = content::describe(&bytes).unwrap_or("the start of another format");
        return Err(Error::format(name, "content", "NPY", found));
    }
    if length > MAX_HEADER {
        return Err(Error::format(name, "length of the header", format!("at most {MAX_HEADER}"), length));
    }
    let literal = take(length)?;
    if literal.iter().filter(|&byte| b"([{".contains(byte)).count() > 2 {
        return Err(bad(&"too many brackets"));
    }
    bytes.extend(&literal);
    Header::from_reader(&mut bytes.as_slice()).map_err(|error| bad(&error))
}

/// Reads the elements of `size` bytes each, which must be the rest of the file.
pub(super) fn elements(stream: &mut impl Read, name: &str, header: &Header, size: usize) -> Result<Vec<u8>> {
    let length = header.shape.iter().try_fold(size, |product, &d| product.checked_mul(d));
    let length = length.ok_or_else(|| {
        let found = format!("{:?}", header.shape);
        Error::format(name, "shape", "a product that fits in memory", found)
    })?;
    let bytes = memory::read(&mut *stream, length).map_err(Error::io(name))?;
    if bytes.len() < length {
        return Err(Error::format(name, "elements", format_args!("{length} bytes"), bytes.len()));
    }
    if !memory::read(stream, 1).map_err(Error::io(name))?.is_empty() {
        return Err(Error::format(name, "end", "nothing after the elements", "more bytes"));
    }
    Ok(bytes)
}

/// Decodes the bytes of one element.
pub(super) type Decode = fn(&[u8]) -> f32;

/// Returns the size of an element in bytes and its decoder, which divides a byte by 255. `None` for other types than
/// bytes and floats.
pub(super) fn element(header: &Header) -> Option<(usize, Decode)> {
    Some(match header.type_descriptor.as_string()?.as_str() {
        "|u1" | "u1" | "<u1" | ">u1" => (1, |b| f32::from(b[0]) / 255.0),
        "<f4" => (4, |b| f32::from_le_bytes(b.try_into().unwrap_or_default())),
        ">f4" => (4, |b| f32::from_be_bytes(b.try_into().unwrap_or_default())),
        "<f8" => (8, |b| f64::from_le_bytes(b.try_into().unwrap_or_default()) as f32),
        ">f8" => (8, |b| f64::from_be_bytes(b.try_into().unwrap_or_default()) as f32),
        _ => return None,
    })
}
