//! The `inline` role: route and translate in one place, for proxies without upstream filters.

use std::rc::Rc;

use shared::answer::AnswerBody;
use shared::config::Mode;
use shared::errors::{ApiError, ErrorKind};
use shared::facts::Fact;
use shared::filter::{
    BodyKind, CallReply, Cx, Event, Filter, Flow, Interest, Out, Outcome, Reply, ReplyHeaders,
    ResponseHead,
};
use shared::frames::{Frame, Framer};
use shared::host::{Call, Capability, Host, Map};
use shared::request::RequestBody;
use shared::sse;

use super::goal::{self, Goal};
use super::route::proxy_error;
use super::track::{Track, Trial};
use super::{
    Told, answer_head, asked_path, attempting, choose, circumstances, estimated, finish, forward,
    goals, head, invite, passthrough, prompt_tokens, read, sealing, spend, state_usage, vote,
};
use crate::answer::Answer;
use crate::asked::{self, Asked};
use crate::attempt::{Attempt, NewBody, address, headers};
use crate::auth::{self, Unsigned};
use crate::config::Inline;
use crate::gateway::Gateway;
use crate::provider::Provider;
use crate::quota;
use crate::routing::config::Failure;
use crate::routing::failure;

/// Bodies are JSON unless the client says otherwise.
const JSON: &str = "application/json";

pub(super) struct InlineFilter {
    gateway: Rc<Gateway>,
    answer: Option<Answer>,
    calls: Option<Calls>,
    track: Option<Track>,
    trial: Option<Trial>,
    status: u16,
    /// For how many seconds the provider is to rest.
    rest: Option<u64>,
    told: Option<Told>,
}

/// The plugin's own calls to providers, one after the other.
struct Calls {
    asked: Asked,
    /// The request's body; the host's copy is gone when the first call ends.
    body: Vec<u8>,
    /// Who is left to be asked, the next one first.
    left: Vec<Goal>,
    /// How many were asked.
    made: usize,
}

impl Calls {
    /// Whether somebody can be asked after an ordinary failure.
    fn more(&self) -> bool {
        self.left.iter().any(|goal| goal.only_after.is_empty())
    }
}

impl InlineFilter {
    pub(super) fn new(gateway: Rc<Gateway>) -> InlineFilter {
        InlineFilter {
            gateway,
            answer: None,
            calls: None,
            track: None,
            trial: None,
            status: 0,
            rest: None,
            told: None,
        }
    }

    fn begin(&mut self, cx: &mut Cx<'_>, body: &mut RequestBody) -> Result<Flow, ApiError> {
        let gateway = Rc::clone(&self.gateway);
        let path = asked_path(cx);
        let asked = read(&gateway, cx, &path, body)?;
        let choice = choose(&gateway, &asked, &path, body.text(), cx)?;
        if gateway.mode == Mode::DryRun {
            let names: Vec<_> = choice.targets.iter().map(|(p, _)| p.name.as_str()).collect();
            log::info!("dry run: would ask {}", names.join(", then "));
            return Ok(Flow::Continue);
        }
        self.track = Track::begin(&gateway, &choice, cx.host.now_nanos());
        let decision = choice.decision.as_ref();
        self.told = decision.map(Told::of);
        let targets = goals(&choice);
        let Some(Goal { provider, model, numbers, .. }) = targets.first() else {
            return Err(asked::unknown_model(&asked.model, &[]));
        };
        let Some(provider) = gateway.provider(provider) else {
            return Err(asked::unknown_model(&asked.model, &[]));
        };
        if let Some(reply) = estimated(provider, model, &asked, body.text())? {
            return Ok(Flow::Respond(Box::new(reply)));
        }
        let several = targets.len() > 1;
        let circumstances = circumstances(&gateway, cx);
        let changes = numbers.and_then(|(rule, target)| gateway.changes(rule, target));
        let mut attempt = Attempt::new(
            &circumstances,
            provider,
            changes,
            model,
            &asked,
            body.document_in_one_go(),
        )?;
        let changed = body.change().is_some() || cx.answer_is_rewritten();
        match way(gateway.inline, cx.host, &attempt, several && !asked.stream, changed) {
            Inline::Call => {
                // The call takes one itself.
                if let Some(key) = attempt.key {
                    provider.keys.give_back(key);
                }
                let body = body.bytes().to_vec();
                self.calls = Some(Calls { asked, body, left: targets, made: 0 });
                Ok(self.call_next(cx))
            }
            Inline::Pass if attempt.body != NewBody::Same || (changed && !rewrites(cx.host)) => {
                let message = "this route can only pass requests through, and this model's provider \
                               needs another body";
                Err(ApiError::new(ErrorKind::Internal, message))
            }
            _ => {
                let passthrough = passthrough(cx);
                let target = numbers.map(|(_, target)| target);
                self.trial = Some(Trial::begin(0, target, cx.host.now_nanos()));
                attempting(&gateway, cx, &provider.name, model, *numbers);
                let tokens = prompt_tokens(cx, body.text());
                spend(cx, provider, attempt.key.filter(|_| !passthrough), 1, tokens);
                attempt.change(body)?;
                address(&gateway, provider, &attempt, passthrough, body.bytes(), cx.host)?;
                let answer = Answer::new(cx.host, provider, model, &asked, &attempt, passthrough);
                let sealing = sealing(&gateway, cx, provider, &asked, &attempt);
                let answer = answer.sealed(sealing).counted(gateway.service(&asked));
                if !cx.host.can(Capability::SharedProperties)
                    && let Some(form) = answer.form_before()
                {
                    cx.facts.set(cx.host, Fact::Form, form);
                }
                self.answer = Some(answer);
                Ok(Flow::Continue)
            }
        }
    }

