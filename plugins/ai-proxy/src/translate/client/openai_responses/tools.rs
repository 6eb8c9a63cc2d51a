//! Reads the tools of a request, and which of them are to be called.

use std::borrow::Cow;

use serde_json::value::RawValue;
use shared::json::{JsonStr, parse};
use shared::protocol::openai_responses::{Grammar, NamedChoice, Tool as ApiTool};

use super::names;
use super::request::Result;
use crate::translate::client::bad::{bad, invalid, required};
use crate::translate::client::left::{left, left_out};
use crate::translate::client::openai_chat::read_mode;
use crate::translate::ir::{Request, Tool, ToolChoice};

/// Tools that OpenAI runs itself. A model of another provider does without them, unless the request
/// forces a call; Codex and others always declare some.
const RUN_BY_OPENAI: [&str; 9] = [
    "code_interpreter",
    "file_search",
    "image_generation",
    "mcp",
    "programmatic_tool_calling",
    "tool_search",
    "web_search",
    "web_search_preview",
    "web_search_preview_2025_03_11",
];

/// Reads the list.
pub(super) fn read<'a>(request: &mut Request<'a>, raw: &'a RawValue) -> Result<()> {
    let tools: Vec<ApiTool<'a>> = parse(raw.get()).map_err(|error| bad("tools", &error))?;
    for (index, tool) in tools.into_iter().enumerate() {
        read_tool(request, tool, None, &format!("tools[{index}]"))?;
    }
    Ok(())
}

fn read_tool<'a>(
    request: &mut Request<'a>,
    tool: ApiTool<'a>,
    namespace: Option<&JsonStr<'_>>,
    path: &str,
) -> Result<()> {
    let kind = tool.kind.clone().ok_or_else(|| required(path, "type"))?;
    let kind = kind.decode();
    if !RUN_BY_OPENAI.contains(&&*kind) {
        left(&mut request.dropped, path, "", &tool.rest);
    }
    match &*kind {
        "function" => {
            let name = read_name(&tool, namespace, path)?;
            request.tools.push(Tool {
                name,
                description: tool.description,
                parameters: tool.parameters.map(Cow::Borrowed),
                custom: false,
                strict: tool.strict,
                cache_control: None,
            });
        }
        "custom" => {
            let name = read_name(&tool, namespace, path)?;
            let description = with_grammar(request, tool.description, tool.format, path)?;
            request.tools.push(Tool {
                name,
                description,
                parameters: None,
                custom: true,
                strict: None,
                cache_control: None,
            });
        }
        "namespace" if namespace.is_none() => {
            let name = tool.name.ok_or_else(|| required(path, "name"))?;
            if tool.description.is_some_and(|text| !text.is_empty()) {
                left_out(&mut request.dropped, path, "description");
            }
            for (index, tool) in tool.tools.unwrap_or_default().into_iter().enumerate() {
                read_tool(request, tool, Some(&name), &format!("{path}.tools[{index}]"))?;
            }
        }
        kind if RUN_BY_OPENAI.contains(&kind) => request.dropped.push(path.to_owned()),
        _ => {
            let message = "is not supported with this model's provider; declare a tool of type \
                           function or custom";
            return Err(invalid(&format!("{path}.type"), message));
        }
    }
    Ok(())
}

fn read_name<'a>(
    tool: &ApiTool<'a>,
    namespace: Option<&JsonStr<'_>>,
    path: &str,
) -> Result<JsonStr<'a>> {
    let name = tool.name.clone().ok_or_else(|| required(path, "name"))?;
    Ok(match namespace {
        Some(namespace) => JsonStr::encode(&names::join(&namespace.decode(), &name.decode())),
        None => name,
    })
}

/// No other provider binds a text to a grammar; the model is told of it instead.
fn with_grammar<'a>(
    request: &mut Request<'a>,
    description: Option<JsonStr<'a>>,
    format: Option<&'a RawValue>,
    path: &str,
) -> Result<Option<JsonStr<'a>>> {
    let Some(format) = format else { return Ok(description) };
    let path = format!("{path}.format");
    let grammar: Grammar<'a> = parse(format.get()).map_err(|error| bad(&path, &error))?;
    let Some(definition) = grammar.definition else { return Ok(description) };
    let syntax = grammar.syntax.as_ref().map_or("", JsonStr::escaped);
    let told = [
        description.as_ref().map_or("", JsonStr::escaped),
        if description.is_some() { "\\n\\n" } else { "" },
        "The input must match this grammar (",
        syntax,
        "):\\n",
        definition.escaped(),
    ];
    request.dropped.push(path);
    Ok(JsonStr::from_escaped(&told.concat()).or(description))
}

/// Reads `tool_choice`. That of `allowed_tools` leaves the others out.
pub(super) fn read_choice<'a>(request: &mut Request<'a>, raw: &'a RawValue) -> Result<()> {
    let path = "tool_choice";
    let choice = match parse::<JsonStr<'_>>(raw.get()) {
        Ok(word) => read_mode(&word, path)?,
        Err(_) => {
            let choice: NamedChoice<'a> = parse(raw.get()).map_err(|error| bad(path, &error))?;
            left(&mut request.dropped, path, "", &choice.rest);
            let kind = choice.kind.ok_or_else(|| required(path, "type"))?;
            match &*kind.decode() {
                "function" | "custom" => {
                    ToolChoice::Named(choice.name.ok_or_else(|| required(path, "name"))?)
                }
                "allowed_tools" => {
                    let allowed = choice.tools.ok_or_else(|| required(path, "tools"))?;
                    let is_allowed = |tool: &Tool<'_>| {
                        let mut names = allowed.iter().filter_map(|tool| tool.name.as_ref());
                        names.any(|name| name.decode() == tool.name.decode())
                    };
                    request.tools.retain(is_allowed);
                    let mode = choice.mode.ok_or_else(|| required(path, "mode"))?;
                    read_mode(&mode, "tool_choice.mode")?
                }
                _ => {
                    let message = "a tool that OpenAI runs cannot be called with this model's \
                                   provider; name a function";
                    return Err(invalid("tool_choice.type", message));
                }
            }
        }
    };
    if matches!(choice, ToolChoice::Required) && request.tools.is_empty() {
        let message = "none of the tools that may be called is a function; OpenAI's own do not \
                       run with this model's provider";
        return Err(invalid(path, message));
    }
    request.tool_choice = Some(choice);
    Ok(())
}
