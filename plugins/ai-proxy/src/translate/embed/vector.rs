//! A vector's numbers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::value::RawValue;
use shared::json::{BadJson, parse};
use shared::write::JsonWriter;

/// Whether it is a list; what stands in it is copied and not looked at.
pub fn check(vector: &RawValue) -> Result<&RawValue, BadJson> {
    if vector.get().starts_with('[') {
        return Ok(vector);
    }
    Err(BadJson { path: "embedding".into(), message: "is no list of numbers".into() })
}

/// Writes it as OpenAI's clients want it with `encoding_format: base64`: each number a float of four
/// bytes, the lowest first.
pub fn write_base64(w: &mut JsonWriter, vector: &RawValue) -> Result<(), BadJson> {
    let numbers: Vec<f64> = parse(vector.get())?;
    let mut bytes = Vec::with_capacity(numbers.len().saturating_mul(4));
    for number in numbers {
        #[allow(clippy::cast_possible_truncation)] // Four bytes are what is asked for.
        bytes.extend_from_slice(&(number as f32).to_le_bytes());
    }
    w.escaped(&BASE64.encode(bytes));
    Ok(())
}
