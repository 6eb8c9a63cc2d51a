//! What the service outside is asked, of requests and of answers, and what becomes of them.

use std::rc::Rc;

use shared::errors::{ApiError, ErrorKind};
use shared::facts::Fact;
use shared::filter::{BodyKind, CallReply, Cx, Event, Flow, Out, ResponseHead, Verdict};

use crate::config::{Action, Fail};
use crate::decide::{Refusal, refusal};
use crate::filter::{GuardFilter, send};
use crate::findings::Findings;
use crate::moderation::Moderation;
use crate::refusal::Begun;

/// What is told of a text that it is against.
const REFUSED: &str = "the request was refused by this gateway's content policy";

/// What is told of an answer that it is against.
const WITHHELD: &str = "the answer was withheld by this gateway's content policy";

/// A request that the service outside is asked about.
pub(crate) struct Asking {
    /// The last comes first.
    pieces: Vec<String>,
    findings: Findings,
    /// What the request is called in the audit line.
    name: Option<String>,
}

/// An answer that the service outside is asked about.
#[derive(Debug, Default)]
pub(crate) struct Judging {
    /// The answer waits for it; one of our own cannot.
    waits: bool,
    /// It is a stream, and ends with its first event.
    ends: bool,
    /// It is a stream's.
    streamed: bool,
    /// Calls that have not been answered, and how many have been made.
    calls: usize,
    made: usize,
    /// The end of what was judged last: what is against a text may have begun there.
    before: String,
    /// The stream as the client has it once the calls are answered, and as it has it now.
    asked: Begun,
    shown: Begun,
    /// All of it has come.
    over: bool,
}

/// So much of what was judged before is judged once more with what comes after, in characters.
const OVERLAP: usize = 200;

impl GuardFilter {
    /// Asks the service outside, if there is one and it has something to judge.
    pub(crate) fn ask(
        &mut self,
        cx: &mut Cx<'_>,
        texts: &[String],
        findings: Findings,
        body: &str,
    ) -> Flow {
        let policy = Rc::clone(&self.policy);
        let Some(service) = &policy.moderation else { return Flow::Continue };
        let name = policy.audit_name(body);
        if !texts.is_empty() && !cx.facts.allow_region(cx.host, &service.config.region) {
            let message = "what is sent here has to be checked by a service in a region that is not \
                           allowed for you";
            let error = ApiError::new(ErrorKind::Permission, message).code("region_not_allowed");
            return self.unjudged(cx, &findings, name, error);
        }
        let Some(mut pieces) = service.pieces(texts, service.config.max_calls) else {
            return self.unjudged(cx, &findings, name, unchecked());
        };
        pieces.reverse();
        let Some(first) = pieces.pop() else { return Flow::Continue };
        let call = service.call(cx.host, &first, false);
        self.asking = Some(Asking { pieces, findings, name });
        Flow::Call(Box::new(call))
    }

    /// The service outside has not judged the request.
    fn unjudged(
        &self,
        cx: &mut Cx<'_>,
        findings: &Findings,
        name: Option<String>,
        error: ApiError,
    ) -> Flow {
        let fail = self.policy.moderation.as_ref().map(|service| service.config.fail);
        if fail == Some(Fail::Open) {
            self.audit(cx, "unjudged", findings, "moderation", name);
            return Flow::Continue;
        }
        let refusal = Refusal { error, rule: "moderation".to_owned() };
        self.refuse_named(cx, &refusal, findings, name)
    }

