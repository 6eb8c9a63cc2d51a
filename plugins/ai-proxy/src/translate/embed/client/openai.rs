//! OpenAI's embeddings as the client's protocol,
//! <https://platform.openai.com/docs/api-reference/embeddings>.

use serde_json::value::RawValue;
use shared::errors::ApiError;
use shared::json::{BadJson, JsonStr, parse};
use shared::protocol::embeddings::Request as ApiRequest;
use shared::write::JsonWriter;

use super::{note_dropped, purpose};
use crate::translate::client::bad::{bad, invalid, required};
use crate::translate::embed::{Input, Request, Response, Truncate, What, vector};

/// Reads the request.
pub fn read(text: &str) -> Result<Request<'_>, ApiError> {
    let api: ApiRequest<'_> = parse(text).map_err(|error| bad("", &error))?;
    let mut request = Request { dimensions: api.dimensions, user: api.user, ..Request::default() };
    if api.dimensions == Some(0) {
        return Err(invalid("dimensions", "must be 1 or more"));
    }
    let input = api.input.ok_or_else(|| required("", "input"))?;
    for what in read_input(input)? {
        request.inputs.push(Input { what, title: api.title.clone() });
    }
    request.base64 = match api.encoding_format.as_ref().map(JsonStr::decode).as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => return Err(invalid("encoding_format", "expected float or base64")),
    };
    for (word, path) in [(&api.input_type, "input_type"), (&api.task_type, "task_type")] {
        if let Some(word) = word {
            request.purpose = purpose(word, path)?;
        }
    }
    request.truncate = match api.truncate.as_ref().map(JsonStr::decode).as_deref() {
        None => api.auto_truncate.map(|cut| if cut { Truncate::End } else { Truncate::No }),
        Some("NONE") => Some(Truncate::No),
        Some("START" | "LEFT") => Some(Truncate::Start),
        Some("END" | "RIGHT") => Some(Truncate::End),
        Some(_) => return Err(invalid("truncate", "expected NONE, START or END")),
    };
    note_dropped(&mut request, &api.rest);
    Ok(request)
}

fn read_input(input: &RawValue) -> Result<Vec<What<'_>>, ApiError> {
    if input.get().starts_with('"') {
        let text = parse(input.get()).map_err(|error| bad("input", &error))?;
        return Ok(vec![What::Text(text)]);
    }
    let list: Vec<&RawValue> = parse(input.get()).map_err(|error| bad("input", &error))?;
    match list.first().map(|first| first.get()) {
        None => Err(invalid("input", "give at least one text")),
        // One list of tokens.
        Some(first) if !first.starts_with(['"', '[']) => Ok(vec![read_tokens(input, "input")?]),
        Some(_) => {
            let items = list.into_iter().enumerate();
            items.map(|(index, item)| read_item(item, &format!("input[{index}]"))).collect()
        }
    }
}

fn read_item<'a>(item: &'a RawValue, path: &str) -> Result<What<'a>, ApiError> {
    if item.get().starts_with('[') {
        return read_tokens(item, path);
    }
    parse(item.get()).map(What::Text).map_err(|error| bad(path, &error))
}

fn read_tokens<'a>(list: &'a RawValue, path: &str) -> Result<What<'a>, ApiError> {
    match parse::<Vec<u32>>(list.get()) {
        Ok(tokens) if !tokens.is_empty() => Ok(What::Tokens(list)),
        _ => Err(invalid(path, "expected a text or a list of tokens")),
    }
}

/// Writes the answer. The counts are 0 where the provider gives none.
pub fn write(response: &Response<'_>, model: &str, base64: bool) -> Result<String, BadJson> {
    let bytes = response.vectors.iter().map(|vector| vector.get().len().saturating_add(64));
    let mut w = JsonWriter::with_capacity(bytes.fold(256, usize::saturating_add));
    w.open('{');
    w.field("object", "list");
    w.key("data");
    w.open('[');
    for (index, vector) in response.vectors.iter().enumerate() {
        w.open('{');
        w.field("object", "embedding");
        w.key("index");
        w.value(index);
        w.key("embedding");
        if base64 {
            vector::write_base64(&mut w, vector)?;
        } else {
            w.raw(vector.get());
        }
        w.close('}');
    }
    w.close(']');
    w.key("model");
    match &response.model {
        Some(model) => w.string(model),
        None => w.text(model),
    }
    let tokens = response.tokens.unwrap_or(0);
    w.key("usage");
    w.open('{');
    w.key("prompt_tokens");
    w.value(tokens);
    w.key("total_tokens");
    w.value(tokens);
    w.raw_tail("}}");
    Ok(w.finish())
}
