//! The `translate` role, in an Envoy cluster: runs once per attempt, after the host has been picked.

use std::rc::Rc;

use shared::config::Mode;
use shared::errors::{ApiError, ErrorKind};
use shared::facts::Fact;
use shared::filter::{Cx, Event, Filter, Flow, Interest, Out, Outcome, ResponseHead};
use shared::request::RequestBody;

use super::track::Trial;
use super::{
    answer_head, asked_path, attempting, check_objects, choose, circumstances, estimated, finish,
    forward, passthrough, read, sealing, state_usage,
};
use crate::answer::Answer;
use crate::asked::Asked;
use crate::attempt::{Attempt, address};
use crate::gateway::Gateway;
use crate::provider::Provider;

/// The metadata of hosts and clusters that names their provider:
/// `filter_metadata: { ai-gateway: { provider: <name> } }`.
const METADATA: &str = "ai-gateway";

pub(super) struct Translate {
    gateway: Rc<Gateway>,
    answer: Option<Answer>,
    trial: Option<Trial>,
    status: u16,
}

impl Translate {
    pub(super) fn new(gateway: Rc<Gateway>) -> Translate {
        Translate { gateway, answer: None, trial: None, status: 0 }
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
        let mut attempt =
            Attempt::new(&circumstances, provider, changes, &model, &asked, body.text())?;
        self.trial = Some(Trial::begin(made, cx.host.now_nanos()));
        attempting(cx, &provider.name, &model);
        attempt.change(body)?;
        address(&gateway, provider, &attempt, passthrough, body.bytes(), cx.host)?;
        let answer = Answer::new(cx.host, provider, &model, &asked, &attempt, passthrough);
        let sealing = sealing(&gateway, cx, provider, &asked, &attempt);
        self.answer = Some(answer.sealed(sealing).counted(gateway.service(&asked)));
        Ok(Flow::Continue)
    }
}

/// How many attempts were made before this one.
fn attempts_made(cx: &mut Cx<'_>) -> usize {
    let made = cx.facts.get(cx.host, Fact::Attempts).unwrap_or_default();
    made.split(',').filter(|name| !name.is_empty()).count()
}

/// One of the targets that were chosen.
struct Goal {
    provider: String,
    /// The provider's name of the model.
    model: String,
    /// Of the rule and its target.
    numbers: Option<(usize, usize)>,
}

impl Goal {
    /// `provider=model`, and if a rule has chosen it a tab and `rule.target`.
    fn parse(line: &str) -> Option<Goal> {
        let (provider, rest) = line.split_once('=')?;
        let (model, numbers) = rest.split_once('\t').unwrap_or((rest, ""));
        let numbers = numbers
            .split_once('.')
            .and_then(|(rule, target)| Some((rule.parse().ok()?, target.parse().ok()?)));
        Some(Goal { provider: provider.to_owned(), model: model.to_owned(), numbers })
    }
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
    if let Some((rule, next)) = goals.get(made + 1).and_then(|goal| goal.numbers)
        && let Some(cluster) = gateway.cluster(rule, next)
    {
        cx.facts.set(cx.host, Fact::Cluster, cluster);
    }
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
    let stated = cx.facts.get(cx.host, Fact::Targets).filter(|stated| !stated.is_empty());
    let stated = match stated {
        Some(stated) => stated,
        None => {
            choose(gateway, asked, path, body, cx)?;
            cx.facts.get(cx.host, Fact::Targets).unwrap_or_default()
        }
    };
    Ok(stated.lines().filter_map(Goal::parse).collect())
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
        cx.facts.keep();
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
        if let Some(trial) = &mut self.trial
            && head.status >= 400
        {
            let after = head.headers.get("retry-after");
            trial.state(cx, head.status, after.as_deref());
        }
        match &mut self.answer {
            Some(answer) => answer_head(&self.gateway, answer, cx, head),
            None => Interest::Ignore,
        }
    }

    fn event(&mut self, cx: &mut Cx<'_>, event: &Event<'_>, out: &mut Out<'_>) {
        if let Some(trial) = &mut self.trial {
            trial.state(cx, self.status, None);
        }
        match &mut self.answer {
            Some(answer) => forward(answer, cx, event, out),
            None => out.send(cx, event),
        }
    }

    fn end(&mut self, cx: &mut Cx<'_>, _: bool, out: &mut Out<'_>) {
        if let Some(answer) = &mut self.answer {
            finish(answer, cx, out);
        }
    }

    fn answer(
        &mut self,
        cx: &mut Cx<'_>,
        head: &mut ResponseHead<'_>,
        body: &[u8],
    ) -> Option<Vec<u8>> {
        if let Some(trial) = &mut self.trial {
            trial.state(cx, self.status, None);
        }
        let answer = self.answer.as_mut()?;
        let changed = answer.body(head, body);
        state_usage(cx, answer);
        changed
    }

    /// What was reported before the client left counts.
    fn done(&mut self, cx: &mut Cx<'_>, outcome: Outcome) {
        if let (Some(answer), Outcome::Aborted) = (&self.answer, outcome) {
            state_usage(cx, answer);
        }
    }
}
