//! The older API, in which a prompt is gone on with.

use serde_json::Value;

use super::{finish_reason, usage};
use crate::json::{Json, object};
use crate::output::{Output, Wish};
use crate::protocols::{Answer, ApiError, Call};
use crate::rng::Rng;
use crate::stream::Event;
use crate::tokens;

/// Its path.
pub(super) const PATH: &str = "/v1/completions";

/// Refuses what has no model or prompt.
pub(super) fn validate(call: &Call<'_>) -> Result<(), ApiError> {
    let missing = ["model", "prompt"].into_iter().find(|field| call.body.get(field).is_none());
    match missing {
        Some(field) => {
            let message = format!("you must provide a {field} parameter");
            Err(ApiError::invalid(message).param(field))
        }
        None => Ok(()),
    }
}

/// What the prompt is gone on with.
pub(super) fn answer(call: &Call<'_>, rng: &mut Rng) -> Answer {
    let prompt = call.body.get("prompt").and_then(Value::as_str).unwrap_or_default();
    let wish = Wish {
        last_user: prompt.to_owned(),
        max_tokens: call.body.get("max_tokens").and_then(Value::as_u64),
        stops: call.strings("stop"),
        call_id: ("call_", 24),
    };
    let id = rng.id("cmpl-", 29);
    let output = Output::new(call.script, call.listener, &wish, rng);
    let text = output.text.clone().unwrap_or_default();
    let reason = finish_reason(call, &output);
    let with = |choices: Vec<Json>| {
        object! {
            "id": id.as_str(),
            "object": "text_completion",
            "created": call.created(),
            "model": call.model(),
            "choices": choices,
        }
    };
    let body = |text: &str, reason: Option<&str>| {
        with(vec![object! {
            "text": text, "index": 0, "logprobs": Json::NULL,
            "finish_reason": reason.map(str::to_owned),
        }])
    };
    let usage = usage(call, std::slice::from_ref(&output));
    if !call.streams() {
        return Answer::Body(body(&text, Some(&reason)).with_some("usage", usage));
    }
    let pieces = tokens::pieces(&text);
    let mut events: Vec<Event> =
        pieces.into_iter().map(|piece| Event::data(body(piece, None).text()).token()).collect();
    events.push(Event::data(body("", Some(&reason)).text()));
    if call.body.pointer("/stream_options/include_usage") == Some(&Value::Bool(true)) {
        events.push(Event::data(with(Vec::new()).with_some("usage", usage).text()));
    }
    events.push(Event::data("[DONE]").terminal());
    Answer::sse(events)
}