    /// The service has judged a piece of the request.
    pub(crate) fn request_judged(&mut self, cx: &mut Cx<'_>, reply: &CallReply) -> Flow {
        let policy = Rc::clone(&self.policy);
        let (Some(service), Some(mut asking)) = (&policy.moderation, self.asking.take()) else {
            return Flow::Continue;
        };
        let Some(names) = service.verdict(reply) else {
            return self.unjudged(cx, &asking.findings, asking.name, unchecked());
        };
        if !names.is_empty() {
            let rules = names.iter().map(|name| format!("moderation:{name}"));
            asking.findings.rules = rules.collect();
            let rule = asking.findings.rules.first().cloned().unwrap_or_default();
            match service.config.action {
                Action::Block => {
                    return self.refuse_named(
                        cx,
                        &refusal(&rule, REFUSED),
                        &asking.findings,
                        asking.name,
                    );
                }
                Action::Flag => {
                    self.audit(cx, "flag", &asking.findings, &rule, asking.name.clone());
                    cx.facts.set(cx.host, Fact::Guard, "flag");
                    cx.facts.set(cx.host, Fact::GuardRules, asking.findings.rules.join(","));
                }
                Action::Log => self.audit(cx, "log", &asking.findings, &rule, asking.name.clone()),
                Action::Allow => {}
            }
        }
        match asking.pieces.pop() {
            Some(piece) => {
                let call = service.call(cx.host, &piece, false);
                self.asking = Some(asking);
                Flow::Call(Box::new(call))
            }
            None => Flow::Continue,
        }
    }

    /// An answer comes that is to be judged.
    pub(crate) fn begin_judging(&mut self, cx: &mut Cx<'_>, kind: BodyKind) {
        // What comes from the cache has been judged before it was stored.
        let cache = cx.facts.get(cx.host, Fact::Cache).unwrap_or_default();
        if cache.starts_with("hit") || cache == "stale" {
            return;
        }
        let Some(service) = &self.policy.moderation else { return };
        let allowed = cx.facts.allow_region(cx.host, &service.config.region);
        let waits = allowed && cx.withhold_answer();
        let mut judging = Judging { waits, ..Judging::default() };
        if kind.is_stream() && !waits {
            judging.ends = self.answer_unjudged(cx).is_some();
        }
        self.judging = Some(judging);
        self.stream.listen();
    }

    /// Ends a stream that cannot be judged and may not go out unjudged.
    pub(crate) fn ends_unjudged(
        &mut self,
        cx: &mut Cx<'_>,
        first: &Event<'_>,
        out: &mut Out<'_>,
    ) -> bool {
        let ends = self.judging.as_ref().is_some_and(|judging| judging.ends);
        if ends {
            self.ended = true;
            let mut all = Begun::default();
            all.note(cx.endpoint, first.name, first.data);
            for event in self.begun.end_withheld(&all, cx.endpoint, 0) {
                send(cx, &event, out);
            }
        }
        ends
    }

    /// Has the service judge what has come of a stream, if it is enough, or all there is.
    pub(crate) fn judge_more(&mut self, cx: &mut Cx<'_>, out: &Out<'_>, over: bool) {
        if self.judging.is_none() {
            return;
        }
        let policy = Rc::clone(&self.policy);
        let (Some(judging), Some(service)) = (&mut self.judging, &policy.moderation) else {
            return;
        };
        judging.streamed = true;
        judging.over |= over;
        let heard = self.stream.heard_length();
        let enough = heard >= service.config.answer_piece || (judging.over && heard > 0);
        if !judging.waits || judging.calls > 0 || !enough {
            return;
        }
        let fresh = self.stream.take_heard();
        let text = [judging.before.as_str(), fresh.as_str()].concat();
        judging.before = last(&text, OVERLAP).to_owned();
        judging.asked = self.begun.clone();
        // What would take more calls than are allowed is asked of nobody: a call that cannot be made is no
        // judgement, and ends as such.
        let left = service.config.max_answer_calls.saturating_sub(judging.made);
        let pieces = service.pieces(&[text], left);
        let beyond = pieces.is_none();
        for piece in pieces.unwrap_or_else(|| vec![String::new()]) {
            judging.calls += 1;
            judging.made += 1;
            let mut call = service.call(cx.host, &piece, true);
            if beyond {
                call.upstream.clear();
            }
            out.ask(cx, call);
        }
    }

