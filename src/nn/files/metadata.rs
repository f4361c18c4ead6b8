//! Limits of the users' own metadata in files.

/// Keys that the crate itself uses.
pub(in crate::nn) const RESERVED: [&str; 4] = ["autoencoder", "checkpoint", "optimizer", super::seal::KEY];

const MAX_ENTRIES: usize = 1_000;
/// As JSON, a byte becomes up to 6, so this fits into a header.
const MAX_BYTES: usize = 10_000_000;

/// The limits in errors.
pub(in crate::nn) const LIMITS: &str = "at most 1000 entries and 10000000 bytes in all";

/// Returns whether the entries are within the limits.
pub(in crate::nn) fn fit<'a>(entries: impl Iterator<Item = (&'a String, &'a String)>) -> bool {
    let (mut count, mut bytes) = (0, 0);
    for (key, value) in entries {
        count += 1;
        bytes += key.len() + value.len();
    }
    count <= MAX_ENTRIES && bytes <= MAX_BYTES
}