    /// Asks the next provider that can be asked; the last one's failure is the answer.
    fn call_next(&mut self, cx: &mut Cx<'_>) -> Flow {
        let gateway = Rc::clone(&self.gateway);
        let Some(calls) = &mut self.calls else { return Flow::Continue };
        let next = calls.left.iter().position(|goal| goal.only_after.is_empty());
        let next = next.map(|next| calls.left.remove(next));
        let Some(Goal { provider: name, model, numbers, .. }) = next else {
            let error = ApiError::new(ErrorKind::Overloaded, "no provider could be reached");
            return cx.refuse(&error);
        };
        let Some(provider) = gateway.provider(&name) else { return self.call_next(cx) };
        let circumstances = circumstances(&gateway, cx);
        let passthrough = passthrough(cx);
        let text = std::str::from_utf8(&calls.body).unwrap_or_default();
        match estimated(provider, &model, &calls.asked, text) {
            Ok(None) => {}
            Ok(Some(reply)) => return Flow::Respond(Box::new(reply)),
            Err(error) => return cx.refuse(&error),
        }
        let changes = numbers.and_then(|(rule, target)| gateway.changes(rule, target));
        let attempt =
            Attempt::new(&circumstances, provider, changes, &model, &calls.asked, text.into());
        let called = attempt.and_then(|mut attempt| {
            let key = attempt.key.filter(|_| !passthrough);
            let answer =
                Answer::new(cx.host, provider, &model, &calls.asked, &attempt, passthrough)
                    .sealed(sealing(&gateway, cx, provider, &calls.asked, &attempt))
                    .counted(gateway.service(&calls.asked));
            let call = call(&gateway, provider, &mut attempt, calls, passthrough, cx.host)?;
            Ok((answer, call, key))
        });
        match called {
            Err(error) if !calls.more() => cx.refuse(&error),
            // The next one may have something for it.
            Err(_) => self.call_next(cx),
            Ok((answer, call, key)) => {
                let target = numbers.map(|(_, target)| target);
                self.trial = Some(Trial::begin(calls.made, target, cx.host.now_nanos()));
                calls.made += 1;
                attempting(&gateway, cx, &name, &model, numbers);
                let tokens =
                    prompt_tokens(cx, std::str::from_utf8(&calls.body).unwrap_or_default());
                spend(cx, provider, key, 1, tokens);
                self.answer = Some(answer);
                Flow::Call(Box::new(call))
            }
        }
    }

