//! Which API a request belongs to, by its path.

use crate::percent;

/// A client API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `POST /v1/chat/completions`, <https://platform.openai.com/docs/api-reference/chat>.
    OpenAiChat,
    /// `POST /v1/responses`, <https://platform.openai.com/docs/api-reference/responses>.
    OpenAiResponses,
    /// `POST /v1/responses/input_tokens`,
    /// <https://platform.openai.com/docs/api-reference/responses/input-tokens>.
    OpenAiInputTokens,
    /// `POST /v1/completions`, <https://platform.openai.com/docs/api-reference/completions>.
    OpenAiCompletions,
    /// `POST /v1/embeddings`, <https://platform.openai.com/docs/api-reference/embeddings>.
    OpenAiEmbeddings,
    /// `GET /v1/models[/{model}]`; Anthropic's has the same path.
    Models,
    /// One of OpenAI's further services, whose bodies pass as they are.
    Service(Service),
    /// `POST /v1/messages`, <https://docs.anthropic.com/en/api/messages>.
    AnthropicMessages,
    /// `POST /v1/messages/count_tokens`, <https://docs.anthropic.com/en/api/messages-count-tokens>.
    AnthropicCountTokens,
    /// `/v1/messages/batches...`, <https://docs.anthropic.com/en/api/creating-message-batches>.
    AnthropicBatches,
    /// `POST /v1beta/models/{model}:generateContent` and its streaming twin,
    /// <https://ai.google.dev/api/generate-content>.
    Gemini,
    /// `POST /v1beta/models/{model}:countTokens`, <https://ai.google.dev/api/tokens>.
    GeminiCountTokens,
    /// `POST /v1beta/models/{model}:embedContent` and `:batchEmbedContents`,
    /// <https://ai.google.dev/api/embeddings>.
    GeminiEmbed,
    /// `GET /v1beta/models[/{model}]`.
    GeminiModels,
    /// `/v1beta/cachedContents...`, <https://ai.google.dev/api/caching>.
    GeminiCaches,
    /// Another path of OpenAI's API.
    OpenAiOther,
    /// A service that the configuration names ([`Services`](crate::services::Services)).
    Generic,
}

/// A service whose bodies pass as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// `POST /v1/images/generations`, `/edits` (multipart) and `/variations` (multipart).
    Images,
    /// `POST /v1/audio/speech`.
    Speech,
    /// `POST /v1/audio/transcriptions` and `/translations`, multipart.
    Transcriptions,
    /// `POST /v1/moderations`.
    Moderations,
    /// `POST /v1/rerank` or `/v2/rerank`, as Cohere, Jina and others have it.
    Rerank,
    /// `/v1/files...`.
    Files,
    /// `/v1/batches...`.
    Batches,
    /// `/v1/responses/{id}...`: answers that the provider keeps.
    StoredResponses,
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

/// Services by the first part of their path.
const SERVICES: [(&str, Service); 10] = [
    ("/images/", Service::Images),
    ("/audio/speech", Service::Speech),
    ("/audio/transcriptions", Service::Transcriptions),
    ("/audio/translations", Service::Transcriptions),
    ("/moderations", Service::Moderations),
    ("/rerank", Service::Rerank),
    ("/files", Service::Files),
    ("/uploads", Service::Files),
    ("/batches", Service::Batches),
    ("/responses/", Service::StoredResponses),
];

impl Endpoint {
    /// Which API a path (its query may follow) belongs to.
    ///
    /// The path may stand below a prefix that an operator mounted the API under
    /// (`/openai/v1/chat/completions`), so its end decides.
    pub fn of(path: &str) -> Option<Endpoint> {
        let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
        if path.ends_with("/chat/completions") {
            return Some(Endpoint::OpenAiChat);
        }
        if let Some(google) = GooglePath::of(path) {
            return google.endpoint();
        }
        if after(path, "/v1beta/cachedContents").is_some() {
            return Some(Endpoint::GeminiCaches);
        }
        if let Some(rest) = after(path, "/v1/messages") {
            return match rest {
                "" => Some(Endpoint::AnthropicMessages),
                "/count_tokens" => Some(Endpoint::AnthropicCountTokens),
                _ if rest.starts_with("/batches") => Some(Endpoint::AnthropicBatches),
                _ => None,
            };
        }
        let rest = tail(path)?;
        match rest {
            "/responses" => return Some(Endpoint::OpenAiResponses),
            "/responses/input_tokens" => return Some(Endpoint::OpenAiInputTokens),
            "/completions" => return Some(Endpoint::OpenAiCompletions),
            "/embeddings" => return Some(Endpoint::OpenAiEmbeddings),
            "/models" => return Some(Endpoint::Models),
            _ if rest.starts_with("/models/") => return Some(Endpoint::Models),
            _ => {}
        }
        let service = SERVICES.into_iter().find(|(prefix, _)| {
            // `/files` and `/files/x`, but not `/filesystem`.
            let rest = rest.strip_prefix(prefix);
            rest.is_some_and(|rest| {
                prefix.ends_with('/') || matches!(rest.chars().next(), None | Some('/'))
            })
        });
        Some(service.map_or(Endpoint::OpenAiOther, |(_, service)| Endpoint::Service(service)))
    }

