//! How Envoy runs a stream through a filter: holding, buffering, going on, answering.

use crate::emulator::Headers;
use crate::emulator::instance::{Inner, Outcome};
use crate::emulator::state::{Action, Phase};
use crate::emulator::stream::{Hold, Over};

impl Inner {
    pub(super) fn envoy_headers(&mut self, id: u32, response: bool, headers: Headers, end: bool) {
        let count = word(headers.len());
        let stream = self.stream(id);
        let skip = !stream.created || stream.unseen;
        let side = stream.side(response);
        side.headers = headers;
        side.end = end;
        side.hold = Hold::Headers;
        if skip {
            return self.without_plugin(id, response);
        }
        side.visible = true;
        side.running = true;
        let (name, phase) = if response {
            ("proxy_on_response_headers", Phase::ResponseHeaders)
        } else {
            ("proxy_on_request_headers", Phase::RequestHeaders)
        };
        let outcome = self.call(name, phase, id, &[id, count, u32::from(end)]);
        let allowed = self.state().options.allow_on_headers_stop_iteration;
        self.stream(id).side(response).running = false;
        if self.moot(id, response) {
            return;
        }
        let side = self.stream(id).side(response);
        match outcome {
            Outcome::Dead => self.envoy_fail(id),
            Outcome::Returned(0) => {
                side.visible = false;
                self.let_go(id, response);
            }
            Outcome::Returned(_) if !allowed => side.hold = Hold::Everything,
            Outcome::Returned(_) => {}
        }
    }

    pub(super) fn envoy_body(&mut self, id: u32, response: bool, chunk: &[u8], end: bool) {
        if self.moot(id, response) {
            return;
        }
        let limit = self.state().options.buffer_limit;
        let stream = self.stream(id);
        let skip = !stream.created || stream.unseen;
        let side = stream.side(response);
        assert!(side.hold != Hold::NotArrived, "a body before its headers");
        assert!(!side.end, "a body after its end");
        if side.hold == Hold::Everything {
            side.waiting.push((chunk.to_vec(), end));
            return;
        }
        if side.buffering {
            side.buffer.extend_from_slice(chunk);
            if side.buffer.len() > limit {
                return self.too_large(id, response);
            }
        } else {
            side.buffer = chunk.to_vec();
        }
        side.end = end;
        if skip {
            return self.without_plugin(id, response);
        }
        (side.running, side.in_body) = (true, true);
        let size = word(side.buffer.len());
        let (name, phase) = if response {
            ("proxy_on_response_body", Phase::ResponseBody)
        } else {
            ("proxy_on_request_body", Phase::RequestBody)
        };
        let outcome = self.call(name, phase, id, &[id, size, u32::from(end)]);
        let side = self.stream(id).side(response);
        (side.running, side.in_body, side.buffering) = (false, false, false);
        if self.moot(id, response) {
            return;
        }
        let side = self.stream(id).side(response);
        match outcome {
            Outcome::Dead => self.envoy_fail(id),
            Outcome::Returned(0) => self.let_go(id, response),
            Outcome::Returned(_) => {
                side.buffering = true;
                if side.buffer.len() > limit {
                    self.too_large(id, response);
                }
            }
        }
    }

    pub(super) fn envoy_trailers(&mut self, id: u32, response: bool, trailers: Headers) {
        if self.moot(id, response) {
            return;
        }
        let count = word(trailers.len());
        let side = self.stream(id).side(response);
        assert!(side.hold != Hold::Everything, "trailers of a stream held whole: not emulated");
        assert!(!side.end, "trailers after the end");
        side.end = true;
        side.trailers = Some(trailers);
        side.running = true;
        let name =
            if response { "proxy_on_response_trailers" } else { "proxy_on_request_trailers" };
        let outcome = self.call(name, Phase::Stream, id, &[id, count]);
        self.stream(id).side(response).running = false;
        if self.moot(id, response) {
            return;
        }
        match outcome {
            Outcome::Dead => self.envoy_fail(id),
            Outcome::Returned(0) => self.let_go(id, response),
            Outcome::Returned(_) => {}
        }
    }

