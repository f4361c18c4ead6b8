//! Threads can share the public types, and settings and records can be serialized.

use autoencoder::{
    Autoencoder, Error, TrainConfig,
    data::{
        Augmentation, ImageSet, Noise, NoiseKind, Pairs, Standardizer, Weighted,
        catalog::{PublishedDataset, Split},
        idx::IdxArray,
    },
    metrics::{Evaluation, ImageQuality, Roc},
    nn::{Activation, AutoencoderBuilder, Dense, Dropout, Init, Layer, Loss, Parameters, Penalty, Scope},
    train::{EpochRecord, History, Objective, Optimizer, OptimizerState, RunEnd, Step},
};
use serde::{Serialize, de::DeserializeOwned};

fn shared<T: Send + Sync>() {}

fn stored<T: Serialize + DeserializeOwned>() {}

/// The test is that this compiles.
#[test]
fn types_are_shared_and_stored() {
    macro_rules! all {
        ($property:ident: $($type:ty),* $(,)?) => { $($property::<$type>();)* };
    }
    all!(shared: Autoencoder, AutoencoderBuilder, Dense, Dropout, Layer, Activation, Init, Loss, Penalty, Scope);
    all!(shared: ImageSet, Noise, NoiseKind, Standardizer, PublishedDataset, Split, IdxArray, ImageQuality, Roc, Error);
    all!(shared: TrainConfig, Optimizer, OptimizerState, Step, Objective, Parameters);
    all!(shared: Augmentation, Pairs, Weighted);
    all!(shared: History, EpochRecord, Evaluation);
    all!(stored: TrainConfig, Augmentation, Noise, NoiseKind, Optimizer, Loss, Penalty, Scope, Init, Activation);
    all!(stored: History, EpochRecord, Evaluation, ImageQuality, RunEnd, Standardizer);
    #[cfg(feature = "csv")]
    all!(shared: autoencoder::data::csv::Table, autoencoder::data::csv::CsvOptions);
    #[cfg(feature = "npz")]
    all!(shared: autoencoder::data::npz::ArrayInfo);
    #[cfg(feature = "download")]
    all!(shared: autoencoder::data::download::Download);
}
