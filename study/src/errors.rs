//! Short constructors for the library's errors.

use autoencoder::Error;
use std::{
    fmt::{Debug, Display},
    io,
    path::Path,
};

pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |cause| Error::Io { path, cause }
}

pub(crate) fn shape(what: &'static str, expected: impl Debug, found: impl Debug) -> Error {
    Error::Shape { what, expected: format!("{expected:?}"), found: format!("{found:?}") }
}

pub(crate) fn setting(name: &'static str, value: impl Debug, expected: &'static str) -> Error {
    Error::Setting { name, value: format!("{value:?}"), expected }
}

pub(crate) fn data(what: &'static str, expected: impl Display, found: impl Display) -> Error {
    Error::Data { what, expected: expected.to_string(), found: found.to_string() }
}
