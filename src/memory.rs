//! Sizes that memory cannot hold are errors, where allocating them would end the process.

use crate::error::{Error, Result};
use std::fmt;

/// Checks that so many f32 could be allocated; `None` stands for a number beyond `usize`.
pub(crate) fn check(name: &'static str, value: impl fmt::Debug, elements: Option<usize>) -> Result<()> {
    match elements.map(|elements| Vec::<f32>::new().try_reserve_exact(elements)) {
        Some(Ok(())) => Ok(()),
        _ => Err(Error::setting(name, value, "a size that fits memory")),
    }
}
