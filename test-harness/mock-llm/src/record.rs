//! What the server has received.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use hyper::HeaderMap;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Oldest records go first beyond this number, so that a load test does not eat the memory.
const MAX_RECORDS: usize = 10_000;
/// Oldest records go first beyond this sum of body sizes.
const MAX_BYTES: usize = 512 << 20;
/// How much of a body is shown as text.
const MAX_TEXT: usize = 64 << 10;
/// Where the protocols put what an answer has used.
const USAGE: [&str; 5] =
    ["/usage", "/message/usage", "/response/usage", "/delta/usage", "/usageMetadata"];

/// One request as it arrived.
#[derive(Debug)]
pub(crate) struct Record {
    listener: String,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Bytes,
    status: AtomicU16,
    finished: AtomicBool,
    disconnected: AtomicBool,
    events_sent: AtomicUsize,
    usage: Mutex<Vec<Value>>,
    arrived: Instant,
    first: OnceLock<Instant>,
    ended: OnceLock<Instant>,
}

impl Record {
    /// A request of which nothing is answered yet.
    pub(crate) fn new(
        listener: &str,
        method: &str,
        path: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Self {
        Record {
            listener: listener.to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
            headers: headers
                .iter()
                .map(|(name, value)| {
                    (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
                })
                .collect(),
            body,
            status: AtomicU16::new(0),
            finished: AtomicBool::new(false),
            disconnected: AtomicBool::new(false),
            events_sent: AtomicUsize::new(0),
            usage: Mutex::default(),
            arrived: Instant::now(),
            first: OnceLock::new(),
            ended: OnceLock::new(),
        }
    }

    fn show(&self) -> String {
        let text = self.body.get(..MAX_TEXT).unwrap_or(&self.body);
        let millis = |at: &OnceLock<Instant>| {
            at.get().map(|at| at.duration_since(self.arrived).as_secs_f64() * 1e3)
        };
        let usage = self.usage.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let fields = [
            ("listener", json!(self.listener)),
            ("method", json!(self.method)),
            ("path", json!(self.path)),
            ("headers", json!(self.headers)),
            ("body_text", json!(String::from_utf8_lossy(text))),
            ("body_bytes", json!(self.body.len())),
            ("status", json!(self.status.load(Ordering::Relaxed))),
            ("finished", json!(self.finished.load(Ordering::Relaxed))),
            ("disconnected", json!(self.disconnected.load(Ordering::Relaxed))),
            ("events_sent", json!(self.events_sent.load(Ordering::Relaxed))),
            ("usage", json!(usage)),
            ("first_ms", json!(millis(&self.first))),
            ("total_ms", json!(millis(&self.ended))),
        ];
        // The body is copied and not parsed, which keeps its order of fields and its numbers.
        let body = serde_json::from_slice::<&RawValue>(&self.body).map_or("null", RawValue::get);
        let fields: Vec<String> = fields
            .iter()
            .map(|(key, value)| format!("{}:{value}", Value::from(*key)))
            .chain([format!("\"body\":{body}")])
            .collect();
        format!("{{{}}}", fields.join(","))
    }
}

/// The requests so far.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    records: VecDeque<Arc<Record>>,
    bytes: usize,
}

impl Recorder {
    /// Keeps a request; the guard notes what becomes of its answer.
    pub(crate) fn add(&self, record: Record) -> Guard {
        let record = Arc::new(record);
        let mut log = self.lock();
        log.bytes += record.body.len();
        log.records.push_back(record.clone());
        while log.records.len() > MAX_RECORDS || (log.bytes > MAX_BYTES && log.records.len() > 1) {
            let dropped = log.records.pop_front().map_or(0, |record| record.body.len());
            log.bytes -= dropped;
        }
        Guard(record)
    }