    /// Makes an answer to the client of a provider's.
    fn reply(&mut self, cx: &mut Cx<'_>, reply: CallReply) -> Reply {
        let Some(answer) = &mut self.answer else { return proxy_error(502).reply(cx.endpoint) };
        let Some(status) = reply.status else {
            let message = format!("provider `{}` could not be reached", answer.provider());
            return ApiError::new(ErrorKind::Overloaded, message).reply(cx.endpoint);
        };
        let mut list = vec![("content-type".to_owned(), reply.content_type)];
        list.extend(reply.retry_after.map(|after| ("retry-after".to_owned(), after)));
        let mut headers = ReplyHeaders { status, list };
        let kind = BodyKind::of(&headers);
        let mut head = ResponseHead { status, kind, headers: &mut headers };
        if let Some(told) = &self.told {
            told.tell(cx, &mut head);
            invite(&self.gateway, cx, &mut head);
        }
        let (interest, _) = answer_head(&self.gateway, answer, cx, &mut head);
        let body = if kind.is_stream() && interest != Interest::Ignore {
            let body = stream(answer, kind, &reply.body);
            // Here the head has not gone out yet.
            answer.tell_dropped(&mut head);
            body
        } else if interest == Interest::Ignore {
            reply.body
        } else {
            let changed = answer.body(&mut head, &AnswerBody::new(&reply.body));
            changed.unwrap_or(reply.body)
        };
        state_usage(&self.gateway, cx, answer);
        Reply { status: headers.status, headers: headers.list, body }
    }
}

/// `changed`: another filter has changed the request, or will change the answer.
fn way(
    wanted: Inline,
    host: &dyn Host,
    attempt: &Attempt,
    failover: bool,
    changed: bool,
) -> Inline {
    // Where the proxy does not hold answers back, it does not retry across providers either.
    let failover = failover && !host.can(Capability::HoldResponse);
    match wanted {
        Inline::Auto if failover => Inline::Call,
        Inline::Auto if !rewrites(host) && changed => Inline::Call,
        Inline::Auto if attempt.body == NewBody::Same => Inline::Pass,
        Inline::Auto if !rewrites(host) => Inline::Call,
        Inline::Auto => Inline::Rewrite,
        wanted => wanted,
    }
}

fn rewrites(host: &dyn Host) -> bool {
    host.can(Capability::RewriteRequestBody) && host.can(Capability::RewriteResponseBody)
}

fn call(
    gateway: &Gateway,
    provider: &Provider,
    attempt: &mut Attempt,
    calls: &Calls,
    passthrough: bool,
    host: &dyn Host,
) -> Result<Call, ApiError> {
    let client_key = passthrough.then(|| auth::client_key(host)).flatten();
    if passthrough && client_key.is_none() {
        return Err(auth::no_client_key());
    }
    let body = attempt.take_body(&calls.body);
    let request = Unsigned { host, method: None, path: &attempt.wire.path, body: &body };
    let mut headers = headers(provider, attempt, client_key.as_deref(), request)?;
    let content_type = host.header(Map::Request, "content-type");
    let content_type = content_type.and_then(|value| String::from_utf8(value).ok());
    headers.push(("content-type".into(), content_type.unwrap_or_else(|| JSON.into())));
    headers.push(("accept-encoding".into(), "identity".into()));
    let address = provider.base_url.address();
    let cluster = provider.cluster.clone().filter(|_| host.can(Capability::Clusters));
    Ok(Call {
        upstream: cluster.unwrap_or(address),
        scheme: provider.base_url.scheme.into(),
        authority: provider.base_url.authority.clone(),
        method: host.method().unwrap_or_else(|| "POST".into()),
        path: attempt.wire.path.clone(),
        headers,
        body,
        timeout: gateway.call_timeout,
    })
}

/// A whole event stream in the client's form.
fn stream(answer: &mut Answer, kind: BodyKind, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut one = |answer: &mut Answer, frame: &Frame<'_>| {
        let replaced = match &frame.data {
            Some(data) => answer.event(frame.name, data, &mut |name, data| {
                sse::write_event(&mut out, name, data);
            }),
            None => false,
        };
        if !replaced {
            out.extend_from_slice(frame.raw);
        }
    };
    let mut framer = Framer::of(kind);
    // An event that cannot be read ends the stream, as the end of the body does.
    if framer.push(body, |frame| one(answer, &frame)).is_ok() {
        let _ = framer.finish(|frame| one(answer, &frame));
    }
    answer.end(&mut |name, data| sse::write_event(&mut out, name, data));
    out
}

