//! OpenAI's embeddings as the provider's protocol,
//! <https://platform.openai.com/docs/api-reference/embeddings>.

use shared::json::{BadJson, parse};
use shared::protocol::embeddings::Response as ApiResponse;
use shared::write::JsonWriter;

use super::lacks;
use crate::translate::embed::{Field, Request, Response, What};

pub(super) fn write(request: &mut Request<'_>, model: &str) -> String {
    lacks(request, &[Field::Purpose, Field::Title, Field::Truncate]);
    let mut w = JsonWriter::with_capacity(256);
    w.open('{');
    w.key("model");
    w.text(model);
    w.key("input");
    w.open('[');
    for input in &request.inputs {
        match &input.what {
            What::Text(text) => w.string(text),
            What::Tokens(tokens) => w.raw(tokens.get()),
        }
    }
    w.close(']');
    if let Some(dimensions) = request.dimensions {
        w.key("dimensions");
        w.value(dimensions);
    }
    if let Some(user) = &request.user {
        w.key("user");
        w.string(user);
    }
    w.close('}');
    w.finish()
}

pub(super) fn read(text: &str) -> Result<Response<'_>, BadJson> {
    let api: ApiResponse<'_> = parse(text)?;
    let mut data = api.data.unwrap_or_default();
    // A server that leaves the numbers out has them in order, which a stable sort keeps.
    data.sort_by_key(|datum| datum.index.unwrap_or(0));
    Ok(Response {
        vectors: data.into_iter().filter_map(|datum| datum.embedding).collect(),
        model: api.model.filter(|model| !model.is_empty()),
        tokens: api.usage.and_then(|usage| usage.prompt_tokens),
    })
}
