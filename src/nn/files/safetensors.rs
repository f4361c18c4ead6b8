//! Safetensors files: writing them, and reading untrusted ones.
//!
//! The header is parsed here; the `safetensors` crate then checks its offsets. The reader of that crate accepts duplicate
//! names and keeps the last tensor, needs up to 48 times the size of a header in memory (here 13 times), and adds offsets
//! near 2^64 to a length without a check. Its writer puts the metadata in random order; here they are sorted, so that equal
//! models are equal files.

use crate::{
    error::{Error, Result},
    files::{
        content, memory,
        numbers::{Element, Kind},
    },
};
use safetensors::{
    Dtype,
    tensor::{Metadata, TensorInfo},
};
use serde::{
    Deserialize, Deserializer, Serializer,
    de::{Error as _, MapAccess, Visitor},
    ser::SerializeMap,
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    io::{self, Read},
};

/// Maximum bytes of a header, as in the `safetensors` crate.
const MAX_HEADER: u64 = 100_000_000;

/// A tensor to write: its name, shape and values as bytes.
pub(crate) struct Tensor {
    pub(super) name: String,
    shape: Vec<usize>,
    pub(super) data: Vec<u8>,
}

impl Tensor {
    pub(crate) fn f32<'a>(name: String, shape: Vec<usize>, values: impl Iterator<Item = &'a f32>) -> Self {
        Self { name, shape, data: bytes(values) }
    }
}

/// Values as little-endian bytes.
pub(crate) fn bytes<'a>(values: impl Iterator<Item = &'a f32>) -> Vec<u8> {
    values.flat_map(|value| value.to_le_bytes()).collect()
}

/// The bytes of a file with these tensors and this metadata.
pub(crate) fn serialize(tensors: &[Tensor], metadata: BTreeMap<String, String>) -> io::Result<Vec<u8>> {
    let mut tensors: Vec<_> = tensors.iter().collect();
    tensors.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let mut header = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut header);
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("__metadata__", &metadata)?;
    let mut start = 0;
    for tensor in &tensors {
        let end = start + tensor.data.len();
        let (shape, data_offsets) = (tensor.shape.clone(), (start, end));
        map.serialize_entry(&tensor.name, &TensorInfo { dtype: Dtype::F32, shape, data_offsets })?;
        start = end;
    }
    map.end()?;
    // The values start at a multiple of 8 bytes.
    header.resize(header.len().next_multiple_of(8), b' ');
    let length = header.len() as u64;
    if length > MAX_HEADER {
        return Err(io::Error::other(format!("a header of {length} bytes, more than {MAX_HEADER}")));
    }
    let mut file = Vec::with_capacity(8 + header.len() + start);
    file.extend(length.to_le_bytes());
    file.extend(header);
    tensors.iter().for_each(|tensor| file.extend(&tensor.data));
    Ok(file)
}

/// The tensors of a file and its metadata.
pub(crate) struct Tensors {
    file: String,
    metadata: HashMap<String, String>,
    count: usize,
    tensors: Metadata,
    data: Vec<u8>,
}

impl Tensors {
    /// Reads a file, which errors call `name`. It reads at most one byte more than the header announces.
    ///
    /// # Errors
    /// [`Error::Format`] if it is not a safetensors file, [`Error::Io`] if it cannot be read.
    pub(crate) fn read(mut stream: impl Read, name: &str) -> Result<Self> {
        let damaged = |found: &dyn fmt::Display| Error::format(name, "safetensors", "a valid file", found);
        let mut take = |len| memory::read(&mut stream, len).map_err(Error::io(name));

        let mut start = take(8)?;
        let another = |start: &[u8], error: Error| match content::describe(start) {
            Some(found) => Error::format(name, "content", "safetensors", found),
            None => error,
        };
        let Ok(length) = <[u8; 8]>::try_from(&start[..]) else {
            return Err(another(&start, damaged(&"less than the header's length")));
        };
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER {
            // What cannot be read does not help to name the format.
            start.extend(take(content::START).unwrap_or_default());
            let expected = format!("at most {MAX_HEADER}");
            return Err(another(&start, Error::format(name, "length of the header", expected, length)));
        }
        let header = take(length as usize)?;
        let invalid = |error| {
            if header.starts_with(b"{") {
                return error;
            }
            another(&[&start, &header[..header.len().min(content::START)]].concat(), error)
        };
        if (header.len() as u64) < length {
            let expected = format_args!("{length} bytes");
            return Err(invalid(Error::format(name, "header", expected, header.len())));
        }
        let Header { metadata, tensors } =
            serde_json::from_slice(&header).map_err(|error| invalid(damaged(&error)))?;
        drop(header);
        let mut tensors: Vec<_> = tensors.into_iter().collect();
        let count = tensors.len();
        tensors.sort_unstable_by_key(|(_, tensor)| tensor.data_offsets);
        // Checks for gaps, overlaps, and shapes that do not fit the offsets.
        let tensors = Metadata::new(None, tensors).map_err(|error| damaged(&error))?;

        let expected = tensors.data_len();
        let data = take(expected)?;
        if data.len() < expected {
            return Err(Error::format(name, "tensors", format_args!("{expected} bytes"), data.len()));
        }
        if !take(1)?.is_empty() {
            return Err(Error::format(name, "end", "nothing after the tensors", "more bytes"));
        }
        Ok(Self { file: name.to_owned(), metadata, count, tensors, data })
    }

