//! What several test files share.

use autoencoder::Autoencoder;
use sha2::{Digest, Sha256};

/// The digest of all weights and biases.
pub fn digest(model: &Autoencoder) -> String {
    let mut hasher = Sha256::new();
    for layer in model.layers() {
        for value in layer.dense.weight().iter().chain(&layer.dense.bias()) {
            hasher.update(value.to_le_bytes());
        }
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
