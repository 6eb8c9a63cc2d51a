//! Writes a whole answer as a Chat Completions object.

use shared::json::JsonStr;
use shared::usage::Usage;
use shared::write::JsonWriter;

use super::finish_reason;
use crate::translate::ir::{Arguments, Body, Part, Response, StopReason};

/// The answer; `created` in seconds since the Unix epoch, `model` where the provider names none.
pub fn write(response: &Response<'_>, model: &str, created: u64) -> String {
    let mut w = JsonWriter::with_capacity(1024);
    w.open('{');
    w.key("id");
    w.string(response.id.as_ref().unwrap_or(&JsonStr::encode("chatcmpl-gateway")));
    w.field("object", "chat.completion");
    w.key("created");
    w.value(created);
    w.key("model");
    w.string(response.model.as_ref().unwrap_or(&JsonStr::encode(model)));
    w.key("choices");
    w.raw("[{\"index\":0,\"message\":{\"role\":\"assistant\"");
    write_message(&mut w, &response.parts);
    w.close('}');
    w.key("logprobs");
    w.raw("null");
    w.field("finish_reason", finish_reason(response.stop.unwrap_or(StopReason::End)));
    w.close('}');
    w.close(']');
    if let Some(usage) = &response.usage {
        w.key("usage");
        write_usage(&mut w, usage);
    }
    w.close('}');
    w.finish()
}

fn write_message(w: &mut JsonWriter, parts: &[Part<'_>]) {
    w.key("content");
    join(w, parts, |part| match &part.body {
        Body::Text(text) => Some(text),
        _ => None,
    });
    w.key("refusal");
    w.raw("null");
    if parts.iter().any(|part| matches!(part.body, Body::Thinking { .. })) {
        w.key("reasoning_content");
        join(w, parts, |part| match &part.body {
            Body::Thinking { text, .. } => Some(text),
            _ => None,
        });
    }
    write_thoughts(w, parts);
    write_calls(w, parts);
}

/// Several texts as one string, `null` if there is none.
fn join<'p, 'a: 'p>(
    w: &mut JsonWriter,
    parts: &'p [Part<'a>],
    pick: impl Fn(&'p Part<'a>) -> Option<&'p JsonStr<'a>>,
) {
    let mut texts = parts.iter().filter_map(pick);
    match (texts.next(), texts.next()) {
        (None, _) => w.raw("null"),
        (Some(one), None) => w.string(one),
        (Some(first), Some(second)) => {
            let mut all = String::from(first.escaped());
            all.push_str(second.escaped());
            texts.for_each(|text| all.push_str(text.escaped()));
            w.escaped(&all);
        }
    }
}

/// The thoughts with their signatures, which the client sends back for the next round.
fn write_thoughts(w: &mut JsonWriter, parts: &[Part<'_>]) {
    let signed = |part: &&Part<'_>| {
        let signed = matches!(part.body, Body::Thinking { signature: Some(_), .. });
        signed || matches!(part.body, Body::RedactedThinking(_))
    };
    if !parts.iter().any(|part| signed(&part)) {
        return;
    }
    w.key("thinking_blocks");
    w.open('[');
    for part in parts.iter().filter(signed) {
        match &part.body {
            Body::Thinking { text, signature: Some(signature) } => {
                write_thought(w, text, signature)
            }
            Body::RedactedThinking(data) => write_redacted(w, data),
            _ => {}
        }
    }
    w.close(']');
}

pub(super) fn write_thought(w: &mut JsonWriter, text: &JsonStr<'_>, signature: &JsonStr<'_>) {
    w.open('{');
    w.field("type", "thinking");
    w.key("thinking");
    w.string(text);
    w.key("signature");
    w.string(signature);
    w.close('}');
}

pub(super) fn write_redacted(w: &mut JsonWriter, data: &JsonStr<'_>) {
    w.open('{');
    w.field("type", "redacted_thinking");
    w.key("data");
    w.string(data);
    w.close('}');
}

fn write_calls(w: &mut JsonWriter, parts: &[Part<'_>]) {
    let mut open = false;
    for part in parts {
        let Body::ToolCall { id, name, arguments } = &part.body else { continue };
        if !std::mem::replace(&mut open, true) {
            w.key("tool_calls");
            w.open('[');
        }
        w.open('{');
        w.key("id");
        w.string(id);
        w.field("type", "function");
        w.key("function");
        w.open('{');
        w.key("name");
        w.string(name);
        w.key("arguments");
        match arguments {
            Arguments::Text(text) => w.string(text),
            Arguments::Json(json) => w.text(json.get()),
        }
        w.close('}');
        w.close('}');
    }
    if open {
        w.close(']');
    }
}

pub(super) fn write_usage(w: &mut JsonWriter, usage: &Usage) {
    w.open('{');
    w.key("prompt_tokens");
    w.value(usage.prompt_tokens);
    w.key("completion_tokens");
    w.value(usage.completion_tokens);
    w.key("total_tokens");
    w.value(usage.total_tokens());
    w.key("prompt_tokens_details");
    w.open('{');
    w.key("cached_tokens");
    w.value(usage.cached_tokens);
    w.key("cache_creation_tokens");
    w.value(usage.cache_creation_tokens);
    w.close('}');
    // Zero also stands for a provider that does not say.
    if usage.reasoning_tokens > 0 {
        w.key("completion_tokens_details");
        w.open('{');
        w.key("reasoning_tokens");
        w.value(usage.reasoning_tokens);
        w.close('}');
    }
    w.close('}');
}
