//! The HTTP server: from a request to its playback.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::control;
use crate::protocols::{self, Answer, ApiError, Call, Endpoint, Protocol};
use crate::record::{Guard, Record, Recorder};
use crate::rng::Rng;
use crate::script::{self, Script};
use crate::stream::{self, Playback};

const MAX_BODY: usize = 64 << 20;
/// A script is sent in a header, and may hold a long text.
const MAX_HEADERS: u32 = 1 << 20;
const JSON: &str = "application/json";

/// All that requests share.
#[derive(Debug)]
pub(crate) struct State {
    seed: u64,
    lanes: HashMap<String, Mutex<Lane>>,
    /// What has been received.
    pub(crate) recorder: Recorder,
}

/// What one listener knows.
#[derive(Debug, Default)]
struct Lane {
    requests: u64,
    queue: VecDeque<(Script, u64)>,
}

impl State {
    /// The state of a server with these listeners.
    pub(crate) fn new(seed: u64, listeners: impl Iterator<Item = String>) -> State {
        let lanes = listeners.map(|name| (name, Mutex::default())).collect();
        State { seed, lanes, recorder: Recorder::default() }
    }

    /// Queues a script for the next so many requests; false if there is no such listener.
    pub(crate) fn queue(&self, listener: &str, script: Script, times: u64) -> bool {
        let Some(mut lane) = self.lane(listener) else { return false };
        if times > 0 {
            lane.queue.push_back((script, times));
        }
        true
    }

    /// Back to the start: no queues, no records, and request numbers from 0.
    pub(crate) fn reset(&self) {
        for name in self.lanes.keys() {
            if let Some(mut lane) = self.lane(name) {
                *lane = Lane::default();
            }
        }
        self.recorder.clear();
    }

    /// The number of a new request.
    fn number(&self, listener: &str) -> u64 {
        self.lane(listener).map_or(0, |mut lane| {
            let number = lane.requests;
            lane.requests += 1;
            number
        })
    }

    fn next_queued(&self, listener: &str) -> Option<Script> {
        let mut lane = self.lane(listener)?;
        let (script, times) = lane.queue.front_mut()?;
        *times -= 1;
        let (script, empty) = (script.clone(), *times == 0);
        if empty {
            lane.queue.pop_front();
        }
        Some(script)
    }

