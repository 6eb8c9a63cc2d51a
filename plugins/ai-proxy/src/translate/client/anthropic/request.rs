//! Reads a Messages request. Every mistake is named with its place in the client's document.

use std::borrow::Cow;

use shared::errors::ApiError;
use shared::json::{Document, JsonStr, parse};
use shared::protocol::Content;
use shared::protocol::anthropic::{
    Block, Message, OutputConfig, OutputFormat, Request as ApiRequest, Source as ApiSource,
    Thinking as ApiThinking, Tool as ApiTool, ToolChoice as ApiToolChoice,
};
use shared::protocol::content::Form;

use crate::objects::request::begins;
use crate::translate::client::bad::{bad, invalid, required};
use crate::translate::client::left::{left, left_out};
use crate::translate::ir::{
    Arguments, Body, Effort, Format, Part, Request, Role, Source, Thinking, Tool, ToolChoice,
};

type Result<T> = std::result::Result<T, ApiError>;

/// Reads the request.
pub fn read<'a>(body: impl Into<Document<'a>>) -> Result<Request<'a>> {
    let request = read_to_count(body)?;
    match request.max_tokens {
        Some(_) => Ok(request),
        None => Err(required("", "max_tokens")),
    }
}

/// The same where no answer is wanted, so that its length has no limit.
pub fn read_to_count<'a>(body: impl Into<Document<'a>>) -> Result<Request<'a>> {
    let api: ApiRequest<'_> = body.into().parse().map_err(|error| bad("", &error))?;
    let mut request = Request {
        max_tokens: api.max_tokens,
        temperature: api.temperature,
        top_p: api.top_p,
        top_k: api.top_k,
        stop: api.stop_sequences.unwrap_or_default(),
        stream: api.stream.unwrap_or(false),
        ..Request::default()
    };
    let dropped = &mut request.dropped;
    if api.container.is_some_and(|container| container.get() != "{}") {
        let message = "is kept by Anthropic, and this model is another provider's; leave it out";
        return Err(invalid("container", message));
    }
    if let Some(thread) = api.thread {
        begins(thread)?;
        left_out(dropped, "", "thread");
    }
    if let Some(metadata) = api.metadata {
        left(dropped, "metadata", "", &metadata.rest);
        request.user = metadata.user_id;
    }
    if let Some(system) = api.system {
        request.system = contents(dropped, system, "system")?;
        if request.system.iter().any(|part| !matches!(part.body, Body::Text(_))) {
            return Err(invalid("system", "expected text blocks"));
        }
    }
    for (index, message) in api.messages.unwrap_or_default().into_iter().enumerate() {
        read_message(&mut request, message, &format!("messages[{index}]"))?;
    }
    if request.turns.is_empty() {
        return Err(invalid("messages", "give at least one message with content"));
    }
    for (index, tool) in api.tools.unwrap_or_default().into_iter().enumerate() {
        let tool = read_tool(&mut request.dropped, tool, &format!("tools[{index}]"))?;
        request.tools.push(tool);
    }
    if let Some(choice) = api.tool_choice {
        read_tool_choice(&mut request, choice)?;
    }
    request.thinking = read_thinking(api.thinking.as_ref(), api.output_config.as_ref())?;
    let dropped = &mut request.dropped;
    if let Some(thinking) = &api.thinking {
        left(dropped, "thinking", "", &thinking.rest);
    }
    // The older place of the answer's form. What else clients have put there is no form of Anthropic's.
    let older = api.output_format.map(|older| parse::<OutputFormat<'_>>(older.get()));
    let mut format = older.and_then(|older| match older {
        Ok(format) => Some(format),
        Err(_) => {
            left_out(dropped, "", "output_format");
            None
        }
    });
    if let Some(config) = api.output_config {
        left(dropped, "output_config", "", &config.rest);
        format = config.format.or(format);
    }
    if let Some(format) = format {
        left(dropped, "output_config.format", "", &format.rest);
        let schema = format.schema.ok_or_else(|| required("output_config.format", "schema"))?;
        let schema = Cow::Borrowed(schema);
        // Anthropic's models are always bound to it.
        let strict = Some(true);
        request.format = Some(Format::Schema { name: None, description: None, schema, strict });
    }
    // The tier `auto` is what there is without it.
    if api.service_tier.is_some_and(|tier| tier != *"auto") {
        left_out(dropped, "", "service_tier");
    }
    left(dropped, "", "", &api.rest);
    Ok(request)
}

