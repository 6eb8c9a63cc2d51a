//! Raw requests to a running server.

// Helpers of tests may fail as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};

/// A server that ends with the test.
struct Server {
    process: Child,
    listeners: Value,
}

impl Server {
    fn start(args: &[&str]) -> Server {
        let mut process = Command::new(env!("CARGO_BIN_EXE_mock-llm"))
            .args(["--listen", "a=127.0.0.1:0", "--listen", "b=127.0.0.1:0"])
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        Server { process, listeners: ready["listeners"].clone() }
    }

    fn address(&self, listener: &str) -> &str {
        self.listeners[listener].as_str().unwrap()
    }

    fn connect(&self, listener: &str) -> TcpStream {
        let stream = TcpStream::connect(self.address(listener)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    /// Sends a request on a connection of its own.
    fn open(&self, listener: &str, line: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
        let mut stream = self.connect(listener);
        let mut request =
            format!("{line} HTTP/1.1\r\nhost: mock\r\ncontent-length: {}\r\n", body.len());
        let usual = [
            ("connection", "close"),
            ("authorization", "Bearer sk-test"),
            ("anthropic-version", "2023-06-01"),
            ("content-type", "application/json"),
        ];
        for (name, value) in usual.iter().chain(headers) {
            request += &format!("{name}: {value}\r\n");
        }
        stream.write_all(format!("{request}\r\n{body}").as_bytes()).unwrap();
        stream
    }

    /// Sends a request and reads until the server closes the connection.
    fn raw(&self, listener: &str, line: &str, headers: &[(&str, &str)], body: &str) -> Raw {
        let mut bytes = Vec::new();
        self.open(listener, line, headers, body).read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        Raw { head: head.to_lowercase(), body: body.to_owned() }
    }

    fn chat(&self, listener: &str, script: Value, extra: Value) -> Raw {
        let script = script.to_string();
        self.raw(listener, CHAT, &[("x-mock-llm", &script)], &request(extra).to_string())
    }

    fn control(&self, line: &str, body: &str) -> Value {
        serde_json::from_str(&self.raw("b", line, &[], body).body).unwrap()
    }

    /// Waits until the last request to a listener is as wanted.
    fn wait_for(&self, listener: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let list = self.control(&format!("GET /_mock/requests?listener={listener}"), "");
            if let Some(last) = list.as_array().unwrap().last().filter(|last| wanted(last)) {
                return last.clone();
            }
            assert!(start.elapsed() < Duration::from_secs(10), "{list}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A response as it came over the wire, the head in lower case.
struct Raw {
    head: String,
    body: String,
}

impl Raw {
    fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The chunks of a body in chunks, and whether the last, empty one came.
    fn chunks(&self) -> (Vec<&str>, bool) {
        let (mut rest, mut chunks) = (self.body.as_str(), Vec::new());
        while let Some((size, after)) = rest.split_once("\r\n") {
            let size = usize::from_str_radix(size, 16).unwrap();
            if size == 0 {
                return (chunks, true);
            }
            let (chunk, after) = after.split_at(size.min(after.len()));
            chunks.push(chunk);
            rest = after.strip_prefix("\r\n").unwrap_or(after);
        }
        (chunks, false)
    }
}

const CHAT: &str = "POST /v1/chat/completions";

fn request(extra: Value) -> Value {
    let mut request = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    request
}

fn streamed() -> Value {
    json!({"stream": true})
}

#[test]
fn answers_in_every_protocol_and_remembers_the_requests() {
    let server = Server::start(&[]);
    let answer = server.chat("a", json!({}), json!({}));
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "Hello from a: hi");
    assert!(
        answer.head.contains("x-ratelimit-remaining-requests: ")
            && answer.head.contains("x-request-id: req_")
    );

    let body = r#"{"max_tokens":9,"model":"m","messages":[{"role":"user","content":"yo"}]}"#;
    let answer = server.raw(
        "b",
        "POST /anthropic/v1/messages?beta=true",
        &[("x-n", "1"), ("x-n", "2")],
        body,
    );
    assert_eq!(answer.json()["content"][0]["text"], "Hello from b: yo");
    assert!(answer.head.contains("\r\nrequest-id: req_01"));

    let input = r#"{"model":"m","input":"x","dimensions":3}"#;
    let answer = server.raw("a", "POST /v1/embeddings", &[], input);
    assert_eq!(answer.json()["data"][0]["embedding"].as_array().unwrap().len(), 3);
    assert_eq!(server.raw("a", "GET /v1/models", &[], "").json()["object"], "list");
    let unknown = server.raw("a", "POST /v1/nothing", &[], "{}");
    assert_eq!((unknown.status(), &unknown.json()["error"]["code"]), (404, &json!("unknown_url")));

    assert_eq!(server.control("GET /_mock/requests", "").as_array().unwrap().len(), 5);
    let record = server.wait_for("b", |record| record["finished"] == true);
    assert_eq!(record["path"], "/anthropic/v1/messages?beta=true");
    assert_eq!((&record["body_text"], &record["body"]["max_tokens"]), (&json!(body), &json!(9)));
    assert_eq!(
        (&record["body_bytes"], &record["disconnected"]),
        (&json!(body.len()), &json!(false))
    );
    let headers = record["headers"].as_array().unwrap();
    assert!(headers.contains(&json!(["x-n", "1"])) && headers.contains(&json!(["x-n", "2"])));
    server.control("DELETE /_mock/requests", "");
    assert_eq!(server.control("GET /_mock/requests", ""), json!([]));
}

#[test]
fn wrong_requests_are_refused() {
    let server = Server::start(&[]);
    let answer = server.chat("a", json!({"txet": ""}), json!({}));
    assert_eq!(answer.status(), 400);
    assert!(answer.body.contains("x-mock-llm: txet: unknown field `txet`"), "{}", answer.body);
    let answer = server.raw("a", CHAT, &[("X-AI-Model", "m")], &request(json!({})).to_string());
    assert_eq!(answer.json()["error"]["message"], "gateway header leaked: x-ai-model");
    let answer = server.raw("a", "POST /v1/messages", &[], "{oops");
    assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
    assert_eq!(server.raw("a", CHAT, &[], "{oops").status(), 400);
    assert_eq!(server.chat("a", json!({}), json!({"top_k": 3})).json()["error"]["param"], "top_k");
    assert_eq!(server.chat("a", json!({"lenient": true}), json!({"top_k": 3})).status(), 200);
}

#[test]
fn scripts_come_from_the_header_or_the_queue() {
    let server = Server::start(&[]);
    let script = json!({"text": "both", "on": {"a": {"status": 503, "retry_after": 7}}});
    let refused = server.chat("a", script.clone(), json!({}));
    assert_eq!(refused.status(), 503);
    assert!(refused.head.contains("retry-after: 7"));
    assert!(server.chat("b", script, json!({})).body.contains("both"));

    let queued = json!({"listener": "a", "script": {"status": 429}, "times": 2}).to_string();
    assert_eq!(server.control("POST /_mock/script", &queued)["ok"], true);
    let ask = || server.raw("a", CHAT, &[], &request(json!({})).to_string());
    assert_eq!(server.chat("a", json!({}), json!({})).status(), 200, "a header goes first");
    assert_eq!([ask().status(), ask().status(), ask().status()], [429, 429, 200]);
    server.control("POST /_mock/script", &queued);
    server.control("POST /_mock/reset", "");
    assert_eq!(ask().status(), 200);

    let script = json!({"status": 202, "headers": {"X-One": "1", "x-request-id": ["a", "b"]},
        "raw_body": "<p>", "content_type": "text/html"});
    let own = server.chat("a", script, json!({}));
    assert_eq!((own.status(), own.body.as_str()), (202, "<p>"));
    assert!(own.head.contains("content-type: text/html\r\n") && own.head.contains("x-one: 1"));
    assert!(own.head.contains("x-request-id: a\r\nx-request-id: b"), "{}", own.head);
    assert!(server.chat("a", json!({"garbage": true}), json!({})).body.starts_with("<html>"));
    let half = server.chat("a", json!({"truncate_json": true}), json!({}));
    assert!(half.head.contains(&format!("content-length: {}", half.body.len())));
    assert!(serde_json::from_str::<Value>(&half.body).is_err());
}

#[test]
fn streams_are_split_as_the_script_says() {
    let server = Server::start(&[]);
    let script = |split: Value| json!({"text": "one two", "split": split});
    let chat = |split| server.chat("a", script(split), streamed());
    let by_event = chat(json!("event"));
    assert!(by_event.head.contains("content-type: text/event-stream"));
    let (events, ended) = by_event.chunks();
    assert!(ended && events.len() == 5, "{events:?}");
    assert!(events.iter().all(|event| event.starts_with("data: ") && event.ends_with("\n\n")));
    assert_eq!(events[4], "data: [DONE]\n\n");
    server.wait_for("a", |record| record["events_sent"] == 5 && record["finished"] == true);

    let all = events.concat();
    assert_eq!(chat(json!("whole")).chunks().0.len(), 1);
    let bytes = chat(json!({"every": 1}));
    assert!(bytes.chunks().0.len() == all.len() && bytes.chunks().1);
    assert_eq!(chat(json!({"at": [2, 10]})).chunks().0[1].len(), 8);

    let odd = server.chat(
        "a",
        json!({"text": "x", "crlf": true, "comments": true, "bom": true, "split": "whole"}),
        streamed(),
    );
    assert!(odd.chunks().0[0].starts_with("\u{feff}: keep-alive\r\n\r\ndata: {"));
}

#[test]
fn streams_break_off_as_the_script_says() {
    let server = Server::start(&[]);
    let chat = |script| server.chat("a", script, streamed());
    let cut = chat(json!({"cut_after_events": 2}));
    assert_eq!((cut.chunks().0.len(), cut.chunks().1), (2, false));
    let record = server.wait_for("a", |record| record["finished"] == true);
    assert_eq!((&record["events_sent"], &record["disconnected"]), (&json!(2), &json!(false)));
    let cut = chat(json!({"cut_after_bytes": 20}));
    assert_eq!((cut.chunks().0.concat().len(), cut.chunks().1), (20, false));
    let end = chat(json!({"end_after_events": 2}));
    assert_eq!((end.chunks().0.len(), end.chunks().1), (2, true));
    let error = chat(json!({"error_after_events": 1, "error_message": "oh", "error_type": "t"}));
    assert_eq!(
        error.chunks().0[1],
        "data: {\"error\":{\"message\":\"oh\",\"type\":\"t\",\"param\":null,\"code\":null}}\n\n"
    );
    let body = server.chat("a", json!({"cut_after_bytes": 10}), json!({}));
    assert_eq!((body.status(), body.body.len()), (200, 10));
    let none = server.chat("a", json!({"drop_connection": true}), json!({}));
    assert_eq!((none.status(), none.head.as_str()), (0, ""));
}

#[test]
fn answers_take_their_time() {
    let server = Server::start(&[]);
    let script = json!({"latency_ms": 60}).to_string();
    let start = Instant::now();
    server.raw("a", CHAT, &[("x-mock-llm", &script)], &request(json!({})).to_string());
    assert!(start.elapsed() >= Duration::from_millis(60));

    let script = json!({"ttft_ms": 100, "tokens": 11, "tokens_per_second": 100}).to_string();
    let start = Instant::now();
    let mut stream =
        server.open("a", CHAT, &[("x-mock-llm", &script)], &request(streamed()).to_string());
    let mut first = [0; 16];
    stream.read_exact(&mut first).unwrap();
    assert!(start.elapsed() < Duration::from_millis(100), "the headers come at once");
    stream.read_to_end(&mut Vec::new()).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(200));
}

#[test]
fn a_client_that_leaves_is_noticed() {
    let server = Server::start(&[]);
    let leave = |script: Value, extra: Value, wanted: &str| {
        let body = request(extra).to_string();
        let mut stream = server.open("a", CHAT, &[("x-mock-llm", &script.to_string())], &body);
        if !wanted.is_empty() {
            let mut seen = String::new();
            while !seen.contains(wanted) {
                let mut bytes = [0; 1024];
                let read = stream.read(&mut bytes).unwrap();
                seen += &String::from_utf8_lossy(&bytes[..read]);
            }
        } else {
            server.wait_for("a", |record| record["finished"] == false);
        }
    };
    leave(json!({"text": "one two", "stall_after_events": 2}), streamed(), "one");
    let record = server.wait_for("a", |record| record["disconnected"] == true);
    assert_eq!((&record["events_sent"], &record["finished"]), (&json!(2), &json!(false)));
    server.control("DELETE /_mock/requests", "");
    leave(json!({"latency_ms": 60000}), json!({}), "");
    server.wait_for("a", |record| record["disconnected"] == true);
}

#[test]
fn equal_seeds_give_equal_bytes() {
    let ask = |seed| {
        let server = Server::start(&["--seed", seed]);
        let script = json!({"tokens": 20, "tool_calls": [{"name": "f"}]});
        let [first, second] = [(); 2].map(|()| server.chat("a", script.clone(), json!({})).body);
        assert_ne!(first, second);
        server.control("POST /_mock/reset", "");
        assert_eq!(server.chat("a", script, json!({})).body, first);
        first
    };
    assert_eq!(ask("1"), ask("1"));
    assert_ne!(ask("1"), ask("2"));
}

#[test]
fn a_signal_ends_the_server_at_once() {
    let file = std::env::temp_dir().join(format!("mock-llm-ready-{}", std::process::id()));
    let mut server = Server::start(&["--ready-file", file.to_str().unwrap()]);
    let ready: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(ready["listeners"], server.listeners);

    let script = json!({"stall_after_events": 1}).to_string();
    let _open =
        server.open("a", CHAT, &[("x-mock-llm", &script)], &request(streamed()).to_string());
    server.wait_for("a", |record| record["events_sent"] == 1);
    Command::new("kill").arg(server.process.id().to_string()).status().unwrap();
    let start = Instant::now();
    while server.process.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < Duration::from_secs(2));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(server.process.wait().unwrap().success());
}

#[tokio::test]
async fn speaks_http2_without_tls() {
    let server = Server::start(&[]);
    let socket = tokio::net::TcpStream::connect(server.address("a")).await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(socket))
            .await
            .unwrap();
    tokio::spawn(connection);
    let mut ask = async |script: Value| {
        let request =
            hyper::Request::post(format!("http://{}/v1/chat/completions", server.address("a")))
                .header("authorization", "Bearer k")
                .header("content-type", "application/json")
                .header("x-mock-llm", script.to_string())
                .body(Full::new(Bytes::from(request(streamed()).to_string())))
                .unwrap();
        let response = client.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.map(http_body_util::Collected::to_bytes)
    };
    assert!(ask(json!({})).await.unwrap().ends_with(b"data: [DONE]\n\n"));
    assert!(ask(json!({"cut_after_events": 1})).await.is_err());
    assert!(ask(json!({})).await.is_ok(), "only the stream is broken, not the connection");
    // A long text fits a header.
    assert!(ask(json!({"text": "long ".repeat(20_000)})).await.unwrap().len() > 100_000);
}

#[test]
fn an_error_of_bedrocks_is_named_in_a_header() {
    let server = Server::start(&[]);
    let line = "POST /model/amazon.nova-pro-v1%3A0/converse";
    let body = json!({"messages": [{"role": "user", "content": [{"text": "hi"}]}]}).to_string();
    let answer = server.raw("a", line, &[("x-mock-llm", r#"{"text":"ok"}"#)], &body);
    assert_eq!(answer.json()["output"]["message"]["content"][0]["text"], "ok");
    let answer = server.raw("a", line, &[("x-mock-llm", r#"{"status":429}"#)], &body);
    assert!(answer.head.contains("x-amzn-errortype: throttlingexception"), "{}", answer.head);
    assert!(answer.json()["message"].as_str().unwrap().starts_with("Too many requests"));
}

#[test]
fn a_large_body_is_accepted() {
    let server = Server::start(&[]);
    let text = "x".repeat(8 << 20);
    let body = request(json!({"messages": [{"role": "user", "content": text}]})).to_string();
    let answer = server.raw("a", CHAT, &[("x-mock-llm", r#"{"text":"ok"}"#)], &body);
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "ok");
    let record = server.wait_for("a", |record| record["body_bytes"] == body.len());
    assert_eq!(record["body_text"].as_str().unwrap().len(), 64 << 10);
}
