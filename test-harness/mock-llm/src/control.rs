//! The endpoints under `/_mock/`, with which a test steers the server.

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode, Uri};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::script::Script;
use crate::server::State;
use crate::stream::Playback;

/// What all these paths begin with.
pub(crate) const PREFIX: &str = "/_mock/";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Queue {
    listener: String,
    script: Value,
    #[serde(default = "once")]
    times: u64,
}

fn once() -> u64 {
    1
}

/// Answers a request to the server itself.
pub(crate) fn handle(state: &State, method: &Method, uri: &Uri, body: &[u8]) -> Response<Playback> {
    let ok = || Ok(json!({ "ok": true }).to_string());
    let path = uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let result = match (method.as_str(), path) {
        ("GET", "health") => ok(),
        ("POST", "reset") => {
            state.reset();
            ok()
        }
        ("POST", "script") => queue(state, body).and_then(|()| ok()),
        ("GET", "requests") => Ok(state.recorder.show(listener(uri).as_deref())),
        ("DELETE", "requests") => {
            state.recorder.clear();
            ok()
        }
        _ => Err((StatusCode::NOT_FOUND, format!("no such endpoint: {method} {}", uri.path()))),
    };
    let (status, body) = match result {
        Ok(body) => (StatusCode::OK, body),
        Err((status, message)) => (status, json!({ "error": message }).to_string()),
    };
    let mut response = Response::new(Playback::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn queue(state: &State, body: &[u8]) -> Result<(), (StatusCode, String)> {
    let bad = |message: String| (StatusCode::BAD_REQUEST, message);
    let queue: Queue = serde_json::from_slice(body).map_err(|error| bad(error.to_string()))?;
    let script = Script::parse(queue.script, &queue.listener)
        .map_err(|error| bad(format!("script: {error}")))?;
    if state.queue(&queue.listener, script, queue.times) {
        Ok(())
    } else {
        Err((StatusCode::NOT_FOUND, format!("no such listener: {}", queue.listener)))
    }
}

fn listener(uri: &Uri) -> Option<String> {
    let pairs = uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(name, _)| *name == "listener").map(|(_, value)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: &State, method: Method, uri: &str, body: &str) -> u16 {
        let uri: Uri = uri.parse().unwrap();
        handle(state, &method, &uri, body.as_bytes()).status().as_u16()
    }

    #[test]
    fn endpoints_answer_or_say_what_is_wrong() {
        let state = State::new(0, ["a".to_owned()].into_iter());
        for (method, uri, body, expected) in [
            (Method::GET, "/_mock/health", "", 200),
            (Method::GET, "/_mock/requests?listener=a", "", 200),
            (Method::DELETE, "/_mock/requests", "", 200),
            (Method::POST, "/_mock/reset", "", 200),
            (Method::POST, "/_mock/script", r#"{"listener":"a","script":{},"times":2}"#, 200),
            (Method::POST, "/_mock/script", r#"{"listener":"x","script":{}}"#, 404),
            (Method::POST, "/_mock/script", r#"{"listener":"a","script":{"x":1}}"#, 400),
            (Method::POST, "/_mock/script", r#"{"listener":"a"}"#, 400),
            (Method::GET, "/_mock/other", "", 404),
        ] {
            assert_eq!(status(&state, method, uri, body), expected, "{uri} {body}");
        }
    }

    #[test]
    fn the_listener_is_read_from_the_query() {
        let name = |uri: &str| listener(&uri.parse().unwrap());
        assert_eq!(name("/_mock/requests?x=1&listener=a").as_deref(), Some("a"));
        assert_eq!(name("/_mock/requests"), None);
    }
}
