//! The `translate` role, in an Envoy cluster: runs once per attempt, after the host has been picked.

use std::rc::Rc;

use shared::config::Mode;
use shared::errors::{ApiError, ErrorKind};
use shared::facts::Fact;
use shared::filter::{Cx, Event, Filter, Flow, Interest, Out, Outcome, ResponseHead};
use shared::request::RequestBody;

use super::{
    answer_head, asked_path, attempting, choose, circumstances, estimated, finish, forward,
    passthrough, state_usage,
};
use crate::answer::Answer;
use crate::asked::{self, Asked};
use crate::attempt::{Attempt, address};
use crate::gateway::Gateway;
use crate::provider::Provider;

/// The metadata of hosts and clusters that names their provider:
/// `filter_metadata: { ai-gateway: { provider: <name> } }`.
const METADATA: &str = "ai-gateway";

pub(super) struct Translate {
    gateway: Rc<Gateway>,
    answer: Option<Answer>,
}

impl Translate {
    pub(super) fn new(gateway: Rc<Gateway>) -> Translate {
        Translate { gateway, answer: None }
    }

    fn attempt(&mut self, cx: &mut Cx<'_>, body: &mut RequestBody) -> Result<Flow, ApiError> {
        let gateway = Rc::clone(&self.gateway);
        let path = asked_path(cx);
        let asked = asked::read(cx, &path, body)?;
        let (provider, model) = target(&gateway, &asked, cx)?;
        if let Some(reply) = estimated(provider, &model, &asked, body.text())? {
            self.answer = None;
            return Ok(Flow::Respond(Box::new(reply)));
        }
        let circumstances = circumstances(&gateway, cx);
        let mut attempt = Attempt::new(&circumstances, provider, &model, &asked, body.text())?;
        let passthrough = passthrough(cx);
        attempting(cx, &provider.name, &model);
        attempt.change(body)?;
        address(&gateway, provider, &attempt, passthrough, body.bytes(), cx.host)?;
        self.answer = Some(Answer::new(cx.host, provider, &model, &asked, &attempt, passthrough));
        Ok(Flow::Continue)
    }
}

/// The provider that this attempt goes to, and its name of the model.
fn target<'g>(
    gateway: &'g Gateway,
    asked: &Asked,
    cx: &mut Cx<'_>,
) -> Result<(&'g Provider, String), ApiError> {
    let property = |path: &[&str]| {
        let value = cx.host.property(path).filter(|value| !value.is_empty());
        value.and_then(|value| String::from_utf8(value).ok())
    };
    let metadata = |of: &str| property(&["xds", of, "filter_metadata", METADATA, "provider"]);
    let named = metadata("upstream_host_metadata").or_else(|| metadata("cluster_metadata"));
    let cluster = property(&["xds", "cluster_name"]);
    let by_cluster = || cluster.filter(|name| gateway.provider(name).is_some());
    let targets = targets(gateway, asked, cx)?;
    let Some(name) = named.or_else(by_cluster).or_else(|| Some(targets.first()?.0.clone())) else {
        return Err(misplaced("?"));
    };
    let model = targets.into_iter().find(|(provider, _)| *provider == name);
    match (gateway.provider(&name), model) {
        (Some(provider), Some((_, model))) => Ok((provider, model)),
        _ => Err(misplaced(&name)),
    }
}

/// What the `route` role has stated; where it does not run, the same choice is made here.
fn targets(
    gateway: &Gateway,
    asked: &Asked,
    cx: &mut Cx<'_>,
) -> Result<Vec<(String, String)>, ApiError> {
    let stated = cx.facts.get(cx.host, Fact::Targets).filter(|stated| !stated.is_empty());
    if let Some(stated) = stated {
        let pairs = stated.lines().filter_map(|line| line.split_once('='));
        return Ok(pairs.map(|(p, model)| (p.to_owned(), model.to_owned())).collect());
    }
    let choice = choose(gateway, asked, cx)?;
    Ok(choice.targets.into_iter().map(|(p, model)| (p.name.clone(), model)).collect())
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
        match &mut self.answer {
            Some(answer) => answer_head(&self.gateway, answer, cx, head),
            None => Interest::Ignore,
        }
    }

    fn event(&mut self, cx: &mut Cx<'_>, event: &Event<'_>, out: &mut Out<'_>) {
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
