//! Shared by several test files.

use autoencoder::{Autoencoder, files::sha256_hex};
use proptest::test_runner::{Config as ProptestConfig, RngSeed};

/// The digest of all weights and biases.
#[allow(dead_code, reason = "not every file compares weights")]
pub fn digest(model: &Autoencoder) -> String {
    let values = model.parameters().flat_map(|(weight, bias)| weight.into_iter().chain(bias));
    sha256_hex(&values.flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
}

/// Configures `cases` cases, the same ones in every run.
#[allow(dead_code, reason = "not every file draws its cases")]
pub fn fixed(cases: u32) -> ProptestConfig {
    let rng_seed = RngSeed::Fixed(1);
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..ProptestConfig::default() }
}
