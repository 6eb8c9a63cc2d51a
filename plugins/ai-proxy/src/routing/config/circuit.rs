//! When targets rest, as it is written.

use shared::config::Setting;

/// When a target rests.
#[derive(Clone, Copy, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Circuit {
    /// After so many failures in a row.
    #[serde(default = "five")]
    pub consecutive_failures: u32,
    /// Or if so many of its last answers were failures (0.5 is half), of `min_requests` at least.
    #[serde(default = "half")]
    pub error_rate: f64,
    /// Fewer answers than this prove nothing.
    #[serde(default = "twenty")]
    pub min_requests: u32,
    /// For how long, in seconds; then one request tries it. Doubles with each time, up to ten times.
    #[serde(default = "thirty")]
    pub rest_seconds: u64,
}

fn five() -> u32 {
    5
}

fn half() -> f64 {
    0.5
}

fn twenty() -> u32 {
    20
}

fn thirty() -> u64 {
    30
}

impl Default for Circuit {
    fn default() -> Circuit {
        Circuit {
            consecutive_failures: five(),
            error_rate: half(),
            min_requests: twenty(),
            rest_seconds: thirty(),
        }
    }
}
