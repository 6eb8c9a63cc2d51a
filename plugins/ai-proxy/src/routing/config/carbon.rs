//! How much carbon dioxide electricity makes, as it is written.

use shared::small_map::SmallMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use shared::config::{Secret, list};

/// How much carbon dioxide electricity makes.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Carbon {
    /// Grams of CO2 equivalent per kilowatt-hour by region: one number, or 24, one for each hour of
    /// UTC.
    #[serde(default)]
    pub regions: SmallMap<String, Intensity>,
    /// For regions that are not named.
    #[serde(default = "world")]
    pub default: f64,
    /// Where the numbers of regions are fetched. What is not fetched, or too old, is as in `regions`.
    #[serde(default, deserialize_with = "list")]
    pub sources: Vec<Source>,
}

/// An HTTP service that tells how much carbon dioxide a region's electricity makes now.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The region that it is for.
    pub region: String,
    /// Where: `https://api.carbonintensity.org.uk/intensity`.
    pub url: String,
    /// On Envoy, the cluster that reaches it.
    pub cluster: Option<String>,
    /// Headers to send, such as a key: `{"auth-token": "$env://TOKEN"}`.
    #[serde(default)]
    pub headers: SmallMap<String, Secret>,
    /// Where in the answer the number is, as a JSON Pointer: `/data/0/intensity/actual`.
    pub pointer: String,
    /// How often it is asked, in seconds.
    #[serde(default = "five_minutes")]
    pub every_seconds: u64,
    /// How long an answer counts, in seconds.
    #[serde(default = "one_hour")]
    pub max_age_seconds: u64,
}

fn five_minutes() -> u64 {
    300
}

fn one_hour() -> u64 {
    3600
}

/// The world's mean of 2024, <https://ember-energy.org/latest-insights/global-electricity-review-2025/>.
fn world() -> f64 {
    473.0
}

/// Grams of CO2 equivalent per kilowatt-hour: a number, or a list of 24 by hour of UTC.
#[derive(Clone, Debug)]
pub struct Intensity(pub Vec<f64>);

impl<'de> Deserialize<'de> for Intensity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Intensity, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Intensity;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or 24 of them")
            }
            fn visit_u64<E>(self, value: u64) -> Result<Intensity, E> {
                Ok(Intensity(vec![value as f64]))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Intensity, E> {
                Ok(Intensity(vec![value as f64]))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Intensity, E> {
                Ok(Intensity(vec![value]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Intensity, A::Error> {
                let mut hours = Vec::new();
                while let Some(hour) = seq.next_element()? {
                    hours.push(hour);
                }
                Ok(Intensity(hours))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Intensity {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Intensity".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let number = || schemars::json_schema!({ "type": "number", "minimum": 0 });
        schemars::json_schema!({
            "description": "Grams of CO2 equivalent per kilowatt-hour: all day, or by hour of UTC.",
            "anyOf": [number(), {
                "type": "array", "items": number(), "minItems": 24, "maxItems": 24
            }],
        })
    }
}

impl Default for Carbon {
    fn default() -> Carbon {
        Carbon { regions: SmallMap::new(), default: world(), sources: Vec::new() }
    }
}
