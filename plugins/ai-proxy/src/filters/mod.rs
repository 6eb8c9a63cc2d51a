//! The filters, one per role.

mod copy;
mod goal;
mod inline;
mod prepare;
mod route;
mod track;
mod translate;

use std::rc::Rc;

use shared::config::{Mode, Secret};
use shared::errors::{ApiError, ErrorKind};
use shared::facts::Fact;
use shared::filter::{Cx, Event, Filter, Flow, Interest, Out, Reply, ResponseHead};
use shared::host::{Capability, Map};
use shared::protocol::Endpoint;
use shared::protocol::endpoint::tail;
use shared::request::RequestBody;
use shared::text;

use crate::admin;
use crate::answer::{Answer, printable};
use crate::asked::{self, Asked, Operation, Versions};
use crate::attempt::{Attempt, Circumstances};
use crate::config::{Key, Role};
use crate::feedback;
use crate::gateway::{Choice, Gateway};
use crate::models;
use crate::objects::{self, Place, answer::Sealing};
use crate::provider::Provider;
use crate::quota;
use crate::routing::Decision;
use crate::routing::ask::Ask;
use crate::translate::count::estimate::estimate;
use crate::wire;

/// The value of [`Fact::Key`] where the provider gets the client's own key.
const PASSTHROUGH: &str = "passthrough";

/// By which a client names the provider for what names no model (files, batches).
const PROVIDER_HEADER: &str = "x-ai-provider";

/// Says that a number of tokens is the gateway's own estimate.
const ESTIMATED_HEADER: &str = "x-ai-estimated";

/// The header by which a client asks why.
const DEBUG_HEADER: &str = "x-ai-debug";

/// The filters for this configuration's role.
pub fn filters(gateway: &Rc<Gateway>) -> Vec<Box<dyn Filter>> {
    let own: Box<dyn Filter> = match gateway.role {
        Role::Route => Box::new(route::Route::new(Rc::clone(gateway))),
        Role::Translate => Box::new(translate::Translate::new(Rc::clone(gateway))),
        Role::Inline => Box::new(inline::InlineFilter::new(Rc::clone(gateway))),
        Role::Prepare => return preparing(gateway).into_iter().collect(),
    };
    let preparing = preparing(gateway).filter(|_| gateway.role != Role::Translate);
    preparing.into_iter().chain([own]).collect()
}

/// The filter that changes requests before other plugins look at them, if they are to be changed.
pub fn preparing(gateway: &Rc<Gateway>) -> Option<Box<dyn Filter>> {
    let prepare = || -> Box<dyn Filter> { Box::new(prepare::Prepare::new(Rc::clone(gateway))) };
    gateway.prepares().then(prepare)
}

/// Reads what is asked for, and checks that the objects that it names are the client's own.
fn read(
    gateway: &Gateway,
    cx: &mut Cx<'_>,
    path: &str,
    body: &RequestBody,
) -> Result<Asked, ApiError> {
    let mut asked = asked::read(cx, path, body)?;
    // An attempt before this one has changed the headers.
    asked.versions = match cx.facts.get(cx.host, Fact::Path) {
        Some(path) if !path.is_empty() => {
            Versions(cx.facts.get(cx.host, Fact::Versions).unwrap_or_default())
        }
        _ => Versions::sent(cx.host),
    };
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
    ask.debug = gateway.debug && ask.header_once(DEBUG_HEADER).is_some_and(|value| value != "0");
    let choice = gateway.choose(asked, wanted.as_deref(), &mut ask, host)?;
    check_objects(asked, choice.key == Key::Passthrough)?;
    cx.facts.set(cx.host, Fact::RequestedModel, asked.model.as_str());
    cx.facts.set(cx.host, Fact::Targets, goal::write(&goals(&choice)));
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
    if !asked.versions.0.is_empty() {
        cx.facts.set(cx.host, Fact::Versions, asked.versions.0.as_str());
    }
    Ok(choice)
}

/// The targets of a choice, those that are there for some failures only last.
fn goals(choice: &Choice<'_>) -> Vec<goal::Goal> {
    let ordinary = choice.decision.as_ref().map_or(usize::MAX, |decision| decision.targets.len());
    let one = |(place, (provider, model)): (usize, &(&Provider, String))| {
        let decision = choice.decision.as_ref();
        let (target, only_after) = match place.checked_sub(ordinary) {
            None => (decision.and_then(|d| d.targets.get(place)).copied(), Vec::new()),
            Some(place) => {
                let spare = decision.and_then(|d| d.spare.get(place));
                let only_after = spare.map(|(_, failures)| failures.clone()).unwrap_or_default();
                (spare.map(|(target, _)| *target), only_after)
            }
        };
        goal::Goal {
            provider: provider.name.clone(),
            model: model.clone(),
            numbers: decision.and_then(|decision| Some((decision.number, target?))),
            only_after,
        }
    };
    choice.targets.iter().enumerate().map(one).collect()
}

