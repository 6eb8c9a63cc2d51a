//! Answers that wait for calls about them: what a service outside has to judge goes out once it has.
//!
//! A proxy gives no way of sending bytes of a stream but in a callback for one of its pieces. So what has
//! been let pass goes out with the next piece, and only at the end, when there is no next one, the proxy is
//! told to wait.

use super::answer::{HostHeaders, replace_response};
use super::response::{Output, Response};
use super::{Action, Exchange, read_reply};
use crate::filter::{CallReply, Headers, Verdict};
use crate::host::{CallId, Host};

/// What of an answer is kept back.
#[derive(Debug, Default)]
pub(super) struct Withheld {
    /// Calls that have not been answered, and those answered behind them, in the order of their making.
    asked: Vec<Asked>,
    /// Of a stream: what the filters have sent and the client has not got.
    unsent: Vec<u8>,
    /// So much of it may go out.
    cleared: usize,
    /// Of a whole answer: the body that it has been given.
    new: Option<Vec<u8>>,
    /// The proxy waits, all of the answer has come, and so many bytes are in its buffer.
    paused: Option<usize>,
}

#[derive(Debug)]
struct Asked {
    call: CallId,
    filter: usize,
    about: usize,
    passed: bool,
}

impl Withheld {
    /// Whether something has not been judged.
    pub(super) fn waits(&self) -> bool {
        !self.asked.is_empty()
    }

    /// A call was answered, and let pass what it was about. That goes out once all calls about it, and about
    /// what comes before, have been answered so.
    fn pass(&mut self, index: usize) {
        if let Some(asked) = self.asked.get_mut(index) {
            asked.passed = true;
        }
        let open = self.asked.iter().find(|asked| !asked.passed).map(|asked| asked.about);
        let done = |asked: &&Asked| open.is_none_or(|open| asked.about < open);
        let passed = self.asked.iter().take_while(done).count();
        for asked in self.asked.drain(..passed) {
            self.cleared = asked.about.max(self.cleared);
        }
    }

    /// What may go out now.
    fn take(&mut self) -> Vec<u8> {
        let cleared = std::mem::take(&mut self.cleared).min(self.unsent.len());
        for asked in &mut self.asked {
            asked.about = asked.about.saturating_sub(cleared);
        }
        let rest = self.unsent.split_off(cleared);
        std::mem::replace(&mut self.unsent, rest)
    }
}

impl Exchange {
    /// Whether the answer is under way, so that a call's reply is about it.
    pub fn answers(&self) -> bool {
        self.withheld.is_some()
    }

    /// Shows a piece of a stream that is kept back to the filters.
    pub(super) fn show_withheld(
        &mut self,
        host: &dyn Host,
        response: &mut Response,
        chunk: &[u8],
        end: bool,
    ) {
        let unsent = self.withheld.as_mut().map(|withheld| std::mem::take(&mut withheld.unsent));
        let unsent = unsent.unwrap_or_default();
        let output = self.with_cx(host, |chain, cx| response.stream(chain, cx, chunk, end, unsent));
        if let (Some(withheld), Output::Replace(bytes)) = (&mut self.withheld, output) {
            withheld.unsent = bytes;
        }
        self.make_calls(host, response);
    }

    /// Lets go what of a stream may go out, in place of the `size` bytes at hand; waits at its end.
    pub(super) fn release(&mut self, host: &dyn Host, size: usize, end: bool) -> Action {
        let Some(withheld) = &mut self.withheld else { return Action::Continue };
        if end && withheld.waits() {
            withheld.paused = Some(size);
            return Action::Pause;
        }
        if end {
            withheld.cleared = withheld.unsent.len();
        }
        let now = withheld.take();
        replace_response(host, size, &now);
        Action::Continue
    }

