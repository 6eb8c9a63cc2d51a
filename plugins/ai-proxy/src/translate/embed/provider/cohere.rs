//! Cohere v2 embed, <https://docs.cohere.com/reference/embed>, and its models on Bedrock,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed-v4.html>.

use shared::pick::{at, items};
use shared::write::JsonWriter;

use super::{lacks, whole, write_texts};
use crate::translate::embed::{Field, Refusal, Request, Response, Truncate};

/// What vectors are for must be said. Google takes this as well where nothing is said.
const USUAL_PURPOSE: &str = "search_query";

/// Lengths of the third generation's vectors, which cannot be chosen.
const V3: &[u64] = &[1024];
const V3_LIGHT: &[u64] = &[384];

/// The model stands in the body; on Bedrock in the path.
pub(super) fn write(request: &mut Request<'_>, model: Option<&str>) -> Result<String, Refusal> {
    write_with(request, model, model.unwrap_or_default(), ["START", "END"])
}

/// The model stands in the path.
pub(super) fn write_for_bedrock(request: &mut Request<'_>, model: &str) -> Result<String, Refusal> {
    // The newer model there has words of its own.
    let cuts = if model.contains("embed-v4") { ["LEFT", "RIGHT"] } else { ["START", "END"] };
    write_with(request, None, model, cuts)
}

fn write_with(
    request: &mut Request<'_>,
    named: Option<&str>,
    model: &str,
    [start, end]: [&'static str; 2],
) -> Result<String, Refusal> {
    lacks(request, &[Field::Title, Field::User]);
    let purpose = request.purpose.map(|purpose| purpose.cohere());
    if purpose == Some(None) {
        lacks(request, &[Field::Purpose]);
    }
    let dimensions = dimensions(request, model)?;
    let mut w = JsonWriter::with_capacity(256);
    w.open('{');
    if let Some(model) = named {
        w.key("model");
        w.text(model);
    }
    w.key("texts");
    write_texts(&mut w, request)?;
    w.field("input_type", purpose.flatten().unwrap_or(USUAL_PURPOSE));
    if named.is_some() {
        w.key("embedding_types");
        w.raw("[\"float\"]");
    }
    if let Some(dimensions) = dimensions {
        w.key("output_dimension");
        w.value(dimensions);
    }
    match request.truncate {
        None => {}
        Some(Truncate::No) => w.field("truncate", "NONE"),
        Some(Truncate::Start) => w.field("truncate", start),
        Some(Truncate::End) => w.field("truncate", end),
    }
    w.close('}');
    Ok(w.finish())
}

/// The length to ask for; none where the model has one only, which must be the one that is wanted.
fn dimensions(request: &Request<'_>, model: &str) -> Result<Option<u64>, Refusal> {
    let fixed = match model.contains("v3") {
        false => return Ok(request.dimensions),
        true if model.contains("light") => V3_LIGHT,
        true => V3,
    };
    match request.dimensions {
        Some(wanted) if !fixed.contains(&wanted) => Err(Refusal::Dimensions(fixed)),
        _ => Ok(None),
    }
}

/// `{"embeddings": {"float": [...]}, "meta": {"billed_units": {"input_tokens"}}}`; on Bedrock the list
/// may stand there alone.
pub(super) fn read(text: &str) -> Response<'_> {
    let by_type = at(text, &["embeddings", "float"]);
    Response {
        vectors: items(by_type.or_else(|| at(text, &["embeddings"]))),
        model: None,
        tokens: whole(at(text, &["meta", "billed_units", "input_tokens"])),
    }
}
