//! The `translate` role, in an Envoy cluster: runs once per attempt, after the host has been picked.

use std::rc::Rc;

use shared::answer::AnswerBody;
use shared::config::Mode;
use shared::errors::{ApiError, ErrorKind};
use shared::facts::Fact;
use shared::filter::{Cx, Event, Filter, Flow, Interest, Out, Outcome, ResponseHead};
use shared::request::RequestBody;

use super::goal::{self, Goal};
use super::track::Trial;
use super::{
    answer_head, asked_path, attempting, check_objects, choose, circumstances, estimated, finish,
    forward, passthrough, prompt_tokens, read, sealing, spend, state_usage,
};
use crate::answer::{Answer, Begun};
use crate::asked::Asked;
use crate::attempt::{Attempt, address};
use crate::gateway::Gateway;
use crate::provider::Provider;
use crate::routing::config::Failure;
use crate::routing::failure;

/// The metadata of hosts and clusters that names their provider:
/// `filter_metadata: { ai-gateway: { provider: <name> } }`.
const METADATA: &str = "ai-gateway";

pub(super) struct Translate {
    gateway: Rc<Gateway>,
    answer: Option<Answer>,
    trial: Option<Trial>,
    status: u16,
    /// The answer's head waits for its first event.
    holds: bool,
    /// For how many seconds the provider is to rest.
    rest: Option<u64>,
}

/// The status of an answer that another target is to be asked instead of. Where the proxy does not
/// ask one, the role `route` tells the client what it was.
pub(super) const DIVERTED: u16 = 503;

impl Translate {
    pub(super) fn new(gateway: Rc<Gateway>) -> Translate {
        Translate { gateway, answer: None, trial: None, status: 0, holds: false, rest: None }
    }

    fn attempt(&mut self, cx: &mut Cx<'_>, body: &mut RequestBody) -> Result<Flow, ApiError> {
        let gateway = Rc::clone(&self.gateway);
        let path = asked_path(cx);
        let asked = read(&gateway, cx, &path, body)?;
        let made = attempts_made(cx);
        let (provider, goal) = target(&gateway, &asked, &path, body.text(), made, cx)?;
        let Goal { model, numbers, .. } = goal;
        if let Some(reply) = estimated(provider, &model, &asked, body.text())? {
            self.answer = None;
            return Ok(Flow::Respond(Box::new(reply)));
        }
        let passthrough = passthrough(cx);
        check_objects(&asked, passthrough)?;
        let circumstances = circumstances(&gateway, cx);
        let changes = numbers.and_then(|(rule, target)| gateway.changes(rule, target));
        let mut attempt = Attempt::new(
            &circumstances,
            provider,
            changes,
            &model,
            &asked,
            body.document_in_one_go(),
        )?;
        let target = numbers.map(|(_, target)| target);
        self.trial = Some(Trial::begin(made, target, cx.host.now_nanos()));
        attempting(&gateway, cx, &provider.name, &model, numbers);
        let tokens = prompt_tokens(cx, body.text());
        spend(cx, provider, attempt.key.filter(|_| !passthrough), 1, tokens);
        attempt.change(body)?;
        address(&gateway, provider, &attempt, passthrough, body.bytes(), cx.host)?;
        let answer = Answer::new(cx.host, provider, &model, &asked, &attempt, passthrough);
        let sealing = sealing(&gateway, cx, provider, &asked, &attempt);
        self.answer = Some(answer.sealed(sealing).counted(gateway.service(&asked)));
        Ok(Flow::Continue)
    }

    /// States how the attempt fares, the first time that this can be told.
    fn state(&mut self, cx: &mut Cx<'_>, status: u16) {
        if let Some(trial) = &mut self.trial {
            trial.state(cx, status, self.rest);
        }
    }