    /// Keeps a whole answer back that calls have been made about.
    pub(super) fn keep_whole(
        &mut self,
        host: &dyn Host,
        response: &mut Response,
        new: Option<Vec<u8>>,
        size: usize,
    ) -> Action {
        if let Some(withheld) = &mut self.withheld {
            withheld.new = new;
            withheld.paused = Some(size);
        }
        self.make_calls(host, response);
        match self.finish_whole(host) {
            true => Action::Continue,
            false => Action::Pause,
        }
    }

    /// Lets a whole answer go, if it is judged and nothing has been sent in its place.
    fn finish_whole(&mut self, host: &dyn Host) -> bool {
        let Some(withheld) = self.withheld.as_mut().filter(|withheld| !withheld.waits()) else {
            return false;
        };
        let Some(size) = withheld.paused.take() else { return false };
        if let Some(new) = withheld.new.take() {
            HostHeaders(host).set("content-length", &new.len().to_string());
            replace_response(host, size, &new);
        }
        true
    }

    fn make_calls(&mut self, host: &dyn Host, response: &mut Response) {
        while !self.asks.is_empty() {
            let ask = self.asks.remove(0);
            let made = host.call(&ask.call);
            let Some(withheld) = &mut self.withheld else { return };
            let (call, failed) = match &made {
                Ok(call) => (*call, false),
                Err(error) => {
                    log::warn!("call to {} could not be started: {error}", ask.call.upstream);
                    // No call has this number.
                    (CallId(u32::MAX), true)
                }
            };
            let (filter, about) = (ask.filter, ask.about);
            withheld.asked.push(Asked { call, filter, about, passed: false });
            if failed {
                let index = withheld.asked.len() - 1;
                self.judge(host, response, index, CallReply::failed());
            }
        }
    }

    /// A call has been answered, perhaps one about the answer.
    pub(super) fn answer_judged(
        &mut self,
        host: &dyn Host,
        call: CallId,
        headers: usize,
        size: usize,
    ) {
        let asked = self.withheld.as_ref().and_then(|withheld| {
            withheld.asked.iter().position(|asked| asked.call == call && !asked.passed)
        });
        let (Some(index), Some(mut response)) = (asked, self.response.take()) else { return };
        let reply = read_reply(host, headers, size);
        self.judge(host, &mut response, index, reply);
        self.make_calls(host, &mut response);
        let stream = response.is_stream();
        self.response = Some(response);
        let resumes = if stream { self.finish_stream(host) } else { self.finish_whole(host) };
        if resumes {
            let _ = host.resume_response();
        }
    }

    /// Lets the rest of a stream go, if it is all there and judged.
    fn finish_stream(&mut self, host: &dyn Host) -> bool {
        let Some(withheld) = self.withheld.as_mut().filter(|withheld| !withheld.waits()) else {
            return false;
        };
        let Some(size) = withheld.paused.take() else { return false };
        replace_response(host, size, &std::mem::take(&mut withheld.unsent));
        true
    }

    fn judge(&mut self, host: &dyn Host, response: &mut Response, index: usize, reply: CallReply) {
        let Some(withheld) = &mut self.withheld else { return };
        let Some(filter) = withheld.asked.get(index).map(|asked| asked.filter) else { return };
        let mut bytes = std::mem::take(&mut withheld.unsent);
        let before = bytes.len();
        let verdict =
            self.with_cx(host, |chain, cx| chain.answer_called(filter, cx, reply, &mut bytes));
        let Some(withheld) = &mut self.withheld else { return };
        match verdict {
            Verdict::Pass => withheld.pass(index),
            Verdict::End | Verdict::Replace(_) => {
                let last = bytes.split_off(before.min(bytes.len()));
                bytes.truncate(withheld.cleared);
                bytes.extend_from_slice(&last);
                withheld.cleared = bytes.len();
                withheld.asked.clear();
                self.asks.clear();
                response.mute();
            }
        }
        withheld.unsent = bytes;
        if let Verdict::Replace(reply) = verdict {
            self.withheld = None;
            self.respond(host, filter, *reply);
        }
    }
}
