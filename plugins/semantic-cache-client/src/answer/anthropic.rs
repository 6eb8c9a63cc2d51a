//! Messages, <https://docs.anthropic.com/en/docs/build-with-claude/streaming>.

use serde_json::Value;

use super::make::{Json, json, put};
use super::node::Node;
use super::{
    Events, Object, State, Step, Wanted, append, list, list_mut, object_mut, pieces, string,
};

/// Adds an event.
pub(super) fn add(state: &mut State, mut event: Object) -> Step {
    let done = match string(&event, "type") {
        "ping" => Some(()),
        "message_start" => match event.remove("message") {
            Some(Value::Object(message)) if state.answer.is_empty() => {
                state.answer = message;
                Some(())
            }
            _ => None,
        },
        "content_block_start" => block(state, event),
        "content_block_delta" => delta(state, &mut event),
        "content_block_stop" => stop(state, &event),
        "message_delta" => message_delta(state, event),
        "message_stop" if !state.answer.is_empty() => return Step::End,
        _ => None,
    };
    if done.is_some() { Step::More } else { Step::Odd }
}

fn index(event: &Object) -> Option<usize> {
    usize::try_from(event.get("index")?.as_u64()?).ok()
}

fn block(state: &mut State, mut event: Object) -> Option<()> {
    let blocks = list_mut(&mut state.answer, "content")?;
    if index(&event)? != blocks.len() {
        return None;
    }
    blocks.push(event.remove("content_block")?);
    state.pieces.push(String::new());
    Some(())
}

fn delta(state: &mut State, event: &mut Object) -> Option<()> {
    let at = index(event)?;
    let Some(Value::Object(delta)) = event.remove("delta") else { return None };
    let block = list_mut(&mut state.answer, "content")?.get_mut(at)?.as_object_mut()?;
    match string(&delta, "type") {
        "text_delta" => append(block, "text", string(&delta, "text")),
        "thinking_delta" => append(block, "thinking", string(&delta, "thinking")),
        "signature_delta" => append(block, "signature", string(&delta, "signature")),
        "input_json_delta" => state.pieces.get_mut(at)?.push_str(string(&delta, "partial_json")),
        "citations_delta" => match block.get_mut("citations") {
            Some(Value::Array(citations)) => citations.push(delta.get("citation")?.clone()),
            _ => {
                block.insert("citations".into(), json!([delta.get("citation")?]));
            }
        },
        _ => return None,
    }
    Some(())
}

fn stop(state: &mut State, event: &Object) -> Option<()> {
    let at = index(event)?;
    let json = std::mem::take(state.pieces.get_mut(at)?);
    let block = list_mut(&mut state.answer, "content")?.get_mut(at)?.as_object_mut()?;
    if !json.is_empty() {
        block.insert("input".into(), shared::json::tree(&json).ok()?);
    }
    Some(())
}

fn message_delta(state: &mut State, mut event: Object) -> Option<()> {
    if let Some(Value::Object(delta)) = event.remove("delta") {
        state.answer.extend(delta);
    }
    if let Some(Value::Object(usage)) = event.remove("usage") {
        let whole = object_mut(&mut state.answer, "usage")?;
        whole.extend(usage.into_iter().filter(|(_, value)| !value.is_null()));
    }
    Some(())
}

pub(super) fn good(answer: &Node<'_>, wanted: Wanted) -> bool {
    let mut said = false;
    for block in answer.list("content") {
        match &*block.text("type") {
            "text" => said |= block.has_text("text"),
            "thinking" | "redacted_thinking" => {}
            "tool_use" if wanted.tools => said = true,
            _ => return false,
        }
    }
    said && match &*answer.text("stop_reason") {
        "end_turn" | "stop_sequence" => true,
        "tool_use" => wanted.tools,
        _ => false,
    }
}

pub(super) fn events(answer: &Object, out: &mut Events) {
    let mut begun = answer.clone();
    put(&mut begun, "content", json!([]));
    put(&mut begun, "stop_reason", Value::Null);
    put(&mut begun, "stop_sequence", Value::Null);
    let usage = answer.get("usage").cloned().unwrap_or_else(|| json!({}));
    if let Some(usage) = begun.get_mut("usage").and_then(Value::as_object_mut) {
        usage.insert("output_tokens".into(), 0.into());
    }
    out.send(Some("message_start"), &json!({ "type": "message_start", "message": begun }));
    for (index, block) in list(answer, "content").iter().enumerate() {
        if let Some(block) = block.as_object() {
            self::block_events(block, index, out);
        }
    }
    let member = |key: &str| answer.get(key).cloned().unwrap_or(Value::Null);
    let delta =
        json!({ "stop_reason": member("stop_reason"), "stop_sequence": member("stop_sequence") });
    out.send(
        Some("message_delta"),
        &json!({ "type": "message_delta", "delta": delta, "usage": usage }),
    );
    out.send(Some("message_stop"), &json!({ "type": "message_stop" }));
}

fn block_events(block: &Object, index: usize, out: &mut Events) {
    let mut begun = block.clone();
    let mut deltas = Vec::new();
    for (key, kind) in [("text", "text_delta"), ("thinking", "thinking_delta")] {
        if block.contains_key(key) {
            put(&mut begun, key, "".into());
            let all = pieces(string(block, key)).into_iter();
            deltas.extend(all.map(|piece| json!({ "type": kind, key: piece })));
        }
    }
    if block.contains_key("signature") {
        put(&mut begun, "signature", "".into());
        deltas.push(json!({ "type": "signature_delta", "signature": string(block, "signature") }));
    }
    for citation in list(block, "citations") {
        put(&mut begun, "citations", json!([]));
        deltas.push(json!({ "type": "citations_delta", "citation": citation }));
    }
    if let Some(input) = block.get("input") {
        put(&mut begun, "input", json!({}));
        deltas.push(
            json!({ "type": "input_json_delta", "partial_json": shared::json::text_of(input) }),
        );
    }
    let start = json!({ "type": "content_block_start", "index": index, "content_block": begun });
    out.send(Some("content_block_start"), &start);
    for delta in deltas {
        let event = json!({ "type": "content_block_delta", "index": index, "delta": delta });
        out.send(Some("content_block_delta"), &event);
    }
    let stop = json!({ "type": "content_block_stop", "index": index });
    out.send(Some("content_block_stop"), &stop);
}
