//! Writes the tools.

use shared::small_map::SmallMap;
use shared::write::JsonWriter;

use super::content::{Message, cache_point, string};
use super::family::Family;
use crate::translate::ir::{Body, Field, Request, Tool, ToolChoice};

/// Writes `toolConfig`, and says what of the request has no place in it.
///
/// Bedrock demands tools wherever a call or a result stands in the conversation. A client that gives
/// none any more has those that were called, marked as gone.
///
/// It has no word for that no tool may be called. Where nothing was called so far, the tools are left
/// out, which is the same; else they must stay, and the wish is reported as dropped.
pub(super) fn write(
    w: &mut JsonWriter,
    request: &Request<'_>,
    messages: &[Message<'_, '_>],
    family: Family,
) -> Vec<Field> {
    let mut dropped = Vec::new();
    let bodies = || messages.iter().flat_map(|(_, parts)| parts).map(|part| &part.body);
    let used = bodies().any(|b| matches!(b, Body::ToolCall { .. } | Body::ToolResult { .. }));
    let forbidden = matches!(request.tool_choice, Some(ToolChoice::None));
    if !used && (forbidden || request.tools.is_empty()) {
        return dropped;
    }
    if forbidden {
        dropped.push(Field::ToolChoice);
    }
    w.key("toolConfig");
    w.open('{');
    w.key("tools");
    w.open('[');
    for tool in &request.tools {
        write_tool(w, tool);
        // Nova's cache does not reach to tools.
        if family == Family::Claude {
            cache_point(w, family, tool.cache_control);
        }
    }
    if request.tools.is_empty() {
        write_called(w, bodies());
    }
    w.close(']');
    if !request.tools.is_empty() {
        write_choice(w, request.tool_choice.as_ref());
        // Only Claude can be told so, and not in this protocol's own words.
        if !forbidden && request.parallel_tool_calls == Some(false) {
            dropped.push(Field::ParallelToolCalls);
        }
    }
    w.close('}');
    dropped
}

fn write_tool(w: &mut JsonWriter, tool: &Tool<'_>) {
    w.open('{');
    w.key("toolSpec");
    w.open('{');
    string(w, "name", &tool.name);
    // An empty one is refused.
    if let Some(description) = tool.description.as_ref().filter(|text| !text.is_empty()) {
        string(w, "description", description);
    }
    w.key("inputSchema");
    w.open('{');
    w.key("json");
    w.raw(&tool.object_schema());
    w.close('}');
    if tool.strict == Some(true) {
        w.key("strict");
        w.raw("true");
    }
    w.raw_tail("}}");
}

/// The tools that were called, each once.
fn write_called<'b, 'a: 'b>(w: &mut JsonWriter, bodies: impl Iterator<Item = &'b Body<'a>>) {
    let mut seen = SmallMap::default();
    for body in bodies {
        let Body::ToolCall { name, .. } = body else { continue };
        if seen.insert(name.escaped(), ()).is_some() {
            continue;
        }
        w.open('{');
        w.key("toolSpec");
        w.open('{');
        string(w, "name", name);
        w.field("description", "No longer available.");
        w.key("inputSchema");
        w.raw(r#"{"json":{"type":"object"}}"#);
        w.raw_tail("}}");
    }
}

fn write_choice(w: &mut JsonWriter, choice: Option<&ToolChoice<'_>>) {
    match choice {
        // Some models take no choice at all, and this is what happens without one.
        None | Some(ToolChoice::Auto | ToolChoice::None) => {}
        Some(ToolChoice::Required) => {
            w.key("toolChoice");
            w.raw(r#"{"any":{}}"#);
        }
        Some(ToolChoice::Named(name)) => {
            w.key("toolChoice");
            w.open('{');
            w.key("tool");
            w.open('{');
            string(w, "name", name);
            w.raw_tail("}}");
        }
    }
}
