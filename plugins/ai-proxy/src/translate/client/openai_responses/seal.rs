//! Thoughts of other providers as a client of Responses carries them: in the `encrypted_content` of
//! reasoning items, the one field of a thought that clients send back as it is, `store: false` or not.
//!
//! A native content has no `#`. What another provider signed says whose it is (see
//! [`signature`](crate::translate::signature)); here also Anthropic's, so that the two cannot be
//! confused: `anthropic#<signature>`, and `redacted#<data>` for a thought that Anthropic encrypted.

use shared::json::JsonStr;

use crate::translate::ir::Body;
use crate::translate::signature::{self, Origin};

const ANTHROPIC: &str = "anthropic#";
const REDACTED: &str = "redacted#";

/// The `encrypted_content` of a signed thought, between quotes.
pub(super) fn seal(signature: &JsonStr<'_>) -> String {
    let escaped = signature.escaped();
    match signature::of(Origin::Anthropic, signature) {
        Some(own) => [ANTHROPIC, own].concat(),
        None => escaped.to_owned(),
    }
}

/// The same of an encrypted thought.
pub(super) fn seal_redacted(data: &JsonStr<'_>) -> String {
    [REDACTED, data.escaped()].concat()
}

/// The thought that comes back. `id` is the item's name.
pub(super) fn open<'a>(
    text: JsonStr<'a>,
    id: Option<&JsonStr<'_>>,
    content: &JsonStr<'a>,
) -> Option<Body<'a>> {
    let escaped = content.escaped();
    if let Some(data) = escaped.strip_prefix(REDACTED) {
        return JsonStr::from_escaped(data).map(Body::RedactedThinking);
    }
    let signature = if let Some(own) = escaped.strip_prefix(ANTHROPIC) {
        signature::mark(Origin::Anthropic, own)
    } else if escaped.contains('#') {
        Some(content.clone())
    } else {
        let id = id.map_or("", JsonStr::escaped);
        signature::mark(Origin::OpenAi, &[id, "#", escaped].concat())
    };
    Some(Body::Thinking { text, signature: Some(signature?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(content: &str) -> Option<Body<'static>> {
        let content = JsonStr::from_escaped(content).unwrap();
        open(JsonStr::encode("t"), Some(&JsonStr::encode("rs_1")), &content)
    }

    fn signature(content: &str) -> String {
        match back(content) {
            Some(Body::Thinking { signature: Some(signature), .. }) => {
                signature.escaped().to_owned()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_providers_signature_comes_back_as_it_was() {
        for own in ["Eq+/=", "gemini#Ab==", "openai#rs_9#gAAA"] {
            let sealed = seal(&JsonStr::from_escaped(own).unwrap());
            assert!(sealed.contains('#'), "{sealed}");
            assert_eq!(signature(&sealed), own);
        }
        let data = seal_redacted(&JsonStr::encode("abc"));
        assert!(matches!(back(&data), Some(Body::RedactedThinking(data)) if data == *"abc"));
    }

    #[test]
    fn what_openai_encrypted_itself_is_openais() {
        assert_eq!(signature("gAAAA-x"), "openai#rs_1#gAAAA-x");
    }
}
