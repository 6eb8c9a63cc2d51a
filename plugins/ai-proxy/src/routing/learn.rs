//! What is learned of targets: from answers, from what is fetched, and from other workers.

use std::time::Duration;

use shared::filter::CallReply;
use shared::host::{CallId, Host};

use super::health::Outcome;
use super::load::Load;
use super::price::Tariff;
use super::{Routing, Use};
use crate::config::Key;

impl Routing {
    /// How often [`Routing::tick`] is wanted; never if there is nothing to do. `tells`: the workers tell
    /// each other of targets.
    pub fn tick_period(&self, tells: bool) -> Option<Duration> {
        let copies = self.routes.iter().any(|route| route.shadow.is_some());
        if !self.polls.is_empty() || self.store.is_some() || copies {
            return Some(Duration::from_millis(100));
        }
        // Of one target there is nothing to tell.
        let several = self.routes.iter().any(|route| route.targets.len() > 1);
        (tells && several).then_some(Duration::from_secs(1))
    }

    /// Asks for what is due.
    pub fn tick(&self, host: &dyn Host) {
        self.polls.iter().for_each(|(poll, _)| poll.tick(host));
        if let Some(store) = &self.store {
            store.tick(host, self.canaries());
        }
        self.board.tick(host, |name| {
            let mut known = self.health.iter();
            known
                .find(|((provider, model), _)| self.label(*provider, model.as_deref()) == name)
                .map(|(_, h)| &**h)
        });
    }

    /// How a target is called on the board.
    fn label(&self, provider: usize, model: Option<&str>) -> String {
        let name = self.names.get(&provider).map_or("", String::as_str);
        format!("{name}/{}", model.unwrap_or_default())
    }

    /// A user has given an answer of this provider and model a score, 0 to 1.
    pub fn rate(&self, host: &dyn Host, provider: usize, model: &str, score: f64) {
        for (provider, model) in [Some(model.to_owned()), None].map(|model| (provider, model)) {
            let label = self.label(provider, model.as_deref());
            if let Some(health) = self.health.get(&(provider, model)) {
                self.board.score(host, &label, health, score);
                return;
            }
        }
    }

    /// An answer has come; false if it is not to a call made here.
    pub fn called(&self, host: &dyn Host, call: CallId, reply: &CallReply) -> bool {
        if let Some(store) = &self.store
            && store.called(host, call, reply, self.canaries())
        {
            return true;
        }
        let mut found = self.polls.iter().map(|(poll, used)| (poll.called(call, reply), used));
        let Some((Some(text), used)) = found.find(|(came, _)| came.is_some()) else {
            return false;
        };
        let now = host.now_nanos();
        match used {
            Use::Load(server) => server.tell(text.and_then(Load::read), now),
            Use::Carbon { region, pointer, max_age } => {
                let json = text.and_then(|text| shared::json::tree(text).ok());
                let value = json.as_ref().and_then(|json| json.pointer(pointer)?.as_f64());
                match value.filter(|value| (0.0..1e5).contains(value)) {
                    Some(value) => self.grid.fetched(region, value, now.saturating_add(*max_age)),
                    None => log::warn!("no carbon intensity of {region} at {pointer}"),
                }
            }
        }
        true
    }

    /// A target has used so many tokens.
    pub fn spent(&self, route: usize, target: usize, tokens: u64, now: u64) {
        let target = self.routes.get(route).and_then(|route| route.targets.get(target));
        let tariff = target.and_then(|target| target.tariff.as_deref());
        if let Some(capacity) = tariff.and_then(Tariff::committed) {
            capacity.spend(tokens, now);
        }
    }

    /// A target was asked and this came of it. `None`: the client left first.
    pub fn ended(&self, host: &dyn Host, route: usize, target: usize, outcome: Option<Outcome>) {
        let Some(route) = self.routes.get(route) else { return };
        let Some(asked) = route.targets.get(target) else { return };
        let now = host.now_nanos();
        // With the client's own key, that and its limits are the client's own as well.
        let outcome = match outcome {
            Some(Outcome { status: 1..=407 | 409..=499, .. }) if route.key == Key::Passthrough => {
                let status = |came: Outcome| if came.failed() { 400 } else { came.status };
                outcome.map(|came| Outcome { status: status(came), retry_after: None, ..came })
            }
            outcome => outcome,
        };
        let before = asked.health.rests_until();
        asked.health.end(outcome, &self.circuit, now);
        let after = asked.health.rests_until();
        if after > before {
            self.board.rest(host, &self.label(asked.provider, asked.model.as_deref()), after);
        } else if after < before {
            self.board.well(host, &self.label(asked.provider, asked.model.as_deref()));
        }
        if let (Some(canary), Some(outcome)) = (&route.canary, outcome) {
            canary.answered(host, target, &outcome);
        }
    }
}