fn read_message<'a>(request: &mut Request<'a>, message: Message<'a>, path: &str) -> Result<()> {
    let role = message.role.ok_or_else(|| required(path, "role"))?;
    let content = message.content.ok_or_else(|| required(path, "content"))?;
    let dropped = &mut request.dropped;
    left(dropped, path, "", &message.rest);
    let parts = contents(dropped, content, &format!("{path}.content"))?;
    let role = match &*role.decode() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        // Newer models take instructions in the midst of a conversation.
        "system" if parts.iter().all(|part| matches!(part.body, Body::Text(_))) => Role::System,
        "system" => return Err(invalid(&format!("{path}.content"), "expected text blocks")),
        _ => return Err(invalid(&format!("{path}.role"), "expected user or assistant")),
    };
    request.push(role, parts);
    Ok(())
}

fn contents<'a>(
    dropped: &mut Vec<String>,
    content: Content<'a>,
    path: &str,
) -> Result<Vec<Part<'a>>> {
    let mut parts = match content.form().map_err(|error| bad(path, &error))? {
        Form::Text(text) => vec![Body::Text(text).into()],
        Form::Parts(blocks) => {
            let mut parts = Vec::with_capacity(blocks.len());
            for (index, block) in blocks.into_iter().enumerate() {
                parts.push(read_block(dropped, block, &format!("{path}[{index}]"))?);
            }
            parts
        }
    };
    parts.retain(|part: &Part<'_>| !matches!(&part.body, Body::Text(text) if text.is_empty()));
    Ok(parts)
}

fn read_block<'a>(dropped: &mut Vec<String>, block: Block<'a>, path: &str) -> Result<Part<'a>> {
    let kind = block.kind.ok_or_else(|| required(path, "type"))?;
    left(dropped, path, "", &block.rest);
    if let Some(source) = &block.source {
        left(dropped, path, "source", &source.rest);
    }
    let body = match &*kind.decode() {
        "text" => Body::Text(block.text.ok_or_else(|| required(path, "text"))?),
        "image" => Body::Image(source(block.source, path)?),
        "document" => match text_document(block.source.as_ref()) {
            Some(text) => {
                if block.title.is_some() {
                    left_out(dropped, path, "title");
                }
                Body::Text(text)
            }
            None => Body::Document { source: source(block.source, path)?, title: block.title },
        },
        "tool_use" => Body::ToolCall {
            id: block.id.ok_or_else(|| required(path, "id"))?,
            name: block.name.ok_or_else(|| required(path, "name"))?,
            arguments: match block.input {
                Some(input) => Arguments::Json(input),
                None => Arguments::Text(JsonStr::encode("{}")),
            },
        },
        "tool_result" => Body::ToolResult {
            id: block.tool_use_id.ok_or_else(|| required(path, "tool_use_id"))?,
            parts: match block.content {
                Some(content) => contents(dropped, content, &format!("{path}.content"))?,
                None => Vec::new(),
            },
            is_error: block.is_error.unwrap_or(false),
        },
        "thinking" => {
            let signature = block.signature.filter(|signature| !signature.is_empty());
            let Some(text) = block.thinking else { return Err(required(path, "thinking")) };
            Body::Thinking { text, signature }
        }
        "redacted_thinking" => {
            Body::RedactedThinking(block.data.ok_or_else(|| required(path, "data"))?)
        }
        _ => {
            let message = "this block is not supported with this model's provider";
            return Err(invalid(&format!("{path}.type"), message));
        }
    };
    Ok(Part { cache_control: block.cache_control, ..body.into() })
}

