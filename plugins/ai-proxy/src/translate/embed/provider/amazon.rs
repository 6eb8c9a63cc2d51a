//! Amazon's models on Bedrock, asked with InvokeModel: Titan,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html>, and
//! Nova, <https://docs.aws.amazon.com/nova/latest/userguide/embeddings-schema.html>. Each takes one
//! text.

use shared::pick::{at, items, pick};
use shared::write::JsonWriter;

use super::{Dialect, lacks, only, whole};
use crate::translate::embed::{Field, Refusal, Request, Response, Truncate};

/// The length of the vectors of Titan's first generation.
const TITAN_G1: &[u64] = &[1536];

/// How a model on Bedrock is asked; `None` if it has no vectors, or nobody knows.
pub(super) fn dialect(model: &str) -> Option<Dialect> {
    if model.contains("cohere.embed") {
        Some(Dialect::BedrockCohere)
    } else if model.contains("titan-embed-text-v1") || model.contains("titan-embed-g1-text") {
        Some(Dialect::TitanG1)
    } else if model.contains("titan-embed-text") {
        Some(Dialect::Titan)
    } else if model.contains("amazon.nova") && model.contains("embed") {
        Some(Dialect::Nova)
    } else {
        None
    }
}

pub(super) fn write_titan(request: &mut Request<'_>) -> Result<String, Refusal> {
    titan(request, request.dimensions)
}

pub(super) fn write_titan_g1(request: &mut Request<'_>) -> Result<String, Refusal> {
    match request.dimensions {
        Some(wanted) if !TITAN_G1.contains(&wanted) => Err(Refusal::Dimensions(TITAN_G1)),
        _ => titan(request, None),
    }
}

fn titan(request: &mut Request<'_>, dimensions: Option<u64>) -> Result<String, Refusal> {
    lacks(request, &[Field::Purpose, Field::Title, Field::Truncate, Field::User]);
    let mut w = JsonWriter::with_capacity(256);
    w.open('{');
    w.key("inputText");
    w.string(only(request)?);
    if let Some(dimensions) = dimensions {
        w.key("dimensions");
        w.value(dimensions);
    }
    w.close('}');
    Ok(w.finish())
}

pub(super) fn write_nova(request: &mut Request<'_>) -> Result<String, Refusal> {
    lacks(request, &[Field::Title, Field::User]);
    let purpose = request.purpose.map(|purpose| purpose.nova());
    if purpose == Some(None) {
        lacks(request, &[Field::Purpose]);
    }
    let mut w = JsonWriter::with_capacity(256);
    w.open('{');
    w.field("taskType", "SINGLE_EMBEDDING");
    w.key("singleEmbeddingParams");
    w.open('{');
    // Must be said; this one is for texts whose use is not known.
    w.field("embeddingPurpose", purpose.flatten().unwrap_or("GENERIC_INDEX"));
    if let Some(dimensions) = request.dimensions {
        w.key("embeddingDimension");
        w.value(dimensions);
    }
    w.key("text");
    w.open('{');
    // Must be said.
    w.field(
        "truncationMode",
        match request.truncate {
            Some(Truncate::No) => "NONE",
            Some(Truncate::Start) => "START",
            None | Some(Truncate::End) => "END",
        },
    );
    w.key("value");
    w.string(only(request)?);
    w.raw_tail("}}}");
    Ok(w.finish())
}

/// Titan's `{"embedding", "inputTextTokenCount"}`, Nova's `{"embeddings": [{"embedding"}]}`.
pub(super) fn read(text: &str) -> Response<'_> {
    let [one, several, count] = pick(text, ["embedding", "embeddings", "inputTextTokenCount"]);
    let novas = items(several).into_iter();
    let novas = novas.filter_map(|vector| at(vector.get(), &["embedding"]));
    Response { vectors: one.into_iter().chain(novas).collect(), model: None, tokens: whole(count) }
}
