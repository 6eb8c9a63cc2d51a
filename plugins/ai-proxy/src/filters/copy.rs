//! Makes copies of a request for the targets that are tried beside the one that answers.

use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;
use shared::facts::Fact;
use shared::filter::Cx;
use shared::host::{Call, Capability};
use shared::json::Document;
use shared::request::RequestBody;

use super::circumstances;
use crate::asked::{self, Asked, Operation};
use crate::attempt::{Attempt, headers};
use crate::auth::Unsigned;
use crate::config::Protocol;
use crate::gateway::Gateway;
use crate::overrides::{Overrides, apply};
use crate::routing::price::Tariff;
use crate::routing::{Decision, RouteTarget};
use crate::shadow::Copy;
use crate::shadow::summary::Watch;
use crate::translate::client::Client;

/// A request whose answer is compared with those to its copies.
#[derive(Debug)]
pub(super) struct Compared {
    pub(super) id: u64,
    pub(super) route: String,
    /// The rule's number.
    number: usize,
    watch: Watch,
    schema: Option<Rc<Value>>,
    started: u64,
}

impl Compared {
    /// Looks at the answer.
    pub(super) fn event(&mut self, name: Option<&str>, data: &str) {
        self.watch.event(name, data);
    }

    /// The answer as a whole.
    pub(super) fn whole(&mut self, body: Document<'_>) {
        self.watch.whole(body);
    }

    /// It is over: adds it to what the copies are compared with.
    pub(super) fn finish(self, gateway: &Gateway, cx: &mut Cx<'_>, status: u16) {
        let mut summary = self.watch.finish(status, self.schema.as_deref());
        let mut fact = |fact| cx.facts.get(cx.host, fact).unwrap_or_default();
        let (provider, model) = (fact(Fact::Provider), fact(Fact::Model));
        let route = gateway.routing().route(self.number);
        let target = route.and_then(|route| route.named(&provider, &model));
        let tariff = tariff_of(target, &model);
        let now = cx.host.now_nanos();
        summary.took(now.saturating_sub(self.started), tariff.as_deref(), now);
        gateway.shadows.answered(cx.host, self.id, &self.route, summary);
    }
}

/// The protocol that a client's answers are in.
fn protocol_of(client: Client) -> Option<Protocol> {
    Some(match client {
        Client::OpenAiChat => Protocol::Openai,
        Client::OpenAiResponses => Protocol::OpenaiResponses,
        Client::Anthropic => Protocol::Anthropic,
        Client::Gemini => Protocol::Gemini,
        Client::OpenAiCompletions => return None,
    })
}

/// Sends copies of a request, if its rule wants some and the dice say so.
pub(super) fn send(
    gateway: &Gateway,
    decision: &Decision<'_>,
    asked: &Asked,
    body: &str,
    cx: &mut Cx<'_>,
) -> Option<Compared> {
    let shadow = decision.route.shadow.as_ref()?;
    let Operation::Chat(client) = asked.operation else { return None };
    let protocol = protocol_of(client)?;
    // A copy would have the name that the client knows, which no provider does.
    if asked.held.pin.is_some() {
        return None;
    }
    let drawn = (cx.host.random() % 1_000_000) as f64;
    if drawn >= shadow.percent * 10_000.0
        || body.len() > shadow.max_bytes
        || !cx.host.can(Capability::Tick)
    {
        return None;
    }
    let schema = schema_of(body).map(Rc::new);
    let id = gateway.shadows.number();
    let mut sent = false;
    for target in decision.shadows.iter().copied() {
        match copy(gateway, decision, target, asked, body, schema.clone(), id, cx) {
            Some(copy) => sent |= gateway.shadows.send(cx.host, copy, shadow.max_under_way),
            None => log::debug!("a request could not be copied to target {target}"),
        }
    }
    let (route, started) = (decision.route.name.clone(), cx.host.now_nanos());
    let number = decision.number;
    sent.then(|| Compared { id, route, number, watch: Watch::new(protocol), schema, started })
}

