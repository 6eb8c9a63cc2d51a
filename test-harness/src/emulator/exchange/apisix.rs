//! How APISIX runs a request through a Wasm plugin: request phase, upstream, header filter, body
//! filter.

use crate::emulator::Headers;
use crate::emulator::instance::{Inner, Outcome};
use crate::emulator::state::{Crash, Phase};
use crate::emulator::stream::{Hold, Over, Step, Stream};

impl Inner {
    pub(super) fn apisix_request_headers(&mut self, id: u32, headers: Headers, end: bool) {
        let stream = self.stream(id);
        stream.nginx.original = headers.clone();
        stream.request.headers = headers;
        stream.request.hold = Hold::Headers;
        stream.request.end = end;
        if let Some(host) = stream.nginx.original.bytes(":authority")
            && !stream.request.headers.contains("host")
        {
            stream.request.headers.set("host", host);
        }
        let outcome = if stream.created {
            // Neither the number of headers nor whether there is a body is told.
            self.call("proxy_on_request_headers", Phase::RequestHeaders, id, &[id, 0, 1])
        } else {
            Outcome::Dead
        };
        self.apisix_after(id, outcome);
    }

    pub(super) fn apisix_request_body(&mut self, id: u32, chunk: &[u8], end: bool) {
        let stream = self.stream(id);
        if stream.ended() || stream.local_reply.is_some() {
            return;
        }
        assert!(stream.request.hold != Hold::NotArrived, "a body before its headers");
        assert!(!stream.request.end, "a body after its end");
        stream.nginx.body.extend_from_slice(chunk);
        stream.request.end = end;
        match stream.nginx.step {
            Step::WaitsForBody if end => self.apisix_whole_body(id),
            Step::Done if end => self.apisix_send_upstream(id),
            _ => {}
        }
    }

    /// A callback of the request phase is done. What now?
    pub(super) fn apisix_after(&mut self, id: u32, outcome: Outcome) {
        // An HTTP call goes before anything else, a local reply in the same callback is lost.
        let reply = self.stream(id).nginx.reply.take();
        if self.state().callouts.values().any(|c| c.context == id) {
            return;
        }
        match (outcome, reply) {
            (Outcome::Dead, _) => self.apisix_reply(id, 503, Vec::new()),
            (_, Some((status, body))) if status >= 100 => self.apisix_reply(id, status, body),
            (Outcome::Returned(0), _) => self.apisix_next(id),
            (Outcome::Returned(_), _) => {
                let why = "Pause in a request phase without a pending HTTP call or a local reply";
                panic!("{}", Crash(why.into()));
            }
        }
    }

    fn apisix_next(&mut self, id: u32) {
        let stream = self.stream(id);
        let wants_body =
            stream.nginx.step == Step::Headers && take_flag(stream, "wasm_process_req_body");
        if wants_body {
            stream.nginx.step = Step::WaitsForBody;
            if stream.request.end {
                self.apisix_whole_body(id);
            }
            return;
        }
        stream.nginx.step = Step::Done;
        if stream.request.end {
            self.apisix_send_upstream(id);
        }
    }

    fn apisix_whole_body(&mut self, id: u32) {
        let stream = self.stream(id);
        stream.nginx.step = Step::Body;
        stream.request.buffer = stream.nginx.body.clone();
        stream.request.in_body = true;
        let size = u32::try_from(stream.request.buffer.len()).expect("a body under 4 GiB");
        let outcome = self.call("proxy_on_request_body", Phase::RequestBody, id, &[id, size, 1]);
        let stream = self.stream(id);
        stream.request.in_body = false;
        stream.request.buffer.clear();
        self.apisix_after(id, outcome);
    }

    /// The request goes to the upstream, changed by what headers and variables say.
    fn apisix_send_upstream(&mut self, id: u32) {
        let bridge = self.state().options.bridge;
        let stream = self.stream(id);
        let new_body = if bridge { bridged(stream, "wasm_req_body") } else { None };
        let lengths = |h: &Headers| -> Vec<Vec<u8>> {
            h.all("content-length").into_iter().map(Vec::from).collect()
        };
        let kept = lengths(&stream.nginx.original) == lengths(&stream.request.headers);
        assert!(
            kept || new_body.is_some(),
            "request smuggling: content-length was changed or removed, but the body that goes \
             upstream is the old one"
        );
        let variable = |name: &str| stream.nginx.variables.get(name).filter(|v| !v.is_empty());
        let path = variable("upstream_uri").cloned().unwrap_or_else(|| path(stream));
        let host = variable("upstream_host").cloned();
        let headers = &mut stream.request.headers;
        headers.set(":path", path);
        if let Some(host) = host {
            headers.set(":authority", &host);
            headers.set("host", &host);
        }
        if let Some(body) = &new_body {
            headers.set("content-length", body.len().to_string());
        }
        stream.request.buffer = new_body.unwrap_or_else(|| stream.nginx.body.clone());
        stream.request.release();
        self.check_length(id, false);
    }

