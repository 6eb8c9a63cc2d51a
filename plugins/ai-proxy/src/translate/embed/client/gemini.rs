//! Gemini's `embedContent` and `batchEmbedContents` as the client's protocol,
//! <https://ai.google.dev/api/embeddings>.

use shared::errors::ApiError;
use shared::json::{JsonStr, parse};
use shared::protocol::embeddings::GeminiRequest;
use shared::protocol::gemini::{Content, List, Part};
use shared::write::JsonWriter;

use super::{note_dropped, purpose};
use crate::translate::client::bad::{bad, invalid, required};
use crate::translate::embed::{Input, Purpose, Request, Response, Truncate, What};

/// Reads the request. All requests of a batch must be alike but for their texts and titles.
pub fn read(text: &str) -> Result<Request<'_>, ApiError> {
    let api: GeminiRequest<'_> = parse(text).map_err(|error| bad("", &error))?;
    let mut request = Request { single: api.requests.is_none(), ..Request::default() };
    let Some(list) = api.requests else {
        let like = read_one(&mut request, api, "")?;
        like.into(&mut request);
        return Ok(request);
    };
    note_dropped(&mut request, &api.rest);
    let list: Vec<GeminiRequest<'_>> = list.items().map_err(|error| bad("requests", &error))?;
    let mut first: Option<Like> = None;
    for (index, one) in list.into_iter().enumerate() {
        let path = format!("requests[{index}]");
        let like = read_one(&mut request, one, &path)?;
        if let Some(field) = first.get_or_insert(like).differs(like) {
            let message = "must be the same in all requests with this model's provider";
            return Err(invalid(&format!("{path}.{field}"), message));
        }
    }
    match first {
        Some(like) => like.into(&mut request),
        None => return Err(invalid("requests", "give at least one request")),
    }
    Ok(request)
}

/// What the requests of a batch must have in common.
#[derive(Clone, Copy, Debug)]
struct Like {
    dimensions: Option<u64>,
    purpose: Option<Purpose>,
    cut: Option<bool>,
}

impl Like {
    fn differs(self, other: Like) -> Option<&'static str> {
        [
            (self.dimensions != other.dimensions, "outputDimensionality"),
            (self.purpose != other.purpose, "taskType"),
            (self.cut != other.cut, "autoTruncate"),
        ]
        .into_iter()
        .find_map(|(differs, field)| differs.then_some(field))
    }

    fn into(self, request: &mut Request<'_>) {
        request.dimensions = self.dimensions;
        request.purpose = self.purpose;
        request.truncate = self.cut.map(|cut| if cut { Truncate::End } else { Truncate::No });
    }
}

fn read_one<'a>(
    request: &mut Request<'a>,
    api: GeminiRequest<'a>,
    path: &str,
) -> Result<Like, ApiError> {
    let dot = if path.is_empty() { "" } else { "." };
    let content = api.content.ok_or_else(|| required(path, "content"))?;
    let text = read_text(content, &format!("{path}{dot}content"))?;
    note_dropped(request, &api.rest);
    let config = api.config.map(|config| *config).unwrap_or_default();
    note_dropped(request, &config.rest);
    let title = api.title.or(config.title).filter(|title| !title.is_empty());
    request.inputs.push(Input { what: What::Text(text), title });
    let word = api.task_type.or(config.task_type);
    let purpose = word.map(|word| purpose(&word, &format!("{path}{dot}taskType"))).transpose()?;
    let dimensions = api.output_dimensionality.or(config.output_dimensionality);
    Ok(Like {
        dimensions: dimensions.filter(|dimensions| *dimensions > 0),
        purpose: purpose.flatten(),
        cut: api.auto_truncate.or(config.auto_truncate),
    })
}

/// The text of a content. One vector is of all its parts together.
fn read_text<'a>(content: Content<'a>, path: &str) -> Result<JsonStr<'a>, ApiError> {
    let path = format!("{path}.parts");
    let parts = content.parts.map(List::items::<Part<'a>>).transpose();
    let parts = parts.map_err(|error| bad(&path, &error))?.unwrap_or_default();
    let mut texts = Vec::with_capacity(parts.len());
    for (index, part) in parts.into_iter().enumerate() {
        texts.push(part.text.ok_or_else(|| {
            let message = "only texts are supported with this model's provider";
            invalid(&format!("{path}[{index}]"), message)
        })?);
    }
    match texts.len() {
        0 => Err(required(path.trim_end_matches(".parts"), "parts")),
        1 => texts.pop().ok_or_else(|| required(&path, "text")),
        _ => {
            let escaped: Vec<_> = texts.iter().map(JsonStr::escaped).collect();
            // Pieces of JSON strings are one when joined.
            JsonStr::from_escaped(&escaped.join("\\n")).ok_or_else(|| required(&path, "text"))
        }
    }
}

/// Writes the answer; `single` is the one to `embedContent`.
pub fn write(response: &Response<'_>, single: bool) -> String {
    let bytes = response.vectors.iter().map(|vector| vector.get().len().saturating_add(16));
    let mut w = JsonWriter::with_capacity(bytes.fold(128, usize::saturating_add));
    w.open('{');
    w.key(if single { "embedding" } else { "embeddings" });
    if !single {
        w.open('[');
    }
    for vector in &response.vectors {
        w.open('{');
        w.key("values");
        w.raw(vector.get());
        w.close('}');
    }
    if !single {
        w.close(']');
    }
    if let Some(tokens) = response.tokens {
        w.key("usageMetadata");
        w.open('{');
        w.key("promptTokenCount");
        w.value(tokens);
        w.close('}');
    }
    w.close('}');
    w.finish()
}
