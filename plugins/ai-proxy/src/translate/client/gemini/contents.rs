//! Reads the conversation.

use shared::json::JsonStr;
use shared::protocol::gemini::{
    Blob, Content, FileData, FunctionCall, FunctionResponse, List, Part as ApiPart,
};

use super::request::Result;
use super::{base64, carry};
use crate::translate::client::bad::{bad, invalid, required};
use crate::translate::client::left::{left, left_out};
use crate::translate::ir::{Arguments, Body, Part, Request, Role, Source};
use crate::translate::media;

/// So much of a function's name goes into the id of a call of it; OpenAI allows forty characters.
const MAX_NAME: usize = 24;

/// The wrapping of a function's result; one that is not wrapped is the result itself,
/// <https://ai.google.dev/api/caching#FunctionResponse>.
const WRAPPINGS: [&str; 2] = ["output", "result"];

/// Reads `contents` into turns.
pub(super) fn read_contents<'a>(request: &mut Request<'a>, contents: List<'a>) -> Result<()> {
    let contents: Vec<Content<'a>> = contents.items().map_err(|error| bad("contents", &error))?;
    let mut reader = Reader { request, calls: Vec::new() };
    for (index, content) in contents.into_iter().enumerate() {
        reader.content(content, &format!("contents[{index}]"))?;
    }
    Ok(())
}

struct Reader<'r, 'a> {
    request: &'r mut Request<'a>,
    /// The calls so far.
    calls: Vec<Call<'a>>,
}

/// A call that a function is to answer.
struct Call<'a> {
    id: JsonStr<'a>,
    name: JsonStr<'a>,
    answered: bool,
}

