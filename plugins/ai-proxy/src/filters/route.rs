//! The `route` role, in Envoy's listener: reads the model, chooses the cluster.

use std::rc::Rc;

use shared::answer::AnswerBody;
use shared::config::Mode;
use shared::errors::{ApiError, ErrorKind};
use shared::exchange::CLUSTER_HEADER;
use shared::facts::Fact;
use shared::filter::{BodyKind, Cx, Event, Filter, Flow, Interest, Out, Outcome, ResponseHead};
use shared::host::{Host, Map};
use shared::request::RequestBody;

use super::copy::{self, Compared};
use super::track::{Line, Track};
use super::translate::DIVERTED;
use super::{Told, asked_path, choose, estimated, head, invite, read, vote};
use crate::attempt;
use crate::auth::CLIENT_HEADERS;
use crate::config::Key;
use crate::gateway::Gateway;
use crate::routing::{Decision, load};

pub(super) struct Route {
    gateway: Rc<Gateway>,
    track: Option<Track>,
    told: Option<Told>,
    /// What copies of it are compared with.
    compared: Option<Compared>,
    status: u16,
}

impl Route {
    pub(super) fn new(gateway: Rc<Gateway>) -> Route {
        Route { gateway, track: None, told: None, compared: None, status: 0 }
    }

    fn route(&mut self, cx: &mut Cx<'_>, body: &RequestBody) -> Result<Flow, ApiError> {
        let gateway = Rc::clone(&self.gateway);
        let path = asked_path(cx);
        let asked = read(&gateway, cx, &path, body)?;
        let choice = choose(&gateway, &asked, &path, body.text(), cx)?;
        if self.gateway.mode == Mode::DryRun {
            let names: Vec<_> = choice.targets.iter().map(|(p, _)| p.name.as_str()).collect();
            log::info!("dry run: would ask {}", names.join(", then "));
            return Ok(Flow::Continue);
        }
        if let Some((provider, model)) = choice.targets.first()
            && let Some(reply) = estimated(provider, model, &asked, body.text())?
        {
            return Ok(Flow::Respond(Box::new(reply)));
        }
        // Should a cluster lack its filter, the client's key must still not reach the provider.
        let keeps_key = choice.key == Key::Passthrough;
        let keep = |name: &str| keeps_key && CLIENT_HEADERS.contains(&name);
        attempt::strip(&self.gateway, cx.host, keep);
        self.track = Track::begin(&gateway, &choice, cx.host.now_nanos());
        if let Some(decision) = &choice.decision {
            limit(decision, asked.stream, cx.host);
            point(decision, cx.host);
            self.compared = copy::send(&gateway, decision, &asked, body.text(), cx);
        }
        self.told = choice.decision.as_ref().map(Told::of);
        if let Some(cluster) = choice.cluster {
            cx.facts.set(cx.host, Fact::Cluster, cluster);
            cx.host.set_header(Map::Request, CLUSTER_HEADER, cluster).map_err(|error| {
                log::error!("the cluster could not be chosen: {error}");
                ApiError::new(ErrorKind::Internal, "the gateway could not choose a provider")
            })?;
        }
        Ok(Flow::Continue)
    }
}

/// Tells Envoy how often and how long it may try; it takes these headers off again.
/// <https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter>
fn limit(decision: &Decision<'_>, stream: bool, host: &dyn Host) {
    // What a client has sent of these is not for it to say.
    let set = |name: &str, value: Option<u64>| {
        let done = match value {
            Some(value) => host.set_header(Map::Request, name, &value.to_string()),
            None => host.remove_header(Map::Request, name),
        };
        if let Err(error) = done {
            log::warn!("{name} could not be set: {error}");
        }
    };
    let spare = usize::from(!decision.spare.is_empty());
    let retries = decision.targets.len().saturating_sub(1).saturating_add(spare);
    // With one target the proxy's own policy holds: it may have several keys or hosts.
    let retries = u64::try_from(retries).ok().filter(|retries| *retries > 0);
    set("x-envoy-max-retries", retries);
    let timeouts = &decision.route.timeouts;
    let attempt = if stream { timeouts.first_token } else { timeouts.attempt };
    set("x-envoy-upstream-rq-per-try-timeout-ms", attempt);
    set("x-envoy-upstream-rq-timeout-ms", timeouts.total);
}

