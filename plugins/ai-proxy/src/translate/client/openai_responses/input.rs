//! Reads the items of a request.

use serde_json::value::RawValue;
use shared::json::{JsonStr, parse};
use shared::protocol::Content;
use shared::protocol::content::Form;
use shared::protocol::openai_responses::{Item, Part as ApiPart};

use super::request::{Result, text};
use super::{names, seal};
use crate::translate::client::bad::{bad, invalid, required};
use crate::translate::client::left::{left, left_out};
use crate::translate::client::openai_chat::{audio_source, source};
use crate::translate::ir::{Arguments, Body, Part, Request, Role};

/// What OpenAI's own tools did in earlier rounds. Other providers have no place for it, and what the
/// model made of it follows.
const DONE_BY_OPENAI: [&str; 12] = [
    "code_interpreter_call",
    "file_search_call",
    "image_generation_call",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_call",
    "mcp_list_tools",
    "program",
    "program_output",
    "tool_search_call",
    "tool_search_output",
    "web_search_call",
];

/// Reads the list, or the one text.
pub(super) fn read<'a>(request: &mut Request<'a>, content: Content<'a>) -> Result<()> {
    match content.form().map_err(|error| bad("input", &error))? {
        Form::Text(text) if text.is_empty() => {}
        Form::Text(text) => request.push(Role::User, vec![Body::Text(text).into()]),
        Form::Parts(items) => {
            for (index, item) in items.into_iter().enumerate() {
                read_item(request, item, &format!("input[{index}]"))?;
            }
        }
    }
    if request.turns.is_empty() {
        return Err(invalid("input", "give at least one user or assistant message with content"));
    }
    Ok(())
}

fn read_item<'a>(request: &mut Request<'a>, item: Item<'a>, path: &str) -> Result<()> {
    let kind = item.kind.clone().map(|kind| kind.decode().into_owned());
    // The names of items and how far they have come are the server's own books.
    if !kind.as_deref().is_some_and(|kind| DONE_BY_OPENAI.contains(&kind)) {
        left(&mut request.dropped, path, "", &item.rest);
    }
    match kind.as_deref() {
        None | Some("message") => read_message(request, item, path)?,
        Some("function_call") => {
            let arguments = Arguments::Text(text(item.arguments, path, "arguments")?);
            request.push(Role::Assistant, vec![read_call(item, arguments, path)?]);
        }
        Some("custom_tool_call") => {
            let input = text(item.input, path, "input")?;
            let arguments = format!(r#"{{"input":{}}}"#, input.quoted());
            let arguments = Arguments::Text(JsonStr::encode(&arguments));
            request.push(Role::Assistant, vec![read_call(item, arguments, path)?]);
        }
        Some("function_call_output" | "custom_tool_call_output") => {
            let id = item.call_id.ok_or_else(|| required(path, "call_id"))?;
            let parts = contents(&mut request.dropped, item.output, path, "output")?;
            request.push(Role::User, vec![Body::ToolResult { id, parts, is_error: false }.into()]);
        }
        Some("reasoning") => {
            let thought = read_thought(&mut request.dropped, &item, path)?;
            request.push(Role::Assistant, thought.map(Part::from).into_iter().collect());
        }
        Some("item_reference") => {
            let message = "is kept by OpenAI, and this model is another provider's; send the item \
                           itself, as SDKs do with `store` false";
            return Err(invalid(path, message));
        }
        Some(kind) if DONE_BY_OPENAI.contains(&kind) => request.dropped.push(path.to_owned()),
        Some(_) => {
            let message = "is not supported with this model's provider; expected message, \
                           function_call, function_call_output, custom_tool_call, \
                           custom_tool_call_output or reasoning";
            return Err(invalid(&format!("{path}.type"), message));
        }
    }
    Ok(())
}

fn read_message<'a>(request: &mut Request<'a>, item: Item<'a>, path: &str) -> Result<()> {
    let role = item.role.ok_or_else(|| required(path, "role"))?;
    let parts = contents(&mut request.dropped, item.content, path, "content")?;
    match &*role.decode() {
        "system" | "developer" => {
            if parts.iter().any(|part| !matches!(part.body, Body::Text(_))) {
                let message = "instructions can only be text with this provider";
                return Err(invalid(&format!("{path}.content"), message));
            }
            request.push(Role::System, parts);
        }
        "user" => request.push(Role::User, parts),
        "assistant" => request.push(Role::Assistant, parts),
        _ => {
            let message = "expected system, developer, user or assistant";
            return Err(invalid(&format!("{path}.role"), message));
        }
    }
    Ok(())
}

fn read_call<'a>(item: Item<'a>, arguments: Arguments<'a>, path: &str) -> Result<Part<'a>> {
    let id = item.call_id.ok_or_else(|| required(path, "call_id"))?;
    let name = item.name.ok_or_else(|| required(path, "name"))?;
    let name = match &item.namespace {
        Some(namespace) => JsonStr::encode(&names::join(&namespace.decode(), &name.decode())),
        None => name,
    };
    Ok(Body::ToolCall { id, name, arguments }.into())
}