impl<'a> Reader<'_, 'a> {
    fn content(&mut self, content: Content<'a>, path: &str) -> Result<()> {
        let role = match content.role.as_ref().map(JsonStr::decode).as_deref() {
            None | Some("" | "user" | "function" | "tool") => Role::User,
            Some("model") => Role::Assistant,
            Some(_) => return Err(invalid(&format!("{path}.role"), "expected user or model")),
        };
        left(&mut self.request.dropped, path, "", &content.rest);
        let path = format!("{path}.parts");
        let list = content.parts.map(List::items::<ApiPart<'a>>).transpose();
        let list = list.map_err(|error| bad(&path, &error))?.unwrap_or_default();
        let mut parts = Vec::new();
        for (index, part) in list.into_iter().enumerate() {
            self.part(part, &format!("{path}[{index}]"), &mut parts)?;
        }
        self.request.push(role, parts);
        Ok(())
    }

    fn part(&mut self, part: ApiPart<'a>, path: &str, parts: &mut Vec<Part<'a>>) -> Result<()> {
        let signature = part.thought_signature.filter(|signature| !signature.is_empty());
        let mut thoughts = signature.as_ref().map(carry::read).unwrap_or_default();
        if part.thought == Some(true) {
            // Without a signature a thought is of no use to any provider.
            if thoughts.is_empty() {
                left_out(&mut self.request.dropped, path, "thought");
            }
            if let ([Body::Thinking { text, .. }], Some(shown)) = (&mut thoughts[..], part.text)
                && text.is_empty()
            {
                *text = shown;
            }
            parts.extend(thoughts.into_iter().map(Into::into));
            return Ok(());
        }
        parts.extend(thoughts.into_iter().map(Into::into));
        let body = if let Some(text) = part.text {
            if text.is_empty() {
                return Ok(());
            }
            Body::Text(text)
        } else if let Some(blob) = part.inline_data {
            self.blob(blob, &format!("{path}.inlineData"))?
        } else if let Some(file) = part.file_data {
            self.file(file, &format!("{path}.fileData"))?
        } else if let Some(call) = part.function_call {
            self.call(call, &format!("{path}.functionCall"))?
        } else if let Some(response) = part.function_response {
            self.response(response, &format!("{path}.functionResponse"))?
        } else if let Some((key, _)) = part.rest.iter().find(|(_, value)| value.get() != "null") {
            // A part that has nothing but what goes with one.
            let message = "this part is not supported with this model's provider";
            return Err(invalid(&format!("{path}.{key}"), message));
        } else if signature.is_some() {
            return Ok(());
        } else {
            let message = "expected text, inlineData, fileData, functionCall or functionResponse";
            return Err(invalid(path, message));
        };
        left(&mut self.request.dropped, path, "", &part.rest);
        parts.push(body.into());
        Ok(())
    }

    fn blob(&mut self, blob: Blob<'a>, path: &str) -> Result<Body<'a>> {
        left(&mut self.request.dropped, path, "", &blob.rest);
        self.named(blob.display_name.clone(), read_blob(blob, path)?, path)
    }

    fn file(&mut self, file: FileData<'a>, path: &str) -> Result<Body<'a>> {
        left(&mut self.request.dropped, path, "", &file.rest);
        self.named(file.display_name.clone(), read_file(file, path)?, path)
    }

    /// Documents have names elsewhere too.
    fn named(
        &mut self,
        name: Option<JsonStr<'a>>,
        mut body: Body<'a>,
        path: &str,
    ) -> Result<Body<'a>> {
        match (&mut body, name) {
            (_, None) => {}
            (Body::Document { title, .. }, name) => *title = name,
            _ => left_out(&mut self.request.dropped, path, "displayName"),
        }
        Ok(body)
    }

    fn call(&mut self, call: FunctionCall<'a>, path: &str) -> Result<Body<'a>> {
        left(&mut self.request.dropped, path, "", &call.rest);
        let name = call.name.ok_or_else(|| required(path, "name"))?;
        let id = call.id.filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| new_id(&name, self.calls.len()));
        self.calls.push(Call { id: id.clone(), name: name.clone(), answered: false });
        let arguments = match call.args {
            None => Arguments::Text(JsonStr::encode("{}")),
            Some(args) if args.get().starts_with('{') => Arguments::Json(args),
            Some(_) => return Err(invalid(&format!("{path}.args"), "expected an object")),
        };
        Ok(Body::ToolCall { id, name, arguments })
    }

    fn response(&mut self, response: FunctionResponse<'a>, path: &str) -> Result<Body<'a>> {
        left(&mut self.request.dropped, path, "", &response.rest);
        let name = response.name.ok_or_else(|| required(path, "name"))?;
        let given = response.id.filter(|id| !id.is_empty());
        let by_id = given.as_ref().and_then(|id| {
            self.calls.iter_mut().find(|call| !call.answered && call.id.decode() == id.decode())
        });
        // Older clients give no id: results stand in the order of the calls.
        let call = match by_id {
            Some(call) => Some(call),
            None => {
                let name = name.decode();
                self.calls.iter_mut().find(|call| !call.answered && call.name.decode() == name)
            }
        };
        let Some(call) = call else {
            let message = "answers no functionCall that stands before it";
            return Err(invalid(&format!("{path}.name"), message));
        };
        call.answered = true;
        let id = call.id.clone();
        let (mut parts, is_error) = match response.response {
            Some(result) => read_result(result.get()),
            None => (Vec::new(), false),
        };
        let path = format!("{path}.parts");
        let list = response.parts.map(List::items::<ApiPart<'a>>).transpose();
        let list = list.map_err(|error| bad(&path, &error))?.unwrap_or_default();
        for (index, part) in list.into_iter().enumerate() {
            let path = format!("{path}[{index}]");
            left(&mut self.request.dropped, &path, "", &part.rest);
            let body = match (part.inline_data, part.file_data) {
                (Some(blob), _) => self.blob(blob, &format!("{path}.inlineData"))?,
                (None, Some(file)) => self.file(file, &format!("{path}.fileData"))?,
                (None, None) => return Err(invalid(&path, "expected inlineData or fileData")),
            };
            parts.push(body.into());
        }
        Ok(Body::ToolResult { id, parts, is_error })
    }
}

/// For a call that the client gives none; the same call has the same in every round.
fn new_id(name: &JsonStr<'_>, index: usize) -> JsonStr<'static> {
    let legal = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let name: String = name.decode().chars().filter(legal).take(MAX_NAME).collect();
    JsonStr::encode(&format!("{name}_{index}"))
}

/// What a function returned, and whether that is an error.
fn read_result<'a>(result: &'a str) -> (Vec<Part<'a>>, bool) {
    let members = shared::json::parse::<shared::protocol::gemini::Members<'a>>(result);
    let only = members.ok().and_then(|members| match members.rest.as_slice() {
        [(key, value)] if key == "error" => Some((*value, true)),
        [(key, value)] if WRAPPINGS.contains(&&**key) => Some((*value, false)),
        _ => None,
    });
    let Some((value, is_error)) = only else {
        let nothing = result == "{}";
        let text = (!nothing).then(|| Body::Text(JsonStr::encode(result)).into());
        return (text.into_iter().collect(), false);
    };
    let text = match shared::json::parse::<JsonStr<'a>>(value.get()) {
        Ok(text) => text,
        Err(_) => JsonStr::encode(value.get()),
    };
    let text = (!text.is_empty()).then(|| Body::Text(text).into());
    (text.into_iter().collect(), is_error)
}

fn read_blob<'a>(blob: Blob<'a>, path: &str) -> Result<Body<'a>> {
    let plain = |text: Option<JsonStr<'a>>, field: &str| match text {
        Some(JsonStr::Borrowed(raw)) => {
            let inner = raw.get().strip_prefix('"').and_then(|s| s.strip_suffix('"'));
            inner.filter(|inner| !inner.is_empty()).ok_or_else(|| required(path, field))
        }
        _ => Err(required(path, field)),
    };
    let media_type = plain(blob.mime_type, "mimeType")?;
    let data = base64::standard(plain(blob.data, "data")?);
    Ok(body_of(media_type, Source::Base64 { media_type, data }))
}

fn read_file<'a>(file: FileData<'a>, path: &str) -> Result<Body<'a>> {
    let uri = file.file_uri.ok_or_else(|| required(path, "fileUri"))?;
    let decoded = uri.decode();
    let googles = decoded.contains("://generativelanguage.googleapis.com/");
    if googles || !decoded.starts_with("https://") && !decoded.starts_with("http://") {
        let message = "files that Google keeps belong to Google; send inlineData or a web address";
        return Err(invalid(&format!("{path}.fileUri"), message));
    }
    let film = decoded.contains("://www.youtube.com/") || decoded.contains("://youtu.be/");
    drop(decoded);
    let given = file.mime_type.as_ref().map(JsonStr::decode);
    let guessed = media::type_of(&uri).or(film.then_some("video/*"));
    let kind = given.as_deref().or(guessed).ok_or_else(|| required(path, "mimeType"))?;
    Ok(body_of(kind, Source::Url(uri)))
}

fn body_of<'a>(media_type: &str, source: Source<'a>) -> Body<'a> {
    match media_type.split('/').next() {
        Some("image") => Body::Image(source),
        Some("audio") => Body::Audio(source),
        Some("video") => Body::Video(source),
        _ => Body::Document { source, title: None },
    }
}
