//! The filters, one per role.

mod inline;
mod route;
mod track;
mod translate;

use std::rc::Rc;

use shared::config::{Mode, Secret};
use shared::errors::ApiError;
use shared::facts::Fact;
use shared::filter::{Cx, Event, Filter, Flow, Interest, Out, Reply, ResponseHead};
use shared::host::{Capability, Map};
use shared::protocol::Endpoint;
use shared::request::RequestBody;

use crate::answer::{Answer, printable};
use crate::asked::{self, Asked, Operation};
use crate::attempt::{Attempt, Circumstances};
use crate::config::{Key, Role};
use crate::gateway::{Choice, Gateway};
use crate::models;
use crate::objects::{self, Place, answer::Sealing};
use crate::provider::Provider;
use crate::routing::ask::Ask;
use crate::translate::count::estimate::estimate;
use crate::wire;

/// The value of [`Fact::Key`] where the provider gets the client's own key.
const PASSTHROUGH: &str = "passthrough";

/// By which a client names the provider for what names no model (files, batches).
const PROVIDER_HEADER: &str = "x-ai-provider";

/// Says that a number of tokens is the gateway's own estimate.
const ESTIMATED_HEADER: &str = "x-ai-estimated";

/// The filter for this configuration's role.
pub fn filter(gateway: Rc<Gateway>) -> Box<dyn Filter> {
    match gateway.role {
        Role::Route => Box::new(route::Route::new(gateway)),
        Role::Translate => Box::new(translate::Translate::new(gateway)),
        Role::Inline => Box::new(inline::InlineFilter::new(gateway)),
    }
}

/// Reads what is asked for, and checks that the objects that it names are the client's own.
fn read(
    gateway: &Gateway,
    cx: &mut Cx<'_>,
    path: &str,
    body: &RequestBody,
) -> Result<Asked, ApiError> {
    let mut asked = asked::read(cx, path, body)?;
    if let Operation::Generic(_) = asked.operation {
        gateway.read_service(&mut asked, path, body.text())?;
    }
    let owner = cx.facts.get(cx.host, Fact::Consumer);
    let objects = gateway.objects.as_deref();
    let held = objects::request::hold(objects, owner.as_deref(), &mut asked, body.text());
    asked.held.refusal = held.err();
    Ok(asked)
}

/// Refuses objects that are not the client's own. What goes to the client's own account is the
/// provider's business.
fn check_objects(asked: &Asked, passthrough: bool) -> Result<(), ApiError> {
    match &asked.held.refusal {
        Some(refusal) if !passthrough => Err(refusal.clone()),
        _ => Ok(()),
    }
}

/// What seals the objects that the answer names.
fn sealing(
    gateway: &Gateway,
    cx: &mut Cx<'_>,
    provider: &Provider,
    asked: &Asked,
    attempt: &Attempt,
) -> Option<Sealing> {
    let objects = gateway.objects.as_ref().filter(|_| !passthrough(cx))?;
    let owner = cx.facts.get(cx.host, Fact::Consumer)?;
    let key = attempt.key.and_then(|key| provider.keys.get(key)).map_or("", Secret::expose);
    let place = Place { owner, provider: objects.mark(&provider.name), key: objects.mark(key) };
    Sealing::new(objects, place, asked)
}

/// Finds who has the model, and states what was asked and where it may go.
fn choose<'g>(
    gateway: &'g Gateway,
    asked: &Asked,
    path: &str,
    body: &str,
    cx: &mut Cx<'_>,
) -> Result<Choice<'g>, ApiError> {
    let wanted = wanted_provider(cx);
    let host = cx.host;
    let model = gateway.real_name(&asked.model);
    let mut ask = Ask::new(cx, path, body, model, asked.stream || asked.array);
    ask.max_tokens = asked.max_tokens;
    let choice = gateway.choose(asked, wanted.as_deref(), &mut ask, host)?;
    check_objects(asked, choice.key == Key::Passthrough)?;
    let mut targets = String::new();
    for (place, (provider, model)) in choice.targets.iter().enumerate() {
        let decision = choice.decision.as_ref();
        let numbers = decision.and_then(|d| Some((d.number, d.targets.get(place)?)));
        let numbers = numbers.map_or(String::new(), |(rule, target)| format!("\t{rule}.{target}"));
        targets.push_str(&format!("{}={model}{numbers}\n", provider.name));
    }
    cx.facts.set(cx.host, Fact::RequestedModel, asked.model.as_str());
    cx.facts.set(cx.host, Fact::Targets, targets.trim_end());
    if choice.key == Key::Passthrough {
        cx.facts.set(cx.host, Fact::Key, PASSTHROUGH);
    }
    if let Some(decision) = &choice.decision {
        cx.facts.set(cx.host, Fact::Route, decision.route.name.as_str());
        if let Some(variant) = &decision.variant {
            cx.facts.set(cx.host, Fact::Variant, variant.as_str());
        }
    }
    if let Some(path) = cx.host.path() {
        cx.facts.set(cx.host, Fact::Path, path);
    }
    Ok(choice)
}

/// Tells the client which rule has decided, and which variant of an experiment it got.
fn tell_route(told: Option<&(String, Option<String>)>, head: &mut ResponseHead<'_>) {
    let Some((route, variant)) = told else { return };
    head.headers.set("x-ai-route", &printable(route));
    if let Some(variant) = variant {
        head.headers.set("x-ai-variant", &printable(variant));
    }
}

