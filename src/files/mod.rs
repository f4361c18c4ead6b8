//! File helpers: atomic writes, digests and limits on allocations.

mod atomic;
pub(crate) mod digest;
pub(crate) mod memory;

pub use atomic::write_atomic;
pub use digest::sha256_hex;
