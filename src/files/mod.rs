//! File helpers: atomic writes, digests, gzip, numbers of any type, the names of formats, similar names, and limits on allocations.

mod atomic;
pub(crate) mod content;
pub(crate) mod digest;
pub(crate) mod gzip;
pub(crate) mod memory;
pub(crate) mod names;
pub(crate) mod numbers;

pub use atomic::write_atomic;
pub use digest::sha256_hex;