    /// The JSON list of the requests, of one listener or of all.
    pub(crate) fn show(&self, listener: Option<&str>) -> String {
        let records: Vec<Arc<Record>> = self.lock().records.iter().cloned().collect();
        let shown: Vec<String> = records
            .iter()
            .filter(|record| listener.is_none_or(|name| record.listener == name))
            .map(|record| record.show())
            .collect();
        format!("[{}]", shown.join(","))
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        *self.lock() = Log::default();
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows one answer. Dropped before its end, the client has gone away.
#[derive(Debug)]
pub(crate) struct Guard(Arc<Record>);

impl Guard {
    /// The response headers are ready.
    pub(crate) fn status(&self, status: u16) {
        self.0.status.store(status, Ordering::Relaxed);
    }

    /// A part of the answer, in the protocol's JSON: what it says of its usage is kept.
    pub(crate) fn states(&self, part: &[u8]) {
        if !part.windows(6).any(|window| window == b"\"usage") {
            return;
        }
        let Ok(part) = serde_json::from_slice::<Value>(part) else { return };
        let found = USAGE.into_iter().filter_map(|place| part.pointer(place));
        let mut usage = self.0.usage.lock().unwrap_or_else(PoisonError::into_inner);
        usage.extend(found.filter(|found| found.is_object()).cloned());
    }

    /// Some more events have been handed to the connection.
    pub(crate) fn sent(&self, events: usize) {
        self.0.first.get_or_init(Instant::now);
        self.0.events_sent.fetch_add(events, Ordering::Relaxed);
    }

    /// The answer has come to its scripted end.
    pub(crate) fn finish(&self) {
        self.0.ended.get_or_init(Instant::now);
        self.0.finished.store(true, Ordering::Relaxed);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.0.finished.load(Ordering::Relaxed) {
            self.0.disconnected.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(listener: &str, body: &'static str) -> Record {
        let mut headers = HeaderMap::new();
        headers.append("a", "1".parse().unwrap());
        headers.append("a", "2".parse().unwrap());
        Record::new(listener, "POST", "/x?y=1", &headers, Bytes::from(body))
    }

    fn list(recorder: &Recorder, listener: Option<&str>) -> Vec<Value> {
        serde_json::from_str(&recorder.show(listener)).unwrap()
    }

    #[test]
    fn shows_what_arrived() {
        let recorder = Recorder::default();
        let guard = recorder.add(record("a", r#"{"z":1.50,"b":2}"#));
        recorder.add(record("b", "no json"));
        guard.states(br#"{"type":"message_start","message":{"usage":{"input_tokens":3}}}"#);
        guard.states(br#"{"usage":null}"#);
        guard.states(br#"{"usage":{"output_tokens":5}}"#);
        guard.sent(2);
        guard.finish();
        drop(guard);
        assert!(recorder.show(Some("a")).contains(r#""body":{"z":1.50,"b":2}"#));
        let all = list(&recorder, None);
        assert_eq!(all[0]["headers"], json!([["a", "1"], ["a", "2"]]));
        assert_eq!((&all[0]["events_sent"], &all[0]["disconnected"]), (&json!(2), &json!(false)));
        assert_eq!(all[0]["usage"], json!([{"input_tokens": 3}, {"output_tokens": 5}]));
        assert!(all[0]["first_ms"].as_f64() <= all[0]["total_ms"].as_f64());
        assert_eq!((&all[1]["usage"], &all[1]["total_ms"]), (&json!([]), &Value::Null));
        assert_eq!((&all[1]["body"], &all[1]["body_text"]), (&Value::Null, &json!("no json")));
        assert_eq!(all[1]["disconnected"], json!(true));
        assert_eq!(list(&recorder, Some("b")).len(), 1);
        recorder.clear();
        assert!(list(&recorder, None).is_empty());
    }

    #[test]
    fn the_oldest_requests_go_first() {
        let recorder = Recorder::default();
        for _ in 0..MAX_RECORDS + 5 {
            recorder.add(record("a", "12"));
        }
        assert_eq!(recorder.lock().records.len(), MAX_RECORDS);
        assert_eq!(recorder.lock().bytes, MAX_RECORDS * 2);
    }
}
