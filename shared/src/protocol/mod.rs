//! The wire formats of clients and providers, and which request belongs to which.
//!
//! Each format is one file of typed views that borrow from the document and name the fields the
//! gateway works with; what they do not name stays in the document untouched.

pub mod anthropic;
pub mod bedrock;
pub mod cohere;
pub mod content;
pub mod openai_chat;

pub use content::Content;

/// A client API, by the path of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `POST /v1/chat/completions`, <https://platform.openai.com/docs/api-reference/chat>.
    OpenAiChat,
    /// `POST /v1/responses`, <https://platform.openai.com/docs/api-reference/responses>.
    OpenAiResponses,
    /// `POST /v1/messages`, <https://docs.anthropic.com/en/api/messages>.
    AnthropicMessages,
    /// `POST /v1/messages/count_tokens`, <https://docs.anthropic.com/en/api/messages-count-tokens>.
    AnthropicCountTokens,
    /// `POST /v1beta/models/{model}:generateContent` and its streaming twin,
    /// <https://ai.google.dev/api/generate-content>.
    Gemini,
    /// Another path of OpenAI's API.
    OpenAiOther,
}

/// In whose form an error is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Vendor {
    /// `{"error": {"message", "type", "param", "code"}}`
    OpenAi,
    /// `{"type": "error", "error": {"type", "message"}}`
    Anthropic,
    /// `{"error": {"code", "message", "status"}}`
    Google,
}

impl Endpoint {
    /// Which API a path (its query may follow) belongs to.
    ///
    /// The path may stand below a prefix that an operator mounted the API under
    /// (`/openai/v1/chat/completions`), so its end decides.
    pub fn of(path: &str) -> Option<Endpoint> {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let path = path.trim_end_matches('/');
        if path.ends_with("/chat/completions") {
            Some(Endpoint::OpenAiChat)
        } else if path.ends_with("/v1/responses") {
            Some(Endpoint::OpenAiResponses)
        } else if path.ends_with("/v1/messages") {
            Some(Endpoint::AnthropicMessages)
        } else if path.ends_with("/v1/messages/count_tokens") {
            Some(Endpoint::AnthropicCountTokens)
        } else if path.contains(":generateContent") || path.contains(":streamGenerateContent") {
            Some(Endpoint::Gemini)
        } else if path.contains("/v1/") {
            Some(Endpoint::OpenAiOther)
        } else {
            None
        }
    }

    /// In whose form errors are written for this API.
    pub fn vendor(self) -> Vendor {
        match self {
            Endpoint::OpenAiChat | Endpoint::OpenAiResponses | Endpoint::OpenAiOther => {
                Vendor::OpenAi
            }
            Endpoint::AnthropicMessages | Endpoint::AnthropicCountTokens => Vendor::Anthropic,
            Endpoint::Gemini => Vendor::Google,
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn the_end_of_the_path_decides() {
        for (path, endpoint) in [
            ("/v1/chat/completions", Some(Endpoint::OpenAiChat)),
            ("/openai/v1/chat/completions?api-version=1", Some(Endpoint::OpenAiChat)),
            ("/v1/chat/completions/", Some(Endpoint::OpenAiChat)),
            ("/v1/responses", Some(Endpoint::OpenAiResponses)),
            ("/v1/messages", Some(Endpoint::AnthropicMessages)),
            ("/v1beta/models/g:streamGenerateContent?alt=sse", Some(Endpoint::Gemini)),
            ("/v1/models", Some(Endpoint::OpenAiOther)),
            ("/", None),
            ("/health?x=/v1/messages", None),
        ] {
            assert_eq!(Endpoint::of(path), endpoint, "{path}");
        }
    }
}
