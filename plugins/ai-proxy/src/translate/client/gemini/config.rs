//! Reads `generationConfig`.

use std::borrow::Cow;

use shared::json::JsonStr;
use shared::protocol::gemini::{GenerationConfig, ThinkingConfig};

use super::request::Result;
use super::schema;
use crate::translate::client::bad::invalid;
use crate::translate::client::left::left;
use crate::translate::ir::{Effort, Format, Request, Thinking};

/// Reads it.
pub(super) fn read_config<'a>(
    request: &mut Request<'a>,
    config: GenerationConfig<'a>,
) -> Result<()> {
    left(&mut request.dropped, "generationConfig", "", &config.rest);
    if config.candidate_count == Some(0) {
        return Err(invalid("generationConfig.candidateCount", "must be at least 1"));
    }
    request.max_tokens = config.max_output_tokens;
    request.temperature = config.temperature;
    request.top_p = config.top_p;
    request.top_k = config.top_k.map(top_k).transpose()?;
    request.seed = config.seed;
    request.presence_penalty = config.presence_penalty;
    request.frequency_penalty = config.frequency_penalty;
    request.n = config.candidate_count;
    request.stop = config.stop_sequences.unwrap_or_default();
    let logprobs = config.response_logprobs == Some(true);
    request.logprobs = logprobs.then(|| config.logprobs.unwrap_or(0));
    if let Some(modalities) = &config.response_modalities {
        check_modalities(request, modalities)?;
    }
    if let Some(thinking) = config.thinking_config {
        left(&mut request.dropped, "generationConfig.thinkingConfig", "", &thinking.rest);
        request.thinking = read_thinking(&thinking)?;
    }
    let schema = match (config.response_json_schema, config.response_schema) {
        (Some(_), Some(_)) => {
            let message = "give either this or responseJsonSchema";
            return Err(invalid("generationConfig.responseSchema", message));
        }
        (Some(schema), None) => Some(Cow::Borrowed(schema)),
        (None, Some(schema)) => Some(schema::convert(schema, "generationConfig.responseSchema")?),
        (None, None) => None,
    };
    let kind = config.response_mime_type.as_ref().map(JsonStr::decode);
    request.format = match (kind.as_deref(), schema) {
        (Some("application/json") | None, Some(schema)) => {
            // Google's schemas are no promise; OpenAI's strict ones must be of a certain form.
            let strict = Some(false);
            Some(Format::Schema { name: None, description: None, schema, strict })
        }
        (Some("application/json"), None) => Some(Format::Json),
        (Some("text/plain" | "") | None, None) => None,
        (Some("text/plain"), Some(_)) => {
            let message = "must be application/json where there is a schema";
            return Err(invalid("generationConfig.responseMimeType", message));
        }
        (Some(_), _) => {
            let message = "expected text/plain or application/json with this model's provider";
            return Err(invalid("generationConfig.responseMimeType", message));
        }
    };
    Ok(())
}

fn top_k(number: f64) -> Result<u64> {
    // A whole number that any integer type holds.
    if number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number) {
        return Ok(number as u64);
    }
    Err(invalid("generationConfig.topK", "expected a whole number, not below 0"))
}

fn check_modalities(request: &mut Request<'_>, modalities: &[JsonStr<'_>]) -> Result<()> {
    let text = |modality: &&JsonStr<'_>| modality.decode().eq_ignore_ascii_case("TEXT");
    let texts = modalities.iter().filter(text).count();
    if texts == modalities.len() {
        return Ok(());
    }
    let path = "generationConfig.responseModalities";
    if texts == 0 {
        return Err(invalid(path, "this model's provider answers with TEXT"));
    }
    request.dropped.push(path.into());
    Ok(())
}

fn read_thinking(config: &ThinkingConfig<'_>) -> Result<Thinking> {
    let mut thinking = Thinking { show: config.include_thoughts, ..Thinking::default() };
    // Below 0 is as the model likes.
    thinking.budget = config.thinking_budget.and_then(|budget| u64::try_from(budget).ok());
    if let Some(level) = &config.thinking_level {
        thinking.effort = match level.decode().to_ascii_uppercase().as_str() {
            "MINIMAL" => Some(Effort::Minimal),
            "LOW" => Some(Effort::Low),
            "MEDIUM" => Some(Effort::Medium),
            "HIGH" => Some(Effort::High),
            "THINKING_LEVEL_UNSPECIFIED" => None,
            _ => {
                let path = "generationConfig.thinkingConfig.thinkingLevel";
                return Err(invalid(path, "expected MINIMAL, LOW, MEDIUM or HIGH"));
            }
        };
    }
    Ok(thinking)
}
