//! The filters, one per role.

mod inline;
mod route;
mod translate;

use std::rc::Rc;

use shared::errors::ApiError;
use shared::facts::Fact;
use shared::filter::{Cx, Event, Filter, Out};

use crate::answer::Answer;
use crate::asked::{Asked, unknown_model};
use crate::config::Role;
use crate::gateway::{Choice, Gateway};

/// The filter for this configuration's role.
pub fn filter(gateway: Rc<Gateway>) -> Box<dyn Filter> {
    match gateway.role {
        Role::Route => Box::new(route::Route::new(gateway)),
        Role::Translate => Box::new(translate::Translate::new(gateway)),
        Role::Inline => Box::new(inline::InlineFilter::new(gateway)),
    }
}

/// Finds who has the model, and states what was asked and where it may go.
fn choose<'g>(
    gateway: &'g Gateway,
    asked: &Asked,
    cx: &mut Cx<'_>,
) -> Result<Choice<'g>, ApiError> {
    let Some(choice) = gateway.choose(&asked.model) else {
        return Err(unknown_model(&asked.model, &gateway.model_names()));
    };
    let targets: Vec<_> =
        choice.targets.iter().map(|(p, model)| format!("{}={model}", p.name)).collect();
    cx.facts.set(cx.host, Fact::RequestedModel, asked.model.as_str());
    cx.facts.set(cx.host, Fact::Targets, targets.join("\n"));
    if let Some(path) = cx.host.path() {
        cx.facts.set(cx.host, Fact::Path, path);
    }
    Ok(choice)
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
