//! OpenAI's embeddings as the provider's protocol,
//! <https://platform.openai.com/docs/api-reference/embeddings>.

use shared::json::parse;
use shared::pick::{at, items, pick};
use shared::write::JsonWriter;

use super::{lacks, whole};
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

/// `{"data": [{"index", "embedding"}], "model", "usage": {"prompt_tokens"}}`.
pub(super) fn read(text: &str) -> Response<'_> {
    let [data, model, usage] = pick(text, ["data", "model", "usage"]);
    let data = items(data);
    let mut vectors = vec![None; data.len()];
    for (place, datum) in data.into_iter().enumerate() {
        // A server that leaves the numbers out has them in order.
        let [index, vector] = pick(datum.get(), ["index", "embedding"]);
        let index = index.map_or(Some(place), |index| usize::try_from(whole(Some(index))?).ok());
        if let Some(vacant) = index.and_then(|index| vectors.get_mut(index)) {
            *vacant = vector;
        }
    }
    Response {
        vectors: vectors.into_iter().flatten().collect(),
        model: model.and_then(|model| parse(model.get()).ok()),
        tokens: usage.and_then(|usage| whole(at(usage.get(), &["prompt_tokens"]))),
    }
}
