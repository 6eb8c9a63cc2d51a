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

/// What each thought begins with.
const ANTHROPIC: &str = "anthropic:";
const OPENAI: &str = "openai:";
const REDACTED: &str = "redacted:";

/// What was thought since the last part that says something, to go with the next.
#[derive(Debug, Default)]
pub(super) struct Carried {
    /// Google's own signature.
    own: Option<String>,
    /// Other providers' thoughts, two lines each: a signature has no line ends, and what stands
    /// between the quotes of a JSON string has none either.
    others: String,
}

impl Carried {
    /// Adds a thought, if it is signed.
    pub(super) fn add(&mut self, text: &JsonStr<'_>, signature: Option<&JsonStr<'_>>) {
        let Some(signature) = signature else { return };
        if let Some(own) = signature::of(Origin::Gemini, signature) {
            // Google signs a part once.
            self.own = Some(own.to_owned());
        } else if let Some(signature) = signature::of(Origin::Anthropic, signature) {
            self.line(ANTHROPIC, signature, text.escaped());
        } else if let Some(signature) = signature::of(Origin::OpenAi, signature) {
            self.line(OPENAI, signature, text.escaped());
        }
    }

    /// Adds an encrypted thought.
    pub(super) fn add_redacted(&mut self, data: &JsonStr<'_>) {
        self.line(REDACTED, data.escaped(), "");
    }

    fn line(&mut self, kind: &str, signature: &str, text: &str) {
        for piece in [kind, signature, "\n", text, "\n"] {
            self.others.push_str(piece);
        }
    }

    /// The `thoughtSignature` of the next part.
    pub(super) fn take(&mut self) -> Option<String> {
        let others = std::mem::take(&mut self.others);
        let others = (!others.is_empty())
            .then(|| base64::encode([NAME, others.as_str()].concat().as_bytes()));
        self.own.take().or(others)
    }
}

/// The thoughts that a `thoughtSignature` stands for. Google's has no text, unless the part it stands
/// in is the thought.
pub(super) fn read(signature: &JsonStr<'_>) -> Vec<Body<'static>> {
    let escaped = signature.escaped();
    if !escaped.starts_with(NAME64) {
        let signature = signature::mark(Origin::Gemini, escaped);
        return vec![Body::Thinking { text: JsonStr::encode(""), signature }];
    }
    let all = base64::decode(escaped).and_then(|bytes| String::from_utf8(bytes).ok());
    let all = all.unwrap_or_default();
    let mut lines = all.strip_prefix(NAME).unwrap_or_default().lines();
    let mut thoughts = Vec::new();
    while let (Some(signature), Some(text)) = (lines.next(), lines.next()) {
        thoughts.extend(read_lines(signature, text));
    }
    thoughts
}

fn read_lines(signature: &str, text: &str) -> Option<Body<'static>> {
    if let Some(data) = signature.strip_prefix(REDACTED) {
        return Some(Body::RedactedThinking(JsonStr::from_escaped(data)?));
    }
    let signature = match signature.strip_prefix(ANTHROPIC) {
        Some(signature) => signature::mark(Origin::Anthropic, signature)?,
        None => signature::mark(Origin::OpenAi, signature.strip_prefix(OPENAI)?)?,
    };
    Some(Body::Thinking { text: JsonStr::from_escaped(text)?, signature: Some(signature) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thoughts_come_back_with_their_signatures() {
        let thought = JsonStr::encode("hm \"so\"\nthen é");
        let mut carried = Carried::default();
        let origins = [Origin::Anthropic, Origin::OpenAi];
        for origin in origins {
            let signature = signature::mark(origin, "rs_1/Eq+=").unwrap();
            carried.add(&thought, Some(&signature));
        }
        carried.add(&thought, None);
        carried.add_redacted(&JsonStr::encode("xyz"));
        // Python's SDK changes the alphabet.
        let text = carried.take().unwrap().replace('+', "-").replace('/', "_");
        assert!(carried.take().is_none());
        let back = read(&JsonStr::encode(&text));
        assert_eq!(back.len(), 3);
        for (body, origin) in back.iter().zip(origins) {
            let Body::Thinking { text, signature: Some(marked) } = body else { panic!("{body:?}") };
            assert_eq!(text.decode(), "hm \"so\"\nthen é");
            assert_eq!(signature::of(origin, marked), Some("rs_1/Eq+="));
        }
        assert!(matches!(&back[2], Body::RedactedThinking(data) if data == "xyz"));
    }

    #[test]
    fn googles_own_signature_is_as_google_wrote_it() {
        let signature = signature::mark(Origin::Gemini, "CiQB+/==").unwrap();
        let mut carried = Carried::default();
        carried.add(&JsonStr::encode("hm"), Some(&signature));
        let text = carried.take().unwrap();
        assert_eq!(text, "CiQB+/==");
        let back = read(&JsonStr::encode(&text));
        let [Body::Thinking { text, signature: Some(marked) }] = back.as_slice() else {
            panic!("{back:?}")
        };
        assert!(text.is_empty());
        assert_eq!(signature::of(Origin::Gemini, marked), Some("CiQB+/=="));
    }

    #[test]
    fn what_was_damaged_is_left_out() {
        for damaged in [
            "YWktcHJveHk6",
            "YWktcHJveHk6Zm9v",
            "YWktcHJveHk6#",
            // A signature alone, and one of nobody.
            "YWktcHJveHk6b3BlbmFpOng=",
            "YWktcHJveHk6eDp5Cno=",
        ] {
            assert!(read(&JsonStr::encode(damaged)).is_empty(), "{damaged}");
        }
    }
}
