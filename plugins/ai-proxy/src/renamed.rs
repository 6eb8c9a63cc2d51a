//! A model's other name, wherever a request says the client's.

use std::ops::Range;

use serde_json::value::RawValue;
use shared::json::{JsonStr, fields, parse};

use crate::asked::{Asked, ModelAt, Operation};
use crate::overrides::{Edit, place};
use crate::translate::{count, embed};

/// The changes that give a JSON body the provider's name of the model, in order.
pub fn edits(asked: &Asked, model: &str, text: &str) -> Vec<Edit> {
    if asked.model == model {
        return Vec::new();
    }
    if let Some(ModelAt::Json(range)) = &asked.model_at {
        let name = match asked.operation {
            Operation::GeminiCaches => JsonStr::encode(&format!("models/{model}")),
            _ => JsonStr::encode(model),
        };
        return vec![(range.clone(), name.quoted().to_owned())];
    }
    match asked.operation {
        // The body of these may repeat what the path says, and Google refuses another name there.
        Operation::Embed(embed::Client::Gemini) | Operation::Count(count::Client::Gemini) => {
            let name = JsonStr::encode(&format!("models/{model}"));
            let mut found = Vec::new();
            find(text, text, &mut found);
            found.into_iter().map(|range| (range, name.quoted().to_owned())).collect()
        }
        _ => Vec::new(),
    }
}

/// The places of `model` in an object of Google's and in the requests within it.
fn find(object: &str, text: &str, found: &mut Vec<Range<usize>>) {
    for (key, value) in fields(object).unwrap_or_default() {
        match &*key {
            "model" if value.get().starts_with('"') => found.extend(place(value.get(), text)),
            "generateContentRequest" | "generate_content_request" => {
                find(value.get(), text, found);
            }
            "requests" => {
                let requests: Vec<&RawValue> = parse(value.get()).unwrap_or_default();
                requests.iter().for_each(|request| find(request.get(), text, found));
            }
            _ => {}
        }
    }
}
