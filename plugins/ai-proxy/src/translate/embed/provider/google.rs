//! Google's models: the Gemini API, <https://ai.google.dev/api/embeddings>, and Vertex AI,
//! <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api>.

use shared::json::{BadJson, JsonStr, parse};
use shared::protocol::embeddings::{GoogleResponse, Vector};
use shared::write::JsonWriter;

use super::{Dialect, lacks, only, text};
use crate::translate::embed::{Field, Purpose, Refusal, Request, Response, Truncate};

/// How a model is asked on Vertex AI.
pub(super) fn on_vertex(model: &str) -> Dialect {
    if is_second(model) { Dialect::VertexEmbed } else { Dialect::VertexPredict }
}

/// From the second generation on, what a vector is for is said in the text itself.
/// <https://ai.google.dev/gemini-api/docs/embeddings>
fn is_second(model: &str) -> bool {
    model.starts_with("gemini-embedding") && !model.starts_with("gemini-embedding-001")
}

pub(super) fn write_batch(request: &mut Request<'_>, model: &str) -> Result<String, Refusal> {
    // Texts that are too long are cut, always.
    lacks(request, &[Field::Truncate, Field::User]);
    note_second(request, model);
    let name = JsonStr::encode(&format!("models/{model}"));
    let mut w = JsonWriter::with_capacity(256);
    w.open('{');
    w.key("requests");
    w.open('[');
    for input in &request.inputs {
        w.open('{');
        w.key("model");
        w.string(&name);
        write_content(&mut w, text(&input.what)?);
        write_settings(&mut w, request, input.title.as_ref(), is_second(model));
        w.close('}');
    }
    w.raw_tail("]}");
    Ok(w.finish())
}

pub(super) fn write_one(request: &mut Request<'_>, model: &str) -> Result<String, Refusal> {
    lacks(request, &[Field::User]);
    note_second(request, model);
    let mut w = JsonWriter::with_capacity(256);
    w.open('{');
    write_content(&mut w, only(request)?);
    write_settings(&mut w, request, None, is_second(model));
    write_cut(&mut w, request);
    w.close('}');
    note_start(request);
    Ok(w.finish())
}

pub(super) fn write_predict(request: &mut Request<'_>) -> Result<String, Refusal> {
    lacks(request, &[Field::User]);
    let mut w = JsonWriter::with_capacity(256);
    w.open('{');
    w.key("instances");
    w.open('[');
    for input in &request.inputs {
        w.open('{');
        w.key("content");
        w.string(text(&input.what)?);
        if let Some(purpose) = request.purpose {
            w.field("task_type", purpose.google());
        }
        if let Some(title) = &input.title {
            w.key("title");
            w.string(title);
        }
        w.close('}');
    }
    w.close(']');
    if request.dimensions.is_some() || request.truncate.is_some() {
        w.key("parameters");
        w.open('{');
        write_cut(&mut w, request);
        if let Some(dimensions) = request.dimensions {
            w.key("outputDimensionality");
            w.value(dimensions);
        }
        w.close('}');
    }
    w.close('}');
    note_start(request);
    Ok(w.finish())
}

fn write_content(w: &mut JsonWriter, text: &JsonStr<'_>) {
    w.key("content");
    w.open('{');
    w.key("parts");
    w.open('[');
    w.open('{');
    w.key("text");
    w.string(text);
    w.raw_tail("}]}");
}

fn write_settings(
    w: &mut JsonWriter,
    request: &Request<'_>,
    title: Option<&JsonStr<'_>>,
    second: bool,
) {
    if let Some(purpose) = request.purpose.filter(|_| !second) {
        w.field("taskType", purpose.google());
    }
    // A title goes with a document only.
    if let Some(title) = title.filter(|_| !second && request.purpose == Some(Purpose::Document)) {
        w.key("title");
        w.string(title);
    }
    if let Some(dimensions) = request.dimensions {
        w.key("outputDimensionality");
        w.value(dimensions);
    }
}

fn write_cut(w: &mut JsonWriter, request: &Request<'_>) {
    if let Some(truncate) = request.truncate {
        w.key("autoTruncate");
        w.value(truncate != Truncate::No);
    }
}

fn note_second(request: &mut Request<'_>, model: &str) {
    if is_second(model) {
        lacks(request, &[Field::Purpose, Field::Title]);
    } else if request.purpose != Some(Purpose::Document) {
        lacks(request, &[Field::Title]);
    }
}

/// Only the end can be cut.
fn note_start(request: &mut Request<'_>) {
    if request.truncate == Some(Truncate::Start) {
        lacks(request, &[Field::Truncate]);
    }
}

pub(super) fn read(text: &str) -> Result<Response<'_>, BadJson> {
    let api: GoogleResponse<'_> = parse(text)?;
    let one = api.embedding.into_iter().chain(api.embeddings.unwrap_or_default());
    let predicted = api.predictions.unwrap_or_default().into_iter();
    let vectors: Vec<Vector<'_>> =
        one.chain(predicted.filter_map(|prediction| prediction.embeddings)).collect();
    let counted = vectors.iter().map(|vector| vector.statistics.as_ref()?.token_count);
    // Of no use unless all are counted.
    let counted: Option<f64> = counted.sum();
    let counted = counted.filter(|_| !vectors.is_empty()).map(super::cohere::count);
    Ok(Response {
        vectors: vectors.into_iter().filter_map(|vector| vector.values).collect(),
        model: None,
        tokens: api.usage.and_then(|usage| usage.prompt_token_count).or(counted),
    })
}
