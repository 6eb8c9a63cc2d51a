//! Writes a whole answer as a Chat Completions object.

use shared::json::JsonStr;
use shared::usage::Usage;
use shared::write::JsonWriter;

use super::{finish_reason, new_id};
use crate::translate::client::Context;
use crate::translate::ir::{Arguments, Body, Choice, Logprob, Part, Response, Source, StopReason};

/// Writes the answer.
pub fn write(response: &Response<'_>, context: &Context) -> String {
    let mut w = JsonWriter::with_capacity(1024);
    w.open('{');
    w.key("id");
    w.string(response.id.as_ref().unwrap_or(&new_id(context)));
    w.field("object", "chat.completion");
    w.key("created");
    w.value(context.created);
    w.key("model");
    w.string(response.model.as_ref().unwrap_or(&JsonStr::encode(&context.model)));
    w.key("choices");
    w.open('[');
    response.choices.iter().enumerate().for_each(|(at, choice)| write_choice(&mut w, at, choice));
    if response.choices.is_empty() {
        // A request that was blocked; clients read `choices[0]`.
        let blocked = Choice { stop: Some(StopReason::Filter), ..Choice::default() };
        write_choice(&mut w, 0, &blocked);
    }
    w.close(']');
    if let Some(usage) = &response.usage {
        w.key("usage");
        write_usage(&mut w, usage);
    }
    w.close('}');
    w.finish()
}

fn write_choice(w: &mut JsonWriter, index: usize, choice: &Choice<'_>) {
    w.open('{');
    w.key("index");
    w.value(index);
    w.key("message");
    w.open('{');
    w.field("role", "assistant");
    write_message(w, &choice.parts);
    w.close('}');
    w.key("logprobs");
    write_logprobs(w, &choice.logprobs);
    w.field("finish_reason", finish_reason(choice.stop.unwrap_or(StopReason::End)));
    w.close('}');
}

pub(super) fn write_logprobs(w: &mut JsonWriter, logprobs: &[Logprob<'_>]) {
    if logprobs.is_empty() {
        return w.raw("null");
    }
    w.raw("{\"content\":[");
    for Logprob { token, logprob, top } in logprobs {
        write_logprob(w, token, *logprob);
        w.key("top_logprobs");
        w.open('[');
        for (token, logprob) in top {
            write_logprob(w, token, *logprob);
            w.close('}');
        }
        w.raw_tail("]}");
    }
    w.raw_tail("],\"refusal\":null}");
}

/// All but the closing brace.
fn write_logprob(w: &mut JsonWriter, token: &JsonStr<'_>, logprob: f64) {
    w.open('{');
    w.key("token");
    w.string(token);
    w.key("logprob");
    w.value(logprob);
    w.key("bytes");
    w.open('[');
    token.decode().bytes().for_each(|byte| w.value(byte));
    w.close(']');
}

fn write_message(w: &mut JsonWriter, parts: &[Part<'_>]) {
    w.key("content");
    join(w, parts, |part| match &part.body {
        Body::Text(text) => Some(text),
        _ => None,
    });
    w.key("refusal");
    join(w, parts, |part| match &part.body {
        Body::Refusal(text) => Some(text),
        _ => None,
    });
    if parts.iter().any(|part| matches!(part.body, Body::Thinking { .. })) {
        w.key("reasoning_content");
        join(w, parts, |part| match &part.body {
            Body::Thinking { text, .. } => Some(text),
            _ => None,
        });
    }
    write_thoughts(w, parts);
    write_images(w, parts);
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

/// As OpenRouter gives them; OpenAI's models answer with pictures in Responses only.
fn write_images(w: &mut JsonWriter, parts: &[Part<'_>]) {
    let images = || {
        parts.iter().filter_map(|part| match &part.body {
            Body::Image(source) => Some(source),
            _ => None,
        })
    };
    if images().next().is_some() {
        w.key("images");
        w.open('[');
        images().for_each(|source| write_image(w, source));
        w.close(']');
    }
}

pub(super) fn write_image(w: &mut JsonWriter, source: &Source<'_>) {
    w.raw(r#"{"type":"image_url","image_url":{"url":"#);
    match source {
        Source::Base64 { media_type, data } => {
            w.escaped(&["data:", media_type, ";base64,", data].concat());
        }
        Source::Url(url) => w.string(url),
    }
    w.raw_tail("}}");
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

pub(in crate::translate::client) fn write_usage(w: &mut JsonWriter, usage: &Usage) {
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
    // Zero also stands for a provider that does not say.
    if usage.prompt_audio_tokens > 0 {
        w.key("audio_tokens");
        w.value(usage.prompt_audio_tokens);
    }
    w.close('}');
    let details = [
        ("reasoning_tokens", usage.reasoning_tokens),
        ("audio_tokens", usage.completion_audio_tokens),
    ];
    if details.iter().any(|(_, count)| *count > 0) {
        w.key("completion_tokens_details");
        w.open('{');
        for (key, count) in details.iter().filter(|(_, count)| *count > 0) {
            w.key(key);
            w.value(*count);
        }
        w.close('}');
    }
    w.close('}');
}
