//! Adds a rule's messages and fills templates, and states the regions that the rule allows, before the
//! plugins that look at prompts see the request.
//!
//! It runs where the role `prepare` stands, after ai-auth and before prompt-guard and the cache; in the
//! bundle that is its place. Where nothing has done it, the other roles begin with it.

use std::rc::Rc;

use shared::config::Mode;
use shared::errors::ApiError;
use shared::facts::Fact;
use shared::filter::{Cx, Filter, Flow};
use shared::request::RequestBody;

use crate::asked::{self, Operation};
use crate::gateway::Gateway;
use crate::messages;
use crate::routing::ask::Ask;

pub(super) struct Prepare {
    gateway: Rc<Gateway>,
}

/// What [`Fact::Prepared`] says.
const DONE: &str = "1";

impl Prepare {
    pub(super) fn new(gateway: Rc<Gateway>) -> Prepare {
        Prepare { gateway }
    }

    fn prepare(&self, cx: &mut Cx<'_>, body: &mut RequestBody) -> Result<(), ApiError> {
        let Some(Operation::Chat(client)) = cx.endpoint.and_then(Operation::of) else {
            return Ok(());
        };
        let path = cx.host.path().unwrap_or_default();
        // A template may bring the messages, so that what is missing is told later.
        let Some((model, stream)) = asked::glance(&path, body) else { return Ok(()) };
        let text = body.text().to_owned();
        let name = self.gateway.real_name(&model);
        let mut ask = Ask::new(cx, &path, &text, name, stream);
        let rule = self.gateway.rule_of(name, &mut ask, Operation::Chat(client));
        let bound = ask.regions();
        let rule = rule.and_then(|rule| self.gateway.routing().route(rule));
        if let Some(regions) = rule.and_then(|rule| rule.regions()) {
            let both = regions
                .iter()
                .filter(|region| bound.as_ref().is_none_or(|bound| bound.contains(region)));
            let both: Vec<_> = both.map(String::as_str).collect();
            cx.facts.set(cx.host, Fact::AllowedRegions, both.join(","));
        }
        let added = rule.and_then(|rule| rule.messages.as_ref());
        messages::prepare(client, self.gateway.templates(), added, body)
    }
}

impl Filter for Prepare {
    fn request_head(&mut self, cx: &mut Cx<'_>) -> Flow {
        let chat = matches!(cx.endpoint.and_then(Operation::of), Some(Operation::Chat(_)));
        if chat && self.gateway.mode == Mode::Enforce {
            cx.read_body();
        }
        Flow::Continue
    }

    fn request(&mut self, cx: &mut Cx<'_>, body: &mut RequestBody) -> Flow {
        if self.gateway.mode != Mode::Enforce || cx.facts.get(cx.host, Fact::Prepared).is_some() {
            return Flow::Continue;
        }
        cx.facts.set(cx.host, Fact::Prepared, DONE);
        match self.prepare(cx, body) {
            Ok(()) => Flow::Continue,
            Err(error) => cx.refuse(&error),
        }
    }
}