    /// Sees to it that the next attempt goes to a target that is there for this failure.
    fn divert(&self, cx: &mut Cx<'_>, failure: Failure) -> bool {
        let Some(trial) = self.trial else { return false };
        let mut goals = goal::stated(cx);
        if !goal::promote(&mut goals, trial.place + 1, failure) {
            return false;
        }
        cx.facts.set(cx.host, Fact::Targets, goal::write(&goals));
        tell_next(&self.gateway, cx, goals.get(trial.place + 1));
        true
    }

    /// The stream that is kept back has shown what it is, or still has not.
    fn held(&mut self, cx: &mut Cx<'_>) {
        let Some(answer) = &self.answer else { return };
        let filtered = answer.filtered();
        match answer.begun().clone() {
            Begun::Waiting => {}
            Begun::Content => {
                self.holds = false;
                if filtered && self.divert(cx, Failure::ContentFilter) {
                    self.state(cx, 400);
                    let message = "the provider's filter stopped the answer";
                    let error = ApiError::new(ErrorKind::InvalidRequest, message);
                    cx.replace_answer(
                        error.code("content_filter").status(DIVERTED).reply(cx.endpoint),
                    );
                    return;
                }
                self.state(cx, self.status);
                cx.release_answer();
            }
            Begun::Failed { kind, code, message } => {
                self.holds = false;
                let name = self.answer.as_ref().map_or("", Answer::provider);
                log::warn!("provider {name} failed before its stream began: {code}");
                let mut status = kind.status();
                let class = failure::of_error(status, &format!("{code} {message}"));
                let error = ApiError::new(kind, format!("provider `{name}`: {message}"))
                    .code(failure::code_of(class, &code));
                self.state(cx, status);
                if class.is_some_and(|class| self.divert(cx, class)) {
                    status = DIVERTED;
                }
                cx.replace_answer(error.status(status).reply(cx.endpoint));
            }
        }
    }
}

/// Where the proxy asks for a cluster with each attempt, it is told which one is next.
fn tell_next(gateway: &Gateway, cx: &mut Cx<'_>, next: Option<&Goal>) {
    if let Some((rule, target)) = next.and_then(|goal| goal.numbers)
        && let Some(cluster) = gateway.cluster(rule, target)
    {
        cx.facts.set(cx.host, Fact::Cluster, cluster);
    }
}

/// How many attempts were made before this one.
fn attempts_made(cx: &mut Cx<'_>) -> usize {
    let made = cx.facts.get(cx.host, Fact::Attempts).unwrap_or_default();
    made.split(',').filter(|name| !name.is_empty()).count()
}

/// The target that this attempt goes to. Where the proxy asks for a cluster with each attempt, it is
/// told which one would be next.
fn target<'g>(
    gateway: &'g Gateway,
    asked: &Asked,
    path: &str,
    body: &str,
    made: usize,
    cx: &mut Cx<'_>,
) -> Result<(&'g Provider, Goal), ApiError> {
    let property = |path: &[&str]| {
        let value = cx.host.property(path).filter(|value| !value.is_empty());
        value.and_then(|value| String::from_utf8(value).ok())
    };
    let metadata = |of: &str| property(&["xds", of, "filter_metadata", METADATA, "provider"]);
    let named = metadata("upstream_host_metadata").or_else(|| metadata("cluster_metadata"));
    let cluster = property(&["xds", "cluster_name"]);
    let by_cluster = || cluster.filter(|name| gateway.provider(name).is_some());
    let mut goals = goals(gateway, asked, path, body, cx)?;
    let first = || goals.first().map(|goal| goal.provider.clone());
    let Some(name) = named.or_else(by_cluster).or_else(first) else {
        return Err(misplaced("?"));
    };
    tell_next(gateway, cx, goals.get(made + 1).filter(|goal| goal.only_after.is_empty()));
    // One provider may be there twice, with two models.
    let planned = goals.get(made).is_some_and(|goal| goal.provider == name).then_some(made);
    let place = planned.or_else(|| goals.iter().position(|goal| goal.provider == name));
    match (gateway.provider(&name), place) {
        (Some(provider), Some(place)) => Ok((provider, goals.swap_remove(place))),
        _ => Err(misplaced(&name)),
    }
}

