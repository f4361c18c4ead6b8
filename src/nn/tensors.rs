//! Reading safetensors files that nobody vouches for.
//!
//! The header is parsed here and its offsets are checked by the `safetensors` crate. That crate's own reader lets the
//! last of two tensors of one name win, takes up to 48 times a header's size in memory (here 13), and adds offsets
//! near 2^64 to a length without a check.

use crate::{
    error::{Error, Result},
    memory,
};
use safetensors::{
    Dtype,
    tensor::{Metadata, TensorInfo},
};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use std::{
    collections::{HashMap, HashSet},
    fmt,
    io::Read,
};

/// The longest header, in bytes, as the `safetensors` crate has it.
const MAX_HEADER: u64 = 100_000_000;

/// The tensors of a file and its metadata.
pub(crate) struct Tensors {
    file: String,
    metadata: HashMap<String, String>,
    count: usize,
    tensors: Metadata,
    data: Vec<u8>,
}

impl Tensors {
    /// Reads a file; `name` stands for it in errors. Reading ends with the bytes that the header announces and one
    /// more.
    ///
    /// # Errors
    /// [`Error::Format`] if it is not safetensors, [`Error::Io`] if the stream fails.
    pub(crate) fn read(mut stream: impl Read, name: &str) -> Result<Self> {
        let damaged = |found: &dyn fmt::Display| Error::format(name, "safetensors", "a sound file", found);
        let mut take = |len| memory::read(&mut stream, len).map_err(Error::io(name));

        let length = take(8)?.try_into().map_err(|_| damaged(&"less than the header's length"))?;
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER {
            let expected = format!("at most {MAX_HEADER}");
            return Err(Error::format(name, "length of the header", expected, length));
        }
        let header = take(length as usize)?;
        if (header.len() as u64) < length {
            return Err(Error::format(name, "header", format_args!("{length} bytes"), header.len()));
        }
        let Header { metadata, tensors } =
            serde_json::from_slice(&header).map_err(|error| damaged(&error))?;
        drop(header);
        let mut tensors: Vec<_> = tensors.into_iter().collect();
        let count = tensors.len();
        tensors.sort_unstable_by_key(|(_, tensor)| tensor.data_offsets);
        // Refuses gaps, overlaps, and shapes that do not fit the offsets.
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

    /// What stands for the file in errors.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// How many tensors there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// An entry of the metadata.
    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// The elements of a tensor.
    ///
    /// # Errors
    /// [`Error::Format`] if there is no such tensor, or it is of another type or shape, or not finite.
    pub(crate) fn f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let wrong = |expected: &dyn fmt::Debug, found: &dyn fmt::Debug| {
            let (expected, found) = (format!("{name} {expected:?}"), format_args!("{found:?}"));
            Error::format(&self.file, "tensor", expected, found)
        };
        let tensor = self.tensors.info(name).ok_or_else(|| wrong(&shape, &"no such tensor"))?;
        if tensor.dtype != Dtype::F32 || tensor.shape != shape {
            return Err(wrong(&(Dtype::F32, shape), &(tensor.dtype, &tensor.shape)));
        }
        let (start, end) = tensor.data_offsets;
        let elements = self.data[start..end].as_chunks().0;
        let values: Vec<f32> = elements.iter().map(|&element| f32::from_le_bytes(element)).collect();
        match values.iter().find(|value| !value.is_finite()) {
            Some(bad) => Err(wrong(&"finite", bad)),
            None => Ok(values),
        }
    }
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
                header.metadata = map.next_value()?;
            } else {
                header.tensors.insert(name, map.next_value()?);
            }
        }
        Ok(header)
    }
}