/// The provider that the client names for what names no model.
fn wanted_provider(cx: &Cx<'_>) -> Option<String> {
    String::from_utf8(cx.host.header(Map::Request, PROVIDER_HEADER)?).ok()
}

/// Whether the provider gets the client's own key.
fn passthrough(cx: &mut Cx<'_>) -> bool {
    cx.facts.get(cx.host, Fact::Key).is_some_and(|key| key == PASSTHROUGH)
}

/// What can be told by the headers alone: refuses what is not served, lists the models, or asks for
/// the body.
fn head(gateway: &Gateway, cx: &mut Cx<'_>) -> Flow {
    let path = cx.host.path().unwrap_or_default();
    let listed =
        models_form(cx).filter(|_| cx.host.method().as_deref() == Some("GET")).map(|form| {
            let allowed = cx.facts.get(cx.host, Fact::AllowedModels);
            models::reply(gateway, form, &path, &models::Allowed::of(allowed.as_deref()))
        });
    let refusal = match listed {
        Some(Ok(reply)) if gateway.mode == Mode::Enforce => return Flow::Respond(Box::new(reply)),
        Some(Ok(_)) => return Flow::Continue,
        Some(Err(error)) => error,
        None => match asked::check_head(cx) {
            Ok(()) => {
                cx.read_body();
                return Flow::Continue;
            }
            Err(error) => error,
        },
    };
    if gateway.mode == Mode::Enforce { cx.refuse(&refusal) } else { Flow::Continue }
}

/// OpenAI's path and Anthropic's are the same; Anthropic's clients send their version.
fn models_form(cx: &Cx<'_>) -> Option<models::Form> {
    match cx.endpoint? {
        Endpoint::GeminiModels => Some(models::Form::Google),
        Endpoint::Models => Some(match cx.host.header(Map::Request, "anthropic-version") {
            Some(_) => models::Form::Anthropic,
            None => models::Form::OpenAi,
        }),
        _ => None,
    }
}

/// The number of a request's tokens, if that is asked for and the provider cannot be asked.
fn estimated(
    provider: &Provider,
    model: &str,
    asked: &Asked,
    text: &str,
) -> Result<Option<Reply>, ApiError> {
    let Operation::Count(client) = asked.operation else { return Ok(None) };
    if !wire::must_estimate(provider, model, asked.operation) {
        return Ok(None);
    }
    let tokens = estimate(&client.read(text)?);
    Ok(Some(Reply {
        status: 200,
        headers: vec![
            ("content-type".into(), "application/json".into()),
            (ESTIMATED_HEADER.into(), "true".into()),
        ],
        body: client.write(tokens).into_bytes(),
    }))
}

/// What attempts are made in here.
fn circumstances<'g>(gateway: &'g Gateway, cx: &Cx<'_>) -> Circumstances<'g> {
    let rewrites =
        cx.host.can(Capability::RewriteRequestBody) && cx.host.can(Capability::RewriteResponseBody);
    Circumstances { gateway, rewrites, now: cx.host.now_nanos() / 1_000_000_000 }
}

/// The path that the client asked for.
fn asked_path(cx: &mut Cx<'_>) -> String {
    let stated = cx.facts.get(cx.host, Fact::Path).filter(|stated| !stated.is_empty());
    stated.or_else(|| cx.host.path()).unwrap_or_default()
}

/// An answer's head has come.
fn answer_head(
    gateway: &Gateway,
    answer: &mut Answer,
    cx: &Cx<'_>,
    head: &mut ResponseHead<'_>,
) -> Interest {
    let interest = answer.head(head);
    if let Some(provider) = gateway.provider(answer.provider()) {
        let retry_after = head.headers.get("retry-after");
        let now = cx.host.now_nanos() / 1_000_000_000;
        answer.tell_keys(&provider.keys, retry_after.as_deref(), now);
    }
    interest
}

/// States who is being asked.
fn attempting(cx: &mut Cx<'_>, provider: &str, model: &str) {
    let before = cx.facts.get(cx.host, Fact::Attempts).filter(|before| !before.is_empty());
    let attempts = before.map_or_else(|| provider.to_owned(), |b| format!("{b},{provider}"));
    cx.facts.set(cx.host, Fact::Attempts, attempts);
    cx.facts.set(cx.host, Fact::Provider, provider);
    cx.facts.set(cx.host, Fact::Model, model);
}

/// States what the answer has cost.
fn state_usage(cx: &mut Cx<'_>, answer: &Answer) {
    if let Some(json) = answer.usage().and_then(|usage| serde_json::to_string(&usage).ok()) {
        cx.facts.set(cx.host, Fact::Usage, json);
    }
}

/// Sends an event of a provider on in the client's form.
fn forward(answer: &mut Answer, cx: &mut Cx<'_>, event: &Event<'_>, out: &mut Out<'_>) {
    let replaced = answer.event(event.name, event.data, &mut |name, data| {
        out.send(cx, &Event { name, data, raw: None })
    });
    if !replaced {
        out.send(cx, event);
    }
}

/// Ends a stream of a provider in the client's form.
fn finish(answer: &mut Answer, cx: &mut Cx<'_>, out: &mut Out<'_>) {
    answer.end(&mut |name, data| out.send(cx, &Event { name, data, raw: None }));
    state_usage(cx, answer);
}
