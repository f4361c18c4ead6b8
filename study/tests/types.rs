//! Threads can share the public types, and records can be serialized.

use autoencoder_study::{
    baseline::{LinearMap, Pca},
    plots::{Chart, Curve},
    sweep::{Outcome, Record, Run, Sweep},
};
use serde::{Serialize, de::DeserializeOwned};

fn shared<T: Send + Sync>() {}

fn stored<T: Serialize + DeserializeOwned>() {}

/// The test is that this compiles.
#[test]
fn types_are_shared_and_stored() {
    shared::<(Run, Record, Outcome, Sweep)>();
    shared::<(Pca, LinearMap)>();
    shared::<(Chart, Curve)>();
    stored::<(Run, Record)>();
}
