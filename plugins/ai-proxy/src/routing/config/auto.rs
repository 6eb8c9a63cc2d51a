//! What makes a request demanding, as it is written.

use shared::config::Setting;

use super::Tier;

/// What makes a request demanding, for the strategy `auto`.
#[derive(Clone, Copy, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AutoTiers {
    /// A prompt of so many tokens is `medium`.
    pub medium_tokens: u64,
    /// And of so many `large`.
    pub large_tokens: u64,
    /// A conversation of so many messages is `medium`.
    pub many_turns: u64,
    /// The question has code.
    pub code: Tier,
    /// The question has mathematics.
    pub mathematics: Tier,
    /// Functions are declared.
    pub tools: Tier,
    /// Thinking is asked for.
    pub reasoning: Tier,
    /// There are pictures, sounds or documents.
    pub attachments: Tier,
    /// The question is mostly in another script than the Latin one, which small models often know less
    /// well.
    pub other_scripts: Tier,
}

impl Default for AutoTiers {
    fn default() -> AutoTiers {
        AutoTiers {
            medium_tokens: 400,
            large_tokens: 4000,
            many_turns: 8,
            code: Tier::Large,
            mathematics: Tier::Large,
            tools: Tier::Medium,
            reasoning: Tier::Large,
            attachments: Tier::Medium,
            other_scripts: Tier::Small,
        }
    }
}