/// What a client is told of the decision.
#[derive(Debug)]
struct Told {
    /// The rule that has decided.
    route: String,
    /// Whether it is told the variant of an experiment that it got.
    variant: bool,
    /// Why, if it has asked.
    reason: Option<String>,
}

impl Told {
    fn of(decision: &Decision<'_>) -> Told {
        Told {
            route: printable(&decision.route.name),
            variant: decision.variant.is_some(),
            reason: decision.reason.clone(),
        }
    }

    fn tell(&self, cx: &mut Cx<'_>, head: &mut ResponseHead<'_>) {
        head.headers.set("x-ai-route", &self.route);
        if self.variant
            && let Some(variant) = cx.facts.get(cx.host, Fact::Variant)
        {
            head.headers.set("x-ai-variant", &printable(&variant));
        }
        if let Some(reason) = &self.reason {
            let visible = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '_' };
            let reason: String = reason.chars().map(visible).take(MOST_REASON).collect();
            head.headers.set("x-ai-decision", &reason);
        }
    }
}

/// Longest `x-ai-decision`, in bytes.
const MOST_REASON: usize = 4096;

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
    if gateway.mode == Mode::Enforce
        && let Some(reply) = admin::answer(gateway, cx.host)
    {
        return Flow::Respond(Box::new(reply));
    }
    let path = cx.host.path().unwrap_or_default();
    if votes(cx) {
        cx.read_body();
        return Flow::Continue;
    }
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

/// Whether a user tells what an answer was like.
fn votes(cx: &Cx<'_>) -> bool {
    cx.endpoint == Some(Endpoint::OpenAiOther)
        && cx.host.method().as_deref() == Some("POST")
        && cx.host.path().as_deref().and_then(tail).is_some_and(|tail| {
            tail.split('?').next().unwrap_or_default().trim_end_matches('/') == "/feedback"
        })
}

/// Takes a vote, if the request is one.
fn vote(gateway: &Gateway, cx: &mut Cx<'_>, body: &str) -> Option<Flow> {
    if !votes(cx) || gateway.mode != Mode::Enforce {
        return None;
    }
    let Some(feedback) = &gateway.feedback else {
        let message = "feedback is not asked for here; `feedback` is not configured";
        return Some(cx.refuse(&ApiError::new(ErrorKind::NotFound, message)));
    };
    let consumer = cx.facts.get(cx.host, Fact::Consumer).unwrap_or_default();
    Some(match feedback.take(cx.host, &consumer, body) {
        Ok(vote) => {
            let about = &vote.about;
            gateway.rate(cx.host, &about.provider, &about.model, vote.score);
            let fact = serde_json::json!({
                "provider": about.provider,
                "model": about.model,
                "variant": about.variant,
                "score": vote.score,
            });
            cx.facts.set(cx.host, Fact::Feedback, shared::json::text_of(&fact));
            Flow::Respond(Box::new(Reply {
                status: 202,
                headers: vec![("content-type".into(), "application/json".into())],
                body: b"{}".to_vec(),
            }))
        }
        Err(error) => cx.refuse(&error),
    })
}

/// Sends the token with which the client can tell what the answer was like.
fn invite(gateway: &Gateway, cx: &mut Cx<'_>, head: &mut ResponseHead<'_>) {
    let Some(feedback) = gateway.feedback.as_ref().filter(|_| (200..300).contains(&head.status))
    else {
        return;
    };
    let mut fact = |fact| cx.facts.get(cx.host, fact).unwrap_or_default();
    let (provider, model) = (fact(Fact::Provider), fact(Fact::Model));
    let (variant, consumer) = (fact(Fact::Variant), fact(Fact::Consumer));
    if !model.is_empty() {
        let token = feedback.token(cx.host, &consumer, (&provider, &model, &variant));
        head.headers.set(feedback::HEADER, &token);
    }
}

