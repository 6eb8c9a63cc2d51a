//! Writes a whole answer as a GenerateContentResponse.

use serde_json::value::RawValue;
use shared::json::JsonStr;
use shared::usage::Usage;
use shared::write::JsonWriter;

use super::carry::Carried;
use super::{finish_reason, new_id};
use crate::translate::client::Context;
use crate::translate::ir::{Arguments, Body, Choice, Logprob, Part, Response, Source, StopReason};

/// Writes the answer.
pub fn write(response: &Response<'_>, context: &Context) -> String {
    let mut w = JsonWriter::with_capacity(1024);
    w.open('{');
    w.key("candidates");
    w.open('[');
    response.choices.iter().enumerate().for_each(|(at, choice)| write_choice(&mut w, at, choice));
    w.close(']');
    if response.choices.is_empty() {
        w.key("promptFeedback");
        w.raw(r#"{"blockReason":"OTHER"}"#);
    }
    if let Some(usage) = &response.usage {
        w.key("usageMetadata");
        write_usage(&mut w, usage);
    }
    w.key("modelVersion");
    w.string(response.model.as_ref().unwrap_or(&JsonStr::encode(&context.model)));
    w.key("responseId");
    w.string(response.id.as_ref().unwrap_or(&new_id(context)));
    w.close('}');
    w.finish()
}

fn write_choice(w: &mut JsonWriter, index: usize, choice: &Choice<'_>) {
    w.open('{');
    w.key("content");
    w.raw(r#"{"parts":["#);
    write_parts(w, &choice.parts);
    w.raw_tail(r#"],"role":"model"}"#);
    w.field("finishReason", finish_reason(choice.stop.unwrap_or(StopReason::End)));
    w.key("index");
    w.value(index);
    if !choice.logprobs.is_empty() {
        w.key("logprobsResult");
        write_logprobs(w, &choice.logprobs);
    }
    w.close('}');
}

fn write_parts(w: &mut JsonWriter, parts: &[Part<'_>]) {
    let mut carried = Carried::default();
    for part in parts {
        match &part.body {
            Body::Thinking { text, signature } => {
                if !text.is_empty() {
                    write_thought(w, text);
                }
                carried.add(text, signature.as_ref());
            }
            Body::RedactedThinking(data) => carried.add_redacted(data),
            body => write_body(w, body, carried.take().as_deref()),
        }
    }
    if let Some(signature) = carried.take() {
        write_signature_alone(w, &signature);
    }
}

/// What a part is that says something; the signature of what was thought before goes with it.
fn write_body(w: &mut JsonWriter, body: &Body<'_>, signature: Option<&str>) {
    match body {
        Body::Text(text) | Body::Refusal(text) => write_text(w, text, signature),
        Body::ToolCall { id, name, arguments } => {
            let decoded;
            let arguments = match arguments {
                Arguments::Json(json) => json.get(),
                Arguments::Text(text) => {
                    decoded = text.decode();
                    &decoded
                }
            };
            write_call(w, id, name, arguments, signature);
        }
        Body::Image(source) => write_image(w, source, signature),
        // Providers do not say these.
        Body::Audio(_)
        | Body::Video(_)
        | Body::Document { .. }
        | Body::ToolResult { .. }
        | Body::Thinking { .. }
        | Body::RedactedThinking(_) => {}
    }
}

pub(super) fn write_thought(w: &mut JsonWriter, text: &JsonStr<'_>) {
    w.open('{');
    w.key("text");
    w.string(text);
    w.key("thought");
    w.raw("true");
    w.close('}');
}

pub(super) fn write_text(w: &mut JsonWriter, text: &JsonStr<'_>, signature: Option<&str>) {
    w.open('{');
    w.key("text");
    w.string(text);
    close_signed(w, signature);
}

/// As Google sends one that no part follows.
pub(super) fn write_signature_alone(w: &mut JsonWriter, signature: &str) {
    w.open('{');
    w.field("text", "");
    close_signed(w, Some(signature));
}

pub(super) fn write_image(w: &mut JsonWriter, source: &Source<'_>, signature: Option<&str>) {
    w.open('{');
    match source {
        Source::Base64 { media_type, data } => {
            w.key("inlineData");
            w.open('{');
            w.field("mimeType", media_type);
            w.field("data", data);
        }
        Source::Url(url) => {
            w.key("fileData");
            w.open('{');
            w.field("mimeType", crate::translate::media::type_of(url).unwrap_or("image/png"));
            w.key("fileUri");
            w.string(url);
        }
    }
    w.close('}');
    close_signed(w, signature);
}

/// `args` must be an object; what is none is shown as it is.
pub(super) fn write_call(
    w: &mut JsonWriter,
    id: &JsonStr<'_>,
    name: &JsonStr<'_>,
    arguments: &str,
    signature: Option<&str>,
) {
    w.open('{');
    w.key("functionCall");
    w.open('{');
    w.key("id");
    w.string(id);
    w.key("name");
    w.string(name);
    w.key("args");
    let arguments = arguments.trim();
    if arguments.starts_with('{') && serde_json::from_str::<&RawValue>(arguments).is_ok() {
        // Line ends between its members would end an event.
        w.raw(&arguments.replace(['\n', '\r'], " "));
    } else if arguments.is_empty() {
        w.raw("{}");
    } else {
        w.open('{');
        w.key("INVALID_JSON");
        w.text(arguments);
        w.close('}');
    }
    w.close('}');
    close_signed(w, signature);
}

fn close_signed(w: &mut JsonWriter, signature: Option<&str>) {
    if let Some(signature) = signature {
        w.field("thoughtSignature", signature);
    }
    w.close('}');
}

pub(super) fn write_logprobs(w: &mut JsonWriter, logprobs: &[Logprob<'_>]) {
    w.open('{');
    w.key("topCandidates");
    w.open('[');
    for Logprob { top, .. } in logprobs {
        w.raw("{\"candidates\":[");
        top.iter().for_each(|(token, logprob)| write_logprob(w, token, *logprob));
        w.raw_tail("]}");
    }
    w.close(']');
    w.key("chosenCandidates");
    w.open('[');
    logprobs.iter().for_each(|one| write_logprob(w, &one.token, one.logprob));
    w.close(']');
    w.close('}');
}

fn write_logprob(w: &mut JsonWriter, token: &JsonStr<'_>, logprob: f64) {
    w.open('{');
    w.key("token");
    w.string(token);
    w.key("logProbability");
    w.value(logprob);
    w.close('}');
}

/// The `usageMetadata`; the answer's tokens without those of its thoughts, which are told apart.
pub(super) fn write_usage(w: &mut JsonWriter, usage: &Usage) {
    w.open('{');
    for (key, count) in [
        ("promptTokenCount", usage.prompt_tokens),
        ("candidatesTokenCount", usage.completion_tokens.saturating_sub(usage.reasoning_tokens)),
        ("totalTokenCount", usage.total_tokens()),
    ] {
        w.key(key);
        w.value(count);
    }
    // Zero also stands for a provider that does not say.
    for (key, count) in [
        ("cachedContentTokenCount", usage.cached_tokens),
        ("thoughtsTokenCount", usage.reasoning_tokens),
    ] {
        if count > 0 {
            w.key(key);
            w.value(count);
        }
    }
    for (key, count) in [
        ("promptTokensDetails", usage.prompt_audio_tokens),
        ("candidatesTokensDetails", usage.completion_audio_tokens),
    ] {
        if count > 0 {
            w.key(key);
            w.raw(&format!(r#"[{{"modality":"AUDIO","tokenCount":{count}}}]"#));
        }
    }
    w.close('}');
}
