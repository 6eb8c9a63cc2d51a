//! What providers keep for their clients: files, batches, cached contents. Nothing is really kept: every
//! object of the right form is there.

use hyper::Method;
use serde_json::Value;

use super::anthropic::Anthropic;
use super::gemini::Gemini;
use super::openai::OpenAi;
use super::{Answer, ApiError, Call, Endpoint, Protocol};
use crate::json::{Json, object};
use crate::rng::Rng;
use crate::stream::Event;

/// The objects of OpenAI, of Anthropic and of Gemini.
pub(crate) struct Kept {
    /// Where their paths begin.
    paths: &'static [&'static str],
    /// Whose they are.
    vendor: &'static dyn Protocol,
}

/// Paths of OpenAI's.
pub(crate) static OPENAI: Kept = Kept { paths: &["/v1/files", "/v1/batches"], vendor: &OpenAi };
/// Paths of Anthropic's.
pub(crate) static ANTHROPIC: Kept = Kept { paths: &["/v1/messages/batches"], vendor: &Anthropic };
/// Paths of Gemini's.
pub(crate) static GEMINI: Kept = Kept { paths: &["/v1beta/cachedContents"], vendor: &Gemini };

impl Kept {
    /// The path, and what follows it.
    fn split<'p>(&self, path: &'p str) -> Option<(&'static str, &'p str)> {
        self.paths.iter().find_map(|begin| {
            let at = path.find(begin)?;
            let rest = path.get(at + begin.len()..)?;
            (rest.is_empty() || rest.starts_with('/')).then_some((*begin, rest))
        })
    }
}

impl Protocol for Kept {
    fn route(&self, method: &Method, path: &str) -> Option<Endpoint> {
        let known = [Method::GET, Method::POST, Method::DELETE, Method::PATCH].contains(method);
        (known && self.split(path).is_some()).then_some(Endpoint::Object)
    }

    /// Providers refuse names that they have not given.
    fn validate(&self, call: &Call<'_>) -> Result<(), ApiError> {
        let (_, rest) = self.split(call.path).unwrap_or_default();
        let id = rest.trim_start_matches('/').split('/').next().unwrap_or_default();
        let input = call.body.get("input_file_id").and_then(Value::as_str).unwrap_or_default();
        match [id, input].into_iter().find(|name| name.contains("-gw-")) {
            Some(_) => Err(ApiError::status(404).message("No such object.")),
            None => Ok(()),
        }
    }

    fn answer(&self, call: &Call<'_>, rng: &mut Rng) -> Answer {
        let (begin, rest) = self.split(call.path).unwrap_or_default();
        let given = rest.trim_start_matches('/').split('/').next().filter(|id| !id.is_empty());
        let mut id = |prefix| given.map_or_else(|| rng.hex(prefix, 24), str::to_owned);
        Answer::Body(match begin {
            "/v1/files" if rest.ends_with("/content") => object! { "custom_id": "request-1" },
            "/v1/files" => object! { "id": id("file-"), "object": "file", "status": "processed" },
            "/v1/batches" => object! {
                "id": id("batch_"),
                "object": "batch",
                "status": "completed",
                "input_file_id": call.body.get("input_file_id").cloned().unwrap_or_default(),
                "output_file_id": "file-output",
                "error_file_id": Json::NULL,
            },
            "/v1/messages/batches" if rest.ends_with("/results") => {
                object! { "custom_id": "request-1" }
            }
            "/v1/messages/batches" => {
                let id = id("msgbatch_");
                let results = format!("https://api.anthropic.com/v1/messages/batches/{id}/results");
                object! {
                    "id": id,
                    "type": "message_batch",
                    "processing_status": "ended",
                    "results_url": results,
                }
            }
            _ => {
                let model = call.body.get("model").cloned().unwrap_or_default();
                object! { "name": format!("cachedContents/{}", id("")), "model": model }
            }
        })
    }

    fn error(&self, error: &ApiError, request_id: &str) -> Json {
        self.vendor.error(error, request_id)
    }

    fn error_event(&self, error: &ApiError) -> Vec<Event> {
        self.vendor.error_event(error)
    }

    fn headers(&self, request_id: &str) -> Vec<(&'static str, String)> {
        self.vendor.headers(request_id)
    }

    fn request_id(&self, rng: &mut Rng) -> String {
        self.vendor.request_id(rng)
    }

    fn malformed(&self, error: &serde_json::Error) -> ApiError {
        self.vendor.malformed(error)
    }
}
