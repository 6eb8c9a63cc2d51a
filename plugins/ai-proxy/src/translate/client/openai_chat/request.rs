//! Reads a Chat Completions request. Every mistake is named with its place in the client's document.

use std::borrow::Cow;

use serde_json::value::RawValue;
use shared::errors::ApiError;
use shared::json::{Document, JsonStr, parse};
use shared::protocol::Content;
use shared::protocol::content::Form;
use shared::protocol::openai_chat::{
    InputAudio, Message, NamedChoice, Part as ApiPart, Request as ApiRequest, ResponseFormat,
    StreamOptions, ThinkingBlock, Tool as ApiTool, ToolCall,
};
use shared::text;

use crate::translate::client::bad::{bad, invalid};
use crate::translate::client::left::{left, left_out};
use crate::translate::ir::{
    Arguments, Body, Effort, Format, Part, Request, Role, Source, Tool, ToolChoice,
};

type Result<T> = std::result::Result<T, ApiError>;

/// Reads the request.
pub fn read<'a>(body: impl Into<Document<'a>>) -> Result<Request<'a>> {
    let api: ApiRequest<'_> = body.into().parse().map_err(|error| bad("", &error))?;
    if api.n == Some(0) {
        return Err(invalid("n", "must be at least 1"));
    }
    let logprobs = api.logprobs.unwrap_or(false);
    let mut request = Request {
        parallel_tool_calls: api.parallel_tool_calls,
        max_tokens: api.max_completion_tokens.or(api.max_tokens),
        temperature: api.temperature,
        top_p: api.top_p,
        top_k: api.top_k,
        frequency_penalty: api.frequency_penalty,
        presence_penalty: api.presence_penalty,
        seed: api.seed,
        n: api.n,
        logprobs: logprobs.then(|| api.top_logprobs.unwrap_or(0)),
        verbosity: api.verbosity,
        cache_key: api.prompt_cache_key,
        store: api.store,
        metadata: api.metadata.filter(|notes| notes.get() != "{}"),
        stream: api.stream.unwrap_or(false),
        user: api.safety_identifier.or(api.user).filter(|user| !user.is_empty()),
        openai: of_openai(api.service_tier, api.prompt_cache_retention, api.prompt_cache_options),
        ..Request::default()
    };
    for (index, message) in api.messages.unwrap_or_default().into_iter().enumerate() {
        read_message(&mut request, message, &text!("messages[", index, "]"))?;
    }
    if request.turns.is_empty() {
        let message = "give at least one user or assistant message with content";
        return Err(invalid("messages", message));
    }
    for (index, tool) in api.tools.unwrap_or_default().into_iter().enumerate() {
        let tool = read_tool(&mut request.dropped, tool, &text!("tools[", index, "]"))?;
        request.tools.push(tool);
    }
    if let Some(choice) = api.tool_choice {
        request.tool_choice = Some(read_tool_choice(&mut request, choice)?);
    }
    request.stop = api.stop.map(read_stop).transpose()?.unwrap_or_default();
    request.thinking.effort = api.reasoning_effort.as_ref().map(read_effort).transpose()?;
    if let Some(format) = api.response_format {
        read_format(&mut request, format)?;
    }
    if let Some(options) = api.stream_options {
        padding(&mut request.dropped, &options);
    }
    left(&mut request.dropped, "", "", &api.rest);
    Ok(request)
}

/// Nobody else pads streams.
pub(in crate::translate::client) fn padding(
    dropped: &mut Vec<String>,
    options: &StreamOptions<'_>,
) {
    if options.include_obfuscation == Some(true) {
        left_out(dropped, "stream_options", "include_obfuscation");
    }
    left(dropped, "stream_options", "", &options.rest);
}