    /// The name of the file in errors.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// The number of tensors.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// An entry of the metadata, if it exists.
    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// All entries of the metadata.
    pub(crate) fn all_metadata(&self) -> &HashMap<String, String> {
        &self.metadata
    }

    /// The names of all tensors, in the order of their values.
    pub(crate) fn names(&self) -> Vec<String> {
        self.tensors.offset_keys()
    }

    /// Returns true if there is a tensor with this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.tensors.info(name).is_some()
    }

    /// The bytes of a tensor's values; none if there is no such tensor.
    pub(super) fn bytes(&self, name: &str) -> &[u8] {
        let offsets = self.tensors.info(name).map_or((0, 0), |tensor| tensor.data_offsets);
        &self.data[offsets.0..offsets.1]
    }

    /// Decodes the elements of a tensor of floats, rounded to f32.
    ///
    /// # Errors
    /// [`Error::Format`] if the tensor is missing, has the wrong type or shape, or an element is not finite as f32.
    pub(crate) fn f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let wrong = |expected: &dyn fmt::Display, found: &dyn fmt::Display| {
            Error::format(&self.file, "tensor", format_args!("`{name}` {expected}"), found)
        };
        let tensor = self.tensors.info(name).ok_or_else(|| wrong(&"", &"no such tensor"))?;
        if tensor.shape != shape {
            let transposed = tensor.shape.iter().eq(shape.iter().rev());
            let remedy = if transposed { "; transpose it: weights are [outputs, inputs]" } else { "" };
            return Err(wrong(
                &format_args!("of shape {shape:?}"),
                &format_args!("{:?}{remedy}", tensor.shape),
            ));
        }
        let element = float(tensor.dtype)
            .ok_or_else(|| wrong(&"as F32, F64, F16 or BF16", &format_args!("{:?}", tensor.dtype)))?;
        let (start, end) = tensor.data_offsets;
        let elements = || self.data[start..end].chunks_exact(element.size).map(|bytes| element.float(bytes));
        let values: Vec<f32> = elements().map(|value| value as f32).collect();
        let Some(index) = values.iter().position(|value| !value.is_finite()) else { return Ok(values) };
        let value = elements().nth(index).unwrap_or(f64::NAN);
        let columns = shape.last().copied().unwrap_or(1);
        let position = match shape {
            [_, _] => format!("[{}, {}]", index / columns, index % columns),
            _ => format!("[{index}]"),
        };
        Err(wrong(&"of finite numbers in the range of f32", &format_args!("{value:e} at {position}")))
    }
}

/// The elements of a tensor of floats.
fn float(dtype: Dtype) -> Option<Element> {
    let (kind, size) = match dtype {
        Dtype::F16 => (Kind::Float, 2),
        Dtype::BF16 => (Kind::Brain, 2),
        Dtype::F32 => (Kind::Float, 4),
        Dtype::F64 => (Kind::Float, 8),
        _ => return None,
    };
    Some(Element { kind, size, big_endian: false })
}

#[derive(Default)]
struct Header {
    metadata: HashMap<String, String>,
    tensors: HashMap<String, TensorInfo>,
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("tensors by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut header = Header::default();
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(format_args!("`{name}` twice")));
            }
            if name == "__metadata__" {
                header.metadata = map.next_value::<Option<Strings>>()?.unwrap_or_default().0;
            } else {
                header.tensors.insert(name, map.next_value()?);
            }
        }
        Ok(header)
    }
}

/// The metadata: strings by name.
#[derive(Default)]
struct Strings(HashMap<String, String>);

impl<'de> Deserialize<'de> for Strings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(StringsVisitor)
    }
}

struct StringsVisitor;

impl<'de> Visitor<'de> for StringsVisitor {
    type Value = Strings;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("metadata")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Strings, A::Error> {
        let mut strings = HashMap::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value();
            let value = value.map_err(|error| {
                A::Error::custom(format_args!("metadata `{key}`: {error}; store it as a string"))
            })?;
            strings.insert(key, value);
        }
        Ok(Strings(strings))
    }
}
