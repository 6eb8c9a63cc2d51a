//! The `route` role, in Envoy's listener: reads the model, chooses the cluster.

use std::rc::Rc;

use shared::config::Mode;
use shared::errors::{ApiError, ErrorKind};
use shared::exchange::CLUSTER_HEADER;
use shared::facts::Fact;
use shared::filter::{BodyKind, Cx, Filter, Flow, Interest, Outcome, ResponseHead};
use shared::host::Map;
use shared::request::RequestBody;

use super::track::Track;
use super::{asked_path, choose, estimated, head, read, tell_route};
use crate::attempt;
use crate::config::Key;
use crate::gateway::Gateway;

pub(super) struct Route {
    gateway: Rc<Gateway>,
    track: Option<Track>,
    /// Name of the rule and variant, for the client.
    told: Option<(String, Option<String>)>,
}

impl Route {
    pub(super) fn new(gateway: Rc<Gateway>) -> Route {
        Route { gateway, track: None, told: None }
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
        attempt::strip(&self.gateway, cx.host, choice.key == Key::Passthrough);
        self.track = Track::begin(&gateway, &choice, cx.host.now_nanos());
        self.told = choice.decision.map(|d| (d.route.name.clone(), d.variant));
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

impl Filter for Route {
    fn request_head(&mut self, cx: &mut Cx<'_>) -> Flow {
        cx.facts.keep();
        head(&self.gateway, cx)
    }

    fn request(&mut self, cx: &mut Cx<'_>, body: &mut RequestBody) -> Flow {
        match self.route(cx, body) {
            Ok(flow) => flow,
            Err(error) if self.gateway.mode == Mode::Enforce => cx.refuse(&error),
            Err(_) => Flow::Continue,
        }
    }

    /// The proxy's own errors are plain text, which no client of an AI API expects.
    fn response_head(&mut self, _: &mut Cx<'_>, head: &mut ResponseHead<'_>) -> Interest {
        tell_route(self.told.as_ref(), head);
        let foreign = head.status >= 400 && head.kind == BodyKind::Other;
        if !foreign || self.gateway.mode != Mode::Enforce {
            return Interest::Ignore;
        }
        if let Some(track) = &mut self.track {
            track.proxy_status = Some(head.status);
        }
        head.headers.set("content-type", "application/json");
        Interest::Rewrite
    }

    fn answer(
        &mut self,
        cx: &mut Cx<'_>,
        head: &mut ResponseHead<'_>,
        _: &[u8],
    ) -> Option<Vec<u8>> {
        let error = proxy_error(head.status);
        Some(error.reply(cx.endpoint).body)
    }

    fn done(&mut self, cx: &mut Cx<'_>, outcome: Outcome) {
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
