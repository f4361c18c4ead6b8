//! Reports impossible allocation sizes as errors instead of aborting the process.

use crate::error::{Error, Result};
use std::{
    fmt,
    io::{self, Read},
};

/// Checks that `elements` numbers of type f32 can be allocated; `None` means a count beyond `usize`. The error
/// names the setting and its value.
pub(crate) fn check(name: &'static str, value: impl fmt::Debug, elements: Option<usize>) -> Result<()> {
    match elements.map(|elements| Vec::<f32>::new().try_reserve_exact(elements)) {
        Some(Ok(())) => Ok(()),
        _ => Err(Error::setting(name, value, "a size that fits in memory")),
    }
}

/// Allocates `len` zeros. The error names what they are for.
pub(crate) fn zeroed(name: &'static str, len: usize) -> Result<Vec<f32>> {
    let mut values = Vec::new();
    match values.try_reserve_exact(len) {
        Ok(()) => {
            values.resize(len, 0.0);
            Ok(values)
        }
        Err(_) => Err(Error::setting(name, len, "an array that fits in memory")),
    }
}

/// Reads `len` bytes, or fewer at the end of the stream. The allocation grows with the bytes that arrive, so that a
/// header that claims too much costs nothing.
pub(crate) fn read(stream: &mut impl Read, len: usize) -> io::Result<Vec<u8>> {
    const FIRST: usize = 1 << 16;
    let mut bytes = Vec::new();
    while bytes.len() < len {
        let more = (len - bytes.len()).min(bytes.len().max(FIRST));
        bytes.try_reserve_exact(more)?;
        if stream.by_ref().take(more as u64).read_to_end(&mut bytes)? < more {
            break;
        }
    }
    Ok(bytes)
}
