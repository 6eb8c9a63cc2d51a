//! Vectors: any text has its own, always the same.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::json::{Json, object};
use crate::protocols::Call;
use crate::rng::{self, Rng};
use crate::tokens;

/// The answer to a request for embeddings.
pub(super) fn answer(call: &Call<'_>) -> Json {
    let body = call.body;
    let large = call.model().contains("large");
    let size = body
        .get("dimensions")
        .and_then(Value::as_u64)
        .and_then(|size| usize::try_from(size).ok())
        .unwrap_or(if large { 3072 } else { 1536 })
        .min(1 << 16);
    let base64 = body.get("encoding_format").is_some_and(|format| format == "base64");
    let inputs = inputs(body.get("input").unwrap_or(&Value::Null));
    let prompt: u64 = inputs.iter().map(|input| count(input)).sum();
    let data: Vec<Json> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let vector = vector(input, size);
            let embedding = if base64 {
                let bytes: Vec<u8> =
                    vector.iter().flat_map(|number| number.to_le_bytes()).collect();
                Json::from(STANDARD.encode(bytes))
            } else {
                Json::Array(vector.into_iter().map(Json::Float).collect())
            };
            object! { "object": "embedding", "index": index, "embedding": embedding }
        })
        .collect();
    let usage = match &call.script.usage {
        Some(Value::Bool(false)) => None,
        Some(usage @ Value::Object(_)) => Some(Json::from(usage.clone())),
        _ => Some(object! { "prompt_tokens": prompt, "total_tokens": prompt }),
    };
    object! { "object": "list", "data": data, "model": call.model() }.with_some("usage", usage)
}

/// A list of numbers is one input of tokens, any other list is a list of inputs.
fn inputs(input: &Value) -> Vec<&Value> {
    match input {
        Value::Array(items) if !items.iter().all(Value::is_number) => items.iter().collect(),
        input => vec![input],
    }
}

fn count(input: &Value) -> u64 {
    match input {
        Value::Array(tokens) => tokens.len() as u64,
        Value::String(text) => tokens::count(text),
        _ => 0,
    }
}

/// The vector of an input, of length one.
pub(in crate::protocols) fn vector(input: &Value, size: usize) -> Vec<f32> {
    let mut rng = Rng::new(rng::hash(input.to_string().as_bytes()));
    let numbers: Vec<f64> =
        (0..size).map(|_| rng.below(2_000_001) as f64 / 1_000_000.0 - 1.0).collect();
    let length = numbers.iter().map(|number| number * number).sum::<f64>().sqrt();
    numbers.iter().map(|number| (number / length.max(f64::MIN_POSITIVE)) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::openai::OpenAi;
    use crate::protocols::{Endpoint, testing};
    use serde_json::json;

    fn embed(body: Value) -> Value {
        testing::body(testing::answer(&OpenAi, Endpoint::Embeddings, &body, json!({})))
    }

    fn numbers(value: &Value) -> Vec<f32> {
        value.as_array().unwrap().iter().map(|n| n.as_f64().unwrap() as f32).collect()
    }

    #[test]
    fn vectors_have_length_one_and_depend_on_the_text() {
        let answer = embed(json!({"model": "m", "input": ["a", "b", "a"]}));
        let vectors: Vec<_> = (0..3).map(|i| numbers(&answer["data"][i]["embedding"])).collect();
        assert_eq!(vectors[0].len(), 1536);
        assert_eq!(vectors[0], vectors[2]);
        assert_ne!(vectors[0], vectors[1]);
        let length: f32 = vectors[0].iter().map(|number| number * number).sum();
        assert!((length - 1.0).abs() < 1e-3);
        assert_eq!(answer["usage"], json!({"prompt_tokens": 3, "total_tokens": 3}));
    }

    #[test]
    fn base64_holds_the_same_numbers() {
        let body = |format| json!({"model": "m", "input": "a", "dimensions": 8, "encoding_format": format});
        let plain = numbers(&embed(body("float"))["data"][0]["embedding"]);
        let coded = embed(body("base64"));
        let bytes = STANDARD.decode(coded["data"][0]["embedding"].as_str().unwrap()).unwrap();
        let decoded: Vec<f32> =
            bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
        assert_eq!(plain, decoded);
        assert_eq!(plain.len(), 8);
    }

    #[test]
    fn tokens_are_an_input_too() {
        assert_eq!(
            embed(json!({"model": "m", "input": [1, 2, 3]}))["data"].as_array().unwrap().len(),
            1
        );
        let two = embed(json!({"model": "m", "input": [[1, 2], [3]]}));
        assert_eq!(two["data"].as_array().unwrap().len(), 2);
        assert_eq!(two["usage"]["prompt_tokens"], 3);
    }
}
