//! Shared by several test files.

use autoencoder::Autoencoder;
use proptest::test_runner::{Config as ProptestConfig, RngSeed};
use sha2::{Digest, Sha256};

/// The digest of all weights and biases.
#[allow(dead_code, reason = "not every file compares weights")]
pub fn digest(model: &Autoencoder) -> String {
    let mut hasher = Sha256::new();
    for layer in model.layers() {
        for value in layer.dense.weight().iter().chain(&layer.dense.bias()) {
            hasher.update(value.to_le_bytes());
        }
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Configures `cases` cases, the same ones in every run.
#[allow(dead_code, reason = "not every file draws its cases")]
pub fn fixed(cases: u32) -> ProptestConfig {
    let rng_seed = RngSeed::Fixed(1);
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..ProptestConfig::default() }
}