/// What both of OpenAI's protocols have and no other. The tier `auto` is what there is without it.
pub(in crate::translate::client) fn of_openai<'a>(
    tier: Option<&'a RawValue>,
    retention: Option<&'a RawValue>,
    cache: Option<&'a RawValue>,
) -> Vec<(&'static str, &'a RawValue)> {
    let tier = tier.filter(|tier| tier.get() != "\"auto\"");
    let members = [
        ("service_tier", tier),
        ("prompt_cache_retention", retention),
        ("prompt_cache_options", cache),
    ];
    members.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

fn read_message<'a>(request: &mut Request<'a>, message: Message<'a>, path: &str) -> Result<()> {
    let Some(role) = &message.role else {
        return Err(invalid(&format!("{path}.role"), "is required"));
    };
    let role = role.decode();
    let dropped = &mut request.dropped;
    left(dropped, path, "", &message.rest);
    // That of a result is its function's, which its call names.
    if message.name.is_some() && role != "tool" {
        left_out(dropped, path, "name");
    }
    if message.audio.is_some() {
        let message = "is kept by OpenAI, and this model is another provider's; send its text";
        return Err(invalid(&format!("{path}.audio"), message));
    }
    match &*role {
        "system" | "developer" => {
            let parts = texts(dropped, message.content, message.cache_control, path)?;
            request.push(Role::System, parts);
        }
        "user" => {
            let parts = contents(dropped, message.content, message.cache_control, path)?;
            request.push(Role::User, parts);
        }
        "assistant" => {
            drop(role);
            let parts = read_assistant(&mut request.dropped, message, path)?;
            request.push(Role::Assistant, parts);
        }
        "tool" => {
            let Some(id) = message.tool_call_id else {
                return Err(invalid(&format!("{path}.tool_call_id"), "is required"));
            };
            let parts = contents(dropped, message.content, None, path)?;
            let body = Body::ToolResult { id, parts, is_error: false };
            let part = Part { cache_control: message.cache_control, ..body.into() };
            request.push(Role::User, vec![part]);
        }
        "function" => {
            let message = "role `function` is not supported with this provider; use `tools`";
            return Err(invalid(&format!("{path}.role"), message));
        }
        _ => {
            let message = "expected system, developer, user, assistant or tool";
            return Err(invalid(&format!("{path}.role"), message));
        }
    }
    Ok(())
}

fn read_assistant<'a>(
    dropped: &mut Vec<String>,
    message: Message<'a>,
    path: &str,
) -> Result<Vec<Part<'a>>> {
    if message.function_call.is_some() {
        let message = "is not supported with this provider; use `tool_calls`";
        return Err(invalid(&format!("{path}.function_call"), message));
    }
    let unsigned = message.thought();
    let thoughts = message.thinking_blocks.unwrap_or_default();
    let mut parts = Vec::new();
    for block in thoughts {
        left(dropped, path, "thinking_blocks", &block.rest);
        parts.extend(read_thought(block));
    }
    let unsigned = unsigned.filter(|_| parts.is_empty());
    parts.extend(unsigned.map(|text| Body::Thinking { text, signature: None }.into()));
    parts.extend(contents(dropped, message.content, message.cache_control, path)?);
    if let Some(refusal) = message.refusal.filter(|text| !text.is_empty()) {
        parts.push(Body::Refusal(refusal).into());
    }
    for (index, call) in message.tool_calls.unwrap_or_default().into_iter().enumerate() {
        let path = text!(path, ".tool_calls[", index, "]");
        parts.push(read_call(dropped, call, &path)?.into());
    }
    Ok(parts)
}

fn read_thought(block: ThinkingBlock<'_>) -> Option<Part<'_>> {
    match (block.thinking, block.signature, block.data) {
        (Some(text), signature, _) => Some(Body::Thinking { text, signature }.into()),
        (None, _, Some(data)) => Some(Body::RedactedThinking(data).into()),
        _ => None,
    }
}

fn read_call<'a>(dropped: &mut Vec<String>, call: ToolCall<'a>, path: &str) -> Result<Body<'a>> {
    let Some(function) = call.function else {
        return Err(invalid(&format!("{path}.function"), "is required"));
    };
    left(dropped, path, "", &call.rest);
    left(dropped, path, "function", &function.rest);
    let id = call.id.ok_or_else(|| invalid(&format!("{path}.id"), "is required"))?;
    let name = function.name;
    let name = name.ok_or_else(|| invalid(&format!("{path}.function.name"), "is required"))?;
    let arguments = function.arguments.unwrap_or_else(|| JsonStr::encode("{}"));
    Ok(Body::ToolCall { id, name, arguments: Arguments::Text(arguments) })
}

/// What may stand in system messages.
fn texts<'a>(
    dropped: &mut Vec<String>,
    content: Option<Content<'a>>,
    cache_control: Option<&'a RawValue>,
    path: &str,
) -> Result<Vec<Part<'a>>> {
    let parts = contents(dropped, content, cache_control, path)?;
    if parts.iter().any(|part| !matches!(part.body, Body::Text(_))) {
        let path = text!(path, ".content");
        return Err(invalid(&path, "instructions can only be text with this provider"));
    }
    Ok(parts)
}

