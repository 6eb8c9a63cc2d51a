//! The table.

use super::{Auth, Paths, Preset, Quirks};
use crate::config::Protocol;

/// All presets.
pub static TABLE: &[Preset] = &[Preset {
    name: "openai",
    title: "OpenAI",
    docs: "https://platform.openai.com/docs/api-reference",
    protocol: Protocol::Openai,
    base_url: "https://api.openai.com/v1",
    auth: Auth::Bearer,
    query: &[],
    paths: Paths { responses: Some("/responses"), rerank: None, ..Paths::OPENAI },
    quirks: Quirks {
        max_completion_tokens: true,
        safety_identifier: true,
        no_top_k: true,
        ..Quirks::NONE
    },
}];
