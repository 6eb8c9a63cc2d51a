//! Amazon Bedrock Converse,
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>.

use serde_json::Value;

use super::{drop_nulls, each, read_json};

pub(super) fn request(document: &mut Value) {
    drop_nulls(document, &["input", "json", "additionalModelRequestFields"]);
    let Some(root) = document.as_object_mut() else { return };
    each(root, "outputConfig", |config| {
        each(config, "textFormat", |format| {
            each(format, "structure", |structure| {
                each(structure, "jsonSchema", |schema| read_json(schema, "schema"));
            });
        });
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn null_is_absent_but_not_in_a_calls_input() {
        let mut whole = json!({ "messages": [{ "content": [
            { "toolResult": { "status": null } },
            { "toolUse": { "input": { "a": null } } },
        ] }] });
        request(&mut whole);
        let content = json!([{ "toolResult": {} }, { "toolUse": { "input": { "a": null } } }]);
        assert_eq!(whole, json!({ "messages": [{ "content": content }] }));
    }
}