    /// In whose form errors are written for this API.
    pub fn vendor(self) -> Vendor {
        match self {
            Endpoint::OpenAiChat
            | Endpoint::OpenAiResponses
            | Endpoint::OpenAiInputTokens
            | Endpoint::OpenAiCompletions
            | Endpoint::OpenAiEmbeddings
            | Endpoint::Models
            | Endpoint::Service(_)
            | Endpoint::OpenAiOther
            | Endpoint::Generic => Vendor::OpenAi,
            Endpoint::AnthropicMessages
            | Endpoint::AnthropicCountTokens
            | Endpoint::AnthropicBatches => Vendor::Anthropic,
            Endpoint::Gemini
            | Endpoint::GeminiCountTokens
            | Endpoint::GeminiEmbed
            | Endpoint::GeminiModels
            | Endpoint::GeminiCaches => Vendor::Google,
        }
    }
}

/// Whether a path (its query may follow) has parts `.` or `..`, however they are written: a provider may go by
/// what is left without them, which is another path than the one that was looked at.
pub fn has_dots(path: &str) -> bool {
    let end = memchr::memchr(b'?', path.as_bytes()).unwrap_or(path.len());
    let path = path.get(..end).unwrap_or(path);
    if memchr::memchr2(b'.', b'%', path.as_bytes()).is_none() {
        return false;
    }
    let path = percent::decode(path);
    let mut parts = path.split(['/', '\\']);
    // Some servers take what follows a semicolon off first.
    parts.any(|part| matches!(part.split(';').next(), Some("." | "..")))
}

/// What follows the version in a path of OpenAI's: of `/openai/v1/files/x?y` it is `/files/x?y`.
pub fn tail(path: &str) -> Option<&str> {
    let end = path.find(['?', '#']).unwrap_or(path.len());
    let mut places = path.as_bytes().get(..end)?.windows("/v1/".len());
    let at = places.position(|place| matches!(place, [b'/', b'v', b'1' | b'2', b'/']))?;
    path.get(at + "/v1".len()..)
}

/// What follows `marker`, which ends at a part's end.
fn after<'p>(path: &'p str, marker: &str) -> Option<&'p str> {
    let at = path.find(marker)?;
    let rest = path.get(at + marker.len()..)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// A path of Google's: `/v1beta/models/{model}:{method}`, below whatever stands before `models/`
/// (Vertex AI has projects, locations and publishers there).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GooglePath<'a> {
    /// The model, percent-encoded as it came; empty for the list of models.
    pub model: &'a str,
    /// `generateContent` ...; empty for a model's description.
    pub method: &'a str,
}