/// What the `route` role has stated; where it does not run, the same choice is made here.
fn goals(
    gateway: &Gateway,
    asked: &Asked,
    path: &str,
    body: &str,
    cx: &mut Cx<'_>,
) -> Result<Vec<Goal>, ApiError> {
    let stated = goal::stated(cx);
    if !stated.is_empty() {
        return Ok(stated);
    }
    choose(gateway, asked, path, body, cx)?;
    Ok(goal::stated(cx))
}

fn misplaced(provider: &str) -> ApiError {
    log::error!(
        "the cluster leads to provider `{provider}`, which is no target of the model that was asked \
         for; set the metadata `{METADATA}: {{ provider: ... }}` of its hosts, or the model's \
         `targets`"
    );
    ApiError::new(ErrorKind::BadGateway, "the gateway's cluster does not serve this model")
}

impl Filter for Translate {
    fn request_head(&mut self, cx: &mut Cx<'_>) -> Flow {
        if self.gateway.mode == Mode::Enforce {
            cx.read_body();
        }
        Flow::Continue
    }

    fn request(&mut self, cx: &mut Cx<'_>, body: &mut RequestBody) -> Flow {
        match self.attempt(cx, body) {
            Ok(flow) => flow,
            Err(error) => {
                self.answer = None;
                cx.refuse(&error)
            }
        }
    }

    fn response_head(&mut self, cx: &mut Cx<'_>, head: &mut ResponseHead<'_>) -> Interest {
        self.status = head.status;
        let Some(answer) = &mut self.answer else { return Interest::Ignore };
        let (interest, rest) = answer_head(&self.gateway, answer, cx, head);
        self.rest = rest;
        if self.status >= 400
            && let Some(trial) = &mut self.trial
        {
            trial.state(cx, self.status, rest);
        }
        // Its words tell whether another target would do.
        let telling = matches!(self.status, 200 | 400 | 403 | 413 | 422) && !head.kind.is_stream();
        if telling && goal::stated(cx).iter().any(|goal| !goal.only_after.is_empty()) {
            return Interest::Rewrite;
        }
        if interest != Interest::Ignore && self.gateway.hold_first_event && answer.can_be_held() {
            self.holds = cx.hold_answer();
        }
        interest
    }

    fn event(&mut self, cx: &mut Cx<'_>, event: &Event<'_>, out: &mut Out<'_>) {
        if !self.holds {
            self.state(cx, self.status);
        }
        match &mut self.answer {
            Some(answer) => forward(answer, cx, event, out),
            None => out.send(cx, event),
        }
        if self.holds {
            self.held(cx);
        }
    }

    fn end(&mut self, cx: &mut Cx<'_>, _: bool, out: &mut Out<'_>) {
        if let Some(answer) = &mut self.answer {
            finish(&self.gateway, answer, cx, out);
        }
        if self.holds {
            self.held(cx);
        }
    }

    fn answer(
        &mut self,
        cx: &mut Cx<'_>,
        head: &mut ResponseHead<'_>,
        body: &AnswerBody<'_>,
    ) -> Option<Vec<u8>> {
        self.state(cx, self.status);
        let answer = self.answer.as_mut()?;
        let changed = answer.body(head, body);
        state_usage(&self.gateway, cx, answer);
        let failure = match (200..300).contains(&self.status) {
            true => answer.filtered().then_some(Failure::ContentFilter),
            false => failure::of_error(self.status, body.text().unwrap_or_default()),
        };
        if failure.is_some_and(|failure| self.divert(cx, failure)) {
            head.set_status(DIVERTED);
        }
        changed
    }

    /// What was reported before the client left counts.
    fn done(&mut self, cx: &mut Cx<'_>, outcome: Outcome) {
        if let (Some(answer), Outcome::Aborted) = (&self.answer, outcome) {
            state_usage(&self.gateway, cx, answer);
        }
    }
}
