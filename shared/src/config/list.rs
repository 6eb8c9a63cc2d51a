//! Lists, whose empty form APISIX turns into `{}`.

use serde::de::{Deserialize, Deserializer};

/// For `#[serde(deserialize_with = "list")]`: a list, or `{}` for an empty one.
pub fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Vec::deserialize(deserializer)
}