/// `None` without its encrypted form: then it is of no use to any provider.
fn read_thought<'a>(
    dropped: &mut Vec<String>,
    item: &Item<'a>,
    path: &str,
) -> Result<Option<Body<'a>>> {
    let Some(content) = item.encrypted_content.as_ref().filter(|c| !c.is_empty()) else {
        left_out(dropped, "input", "reasoning");
        return Ok(None);
    };
    let texts = |raw: Option<&'a RawValue>, field: &str| -> Result<Vec<JsonStr<'a>>> {
        let Some(raw) = raw else { return Ok(Vec::new()) };
        let parts: Vec<ApiPart<'a>> =
            parse(raw.get()).map_err(|error| bad(&format!("{path}.{field}"), &error))?;
        Ok(parts.into_iter().filter_map(|part| part.text).collect())
    };
    let mut said = texts(item.summary, "summary")?;
    if said.is_empty() {
        said = texts(item.content, "content")?;
    }
    let said: Vec<_> = said.iter().map(JsonStr::escaped).collect();
    let text = JsonStr::from_escaped(&said.join("\\n\\n")).unwrap_or_else(|| JsonStr::encode(""));
    Ok(seal::open(text, item.id.as_ref(), content))
}

/// A string or a list of parts.
fn contents<'a>(
    dropped: &mut Vec<String>,
    raw: Option<&'a RawValue>,
    path: &str,
    field: &str,
) -> Result<Vec<Part<'a>>> {
    let raw = raw.ok_or_else(|| required(path, field))?;
    let path = format!("{path}.{field}");
    let content: Content<'a> = parse(raw.get()).map_err(|error| bad(&path, &error))?;
    let mut parts: Vec<Part<'a>> = match content.form().map_err(|error| bad(&path, &error))? {
        Form::Text(text) => vec![Body::Text(text).into()],
        Form::Parts(parts) => {
            let parts = parts.into_iter().enumerate();
            parts
                .map(|(i, part)| read_part(dropped, part, &format!("{path}[{i}]")))
                .collect::<Result<_>>()?
        }
    };
    // Empty texts say nothing, and other providers refuse them.
    parts.retain(
        |part| !matches!(&part.body, Body::Text(text) | Body::Refusal(text) if text.is_empty()),
    );
    Ok(parts)
}

fn read_part<'a>(dropped: &mut Vec<String>, mut part: ApiPart<'a>, path: &str) -> Result<Part<'a>> {
    left(dropped, path, "", &part.rest);
    if part.logprobs.as_ref().is_some_and(|list| !list.is_empty()) {
        left_out(dropped, path, "logprobs");
    }
    let mut detail = part.detail.take();
    if part.image_url.is_none() && detail.take().is_some() {
        left_out(dropped, path, "detail");
    }
    if let Some(audio) = &part.input_audio {
        left(dropped, path, "input_audio", &audio.rest);
    }
    let breakpoint = part.prompt_cache_breakpoint;
    let mut read = Part { detail, ..read_body(part, path)?.into() };
    read.mark(breakpoint);
    Ok(read)
}

fn read_body<'a>(part: ApiPart<'a>, path: &str) -> Result<Body<'a>> {
    let kind = part.kind.ok_or_else(|| required(path, "type"))?;
    let by_id = |field: &str| {
        let message = "files by id belong to another provider; send its data or its address";
        invalid(&format!("{path}.{field}"), message)
    };
    match &*kind.decode() {
        "input_text" | "output_text" | "text" => {
            Ok(Body::Text(part.text.ok_or_else(|| required(path, "text"))?))
        }
        "refusal" => Ok(Body::Refusal(part.refusal.ok_or_else(|| required(path, "refusal"))?)),
        "input_image" => match part.image_url {
            Some(url) => Ok(Body::Image(source(url, &format!("{path}.image_url"))?)),
            None if part.file_id.is_some() => Err(by_id("file_id")),
            None => Err(required(path, "image_url")),
        },
        "input_file" => match (part.file_data, part.file_url) {
            (Some(_), Some(_)) => {
                let message = "give either this or file_data";
                Err(invalid(&format!("{path}.file_url"), message))
            }
            _ if part.file_id.is_some() => Err(by_id("file_id")),
            (Some(data), None) => {
                let path = format!("{path}.file_data");
                if !data.escaped().starts_with("data:") {
                    return Err(invalid(&path, "expected `data:<media type>;base64,<data>`"));
                }
                Ok(Body::Document { source: source(data, &path)?, title: part.filename })
            }
            (None, Some(url)) => {
                let source = source(url, &format!("{path}.file_url"))?;
                Ok(Body::Document { source, title: part.filename })
            }
            (None, None) => Err(required(path, "file_data")),
        },
        "input_audio" => {
            let audio = part.input_audio.ok_or_else(|| required(path, "input_audio"))?;
            Ok(Body::Audio(audio_source(audio, &format!("{path}.input_audio"))?))
        }
        _ => {
            let message = "expected input_text, input_image, input_file, input_audio, \
                           output_text or refusal";
            Err(invalid(&format!("{path}.type"), message))
        }
    }
}
