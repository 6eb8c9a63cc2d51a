//! The tokens that an answer itself tells of, where ai-proxy's count of them comes too late.

use serde_json::value::RawValue;
use shared::json::{Document, parse};
use shared::pick::at;
use shared::protocol::Endpoint;
use shared::usage::{Report, Usage};

/// What an answer in this API's form has told so far.
#[derive(Debug)]
pub struct Reported {
    form: Option<Endpoint>,
    report: Report,
}

impl Reported {
    /// Nothing yet.
    pub fn new(form: Option<Endpoint>) -> Reported {
        Reported { form, report: Report::default() }
    }

    /// Reads an event or a whole answer.
    pub fn read<'a>(&mut self, said: impl Into<Document<'a>>) {
        let said = said.into();
        // Most events have none.
        if !said.text().contains("usage") {
            return;
        }
        let places: &[&[&str]] = match self.form {
            Some(Endpoint::OpenAiResponses) => &[&["response", "usage"], &["usage"]],
            Some(Endpoint::AnthropicMessages) => &[&["message", "usage"], &["usage"]],
            Some(Endpoint::Gemini) => &[&["usageMetadata"]],
            _ => &[&["usage"]],
        };
        let found = places.iter().find_map(|keys| at(said, keys)).map(RawValue::get);
        let Some(found) = found else { return };
        let report = &mut self.report;
        // What cannot be read tells nothing.
        let _ = match self.form {
            Some(Endpoint::OpenAiResponses) => parse(found).map(|u| report.openai_responses(&u)),
            Some(Endpoint::AnthropicMessages) => parse(found).map(|u| report.anthropic(&u)),
            Some(Endpoint::Gemini) => parse(found).map(|u| report.gemini(&u)),
            _ => parse(found).map(|u| report.openai_chat(&u)),
        };
    }

    /// The counts; `None` if there were none.
    pub fn usage(&self) -> Option<Usage> {
        self.report.usage()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_tells_its_tokens_whole_and_as_a_stream() {
        const CHAT: &str = r#"{"prompt_tokens":7,"completion_tokens":3}"#;
        const OTHER: &str = r#"{"input_tokens":7,"output_tokens":3}"#;
        const GEMINI: &str = r#"{"promptTokenCount":7,"candidatesTokenCount":3}"#;
        let cases: [(Endpoint, &str, &[String]); 4] = [
            (Endpoint::OpenAiChat, CHAT, &[
                r#"{"choices":[{"delta":{"content":"usage"}}],"usage":null}"#.into(),
                format!(r#"{{"choices":[],"usage":{CHAT}}}"#),
                "[DONE]".into(),
            ]),
            (Endpoint::OpenAiResponses, OTHER, &[
                r#"{"type":"response.created","response":{"usage":null}}"#.into(),
                format!(r#"{{"type":"response.completed","response":{{"usage":{OTHER}}}}}"#),
            ]),
            (Endpoint::AnthropicMessages, OTHER, &[
                r#"{"type":"message_start","message":{"usage":{"input_tokens":7,"output_tokens":1}}}"#
                    .into(),
                r#"{"type":"message_delta","delta":{},"usage":{"output_tokens":3}}"#.into(),
            ]),
            (Endpoint::Gemini, GEMINI, &[format!(r#"{{"usageMetadata":{GEMINI}}}"#)]),
        ];
        for (form, usage, events) in cases {
            let key = if form == Endpoint::Gemini { "usageMetadata" } else { "usage" };
            let whole = [format!(r#"{{"id":"x","{key}":{usage}}}"#)];
            for pieces in [&whole[..], events] {
                let mut reported = Reported::new(Some(form));
                pieces.iter().for_each(|piece| reported.read(piece));
                let usage = reported.usage().unwrap();
                assert_eq!((usage.prompt_tokens, usage.completion_tokens), (7, 3), "{form:?}");
            }
        }
        let mut nothing = Reported::new(None);
        for text in ["", "usage", r#"{"usage":"#, r#"{"usage":[1]}"#] {
            nothing.read(text);
        }
        assert_eq!(nothing.usage(), None);
    }
}