    pub(super) fn envoy_action(&mut self, action: Action) {
        let (Action::Continue { stream, .. }
        | Action::LocalReply { stream, .. }
        | Action::Reset { stream }) = &action;
        let live = self.state().streams.get(stream).is_some_and(|s| !s.ended());
        if !live {
            return;
        }
        match action {
            Action::Continue { stream, response } => self.envoy_continue(stream, response),
            Action::LocalReply { stream, headers, body, details } => {
                self.envoy_local_reply(stream, headers, body, details);
            }
            Action::Reset { stream } => {
                let details = "wasm_close_stream".to_string();
                self.stream(stream).details.get_or_insert(details);
                self.envoy_reset(stream);
            }
        }
    }

    fn envoy_continue(&mut self, id: u32, response: bool) {
        let side = self.stream(id).side(response);
        assert!(
            !side.running,
            "continue_stream in a callback of the very stream it is to continue: return Continue \
             instead (Envoy asserts that the stream is paused)"
        );
        match side.hold {
            Hold::NotArrived => {}
            Hold::Headers | Hold::Released => self.let_go(id, response),
            Hold::Everything => {
                let waiting = std::mem::take(&mut side.waiting);
                self.let_go(id, response);
                for (chunk, end) in waiting {
                    self.envoy_body(id, response, &chunk, end);
                }
            }
        }
    }

    fn envoy_local_reply(&mut self, id: u32, headers: Headers, body: Vec<u8>, details: String) {
        let stream = self.stream(id);
        if stream.response.started() {
            // Headers are out: all that is left is to cut the stream.
            return self.envoy_reset(id);
        }
        stream.local_reply = Some(details);
        if stream.response.hold != Hold::NotArrived {
            // A response is under way through the filters: the reply goes round them.
            stream.response.send_instead(headers, body);
            return self.response_went_on(id);
        }
        self.envoy_headers(id, true, headers, body.is_empty());
        if !body.is_empty() {
            self.envoy_body(id, true, &body, true);
        }
    }

    /// The plugin failed: 503 that no plugin sees.
    pub(super) fn envoy_fail(&mut self, id: u32) {
        let stream = self.stream(id);
        if stream.ended() {
            return;
        }
        if stream.response.started() {
            return self.envoy_reset(id);
        }
        stream.local_reply = Some("wasm_fail_stream".into());
        stream
            .response
            .send_instead([(":status", "503"), ("content-length", "0")].into(), Vec::new());
        self.response_went_on(id);
    }

    pub(super) fn envoy_upstream_reset(&mut self, id: u32) {
        let stream = self.stream(id);
        stream.flags |= 0x40;
        if stream.response.hold == Hold::NotArrived && stream.local_reply.is_none() {
            let body = "upstream connect error or disconnect/reset before headers. reset reason: \
                        connection termination";
            let length = body.len().to_string();
            let headers = Headers::from(&[
                (":status", "503"),
                ("content-length", length.as_str()),
                ("content-type", "text/plain"),
            ]);
            let details = "upstream_reset_before_response_started{connection_termination}";
            self.envoy_local_reply(id, headers, body.into(), details.into());
        } else {
            stream.details = Some("upstream_reset_after_response_started".into());
        }
        if !self.stream(id).ended() {
            self.envoy_reset(id);
        }
    }

    fn envoy_reset(&mut self, id: u32) {
        self.stream(id).over = Some(Over::Reset);
        self.cancel_callouts(id);
    }

    /// True if nothing that arrives in this direction matters any more.
    fn moot(&mut self, id: u32, response: bool) -> bool {
        let stream = self.stream(id);
        stream.ended() || !response && stream.local_reply.is_some()
    }

    fn let_go(&mut self, id: u32, response: bool) {
        self.stream(id).side(response).release();
        if response {
            self.response_went_on(id);
        } else {
            self.check_length(id, false);
        }
    }

    fn too_large(&mut self, id: u32, response: bool) {
        let text = |status: &'static str, body: &'static str| {
            let length = body.len().to_string();
            let headers = [(":status", status), ("content-length", length.as_str())];
            (Headers::from(headers), body.as_bytes().to_vec())
        };
        let (headers, body) = if response {
            text("500", "Internal Server Error")
        } else {
            text("413", "Payload Too Large")
        };
        let what = if response { "response" } else { "request" };
        self.envoy_local_reply(id, headers, body, format!("{what}_payload_too_large"));
    }

    /// The root is not configured, or the VM dead; or a response to a request it has not seen.
    fn without_plugin(&mut self, id: u32, response: bool) {
        if response {
            self.let_go(id, true);
        } else {
            self.envoy_fail(id);
        }
    }
}

fn word(n: usize) -> u32 {
    u32::try_from(n).expect("a message under 4 GiB")
}