fn contents<'a>(
    dropped: &mut Vec<String>,
    content: Option<Content<'a>>,
    cache_control: Option<&'a RawValue>,
    path: &str,
) -> Result<Vec<Part<'a>>> {
    let Some(content) = content else { return Ok(Vec::new()) };
    let path = text!(path, ".content");
    let mut parts = match content.form().map_err(|error| bad(&path, &error))? {
        Form::Text(text) => vec![Body::Text(text).into()],
        Form::Parts(parts) => {
            let parts = parts.into_iter().enumerate();
            parts
                .map(|(i, part)| read_part(dropped, part, &text!(path, "[", i, "]")))
                .collect::<Result<_>>()?
        }
    };
    // Empty texts say nothing, and other providers refuse them.
    parts.retain(|part| !matches!(&part.body, Body::Text(text) if text.is_empty()));
    if let (Some(last), Some(mark)) = (parts.last_mut(), cache_control) {
        last.cache_control.get_or_insert(mark);
    }
    Ok(parts)
}

fn read_part<'a>(dropped: &mut Vec<String>, part: ApiPart<'a>, path: &str) -> Result<Part<'a>> {
    let Some(kind) = part.kind else {
        return Err(invalid(&format!("{path}.type"), "is required"));
    };
    let required = |field: &str| invalid(&format!("{path}.{field}"), "is required");
    left(dropped, path, "", &part.rest);
    let mut detail = None;
    let body = match &*kind.decode() {
        "text" => Body::Text(part.text.ok_or_else(|| required("text"))?),
        "refusal" => Body::Refusal(part.refusal.ok_or_else(|| required("refusal"))?),
        "image_url" => {
            let image = part.image_url.unwrap_or_default();
            left(dropped, path, "image_url", &image.rest);
            detail = image.detail;
            Body::Image(source(image.url.ok_or_else(|| required("image_url.url"))?, path)?)
        }
        "file" => {
            let file = part.file.ok_or_else(|| required("file"))?;
            left(dropped, path, "file", &file.rest);
            let (None, Some(data)) = (file.file_id, file.file_data) else {
                let message = "files by id belong to another provider; send `file_data`";
                return Err(invalid(&format!("{path}.file.file_id"), message));
            };
            Body::Document { source: source(data, path)?, title: file.filename }
        }
        "input_audio" => {
            let audio = part.input_audio.ok_or_else(|| required("input_audio"))?;
            left(dropped, path, "input_audio", &audio.rest);
            Body::Audio(audio_source(audio, &format!("{path}.input_audio"))?)
        }
        "video_url" => {
            let video = part.video_url.unwrap_or_default();
            left(dropped, path, "video_url", &video.rest);
            if video.detail.is_some() {
                left_out(dropped, path, "video_url.detail");
            }
            Body::Video(source(video.url.ok_or_else(|| required("video_url.url"))?, path)?)
        }
        _ => {
            let message = "expected text, image_url, input_audio, video_url, file or refusal";
            return Err(invalid(&format!("{path}.type"), message));
        }
    };
    let mut read = Part { cache_control: part.cache_control, detail, ..body.into() };
    read.mark(part.prompt_cache_breakpoint);
    Ok(read)
}

pub(in crate::translate::client) fn audio_source<'a>(
    audio: InputAudio<'a>,
    path: &str,
) -> Result<Source<'a>> {
    let format = audio.format.ok_or_else(|| invalid(&format!("{path}.format"), "is required"))?;
    let media_type = match &*format.decode() {
        "wav" => "audio/wav",
        "mp3" => "audio/mpeg",
        "flac" => "audio/flac",
        "ogg" | "opus" => "audio/ogg",
        "aac" => "audio/aac",
        _ => {
            let message = "expected wav, mp3, flac, ogg or aac";
            return Err(invalid(&format!("{path}.format"), message));
        }
    };
    let data = match audio.data {
        Some(JsonStr::Borrowed(raw)) => {
            raw.get().strip_prefix('"').and_then(|s| s.strip_suffix('"'))
        }
        _ => None,
    };
    let data = data.filter(|data| !data.is_empty());
    let data = data.ok_or_else(|| invalid(&format!("{path}.data"), "is required"))?;
    Ok(Source::Base64 { media_type, data: data.into() })
}

/// A `data:` URL becomes its bytes.
pub(in crate::translate::client) fn source<'a>(url: JsonStr<'a>, path: &str) -> Result<Source<'a>> {
    let JsonStr::Borrowed(raw) = url else { return Ok(Source::Url(url)) };
    let escaped = raw.get().strip_prefix('"').and_then(|s| s.strip_suffix('"'));
    let Some(data) = escaped.and_then(|s| s.strip_prefix("data:")) else {
        return Ok(Source::Url(url));
    };
    match data.split_once(";base64,") {
        Some((media_type, data)) => {
            // Parameters (`;charset=...`) are no part of what providers take.
            let media_type = media_type.split(';').next().unwrap_or_default();
            if media_type.is_empty() || data.is_empty() {
                return Err(invalid(path, "expected `data:<media type>;base64,<data>`"));
            }
            Ok(Source::Base64 { media_type, data: data.into() })
        }
        None => Err(invalid(path, "expected `data:<media type>;base64,<data>`")),
    }
}

