//! Gemini, <https://ai.google.dev/api/generate-content>. Its JSON is that of protocol buffers, in
//! which an empty list is one that is absent, <https://protobuf.dev/programming-guides/json/>.

use serde_json::{Value, json};

use super::{drop_default, drop_nulls, each};

/// What holds the user's own JSON.
const OPAQUE: [&str; 7] = [
    "args",
    "response",
    "parameters",
    "parametersJsonSchema",
    "responseSchema",
    "responseJsonSchema",
    "labels",
];

pub(super) fn request(document: &mut Value) {
    drop_nulls(document, &OPAQUE);
    drop_empty_lists(document);
    let Some(root) = document.as_object_mut() else { return };
    // Instructions have no role.
    each(root, "systemInstruction", |content| {
        content.remove("role");
    });
    each(root, "generationConfig", |config| drop_default(config, "candidateCount", 1));
    drop_default(root, "generationConfig", json!({}));
}

pub(super) fn answer(document: &mut Value) {
    drop_nulls(document, &OPAQUE);
    drop_empty_lists(document);
    let Some(root) = document.as_object_mut() else { return };
    each(root, "candidates", |candidate| drop_default(candidate, "index", 0));
}

fn drop_empty_lists(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|key, value| OPAQUE.contains(&key.as_str()) || *value != json!([]));
            let own = members.iter_mut().filter(|(key, _)| !OPAQUE.contains(&key.as_str()));
            own.for_each(|(_, value)| drop_empty_lists(value));
        }
        Value::Array(list) => list.iter_mut().for_each(drop_empty_lists),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_is_absent_but_not_in_arguments() {
        let mut whole = json!({ "candidates": [{ "index": 0, "parts": [], "x": { "args": {
            "a": [], "b": null } } }], "safety": [] });
        answer(&mut whole);
        assert_eq!(whole, json!({ "candidates": [{ "x": { "args": { "a": [], "b": null } } }] }));
    }

    #[test]
    fn instructions_have_no_role() {
        let parts = json!([{ "text": "a" }]);
        let mut whole = json!({ "systemInstruction": { "role": "user", "parts": parts },
            "contents": [{ "role": "user", "parts": parts }] });
        request(&mut whole);
        assert_eq!(
            whole,
            json!({ "systemInstruction": { "parts": parts },
            "contents": [{ "role": "user", "parts": parts }] })
        );
    }
}
