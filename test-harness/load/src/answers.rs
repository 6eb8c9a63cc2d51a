//! What the provider says, in the format of the path that was asked for.

use serde_json::{Value, json};

use crate::mark;

/// The formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Chat completions.
    OpenAi,
    /// Messages.
    Anthropic,
    /// Vectors, for a cache that asks for them.
    Embeddings,
}

const TEXT: &str = "A battery of 2,400 mAh pays for 8,000 readings of 0.3 mAh each. At one reading \
    every ten minutes, 144 a day, it lasts 55 days; at one every hour, 333 days. Temperatures of rooms \
    change slowly, so one an hour is enough for cellars and corridors, and one every ten minutes for \
    the roof while the sun moves. Write down which sensors you have set to which, and look again after \
    a month: those whose readings hardly differ may sleep longer.";

impl Format {
    /// By the path.
    pub(crate) fn of(path: &str) -> Format {
        let path = path.split('?').next().unwrap_or_default();
        match path {
            _ if path.ends_with("/messages") => Format::Anthropic,
            _ if path.ends_with("/embeddings") => Format::Embeddings,
            _ => Format::OpenAi,
        }
    }

    /// A whole answer.
    pub(crate) fn whole(self) -> String {
        match self {
            Format::OpenAi => json!({
                "id": "chatcmpl-1", "object": "chat.completion", "created": 1_790_000_000,
                "model": "gpt-5", "choices": [{"index": 0, "finish_reason": "stop",
                    "message": {"role": "assistant", "content": TEXT}}],
                "usage": {"prompt_tokens": 420, "completion_tokens": 110, "total_tokens": 530},
            }),
            Format::Anthropic => json!({
                "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
                "content": [{"type": "text", "text": TEXT}],
                "stop_reason": "end_turn", "stop_sequence": null,
                "usage": {"input_tokens": 420, "output_tokens": 110},
            }),
            Format::Embeddings => json!({
                "object": "list", "model": "embed",
                "data": [{"object": "embedding", "index": 0, "embedding": vec![0.05; 384]}],
                "usage": {"prompt_tokens": 420, "total_tokens": 420},
            }),
        }
        .to_string()
    }

    /// What a stream begins with.
    pub(crate) fn start(self) -> String {
        match self {
            Format::Anthropic => {
                named(
                    &json!({"type": "message_start", "message": {"id": "msg_1", "type": "message",
                    "role": "assistant", "model": "claude-sonnet-4-5", "content": [],
                    "stop_reason": null, "stop_sequence": null,
                    "usage": {"input_tokens": 420, "output_tokens": 1}}}),
                ) + &named(&json!({"type": "content_block_start", "index": 0,
                        "content_block": {"type": "text", "text": ""}}))
            }
            _ => chunk(&json!({"role": "assistant", "content": ""}), &Value::Null),
        }
    }

    /// One token of a stream.
    pub(crate) fn token(self) -> String {
        let text = format!(" {}", mark::write(mark::now()));
        match self {
            Format::Anthropic => named(&json!({"type": "content_block_delta", "index": 0,
                "delta": {"type": "text_delta", "text": text}})),
            _ => chunk(&json!({"content": text}), &Value::Null),
        }
    }

    /// What a stream ends with.
    pub(crate) fn end(self, tokens: usize) -> String {
        match self {
            Format::Anthropic => {
                named(&json!({"type": "content_block_stop", "index": 0}))
                    + &named(&json!({"type": "message_delta",
                        "delta": {"stop_reason": "end_turn", "stop_sequence": null},
                        "usage": {"output_tokens": tokens}}))
                    + &named(&json!({"type": "message_stop"}))
            }
            _ => {
                let usage = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk",
                    "created": 1_790_000_000, "model": "gpt-5", "choices": [],
                    "usage": {"prompt_tokens": 420, "completion_tokens": tokens,
                              "total_tokens": 420 + tokens}});
                chunk(&json!({}), &json!("stop")) + &format!("data: {usage}\n\ndata: [DONE]\n\n")
            }
        }
    }
}

fn chunk(delta: &Value, finish_reason: &Value) -> String {
    let chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk",
        "created": 1_790_000_000, "model": "gpt-5", "system_fingerprint": "fp_1",
        "choices": [{"index": 0, "delta": delta, "logprobs": null,
                     "finish_reason": finish_reason}]});
    format!("data: {chunk}\n\n")
}

fn named(event: &Value) -> String {
    format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default())
}