fn read_tool<'a>(dropped: &mut Vec<String>, tool: ApiTool<'a>, path: &str) -> Result<Tool<'a>> {
    if tool.kind.as_ref().is_some_and(|kind| kind != "function") {
        let message = "only tools of type `function` are supported with this provider";
        return Err(invalid(&format!("{path}.type"), message));
    }
    let function =
        tool.function.ok_or_else(|| invalid(&format!("{path}.function"), "is required"))?;
    let name =
        function.name.ok_or_else(|| invalid(&format!("{path}.function.name"), "is required"))?;
    left(dropped, path, "", &tool.rest);
    left(dropped, path, "function", &function.rest);
    Ok(Tool {
        name,
        description: function.description,
        parameters: function.parameters.map(Cow::Borrowed),
        custom: false,
        strict: function.strict,
        cache_control: tool.cache_control,
    })
}

fn read_tool_choice<'a>(request: &mut Request<'a>, choice: &'a RawValue) -> Result<ToolChoice<'a>> {
    let path = "tool_choice";
    if let Ok(word) = parse::<JsonStr<'_>>(choice.get()) {
        return read_mode(&word, path);
    }
    let named: NamedChoice<'a> = parse(choice.get()).map_err(|error| bad(path, &error))?;
    left(&mut request.dropped, path, "", &named.rest);
    // The others are left out, which no other protocol has a word for.
    if let Some(allowed) = named.allowed_tools {
        left(&mut request.dropped, path, "allowed_tools", &allowed.rest);
        let names: Vec<_> = allowed.tools.iter().flatten().filter_map(name_of).collect();
        request.tools.retain(|tool| names.contains(&tool.name.decode()));
        if request.tools.is_empty() {
            let path = "tool_choice.allowed_tools.tools";
            return Err(invalid(path, "names none of the functions in tools"));
        }
        let mode = allowed.mode.unwrap_or_else(|| JsonStr::encode("auto"));
        return read_mode(&mode, "tool_choice.allowed_tools.mode");
    }
    let name = named.function.and_then(|function| function.name);
    name.map(ToolChoice::Named).ok_or_else(|| invalid("tool_choice.function.name", "is required"))
}

fn name_of<'t>(tool: &'t ApiTool<'_>) -> Option<Cow<'t, str>> {
    Some(tool.function.as_ref()?.name.as_ref()?.decode())
}

/// A choice that is a word, in both of OpenAI's protocols.
pub(in crate::translate::client) fn read_mode<'a>(
    word: &JsonStr<'_>,
    path: &str,
) -> Result<ToolChoice<'a>> {
    match &*word.decode() {
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::None),
        "required" => Ok(ToolChoice::Required),
        _ => Err(invalid(path, "expected none, auto, required or a named function")),
    }
}

fn read_stop(stop: &RawValue) -> Result<Vec<JsonStr<'_>>> {
    if stop.get().starts_with('"') {
        return parse(stop.get()).map(|one| vec![one]).map_err(|error| bad("stop", &error));
    }
    parse(stop.get()).map_err(|error| bad("stop", &error))
}

fn read_effort(effort: &JsonStr<'_>) -> Result<Effort> {
    Effort::of_word(&effort.decode()).ok_or_else(|| {
        invalid("reasoning_effort", "expected none, minimal, low, medium, high or xhigh")
    })
}

fn read_format<'a>(request: &mut Request<'a>, format: ResponseFormat<'a>) -> Result<()> {
    left(&mut request.dropped, "response_format", "", &format.rest);
    let kind = format.kind.as_ref().map(JsonStr::decode);
    match kind.as_deref() {
        Some("text") | None => {}
        Some("json_object") => request.format = Some(Format::Json),
        Some("json_schema") => {
            let named = format.json_schema.unwrap_or_default();
            let path = "response_format.json_schema.schema";
            left(&mut request.dropped, "response_format", "json_schema", &named.rest);
            request.format = Some(Format::Schema {
                name: named.name,
                description: named.description,
                schema: Cow::Borrowed(named.schema.ok_or_else(|| invalid(path, "is required"))?),
                strict: named.strict,
            });
        }
        Some(_) => {
            let message = "expected text, json_object or json_schema";
            return Err(invalid("response_format.type", message));
        }
    }
    Ok(())
}