/// Tells Envoy's load balancing which of the target's servers is least busy.
/// <https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/override_host>
fn point(decision: &Decision<'_>, host: &dyn Host) {
    let target = decision.targets.first().and_then(|first| decision.route.target(*first));
    let Some(target) = target.filter(|target| !target.servers.is_empty()) else { return };
    // While nobody has said how it is, Envoy chooses.
    let Some((server, _)) = load::least(&target.servers, host.now_nanos()) else { return };
    server.begin();
    if !server.address.is_empty() {
        let _ = host.set_header(Map::Request, ENDPOINT_HEADER, &server.address);
    }
}

/// Names the server that Envoy's load balancing is to take.
const ENDPOINT_HEADER: &str = "x-gateway-destination-endpoint";

impl Filter for Route {
    fn request_head(&mut self, cx: &mut Cx<'_>) -> Flow {
        head(&self.gateway, cx)
    }

    fn request(&mut self, cx: &mut Cx<'_>, body: &mut RequestBody) -> Flow {
        if let Some(flow) = vote(&self.gateway, cx, body.text()) {
            return flow;
        }
        match self.route(cx, body) {
            Ok(flow) => flow,
            Err(error) if self.gateway.mode == Mode::Enforce => cx.refuse(&error),
            Err(_) => Flow::Continue,
        }
    }

    /// The proxy's own errors are plain text, which no client of an AI API expects.
    fn response_head(&mut self, cx: &mut Cx<'_>, head: &mut ResponseHead<'_>) -> Interest {
        if let Some(told) = &self.told {
            told.tell(cx, head);
            invite(&self.gateway, cx, head);
        }
        // Another target was to be asked, and the proxy did not: it was what it was. Not what the proxy says itself, when
        // it could not.
        if head.status == DIVERTED
            && head.kind != BodyKind::Other
            && let Some(outcomes) = cx.facts.get(cx.host, Fact::Outcomes)
            && let Some(last) = outcomes.lines().next_back().and_then(Line::parse)
            && matches!(last.outcome.status, 200..=499)
        {
            head.set_status(last.outcome.status);
        }
        self.status = head.status;
        let foreign = head.status >= 400 && head.kind == BodyKind::Other;
        if !foreign || self.gateway.mode != Mode::Enforce {
            let compares = self.compared.is_some() && head.status < 300;
            return if compares { Interest::Observe } else { Interest::Ignore };
        }
        if let Some(track) = &mut self.track {
            track.proxy_status = Some(head.status);
        }
        head.headers.set("content-type", "application/json");
        Interest::Rewrite
    }

    fn event(&mut self, cx: &mut Cx<'_>, event: &Event<'_>, out: &mut Out<'_>) {
        if let Some(compared) = &mut self.compared {
            compared.event(event.name, event.data);
        }
        out.send(cx, event);
    }

    fn answer(
        &mut self,
        cx: &mut Cx<'_>,
        head: &mut ResponseHead<'_>,
        body: &AnswerBody<'_>,
    ) -> Option<Vec<u8>> {
        if let Some(compared) = self.compared.as_mut().filter(|_| head.status < 300) {
            compared.whole(body.document_in_one_go());
            return None;
        }
        let error = proxy_error(head.status);
        Some(error.reply(cx.endpoint).body)
    }

    fn done(&mut self, cx: &mut Cx<'_>, outcome: Outcome) {
        if let Some(compared) = self.compared.take() {
            match outcome {
                Outcome::Complete => compared.finish(&self.gateway, cx, self.status),
                // Of half an answer there is nothing to compare.
                Outcome::Aborted => self.gateway.shadows.forget(compared.id),
            }
        }
        if let Some(track) = self.track.take() {
            track.end(&self.gateway, cx, outcome);
        }
    }
}

pub(super) fn proxy_error(status: u16) -> ApiError {
    let message = match status {
        413 => "the request body is larger than the proxy accepts; send less, or raise \
                `per_connection_buffer_limit_bytes`"
            .to_owned(),
        502 | 503 => "no provider could be reached; try again later".to_owned(),
        504 => "the provider took too long; try again, or raise the route's timeout".to_owned(),
        status => format!("the proxy answered with status {status}"),
    };
    ApiError::new(ErrorKind::of_status(status), message).status(status)
}