    /// Answers in the upstream's place; the response phases run.
    fn apisix_reply(&mut self, id: u32, status: u32, body: Vec<u8>) {
        let stream = self.stream(id);
        stream.nginx.step = Step::Done;
        stream.local_reply = Some(if status == 503 { "failed" } else { "wasm" }.into());
        let mut headers = std::mem::take(&mut stream.nginx.reply_headers);
        headers.set(":status", status.to_string());
        self.apisix_response_headers(id, headers, body.is_empty());
        if !body.is_empty() {
            self.apisix_response_body(id, &body, true);
        }
    }

    pub(super) fn apisix_response_headers(&mut self, id: u32, headers: Headers, end: bool) {
        let stream = self.stream(id);
        stream.response.headers = headers;
        // What the request phase set is still there.
        for (name, value) in std::mem::take(&mut stream.nginx.reply_headers).iter() {
            stream.response.headers.add(name, value);
        }
        stream.response.hold = Hold::Headers;
        if stream.created {
            // What it returns is ignored, and so is a local reply.
            self.call("proxy_on_response_headers", Phase::ResponseHeaders, id, &[id, 0, 1]);
            let stream = self.stream(id);
            stream.nginx.wants_response_body = take_flag(stream, "wasm_process_resp_body");
        }
        self.stream(id).response.release();
        if end {
            self.apisix_response_body(id, b"", true);
        }
    }

    pub(super) fn apisix_response_body(&mut self, id: u32, chunk: &[u8], end: bool) {
        let size = self.state().options.response_buffer.max(1);
        let stream = self.stream(id);
        assert!(stream.response.hold != Hold::NotArrived, "a body before its headers");
        assert!(!stream.response.end, "a body after its end");
        for buffer in chunk.chunks(size) {
            self.apisix_response_buffer(id, buffer, false);
        }
        if end {
            // The end comes by itself, in an empty buffer.
            self.apisix_response_buffer(id, b"", true);
        }
        self.response_went_on(id);
    }

    fn apisix_response_buffer(&mut self, id: u32, buffer: &[u8], last: bool) {
        let bridge = self.state().options.bridge;
        let stream = self.stream(id);
        if stream.nginx.wants_response_body {
            stream.response.buffer = buffer.to_vec();
            stream.response.in_body = true;
            let size = u32::try_from(buffer.len()).expect("a buffer under 4 GiB");
            let args = [id, size, u32::from(last)];
            self.call("proxy_on_response_body", Phase::ResponseBody, id, &args);
            self.stream(id).response.in_body = false;
        }
        let stream = self.stream(id);
        let instead = if bridge { bridged(stream, "wasm_resp_body") } else { None };
        stream.response.buffer = instead.unwrap_or_else(|| buffer.to_vec());
        stream.response.end = last;
        stream.response.release();
    }

    pub(super) fn apisix_upstream_reset(&mut self, id: u32) {
        let stream = self.stream(id);
        if stream.response.hold == Hold::NotArrived {
            stream.local_reply = Some("502".into());
            let page = b"<html>502 Bad Gateway</html>";
            self.apisix_response_headers(id, [(":status", "502")].into(), false);
            self.apisix_response_body(id, page, true);
        } else {
            stream.over = Some(Over::Reset);
        }
    }

    /// `ngx.exec` forgot the plugin's context: the request goes on with a new one.
    pub(super) fn apisix_new_context(&mut self, old: u32) -> u32 {
        let state = self.state_mut();
        let new = state.free_context();
        let stream = state.streams.get_mut(&old).expect("the exchange is not finished");
        let root = stream.root;
        let rest = Stream { root, created: stream.created, ..Stream::default() };
        let stream = std::mem::replace(stream, rest);
        state.streams.insert(new, stream);
        self.call("proxy_on_context_create", Phase::Stream, new, &[new, root]);
        new
    }
}

/// Whether the variable is set; it is empty again afterwards.
fn take_flag(stream: &mut Stream, name: &str) -> bool {
    stream.nginx.variables.remove(name).is_some_and(|value| !value.is_empty())
}

/// The body the plugin put into the variable, if its flag says so.
fn bridged(stream: &Stream, name: &str) -> Option<Vec<u8>> {
    let flag = stream.nginx.variables.get(&format!("{name}_set"));
    let set = flag.is_some_and(|flag| flag == b"1");
    set.then(|| stream.nginx.variables.get(name).cloned().unwrap_or_default())
}

/// The path as nginx sends it: escaped if the plugin set it, with the request's own query.
fn path(stream: &Stream) -> Vec<u8> {
    let original = stream.nginx.original.bytes(":path").unwrap_or(b"/").to_vec();
    let query = original.iter().position(|b| *b == b'?').map(|at| original[at + 1..].to_vec());
    let args = stream.nginx.variables.get("args").cloned().or(query).unwrap_or_default();
    let Some(path) = &stream.nginx.new_path else { return original };
    let mut out = Vec::new();
    for byte in path {
        match byte {
            0..=b' ' | b'#' | b'%' | b'?' | 0x7f.. => out.extend(format!("%{byte:02X}").bytes()),
            other => out.push(*other),
        }
    }
    if !args.is_empty() {
        out.push(b'?');
        out.extend(args);
    }
    out
}
