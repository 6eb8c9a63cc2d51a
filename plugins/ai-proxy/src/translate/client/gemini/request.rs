//! Reads a generateContent request. Every mistake is named with its place in the client's document.

use std::borrow::Cow;

use serde_json::value::RawValue;
use shared::errors::ApiError;
use shared::json::{Document, JsonStr, parse};
use shared::protocol::gemini::{
    Content, FunctionDeclaration, List, Part as ApiPart, Request as ApiRequest, Tool as ApiTool,
    ToolConfig,
};

use super::config::read_config;
use super::contents::read_contents;
use super::schema;
use crate::translate::client::bad::{bad, invalid, required};
use crate::translate::client::left::{left, left_out};
use crate::translate::ir::{Body, Part, Request, Tool, ToolChoice};

pub(super) type Result<T> = std::result::Result<T, ApiError>;

/// Reads the request.
pub fn read<'a>(body: impl Into<Document<'a>>) -> Result<Request<'a>> {
    let api: ApiRequest<'_> = body.into().parse().map_err(|error| bad("", &error))?;
    let mut request = Request::default();
    if api.cached_content.is_some() {
        let message = "belongs to Google; send the whole prompt to this model's provider";
        return Err(invalid("cachedContent", message));
    }
    if let Some(system) = api.system_instruction {
        request.system = read_system(&mut request.dropped, system)?;
    }
    let contents = api.contents.ok_or_else(|| required("", "contents"))?;
    read_contents(&mut request, contents)?;
    if request.turns.is_empty() {
        return Err(invalid(
            "contents",
            "give at least one content with a part that says something",
        ));
    }
    if let Some(tools) = api.tools {
        read_tools(&mut request, tools)?;
    }
    if let Some(config) = api.tool_config {
        read_tool_config(&mut request, config)?;
    }
    if let Some(config) = api.generation_config {
        read_config(&mut request, config)?;
    }
    left(&mut request.dropped, "", "", &api.rest);
    Ok(request)
}

/// A content, which is what Google takes, or a list of parts or a string, as SDKs take it.
fn read_system<'a>(dropped: &mut Vec<String>, system: &'a RawValue) -> Result<Vec<Part<'a>>> {
    let path = "systemInstruction";
    let mut parts = Vec::new();
    if system.get().starts_with('"') {
        let text: JsonStr<'_> = parse(system.get()).map_err(|error| bad(path, &error))?;
        parts.push(text);
    } else {
        let (list, path) = if system.get().starts_with('[') {
            let list: List<'_> = parse(system.get()).map_err(|error| bad(path, &error))?;
            (Some(list), path.to_owned())
        } else {
            let content: Content<'_> = parse(system.get()).map_err(|error| bad(path, &error))?;
            left(dropped, path, "", &content.rest);
            (content.parts, format!("{path}.parts"))
        };
        let list = list.map(List::items::<ApiPart<'_>>).transpose();
        let list = list.map_err(|error| bad(&path, &error))?.unwrap_or_default();
        for (index, part) in list.into_iter().enumerate() {
            let message = "instructions can only be text with this model's provider";
            left(dropped, &path, "", &part.rest);
            let text = part.text.ok_or_else(|| invalid(&format!("{path}[{index}]"), message))?;
            parts.push(text);
        }
    }
    parts.retain(|text| !text.is_empty());
    Ok(parts.into_iter().map(|text| Body::Text(text).into()).collect())
}

fn read_tools<'a>(request: &mut Request<'a>, tools: List<'a>) -> Result<()> {
    let tools: Vec<ApiTool<'a>> = tools.items().map_err(|error| bad("tools", &error))?;
    for (index, tool) in tools.into_iter().enumerate() {
        let path = format!("tools[{index}]");
        // What is not said is `null`.
        if let Some((key, _)) = tool.rest.iter().find(|(_, value)| value.get() != "null") {
            let message = "tools that Google runs are not supported with this model's provider; \
                           give functionDeclarations";
            return Err(invalid(&format!("{path}.{key}"), message));
        }
        let Some(functions) = tool.function_declarations else { continue };
        let path = format!("{path}.functionDeclarations");
        let functions: Vec<FunctionDeclaration<'a>> =
            functions.items().map_err(|error| bad(&path, &error))?;
        for (index, function) in functions.into_iter().enumerate() {
            let path = format!("{path}[{index}]");
            request.tools.push(read_function(&mut request.dropped, function, &path)?);
        }
    }
    Ok(())
}

fn read_function<'a>(
    dropped: &mut Vec<String>,
    function: FunctionDeclaration<'a>,
    path: &str,
) -> Result<Tool<'a>> {
    left(dropped, path, "", &function.rest);
    let parameters = match (function.parameters_json_schema, function.parameters) {
        (Some(_), Some(_)) => {
            let message = "give either this or parametersJsonSchema";
            return Err(invalid(&format!("{path}.parameters"), message));
        }
        (Some(schema), None) => Some(Cow::Borrowed(schema)),
        (None, Some(schema)) => Some(schema::convert(schema, &format!("{path}.parameters"))?),
        (None, None) => None,
    };
    Ok(Tool {
        name: function.name.ok_or_else(|| required(path, "name"))?,
        description: function.description.filter(|text| !text.is_empty()),
        parameters,
        custom: false,
        strict: None,
        cache_control: None,
    })
}

fn read_tool_config<'a>(request: &mut Request<'a>, config: ToolConfig<'a>) -> Result<()> {
    left(&mut request.dropped, "toolConfig", "", &config.rest);
    let Some(calling) = config.function_calling_config else { return Ok(()) };
    let path = "toolConfig.functionCallingConfig";
    left(&mut request.dropped, path, "", &calling.rest);
    let mode = calling.mode.as_ref().map(|mode| mode.decode().to_ascii_uppercase());
    let mut names = calling.allowed_function_names.unwrap_or_default();
    request.tool_choice = Some(match mode.as_deref() {
        None | Some("AUTO" | "MODE_UNSPECIFIED") => ToolChoice::Auto,
        // Whether arguments fit their schemas nobody else says for all functions at once.
        Some("VALIDATED") => {
            left_out(&mut request.dropped, path, "mode");
            ToolChoice::Auto
        }
        Some("NONE") => ToolChoice::None,
        Some("ANY") => match (names.len(), names.pop()) {
            (1, Some(name)) => ToolChoice::Named(name),
            (_, last) => {
                names.extend(last);
                ToolChoice::Required
            }
        },
        Some(_) => {
            return Err(invalid(&format!("{path}.mode"), "expected AUTO, ANY, NONE or VALIDATED"));
        }
    });
    // Some of several: no other protocol has that, but the others can be left out.
    if !names.is_empty() {
        let names: Vec<_> = names.iter().map(JsonStr::decode).collect();
        request.tools.retain(|tool| names.contains(&tool.name.decode()));
        if request.tools.is_empty() {
            let path = format!("{path}.allowedFunctionNames");
            return Err(invalid(&path, "names none of the functions in tools"));
        }
    }
    Ok(())
}
