//! Cohere v2 embed, <https://docs.cohere.com/reference/embed>, and its models on Bedrock,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed-v4.html>.

use serde_json::value::RawValue;
use shared::json::{BadJson, parse};
use shared::protocol::embeddings::{ByType, CohereResponse};
use shared::write::JsonWriter;

use super::{lacks, write_texts};
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

pub(super) fn read(text: &str) -> Result<Response<'_>, BadJson> {
    let api: CohereResponse<'_> = parse(text)?;
    let vectors: Vec<&RawValue> = match api.embeddings {
        Some(list) if list.get().starts_with('[') => parse(list.get())?,
        Some(by_type) => parse::<ByType<'_>>(by_type.get())?.float.unwrap_or_default(),
        None => Vec::new(),
    };
    let billed = api.meta.and_then(|meta| meta.billed_units?.input_tokens);
    Ok(Response { vectors, model: None, tokens: billed.map(count) })
}

/// A count that came as a decimal.
pub(super) fn count(decimal: f64) -> u64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // A cast saturates.
    let count = decimal as u64;
    count
}
