//! Whose a thought's signature is.
//!
//! Providers sign what their models think and want it back unchanged with the next round of a
//! conversation; clients carry it for them, in whatever their own protocol has for that. After a
//! failover it may come back to another provider, which would refuse it. So a signature that a client
//! is given says whose it is, except Anthropic's, which clients of its protocol expect as it is:
//! `gemini#<signature>`. No signature contains a `#`, all are Base64.

use shared::json::JsonStr;

/// Whose signature it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Anthropic's, on whichever cloud.
    Anthropic,
    /// Google's `thoughtSignature`.
    Gemini,
    /// OpenAI's `encrypted_content`, after the name of its item: `openai#rs_123#<content>`.
    OpenAi,
}

impl Origin {
    fn mark(self) -> &'static str {
        match self {
            Origin::Anthropic => "",
            Origin::Gemini => "gemini#",
            Origin::OpenAi => "openai#",
        }
    }
}

/// The signature as clients are given it. `signature` is what stands between the quotes of a JSON
/// string; `None` if that is not well-formed.
pub fn mark(origin: Origin, signature: &str) -> Option<JsonStr<'static>> {
    JsonStr::from_escaped(&[origin.mark(), signature].concat())
}

/// What stands between the quotes of the provider's own signature, if it is this provider's.
pub fn of<'s>(origin: Origin, signature: &'s JsonStr<'_>) -> Option<&'s str> {
    let escaped = signature.escaped();
    match origin {
        Origin::Anthropic => (!escaped.contains('#') && !escaped.is_empty()).then_some(escaped),
        _ => escaped.strip_prefix(origin.mark()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_goes_back_to_whom_it_came_from_and_to_nobody_else() {
        let origins = [Origin::Anthropic, Origin::Gemini, Origin::OpenAi];
        for from in origins {
            let marked = mark(from, "Eq+/=").unwrap();
            for to in origins {
                assert_eq!(of(to, &marked), (from == to).then_some("Eq+/="), "{from:?} {to:?}");
            }
        }
        assert_eq!(of(Origin::Anthropic, &JsonStr::encode("")), None);
    }
}