/// OpenAI's path, Anthropic's and that of Google's `v1` are the same; clients of the latter two say
/// who they are.
fn models_form(cx: &Cx<'_>) -> Option<models::Form> {
    let sent = |name| cx.host.header(Map::Request, name).is_some();
    match cx.endpoint? {
        Endpoint::GeminiModels => Some(models::Form::Google),
        Endpoint::Models if sent("anthropic-version") => Some(models::Form::Anthropic),
        Endpoint::Models if sent("x-goog-api-client") || sent("x-goog-api-key") => {
            Some(models::Form::Google)
        }
        Endpoint::Models => Some(models::Form::OpenAi),
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

/// An answer's head has come. Gives what is wanted of its body, and for how many seconds the provider
/// is to rest.
fn answer_head(
    gateway: &Gateway,
    answer: &mut Answer,
    cx: &Cx<'_>,
    head: &mut ResponseHead<'_>,
) -> (Interest, Option<u64>) {
    let interest = answer.head(head);
    let Some(provider) = gateway.provider(answer.provider()) else { return (interest, None) };
    let retry_after = head.headers.get("retry-after");
    let now = cx.host.now_nanos() / 1_000_000_000;
    let rest = quota::told(head.headers, now);
    answer.tell_keys(&provider.keys, retry_after.as_deref(), rest, now);
    let rest = match answer.key() {
        // As long as another key can be used, so can the provider.
        Some(_) if provider.keys.len() > 1 => provider.keys.rest_of_all(now),
        _ => quota::retry_after(retry_after.as_deref(), now)
            .filter(|_| answer.status() >= 400)
            .or(rest)
            .or_else(|| provider.keys.spent_of_all(now)),
    };
    (interest, rest)
}

/// A request goes out with one of the provider's keys, or an answer to it has come.
fn spend(cx: &mut Cx<'_>, provider: &Provider, key: Option<usize>, requests: u64, tokens: u64) {
    let limits = &provider.key_limits;
    if limits.requests_per_minute.is_none() && limits.tokens_per_minute.is_none() {
        return;
    }
    if let Some(key) = key {
        let which = (provider.name.as_str(), key);
        quota::spend(cx.host, limits, &provider.keys, which, (requests, tokens));
    }
}

/// Tokens of a prompt, as somebody has estimated or else by its length.
fn prompt_tokens(cx: &mut Cx<'_>, text: &str) -> u64 {
    let stated = cx.facts.get(cx.host, Fact::Estimate).and_then(|stated| stated.parse().ok());
    stated.unwrap_or_else(|| u64::try_from(text.len() / 4).unwrap_or(u64::MAX))
}

/// States who is being asked, and where; `numbers` are those of the rule and its target.
fn attempting(
    gateway: &Gateway,
    cx: &mut Cx<'_>,
    provider: &str,
    model: &str,
    numbers: Option<(usize, usize)>,
) {
    let before = cx.facts.get(cx.host, Fact::Attempts).filter(|before| !before.is_empty());
    let attempts = before.map_or_else(|| provider.to_owned(), |b| text!(b, ",", provider));
    cx.facts.set(cx.host, Fact::Attempts, attempts);
    cx.facts.set(cx.host, Fact::Provider, provider);
    cx.facts.set(cx.host, Fact::Model, model);
    let region = numbers.and_then(|(rule, target)| gateway.region(rule, target));
    let route = numbers.and_then(|(rule, _)| gateway.routing().route(rule));
    // Those of an attempt before this one do not hold any more.
    if let Some(variant) = numbers.and_then(|(_, target)| route?.variant(target)) {
        cx.facts.set(cx.host, Fact::Variant, variant);
    }
    if region.is_some() || cx.facts.get(cx.host, Fact::Region).is_some() {
        cx.facts.set(cx.host, Fact::Region, region.unwrap_or_default());
    }
}

/// States what the answer has cost.
fn state_usage(gateway: &Gateway, cx: &mut Cx<'_>, answer: &Answer) {
    let Some(usage) = answer.usage() else { return };
    if let Some(provider) = gateway.provider(answer.provider()) {
        spend(cx, provider, answer.key(), 0, usage.completion_tokens);
    }
    cx.facts.set_usage(usage);
}

/// Sends an event of a provider on in the client's form.
fn forward(answer: &mut Answer, cx: &mut Cx<'_>, event: &Event<'_>, out: &mut Out<'_>) {
    let replaced = answer.event(event.name, event.data, &mut |name, data| {
        out.send(cx, &Event { name, data, raw: None })
    });
    if !replaced {
        out.send(cx, event);
    } else if let Some(comment) = answer.comment() {
        out.pass(comment.as_bytes());
    }
}

/// Ends a stream of a provider in the client's form.
fn finish(gateway: &Gateway, answer: &mut Answer, cx: &mut Cx<'_>, out: &mut Out<'_>) {
    answer.end(&mut |name, data| out.send(cx, &Event { name, data, raw: None }));
    if let Some(comment) = answer.comment() {
        out.pass(comment.as_bytes());
    }
    state_usage(gateway, cx, answer);
}
