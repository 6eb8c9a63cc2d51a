//! Prices of targets, as they are written.

use shared::config::Setting;
use shared::hours::Time;
use shared::price::LongContext;

/// Prices, for a million tokens. What a target's model costs is commonly known if it is in the table of
/// models, and need not be said.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Of the prompt.
    pub input: f64,
    /// Of the answer.
    pub output: f64,
    /// What it costs instead where the prompt is long; from few tokens to many.
    #[serde(default)]
    pub long_context: Vec<LongContext>,
    /// The currency, one of `currencies`; US dollars unless said.
    pub currency: Option<String>,
    /// The share that is taken off, 0 to 1 (0.1 is ten percent).
    #[serde(default)]
    pub discount: f64,
    /// Hours that are cheaper.
    pub off_peak: Option<OffPeak>,
    /// Capacity that is paid for anyway.
    pub committed: Option<Committed>,
}

/// Hours that are cheaper.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OffPeak {
    /// Which.
    pub time: Time,
    /// The share that is taken off then, 0 to 1, instead of `discount`.
    pub discount: f64,
}

/// Capacity that is paid for anyway: what fits into it costs nothing more.
#[derive(Clone, Copy, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Committed {
    /// Tokens, of prompts and answers.
    pub tokens: u64,
    /// In so many seconds, counted from the Unix epoch (3600: by the hour of the clock).
    pub seconds: u64,
}