/// Tells the keys of the provider that was called how this one has fared, whoever is asked next. Gives for how many
/// seconds the provider is to rest.
fn tell_keys(
    gateway: &Gateway,
    answer: Option<&Answer>,
    reply: &CallReply,
    host: &dyn Host,
) -> Option<u64> {
    let now = host.now_nanos() / 1_000_000_000;
    let told = quota::retry_after(reply.retry_after.as_deref(), now);
    let Some((key, provider)) =
        answer.and_then(|answer| Some((answer.key()?, gateway.provider(answer.provider())?)))
    else {
        return told;
    };
    provider.keys.answered(key, reply.status.unwrap_or(0), reply.retry_after.as_deref(), now);
    // As long as another key can be used, so can the provider.
    if provider.keys.len() > 1 { provider.keys.rest_of_all(now) } else { told }
}

/// Whether the next provider may do better.
fn retriable(status: Option<u16>) -> bool {
    match status {
        None => true,
        Some(status) => matches!(status, 401 | 403 | 408 | 429) || status >= 500,
    }
}

impl Filter for InlineFilter {
    fn request_head(&mut self, cx: &mut Cx<'_>) -> Flow {
        cx.facts.own();
        head(&self.gateway, cx)
    }

    fn request(&mut self, cx: &mut Cx<'_>, body: &mut RequestBody) -> Flow {
        if let Some(flow) = vote(&self.gateway, cx, body.text()) {
            return flow;
        }
        match self.begin(cx, body) {
            Ok(flow) => flow,
            Err(error) if self.gateway.mode == Mode::Enforce => cx.refuse(&error),
            Err(_) => Flow::Continue,
        }
    }

    fn called(&mut self, cx: &mut Cx<'_>, reply: CallReply) -> Flow {
        if let Some(trial) = &mut self.trial {
            let rest = tell_keys(&self.gateway, self.answer.as_ref(), &reply, cx.host);
            trial.state(cx, reply.status.unwrap_or(0), rest);
        }
        if let Some(calls) = &mut self.calls {
            let body = std::str::from_utf8(&reply.body).unwrap_or_default();
            let status = reply.status.unwrap_or(0);
            let stopped = || self.answer.as_ref().is_some_and(|answer| answer.says_nothing(body));
            let failure = match status {
                // Nobody reads an answer twice for what nobody is there for.
                200..300 if !calls.left.is_empty() => stopped().then_some(Failure::ContentFilter),
                _ => failure::of_error(status, body),
            };
            let diverted =
                failure.is_some_and(|failure| goal::promote(&mut calls.left, 0, failure));
            if diverted || (calls.more() && retriable(reply.status)) {
                return self.call_next(cx);
            }
        }
        Flow::Respond(Box::new(self.reply(cx, reply)))
    }

    fn response_head(&mut self, cx: &mut Cx<'_>, head: &mut ResponseHead<'_>) -> Interest {
        self.status = head.status;
        if let Some(told) = &self.told {
            told.tell(cx, head);
            invite(&self.gateway, cx, head);
        }
        let Some(answer) = &mut self.answer else { return Interest::Ignore };
        let (interest, rest) = answer_head(&self.gateway, answer, cx, head);
        self.rest = rest;
        if self.status >= 400
            && let Some(trial) = &mut self.trial
        {
            trial.state(cx, self.status, rest);
        }
        interest
    }

    fn event(&mut self, cx: &mut Cx<'_>, event: &Event<'_>, out: &mut Out<'_>) {
        if let Some(trial) = &mut self.trial {
            trial.state(cx, self.status, self.rest);
        }
        match &mut self.answer {
            Some(answer) => forward(answer, cx, event, out),
            None => out.send(cx, event),
        }
    }

    fn end(&mut self, cx: &mut Cx<'_>, _: bool, out: &mut Out<'_>) {
        if let Some(answer) = &mut self.answer {
            finish(&self.gateway, answer, cx, out);
        }
    }

    fn answer(
        &mut self,
        cx: &mut Cx<'_>,
        head: &mut ResponseHead<'_>,
        body: &AnswerBody<'_>,
    ) -> Option<Vec<u8>> {
        if let Some(trial) = &mut self.trial {
            trial.state(cx, self.status, self.rest);
        }
        let answer = self.answer.as_mut()?;
        let changed = answer.body(head, body);
        state_usage(&self.gateway, cx, answer);
        changed
    }

    fn done(&mut self, cx: &mut Cx<'_>, outcome: Outcome) {
        if let (Some(answer), Outcome::Aborted) = (&self.answer, outcome) {
            state_usage(&self.gateway, cx, answer);
        }
        if let Some(track) = self.track.take() {
            track.end(&self.gateway, cx, outcome);
        }
    }
}
