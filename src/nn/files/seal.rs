//! A digest of a file's content, by which a reader notices damage. Checkpoints have one. Models have none, since other
//! programs may edit their tensors and keep the metadata.

use super::safetensors::{self, Tensor, Tensors};
use crate::files::digest::hex;
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, io};

/// The digest's key in the metadata.
pub(super) const KEY: &str = "content_sha256";

/// As [`safetensors::serialize`], with the digest in the metadata.
pub(crate) fn serialize(tensors: &[Tensor], mut metadata: BTreeMap<String, String>) -> io::Result<Vec<u8>> {
    let values = tensors.iter().map(|tensor| (tensor.name.as_str(), &tensor.data[..]));
    let digest = digest(&metadata, values);
    metadata.insert(KEY.to_owned(), digest);
    safetensors::serialize(tensors, metadata)
}

/// Returns true if the content is that of the digest written with it. False if there is no digest.
pub(super) fn is_intact(file: &Tensors) -> bool {
    let names = file.names();
    let values = names.iter().map(|name| (name.as_str(), file.bytes(name)));
    file.metadata(KEY).is_some_and(|expected| expected == digest(file.all_metadata(), values))
}

/// A digest of the metadata but the digest itself, and of the tensors' names and values. Both are in the order of their
/// names, and each text and each tensor follows its length. The reader compares types and shapes with the model.
fn digest<'a>(
    metadata: impl IntoIterator<Item = (&'a String, &'a String)>,
    values: impl Iterator<Item = (&'a str, &'a [u8])>,
) -> String {
    let metadata = metadata.into_iter().filter(|(key, _)| *key != KEY);
    let metadata: BTreeMap<_, _> = metadata.map(|(key, value)| (key.as_str(), value.as_bytes())).collect();
    let mut digest = Sha256::new();
    for (name, content) in metadata.into_iter().chain(values.collect::<BTreeMap<_, _>>()) {
        for part in [name.as_bytes(), content] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
    }
    hex(digest.finalize())
}
