//! For `#[serde(with = "...")]`: numbers in JSON, with infinity and NaN as the strings `inf` and `NaN`.

use serde::{Deserialize, Deserializer, Serializer, de::Error};

#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    Number(f64),
    Text(String),
}

pub(crate) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.is_finite() { serializer.serialize_f64(*value) } else { serializer.collect_str(value) }
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    match Stored::deserialize(deserializer)? {
        Stored::Number(value) => Ok(value),
        Stored::Text(text) => text.parse().map_err(D::Error::custom),
    }
}
