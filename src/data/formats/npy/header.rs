use crate::{
    error::{Error, Result},
    files::{content, memory},
};
use ndarray_npy::npy::header::Header;
use std::io::Read;

const MAGIC: &[u8] = b"\x93NUMPY";
/// Headers have about 128 bytes. Some writers pad them to a page.
const MAX_HEADER: usize = 1 << 16;
/// Maximum length of a header without its padding.
const MAX_LITERAL: usize = 1 << 10;

/// Reads the header. The parser of its Python literal takes exponential time for nested brackets, so more than the two
/// pairs that a header needs, the dictionary's and the shape's, are refused before.
pub(super) fn header(stream: &mut impl Read, name: &str) -> Result<Header> {
    let bad = |found: &dyn std::fmt::Display| Error::format(name, "header", "a valid .npy header", found);
    let mut take = |len| memory::read(stream, len).map_err(Error::io(name));
    let mut bytes = take(8)?;
    if !bytes.starts_with(MAGIC) {
        bytes.extend(take(content::START).unwrap_or_default());
        let found = content::describe(&bytes).unwrap_or("the start of another format");
        return Err(Error::format(name, "content", "NPY", found));
    }
    let length = take(if bytes.get(6) == Some(&1) { 2 } else { 4 })?;
    let size = length.iter().rev().fold(0, |size, &byte| size << 8 | usize::from(byte));
    if size > MAX_HEADER {
        return Err(Error::format(name, "length of the header", format!("at most {MAX_HEADER}"), size));
    }
    let padded = take(size)?;
    if padded.len() < size {
        return Err(Error::format(name, "header", format_args!("{size} bytes"), padded.len()));
    }
    let literal = normalized(&padded);
    if literal.len() > MAX_LITERAL {
        return Err(Error::format(
            name,
            "length of the header",
            format!("at most {MAX_LITERAL}"),
            literal.len(),
        ));
    }
    if literal.iter().filter(|&byte| b"([{".contains(byte)).count() > 2 {
        return Err(bad(&"nested brackets, as of a structured type; save a plain array of numbers"));
    }
    bytes.extend(&(literal.len() as u32).to_le_bytes()[..length.len()]);
    bytes.extend(&literal);
    Header::from_reader(&mut bytes.as_slice()).map_err(|error| bad(&error))
}

/// The literal without its padding, with the newline that some writers omit, and with the numbers of Python 3 in place of
/// Python 2's `40L`.
fn normalized(padded: &[u8]) -> Vec<u8> {
    let mut literal = Vec::new();
    for &byte in padded.trim_ascii_end() {
        if byte != b'L' || !literal.last().is_some_and(u8::is_ascii_digit) {
            literal.push(byte);
        }
    }
    literal.push(b'\n');
    literal
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
        let found = format!("{}; the file is cut short; fetch or save it again", bytes.len() / size);
        return Err(Error::format(name, "elements", length / size, found));
    }
    let rest = memory::read(stream, MAGIC.len()).map_err(Error::io(name))?;
    if !rest.is_empty() {
        let found = if rest == MAGIC { "another array; save one array per file" } else { "more bytes" };
        return Err(Error::format(name, "end", "nothing after the elements", found));
    }
    Ok(bytes)
}