    fn lane(&self, listener: &str) -> Option<MutexGuard<'_, Lane>> {
        self.lanes.get(listener).map(|lane| lane.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Accepts connections for as long as the process lives.
pub(crate) async fn serve(state: Arc<State>, name: Arc<str>, listener: TcpListener) {
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: some will be free again soon.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        // Without this the kernel would join writes that the script wants apart.
        let _ = socket.set_nodelay(true);
        let (state, name) = (state.clone(), name.clone());
        tokio::spawn(async move {
            let mut server = auto::Builder::new(TokioExecutor::new());
            server.http1().max_buf_size(MAX_HEADERS as usize);
            server.http2().max_header_list_size(MAX_HEADERS);
            let service = service_fn(|request| handle(state.clone(), name.clone(), request));
            // A connection that breaks is nothing to report: often the script wants it.
            let _ = server.serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

/// Answers one request, or breaks the connection.
async fn handle(
    state: Arc<State>,
    listener: Arc<str>,
    request: Request<Incoming>,
) -> Result<Response<Playback>, stream::Aborted> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await;
    let too_large =
        body.as_ref().is_err_and(|error| error.is::<http_body_util::LengthLimitError>());
    let body = match body {
        Ok(body) => body.to_bytes(),
        Err(_) if too_large => Bytes::new(),
        Err(_) => return Err(stream::Aborted),
    };
    let path = head.uri.path();
    if path.starts_with(control::PREFIX) {
        return Ok(control::handle(&state, &head.method, &head.uri, &body));
    }
    let full_path = head.uri.path_and_query().map_or(path, |path| path.as_str());
    let record =
        Record::new(&listener, head.method.as_str(), full_path, &head.headers, body.clone());
    let guard = state.recorder.add(record);

    let number = state.number(&listener);
    let mut rng = Rng::for_request(state.seed, &listener, number);
    let (protocol, endpoint) = protocols::find(&head.method, path)
        .map_or((protocols::fallback(), None), |(protocol, found)| (protocol, Some(found)));
    let reply = Reply { protocol, request_id: protocol.request_id(&mut rng) };
    let script = match head.headers.get(script::HEADER) {
        Some(header) => Script::from_header(header, &listener),
        None => Ok(endpoint.and_then(|_| state.next_queued(&listener)).unwrap_or_default()),
    };
    let script = match script {
        Ok(script) => script,
        Err(error) => {
            let error = ApiError::invalid(format!("{}: {error}", script::HEADER));
            return Ok(reply.error(&error, &Script::default(), guard));
        }
    };
    let plain = Script::default();
    let Some(endpoint) = endpoint else {
        let message = format!(
            "Unknown request URL: {} {path}. Please check the URL for typos, or see the docs at \
             https://platform.openai.com/docs/api-reference/.",
            head.method
        );
        let error = ApiError::status(404).message(message).code("unknown_url");
        return Ok(reply.error(&error, &plain, guard));
    };
    if too_large {
        return Ok(reply.error(&ApiError::status(413), &plain, guard));
    }

    let reads_body = !matches!(endpoint, Endpoint::Models | Endpoint::Model);
    let parsed = if reads_body { protocols::parse(&body) } else { Ok(Value::Null) };
    // A file that is sent is no JSON.
    let must_parse = endpoint != Endpoint::Object;
    let problem = parsed.as_ref().err().filter(|_| must_parse);
    let problem = problem.map(|error| protocol.malformed(error));
    let parsed = parsed.unwrap_or_default();
    let call = Call {
        endpoint,
        listener: &listener,
        path,
        query: head.uri.query().unwrap_or_default(),
        headers: &head.headers,
        body: &parsed,
        script: &script,
        number,
    };
    if !script.lenient {
        let problem = protocols::leaked_header(&head.headers)
            .or(problem)
            .map_or_else(|| protocol.validate(&call), Err);
        if let Err(error) = problem {
            return Ok(reply.error(&error, &plain, guard));
        }
    }

    if script.latency_ms > 0 {
        tokio::time::sleep(Duration::from_millis(script.latency_ms)).await;
    }
    if script.drop_connection {
        guard.finish();
        return Err(stream::Aborted);
    }
    let status = script.status.unwrap_or(200);
    if status >= 300 && script.raw_body.is_none() {
        let error = ApiError::scripted(&script, status);
        return Ok(reply.error(&error, &script, guard));
    }
    if let Some(body) = &script.raw_body {
        return Ok(reply.body(status, JSON, body.clone().into(), &script, guard));
    }
    Ok(match protocol.answer(&call, &mut rng) {
        Answer::Body(json) => {
            let body: Vec<u8> = json.text().into();
            guard.states(&body);
            reply.body(status, JSON, body, &script, guard)
        }
        Answer::Stream { content_type, framing, events } => {
            events.iter().for_each(|event| guard.states(&event.data));
            // Most providers fail in mid-stream because of load.
            let error = protocol.error_event(&ApiError::scripted(&script, 503));
            let steps = stream::plan(events, framing, &script, error);
            reply.send(status, content_type, Playback::new(steps, None, Some(guard)), &script)
        }
    })
}

/// Makes the responses to one request.
struct Reply {
    protocol: &'static dyn Protocol,
    request_id: String,
}

impl Reply {
    fn error(&self, error: &ApiError, script: &Script, guard: Guard) -> Response<Playback> {
        let body = self.protocol.error(error, &self.request_id).text();
        let mut response = self.body(error.status, JSON, body.into(), script, guard);
        for (name, value) in self.protocol.error_headers(error) {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().entry(name).or_insert(value);
            }
        }
        response
    }

    fn body(
        &self,
        status: u16,
        content_type: &'static str,
        mut body: Vec<u8>,
        script: &Script,
        guard: Guard,
    ) -> Response<Playback> {
        if script.garbage {
            body = b"<html><body><h1>502 Bad Gateway</h1></body></html>".to_vec();
        }
        if script.truncate_json {
            body.truncate(body.len() / 2);
        }
        let mark = if script.bom { "\u{feff}".len() } else { 0 };
        let length = (body.len() + mark) as u64;
        let steps = stream::plan_body(body, script);
        self.send(status, content_type, Playback::new(steps, Some(length), Some(guard)), script)
    }

    fn send(
        &self,
        status: u16,
        content_type: &'static str,
        playback: Playback,
        script: &Script,
    ) -> Response<Playback> {
        playback.note_status(status);
        let mut response = Response::new(playback);
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        for (name, value) in self.protocol.headers(&self.request_id) {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        if let Some(seconds) = script.retry_after {
            headers.insert("retry-after", seconds.into());
        }
        if let Some(kind) = &script.content_type
            && let Ok(value) = HeaderValue::from_str(kind)
        {
            headers.insert(CONTENT_TYPE, value);
        }
        for (name, values) in &script.headers {
            let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
            // The script's headers replace those of the same name.
            headers.remove(&name);
            for value in values.iter().filter_map(|value| HeaderValue::from_str(value).ok()) {
                headers.append(&name, value);
            }
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn scripts_are_used_up_in_order() {
        let state = State::new(0, ["a".to_owned(), "b".to_owned()].into_iter());
        let script = |text: &str| Script::parse(json!({ "text": text }), "a").unwrap();
        assert!(state.queue("a", script("one"), 2));
        assert!(state.queue("a", script("two"), 1));
        assert!(!state.queue("c", script("no"), 1));
        let texts: Vec<_> =
            (0..4).map(|_| state.next_queued("a").and_then(|script| script.text)).collect();
        assert_eq!(texts, [Some("one".into()), Some("one".into()), Some("two".into()), None]);
        assert!(state.next_queued("b").is_none());
    }

    #[test]
    fn a_reset_starts_over() {
        let state = State::new(0, ["a".to_owned()].into_iter());
        assert_eq!((state.number("a"), state.number("a")), (0, 1));
        state.queue("a", Script::default(), 1);
        state.reset();
        assert_eq!(state.number("a"), 0);
        assert!(state.next_queued("a").is_none());
    }
}
