//! Other providers' thoughts on their way through a Gemini client.
//!
//! A Gemini client keeps `thoughtSignature` with the part it stands in and sends it back; thoughts
//! themselves it shows and forgets. The field is bytes in Base64, which SDKs decode and encode again. So
//! what another provider signed goes into it whole: a name that Google's own signatures, which are
//! protocol buffers, cannot begin with, then the signature and the thought.

use shared::json::JsonStr;

use super::base64;
use crate::translate::ir::Body;
use crate::translate::signature::{self, Origin};

/// Nine bytes, so that they are twelve characters of Base64 of their own.
const NAME: &str = "ai-proxy:";
/// The same in Base64.
const NAME64: &str = "YWktcHJveHk6";

/// What the name is followed by.
const ANTHROPIC: &str = "anthropic:";
const OPENAI: &str = "openai:";
const REDACTED: &str = "redacted:";

/// The `thoughtSignature` of a signed or encrypted thought.
pub(super) fn write(body: &Body<'_>) -> Option<String> {
    match body {
        Body::Thinking { text, signature: Some(signature) } => write_signed(text, signature),
        Body::RedactedThinking(data) => {
            Some(base64::encode([NAME, REDACTED, data.escaped()].concat().as_bytes()))
        }
        _ => None,
    }
}

/// That of a signed thought.
pub(super) fn write_signed(text: &JsonStr<'_>, signature: &JsonStr<'_>) -> Option<String> {
    if let Some(own) = signature::of(Origin::Gemini, signature) {
        return Some(own.to_owned());
    }
    let (origin, signature) = match signature::of(Origin::Anthropic, signature) {
        Some(signature) => (ANTHROPIC, signature),
        None => (OPENAI, signature::of(Origin::OpenAi, signature)?),
    };
    // A signature has no line ends, a thought between quotes has none either.
    let all = [NAME, origin, signature, "\n", text.escaped()].concat();
    Some(base64::encode(all.as_bytes()))
}

/// The thought that a `thoughtSignature` stands for. Google's has no text, unless the part it stands in
/// is the thought.
pub(super) fn read(signature: &JsonStr<'_>) -> Option<Body<'static>> {
    let escaped = signature.escaped();
    if !escaped.starts_with(NAME64) {
        let signature = signature::mark(Origin::Gemini, escaped);
        return Some(Body::Thinking { text: JsonStr::encode(""), signature });
    }
    let all = String::from_utf8(base64::decode(escaped)?).ok()?;
    let all = all.strip_prefix(NAME)?;
    if let Some(data) = all.strip_prefix(REDACTED) {
        return Some(Body::RedactedThinking(JsonStr::from_escaped(data)?));
    }
    let (origin, rest) = match all.strip_prefix(ANTHROPIC) {
        Some(rest) => (Origin::Anthropic, rest),
        None => (Origin::OpenAi, all.strip_prefix(OPENAI)?),
    };
    let (signature, text) = rest.split_once('\n')?;
    let signature = Some(signature::mark(origin, signature)?);
    Some(Body::Thinking { text: JsonStr::from_escaped(text)?, signature })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thought_comes_back_with_its_signature() {
        for origin in [Origin::Anthropic, Origin::OpenAi] {
            let signature = signature::mark(origin, "rs_1/Eq+=").unwrap();
            let body = Body::Thinking {
                text: JsonStr::encode("hm \"so\"\nthen é"),
                signature: Some(signature.clone()),
            };
            let carried = write(&body).unwrap();
            // Python's SDK changes the alphabet.
            let carried = carried.replace('+', "-").replace('/', "_");
            let back = read(&JsonStr::encode(&carried)).unwrap();
            let Body::Thinking { text, signature: Some(marked) } = back else { panic!("{back:?}") };
            assert_eq!(text.decode(), "hm \"so\"\nthen é");
            assert_eq!(marked.decode(), signature.decode());
        }
        let carried = write(&Body::RedactedThinking(JsonStr::encode("xyz"))).unwrap();
        let back = read(&JsonStr::encode(&carried)).unwrap();
        assert!(matches!(back, Body::RedactedThinking(data) if &data == "xyz"));
    }

    #[test]
    fn googles_own_signature_is_as_google_wrote_it() {
        let signature = signature::mark(Origin::Gemini, "CiQB+/==").unwrap();
        let carried = write_signed(&JsonStr::encode("hm"), &signature).unwrap();
        assert_eq!(carried, "CiQB+/==");
        let back = read(&JsonStr::encode(&carried)).unwrap();
        let Body::Thinking { text, signature: Some(marked) } = back else { panic!("{back:?}") };
        assert!(text.is_empty());
        assert_eq!(signature::of(Origin::Gemini, &marked), Some("CiQB+/=="));
    }

    #[test]
    fn what_was_damaged_is_left_out() {
        for damaged in
            ["YWktcHJveHk6", "YWktcHJveHk6Zm9v", "YWktcHJveHk6#", "YWktcHJveHk6b3BlbmFpOng="]
        {
            assert!(read(&JsonStr::encode(damaged)).is_none(), "{damaged}");
        }
    }
}
