//! How much carbon dioxide electricity makes, as it is written.

use shared::config::{Mistake, Node, Secret, Setting};
use shared::small_map::SmallMap;

/// How much carbon dioxide electricity makes.
#[derive(Clone, Debug, Setting)]
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
    #[serde(default)]
    pub sources: Vec<Source>,
}

/// An HTTP service that tells how much carbon dioxide a region's electricity makes now.
#[derive(Clone, Debug, Setting)]
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

impl Setting for Intensity {
    fn blank() -> Intensity {
        Intensity(Vec::new())
    }

    fn read(&mut self, node: &Node<'_>) -> Result<(), Mistake> {
        if node.is_list() {
            return self.0.read(node);
        }
        self.0 = vec![node.number("a number or 24 of them")?];
        Ok(())
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
