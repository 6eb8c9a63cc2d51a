//! Google's models: the Gemini API, <https://ai.google.dev/api/embeddings>, and Vertex AI,
//! <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api>.

use shared::json::JsonStr;
use shared::pick::{at, items, pick};
use shared::write::JsonWriter;

use super::{Dialect, lacks, only, text, whole};
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

/// `{"embedding": {"values"}}`, `{"embeddings": [{"values"}]}` or, of `predict`,
/// `{"predictions": [{"embeddings": {"values", "statistics": {"token_count"}}}]}`.
pub(super) fn read(text: &str) -> Response<'_> {
    let [one, several, predicted, usage] =
        pick(text, ["embedding", "embeddings", "predictions", "usageMetadata"]);
    let predicted = items(predicted);
    if !predicted.is_empty() {
        let counted = predicted
            .iter()
            .map(|one| whole(at(one.get(), &["embeddings", "statistics", "token_count"])));
        let vectors = predicted.iter().filter_map(|one| at(one.get(), &["embeddings", "values"]));
        // Of no use unless all are counted.
        let sum = counted.sum();
        return Response { vectors: vectors.collect(), model: None, tokens: sum };
    }
    let all = one.into_iter().chain(items(several));
    Response {
        vectors: all.filter_map(|vector| at(vector.get(), &["values"])).collect(),
        model: None,
        tokens: usage.and_then(|usage| whole(at(usage.get(), &["promptTokenCount"]))),
    }
}