/// A document that is plain text is text.
fn text_document<'a>(source: Option<&ApiSource<'a>>) -> Option<JsonStr<'a>> {
    let source = source?;
    source.kind.as_ref().filter(|kind| **kind == *"text")?;
    source.data.clone()
}

fn source<'a>(source: Option<ApiSource<'a>>, path: &str) -> Result<Source<'a>> {
    let path = format!("{path}.source");
    let source = source.ok_or_else(|| invalid(&path, "is required"))?;
    let kind = source.kind.ok_or_else(|| required(&path, "type"))?;
    match &*kind.decode() {
        "base64" => {
            let plain = |text: Option<JsonStr<'a>>, field: &str| match text {
                Some(JsonStr::Borrowed(raw)) => {
                    let inner = raw.get().strip_prefix('"').and_then(|s| s.strip_suffix('"'));
                    inner.filter(|inner| !inner.is_empty()).ok_or_else(|| required(&path, field))
                }
                _ => Err(required(&path, field)),
            };
            let media_type = plain(source.media_type, "media_type")?;
            Ok(Source::Base64 { media_type, data: plain(source.data, "data")?.into() })
        }
        "url" => Ok(Source::Url(source.url.ok_or_else(|| required(&path, "url"))?)),
        _ => {
            let message = "expected base64 or url; files by id belong to another provider";
            Err(invalid(&format!("{path}.type"), message))
        }
    }
}

fn read_tool<'a>(dropped: &mut Vec<String>, tool: ApiTool<'a>, path: &str) -> Result<Tool<'a>> {
    if tool.kind.as_ref().is_some_and(|kind| *kind != *"custom") {
        let message = "tools that Anthropic runs are not supported with this model's provider";
        return Err(invalid(&format!("{path}.type"), message));
    }
    left(dropped, path, "", &tool.rest);
    Ok(Tool {
        name: tool.name.ok_or_else(|| required(path, "name"))?,
        description: tool.description,
        parameters: Some(Cow::Borrowed(
            tool.input_schema.ok_or_else(|| required(path, "input_schema"))?,
        )),
        custom: false,
        strict: tool.strict,
        cache_control: tool.cache_control,
    })
}

fn read_tool_choice<'a>(request: &mut Request<'a>, choice: ApiToolChoice<'a>) -> Result<()> {
    left(&mut request.dropped, "tool_choice", "", &choice.rest);
    if let Some(disabled) = choice.disable_parallel_tool_use {
        request.parallel_tool_calls = Some(!disabled);
    }
    let kind = choice.kind.ok_or_else(|| required("tool_choice", "type"))?;
    request.tool_choice = Some(match &*kind.decode() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(choice.name.ok_or_else(|| required("tool_choice", "name"))?),
        _ => return Err(invalid("tool_choice.type", "expected auto, any, tool or none")),
    });
    Ok(())
}

fn read_thinking(
    thinking: Option<&ApiThinking<'_>>,
    config: Option<&OutputConfig<'_>>,
) -> Result<Thinking> {
    let mut read = Thinking::default();
    if let Some(effort) = config.and_then(|config| config.effort.as_ref()) {
        let effort = Effort::of_word(&effort.decode()).ok_or_else(|| {
            invalid("output_config.effort", "expected low, medium, high, xhigh or max")
        })?;
        read.effort = Some(effort);
    }
    let Some(thinking) = thinking else { return Ok(read) };
    let kind = thinking.kind.as_ref().ok_or_else(|| required("thinking", "type"))?;
    let show = thinking.display.as_ref().is_none_or(|display| *display != *"omitted");
    match &*kind.decode() {
        "enabled" => {
            let budget = thinking.budget_tokens;
            read.budget = Some(budget.ok_or_else(|| required("thinking", "budget_tokens"))?);
            read.show = Some(show);
        }
        // As the model likes, which is how other providers' models think anyway.
        "adaptive" => read.show = Some(show),
        "disabled" => read = Thinking { budget: Some(0), ..Thinking::default() },
        _ => return Err(invalid("thinking.type", "expected enabled, disabled or adaptive")),
    }
    Ok(read)
}