    /// Has the service judge a whole answer, which is to become `new`.
    pub(crate) fn judge_whole(
        &mut self,
        cx: &mut Cx<'_>,
        head: &mut ResponseHead<'_>,
        new: Option<Vec<u8>>,
    ) -> Option<Vec<u8>> {
        let policy = Rc::clone(&self.policy);
        let (Some(judging), Some(service)) = (&mut self.judging, &policy.moderation) else {
            return new;
        };
        let ended = self.stream.seen().end.is_some();
        let texts = self.stream.take_heard();
        if ended || texts.is_empty() || !(200..300).contains(&head.status) {
            return new;
        }
        let pieces =
            service.pieces(&[texts], service.config.max_answer_calls).filter(|_| judging.waits);
        let Some(pieces) = pieces else {
            return match self.answer_unjudged(cx) {
                None => new,
                Some(error) => {
                    let reply = error.reply(cx.endpoint);
                    head.set_status(reply.status);
                    head.headers.set("content-type", "application/json");
                    Some(reply.body)
                }
            };
        };
        judging.calls = pieces.len();
        for piece in pieces {
            cx.ask(service.call(cx.host, &piece, true));
        }
        new
    }

    /// The service has judged a piece of the answer.
    pub(crate) fn answer_judged(
        &mut self,
        cx: &mut Cx<'_>,
        reply: &CallReply,
        out: &mut Out<'_>,
    ) -> Verdict {
        let policy = Rc::clone(&self.policy);
        let Some(service) = &policy.moderation else { return Verdict::Pass };
        let error = match service.verdict(reply) {
            None => self.answer_unjudged(cx),
            Some(names) if names.is_empty() => None,
            Some(names) => self.answer_against(cx, service, &names),
        };
        let Some(judging) = &mut self.judging else { return Verdict::Pass };
        judging.calls = judging.calls.saturating_sub(1);
        let Some(error) = error else {
            if judging.calls == 0 {
                judging.shown = std::mem::take(&mut judging.asked);
                self.judge_more_of_stream(cx, out);
            }
            return Verdict::Pass;
        };
        if !judging.streamed {
            return Verdict::Replace(Box::new(error.reply(cx.endpoint)));
        }
        self.ended = true;
        let said = self.stream.seen().said;
        for event in judging.shown.end_withheld(&self.begun, cx.endpoint, said) {
            send(cx, &event, out);
        }
        Verdict::End
    }

    fn judge_more_of_stream(&mut self, cx: &mut Cx<'_>, out: &Out<'_>) {
        if self.judging.as_ref().is_some_and(|judging| judging.streamed) {
            self.judge_more(cx, out, false);
        }
    }

    /// What is told in place of an answer that the service is against; `None` if it may go out.
    fn answer_against(
        &self,
        cx: &mut Cx<'_>,
        service: &Moderation,
        names: &[String],
    ) -> Option<ApiError> {
        let rules: Vec<String> = names.iter().map(|name| format!("moderation:{name}")).collect();
        let word = match service.config.action {
            Action::Block => "block_answer",
            Action::Flag => "flag_answer",
            Action::Log => "log_answer",
            Action::Allow => return None,
        };
        let rule = rules.first().cloned().unwrap_or_default();
        let listed = rules.join(",");
        self.audit(cx, word, &Findings { rules, ..Findings::default() }, &rule, None);
        if !self.enforces() || word == "log_answer" {
            return None;
        }
        cx.facts.set(cx.host, Fact::Guard, word);
        cx.facts.set(cx.host, Fact::GuardRules, listed);
        (word == "block_answer").then(|| refusal(&rule, WITHHELD).error)
    }

    /// What is told in place of an answer that was not judged; `None` if it may go out.
    fn answer_unjudged(&self, cx: &mut Cx<'_>) -> Option<ApiError> {
        let open = self.policy.moderation.as_ref().map(|service| service.config.fail);
        let open = open == Some(Fail::Open);
        let word = if open { "unjudged_answer" } else { "block_answer" };
        self.audit(cx, word, &Findings::default(), "moderation", None);
        if open || !self.enforces() {
            return None;
        }
        cx.facts.set(cx.host, Fact::Guard, "block_answer");
        cx.facts.set(cx.host, Fact::GuardRules, "moderation");
        Some(unchecked())
    }
}

/// The service outside could not be asked, or has given no answer.
fn unchecked() -> ApiError {
    let message = "content cannot be checked at the moment; try again soon";
    ApiError::new(ErrorKind::Overloaded, message)
}

/// The last so many characters.
fn last(text: &str, characters: usize) -> &str {
    let from = text.char_indices().rev().take(characters).last().map_or(0, |(at, _)| at);
    text.get(from..).unwrap_or_default()
}