#[allow(clippy::too_many_arguments)]
fn copy(
    gateway: &Gateway,
    decision: &Decision<'_>,
    index: usize,
    asked: &Asked,
    body: &str,
    schema: Option<Rc<Value>>,
    id: u64,
    cx: &mut Cx<'_>,
) -> Option<Copy> {
    let target = decision.route.target(index)?;
    let shadow = decision.route.shadow.as_ref()?;
    let provider = gateway.provider(&target.name)?;
    let model = target.model_of(gateway.real_name(&asked.model));
    // Nobody waits for it, so that it need not come piece by piece.
    let whole = Overrides {
        set: [("stream".to_owned(), Value::Bool(false))].into(),
        remove: vec!["stream_options".into()],
        ..Overrides::default()
    };
    let gemini = asked.operation == Operation::Chat(Client::Gemini);
    let edits = if asked.stream && !gemini { whole.edits(body) } else { Vec::new() };
    let body = apply(body, &edits);
    let request = RequestBody::new(body.clone().into_bytes()).ok()?;
    let path = super::asked_path(cx);
    let mut asked = asked::read(cx, &path, &request).ok()?;
    asked.stream = false;
    asked.array = false;
    let mut circumstances = circumstances(gateway, cx);
    circumstances.rewrites = true;
    let changes = Some(&target.body).filter(|changes| !changes.is_empty());
    let mut attempt =
        Attempt::new(&circumstances, provider, changes, &model, &asked, body.as_str().into())
            .ok()?;
    if gemini && attempt.wire.same && asked.tail.contains(":stream") {
        // Its path says that it comes piece by piece.
        return None;
    }
    let body = attempt.take_body(body.as_bytes());
    let (host, path) = (cx.host, &attempt.wire.path);
    let unsigned = Unsigned { host, method: Some("POST"), path, body: &body };
    let mut headers = headers(provider, &attempt, None, unsigned).ok()?;
    headers.push(("content-type".into(), "application/json".into()));
    headers.push(("accept-encoding".into(), "identity".into()));
    let cluster = shadow.cluster.clone().or_else(|| target.cluster.clone());
    let cluster = cluster.or_else(|| provider.cluster.clone());
    let cluster = cluster.filter(|_| cx.host.can(Capability::Clusters));
    Some(Copy {
        id,
        route: decision.route.name.clone(),
        provider: provider.name.clone(),
        tariff: tariff_of(Some(target), &model),
        model,
        protocol: attempt.wire.protocol,
        schema,
        call: Call {
            upstream: cluster.unwrap_or_else(|| provider.base_url.address()),
            scheme: provider.base_url.scheme.into(),
            authority: provider.base_url.authority.clone(),
            method: "POST".into(),
            path: attempt.wire.path.clone(),
            headers,
            body,
            timeout: Duration::from_millis(shadow.timeout_ms),
        },
    })
}

/// What a target charges, or what is commonly known of its model's price.
fn tariff_of(target: Option<&RouteTarget>, model: &str) -> Option<Rc<Tariff>> {
    let own = target.and_then(|target| target.tariff.clone());
    own.or_else(|| Some(Rc::new(Tariff::known(&shared::models::find(model)?.price))))
}

/// The schema that the request's answer is to be valid against.
fn schema_of(body: &str) -> Option<Value> {
    if !["schema", "Schema"].iter().any(|word| body.contains(word)) {
        return None;
    }
    let mut body = shared::json::tree(body).ok()?;
    let places = [
        "/response_format/json_schema/schema",
        "/text/format/schema",
        "/output_config/format/schema",
        "/generationConfig/responseSchema",
        "/generationConfig/responseJsonSchema",
    ];
    let place = places.into_iter().find(|place| body.pointer(place).is_some())?;
    body.pointer_mut(place).map(Value::take)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_schema_of_an_answer_is_found_in_each_clients_form() {
        let schema = json!({"type": "object"});
        for body in [
            json!({"response_format": {"json_schema": {"schema": schema}}}),
            json!({"text": {"format": {"schema": schema}}}),
            json!({"output_config": {"format": {"schema": schema}}}),
            json!({"generationConfig": {"responseSchema": schema}}),
            json!({"generationConfig": {"responseJsonSchema": schema}}),
        ] {
            assert_eq!(schema_of(&body.to_string()), Some(schema.clone()), "{body}");
        }
        assert_eq!(schema_of(r#"{"messages":[{"content":"a schema"}]}"#), None);
    }
}