impl<'a> GooglePath<'a> {
    /// Reads a path (its query may follow).
    pub fn of(path: &'a str) -> Option<GooglePath<'a>> {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        const MODELS: &[u8; 8] = b"/models/";
        let found = path.as_bytes().windows(MODELS.len()).rposition(|place| place == MODELS);
        let (before, rest) = match found {
            Some(at) => (path.get(..at)?, path.get(at + MODELS.len()..)?),
            None => (path.strip_suffix("/models")?, ""),
        };
        let version = ["/v1beta", "/v1alpha", "/v1beta1"];
        let beta = version.into_iter().any(|version| before.ends_with(version));
        let vertex = before.contains("/publishers/");
        match rest.rsplit_once(':') {
            // OpenAI's `/v1/models/{model}` may have a colon in the model's name.
            Some((model, method)) if beta || vertex || is_method(method) => {
                Some(GooglePath { model, method })
            }
            _ if beta || vertex => Some(GooglePath { model: rest, method: "" }),
            _ => None,
        }
    }

    /// Whether the answer is to be a stream.
    pub fn streams(self) -> bool {
        self.method == "streamGenerateContent"
    }

    fn endpoint(self) -> Option<Endpoint> {
        match self.method {
            "generateContent" | "streamGenerateContent" => Some(Endpoint::Gemini),
            "countTokens" => Some(Endpoint::GeminiCountTokens),
            "embedContent" | "batchEmbedContents" => Some(Endpoint::GeminiEmbed),
            "" => Some(Endpoint::GeminiModels),
            _ => None,
        }
    }
}

fn is_method(method: &str) -> bool {
    let methods = [
        "generateContent",
        "streamGenerateContent",
        "countTokens",
        "embedContent",
        "batchEmbedContents",
    ];
    methods.contains(&method)
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
            ("/v1/completions", Some(Endpoint::OpenAiCompletions)),
            ("/v1/responses", Some(Endpoint::OpenAiResponses)),
            ("/v1/responses/input_tokens", Some(Endpoint::OpenAiInputTokens)),
            ("/v1/responses/resp_1/cancel", Some(Endpoint::Service(Service::StoredResponses))),
            ("/v1/embeddings", Some(Endpoint::OpenAiEmbeddings)),
            ("/v1/models", Some(Endpoint::Models)),
            ("/v1/models/ft:gpt-4o", Some(Endpoint::Models)),
            ("/v1/images/edits", Some(Endpoint::Service(Service::Images))),
            ("/v1/audio/translations", Some(Endpoint::Service(Service::Transcriptions))),
            ("/v2/rerank", Some(Endpoint::Service(Service::Rerank))),
            ("/v1/files/file-1/content", Some(Endpoint::Service(Service::Files))),
            ("/v1/filesystem", Some(Endpoint::OpenAiOther)),
            ("/v1/messages", Some(Endpoint::AnthropicMessages)),
            ("/v1/messages/count_tokens?beta=true", Some(Endpoint::AnthropicCountTokens)),
            ("/v1/messages/batches/b/results", Some(Endpoint::AnthropicBatches)),
            ("/v1/messages/else", None),
            ("/v1beta/models/g:streamGenerateContent?alt=sse", Some(Endpoint::Gemini)),
            ("/v1/models/g:generateContent", Some(Endpoint::Gemini)),
            ("/v1beta/models/g:embedContent", Some(Endpoint::GeminiEmbed)),
            ("/v1beta/models/g:predict", None),
            ("/v1beta/models", Some(Endpoint::GeminiModels)),
            ("/v1beta/cachedContents/c?x=y", Some(Endpoint::GeminiCaches)),
            ("/", None),
            ("/health?x=/v1/messages", None),
        ] {
            assert_eq!(Endpoint::of(path), endpoint, "{path}");
        }
    }

    #[test]
    fn googles_paths_name_the_model() {
        let vertex =
            "/v1/projects/p/locations/l/publishers/google/models/gemini-2.5-pro:countTokens";
        for (path, model, method) in [
            ("/v1beta/models/a%2Fb:generateContent?alt=sse", "a%2Fb", "generateContent"),
            ("/v1beta/models/nova:0:generateContent", "nova:0", "generateContent"),
            ("/v1beta/models/g", "g", ""),
            ("/v1beta/models", "", ""),
            (vertex, "gemini-2.5-pro", "countTokens"),
        ] {
            assert_eq!(GooglePath::of(path), Some(GooglePath { model, method }), "{path}");
        }
        assert_eq!(GooglePath::of("/v1/models/gpt-4o"), None);
    }

    #[test]
    fn dots_that_lead_elsewhere_are_seen_however_they_are_written() {
        for path in [
            "/v1/files/x/..",
            "/v1/files/x/../y",
            "/v1/./files",
            "/v1/files/x/%2e%2E/y",
            "/v1/files/x%2f..%2Fy",
            "/v1/files/x/.%2e/y",
            "/v1/files/x\\..\\y",
            "/v1/files/x/..;a=b/y",
        ] {
            assert!(has_dots(path), "{path}");
        }
        for path in [
            "/v1/files/x?after=../y",
            "/v1beta/models/gemini-2.5-pro:generateContent",
            "/v1/files/...",
            "/v1/models/a..b",
            "/v1/files/.x%20y",
        ] {
            assert!(!has_dots(path), "{path}");
        }
    }

    #[test]
    fn the_tail_follows_the_version() {
        assert_eq!(tail("/openai/v1/files/x?y=/v1/z"), Some("/files/x?y=/v1/z"));
        assert_eq!(tail("/v2/rerank"), Some("/rerank"));
        assert_eq!(tail("/files"), None);
    }
}
