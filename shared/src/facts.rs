//! What plugins tell each other about a request.
//!
//! In the bundle facts live in memory. Between separate plugins they travel together as one property,
//! [`PROPERTY`], which neither client nor provider can see or set: each call of the proxy costs as much
//! as some thousand instructions. A host without shared properties (APISIX) carries those of the request
//! in one variable, [`VARIABLE`], if its configuration declares it: to the next plugin, and to all of them
//! when the answer comes. Without it every plugin knows only what it has found out itself.

mod fact;
mod text;

use crate::host::{Capability, Host, Map};
use crate::json;
use crate::usage::Usage;

pub use fact::{Fact, Stater, Staters};
pub use text::{all, state, stated};

/// The property that has the facts on hosts that share properties.
pub const PROPERTY: &str = "ai.facts";

/// The property by which [`Fact::Cluster`] is told to the proxy's routing besides.
pub const CLUSTER: &str = "ai.cluster";

/// The nginx variable that carries facts where properties cannot. No client can set it.
pub const VARIABLE: &str = "wasm_ai_facts";

/// A header that could be taken for the plugins' own: removed, whoever sends it.
pub const HEADER: &str = "x-ai-facts";

/// Most bytes of [`VARIABLE`] that are read or written.
const MAX_VARIABLE: usize = 16 << 10;

/// What each fact is, if it is known.
#[derive(Debug)]
struct Known {
    /// Of each fact the number of its place, from 1 on; 0 if it was never known.
    numbers: [u8; Fact::ALL.len()],
    places: Vec<Option<String>>,
}

impl Default for Known {
    fn default() -> Known {
        Known { numbers: [0; Fact::ALL.len()], places: Vec::new() }
    }
}

impl Known {
    fn get(&self, fact: Fact) -> Option<&String> {
        let number = usize::from(*self.numbers.get(fact as usize)?);
        self.places.get(number.checked_sub(1)?)?.as_ref()
    }

    fn set(&mut self, fact: Fact, value: String) {
        let Some(number) = self.numbers.get_mut(fact as usize) else { return };
        match self.places.get_mut(usize::from(*number).wrapping_sub(1)) {
            Some(place) => *place = Some(value),
            None => {
                self.places.push(Some(value));
                *number = u8::try_from(self.places.len()).unwrap_or_default();
            }
        }
    }

    fn forget(&mut self, fact: Fact) {
        let number = self.numbers.get(fact as usize).copied().unwrap_or_default();
        if let Some(place) = self.places.get_mut(usize::from(number).wrapping_sub(1)) {
            *place = None;
        }
    }
}

/// The facts of one exchange.
#[derive(Debug, Default)]
pub struct Facts {
    /// What was stated in this module.
    known: Known,
    /// [`Fact::Usage`] instead, if it was stated in this module: most exchanges read it several times.
    usage: Option<Usage>,
    /// Of these, what other modules have not been told yet.
    untold: Vec<Fact>,
    /// What other modules have said, and been told by this one.
    heard: String,
    /// Whether that is what the proxy has now: no other module runs while a callback lasts.
    heard_now: bool,
    own: bool,
    here: Staters,
    alone: bool,
}

impl Facts {
    /// Facts of an exchange; those of the plugins that are `here`, in this module, have been stated here
    /// or nowhere, so that the proxy need not be asked for them. Where the module is `alone` there is
    /// nobody to be asked or told.
    pub(crate) fn new(here: Staters, alone: bool) -> Facts {
        Facts { here, alone, ..Facts::default() }
    }

    /// A fact, if some plugin stated it.
    pub fn get(&mut self, host: &dyn Host, fact: Fact) -> Option<String> {
        if let Some(value) = self.known.get(fact) {
            return Some(value.clone());
        }
        if let (Fact::Usage, Some(usage)) = (fact, self.usage) {
            return Some(usage.json());
        }
        let here = fact.stated_by().is_some_and(|stater| self.here.has(stater));
        let proxys = self.own && fact.is_of_proxy();
        if (here || proxys || self.alone) && host.can(Capability::SharedProperties) {
            return None;
        }
        self.hear(host);
        stated(&self.heard, fact.name()).map(str::to_owned)
    }

    /// A fact, if a plugin of another module stated it.
    pub fn of_others(&mut self, host: &dyn Host, fact: Fact) -> Option<String> {
        if self.known.get(fact).is_some() { None } else { self.get(host, fact) }
    }

    /// Whether what a request says may be sent to a service in this region: one that does not say where
    /// it is, is nowhere that a request with [`Fact::AllowedRegions`] may go.
    pub fn allow_region(&mut self, host: &dyn Host, region: &str) -> bool {
        let Some(allowed) = self.get(host, Fact::AllowedRegions) else { return true };
        !region.is_empty() && allowed.split(',').any(|allowed| allowed.trim() == region)
    }

    /// [`Fact::Usage`], read; `None` if nobody has stated it.
    pub fn usage(&mut self, host: &dyn Host) -> Option<Usage> {
        if self.usage.is_some() {
            return self.usage;
        }
        json::parse(&self.get(host, Fact::Usage)?).ok()
    }

    /// States [`Fact::Usage`].
    pub fn set_usage(&mut self, usage: Usage) {
        if self.usage.replace(usage) != Some(usage) {
            self.is_untold(Fact::Usage);
        }
    }

    /// States a fact; [`Fact::Usage`] by [`set_usage`](Self::set_usage).
    pub fn set(&mut self, host: &dyn Host, fact: Fact, value: impl Into<String>) {
        let value = value.into();
        if self.known.get(fact) == Some(&value) {
            return;
        }
        if fact == Fact::Cluster && host.can(Capability::SharedProperties) {
            let _ = host.set_property(&[CLUSTER], value.as_bytes());
        }
        self.known.set(fact, value);
        self.is_untold(fact);
    }

    fn is_untold(&mut self, fact: Fact) {
        if !self.untold.contains(&fact) {
            self.untold.push(fact);
        }
    }

    /// A callback begins: other modules may have stated facts since the last.
    pub(crate) fn ask_anew(&mut self, host: &dyn Host) {
        if host.can(Capability::SharedProperties) {
            self.heard_now = false;
        }
    }

    /// A callback ends: other modules are told what was stated.
    pub(crate) fn tell(&mut self, host: &dyn Host) {
        if !self.alone && !self.untold.is_empty() && host.can(Capability::SharedProperties) {
            self.hear(host);
            self.tell_all(host, PROPERTY);
        }
    }

    /// The answer is there. What another module has found out about it meanwhile (on Envoy the
    /// upstream role is one of its own) holds, not what was assumed before.
    pub(crate) fn answered(&mut self, host: &dyn Host) {
        if self.own {
            return;
        }
        if host.can(Capability::SharedProperties) {
            self.usage = None;
            let of_answer = Fact::ALL.into_iter().filter(|fact| fact.is_of_answer());
            of_answer.for_each(|fact| self.known.forget(fact));
        } else {
            // What the plugins after this one have said; at the end of the exchange it is too late to ask.
            self.heard_now = false;
            self.hear(host);
        }
    }

    /// At the start of an exchange, before any filter.
    pub(crate) fn begin(&mut self, host: &dyn Host) {
        let _ = host.remove_header(Map::Request, HEADER);
        // Asked for now: the end of an exchange has no request whose variables could be read.
        if !host.can(Capability::SharedProperties) {
            self.hear(host);
        }
    }

    /// Whether what ai-proxy counts of an answer is heard before the exchange is over. On APISIX another
    /// module's comes too late, unless it has made the call.
    pub fn hears_counts(&self, host: &dyn Host) -> bool {
        self.own || host.can(Capability::SharedProperties)
    }

    /// All of ai-proxy is in this module: what it has not stated here has been stated nowhere.
    pub fn own(&mut self) {
        self.own = true;
    }

    /// Hands the facts of a request on, on hosts that need it done: to the next plugin of the chain, and to
    /// all of them when the answer comes.
    pub(crate) fn hand_on(&mut self, host: &dyn Host) {
        if !self.alone && !host.can(Capability::SharedProperties) {
            // Not declared: then nobody asks.
            self.tell_all(host, VARIABLE);
        }
    }

    /// Reads what other modules have said, unless that was done in this callback.
    fn hear(&mut self, host: &dyn Host) {
        if std::mem::replace(&mut self.heard_now, true) {
            return;
        }
        let shared = host.can(Capability::SharedProperties);
        let heard = host.property(&[if shared { PROPERTY } else { VARIABLE }]);
        let heard = heard.filter(|heard| shared || heard.len() <= MAX_VARIABLE);
        self.heard = heard.and_then(|heard| String::from_utf8(heard).ok()).unwrap_or_default();
    }

    /// Writes what was heard, and what is new, in place of what was known of it.
    fn tell_all(&mut self, host: &dyn Host, to: &str) {
        let untold = std::mem::take(&mut self.untold);
        let mut text = String::with_capacity(self.heard.len() + 256);
        for (name, _, written) in text::written(&self.heard) {
            if !untold.iter().any(|fact| fact.name() == name) {
                text.push_str(written);
            }
        }
        for fact in untold {
            match (fact, &self.usage) {
                (Fact::Usage, Some(usage)) => state(&mut text, fact.name(), &usage.json()),
                _ => {
                    if let Some(value) = self.known.get(fact) {
                        state(&mut text, fact.name(), value);
                    }
                }
            }
        }
        if to == PROPERTY || text.len() <= MAX_VARIABLE {
            let _ = host.set_property(&[to], text.as_bytes());
        }
        self.heard = text;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::exchange::Exchange;
    use crate::filter::{Cx, Filter, Flow};
    use crate::host::Body;
    use crate::host::script::ScriptHost;

    /// Writes down whom it is told to be asked by, in each callback twice.
    struct Looks(Rc<RefCell<Vec<Option<String>>>>);

    impl Looks {
        fn look(&self, cx: &mut Cx<'_>) -> Flow {
            let found = cx.facts.get(cx.host, Fact::Consumer);
            assert_eq!(cx.facts.get(cx.host, Fact::Consumer), found);
            self.0.borrow_mut().push(found);
            Flow::Continue
        }
    }

    impl Filter for Looks {
        fn request_head(&mut self, cx: &mut Cx<'_>) -> Flow {
            cx.read_body();
            self.look(cx)
        }

        fn request(&mut self, cx: &mut Cx<'_>, _: &mut crate::request::RequestBody) -> Flow {
            self.look(cx)
        }
    }

    #[test]
    fn what_another_plugin_states_between_two_callbacks_is_seen() {
        let seen = Rc::default();
        let host = ScriptHost::post("/v1/chat/completions");
        let mut exchange =
            Exchange::new(vec![Box::new(Looks(Rc::clone(&seen)))], Default::default());
        exchange.request_headers(&host, false);
        host.set_property(&["ai.consumer"], b"anna").unwrap();
        host.put_body(Body::Request, b"{}");
        exchange.request_body(&host, 2, true);
        assert_eq!(*seen.borrow(), [None, Some("anna".to_owned())]);
    }

    #[test]
    fn what_a_plugin_of_the_same_module_would_state_is_not_asked_of_the_proxy() {
        let host = ScriptHost::post("/v1/chat/completions");
        host.set_property(&["ai.consumer"], b"anna").unwrap();
        host.set_property(&["ai.guard"], b"flag").unwrap();
        let mut here = Staters::default();
        here.add(Stater::Auth);
        let mut facts = Facts::new(here, false);
        assert_eq!(facts.get(&host, Fact::Consumer), None);
        assert_eq!(facts.get(&host, Fact::Guard).as_deref(), Some("flag"));
        facts.set(&host, Fact::Consumer, "otto");
        assert_eq!(facts.get(&host, Fact::Consumer).as_deref(), Some("otto"));
    }

    /// States what it is told to, in the head and again with the body.
    struct States(Vec<(Fact, &'static str)>);

    impl States {
        fn state(&self, cx: &mut Cx<'_>) -> Flow {
            for (fact, value) in &self.0 {
                cx.facts.set(cx.host, *fact, *value);
            }
            Flow::Continue
        }
    }

    impl Filter for States {
        fn request_head(&mut self, cx: &mut Cx<'_>) -> Flow {
            cx.read_body();
            self.state(cx)
        }

        fn request(&mut self, cx: &mut Cx<'_>, _: &mut crate::request::RequestBody) -> Flow {
            self.state(cx)
        }
    }

    fn exchange(facts: &[(Fact, &'static str)], alone: bool) -> Exchange {
        let settings = crate::exchange::Settings { alone, ..Default::default() };
        Exchange::new(vec![Box::new(States(facts.to_vec()))], settings)
    }

    #[test]
    fn modules_add_to_what_others_have_stated() {
        let host = ScriptHost::post("/v1/chat/completions");
        let mut first = exchange(&[(Fact::Consumer, "anna"), (Fact::Provider, "a")], false);
        let mut second = exchange(&[(Fact::Provider, "b"), (Fact::Model, "m=1:x")], false);
        first.request_headers(&host, false);
        second.request_headers(&host, false);
        let property = || String::from_utf8(host.property(&[PROPERTY]).unwrap()).unwrap();
        assert_eq!(stated(&property(), "consumer"), Some("anna"));
        assert_eq!(stated(&property(), "provider"), Some("b"));
        assert_eq!(stated(&property(), "model"), Some("m=1:x"));
        // Said before, so that it is not said again.
        host.put_body(Body::Request, b"{}");
        first.request_body(&host, 2, true);
        assert_eq!(stated(&property(), "provider"), Some("b"));
    }

    #[test]
    fn where_properties_are_not_shared_all_hear_of_it_when_the_answer_comes() {
        let mut host = ScriptHost::post("/v1/chat/completions");
        host.cannot.insert(Capability::SharedProperties);
        let (mut first, mut second) = (Facts::default(), Facts::default());
        first.begin(&host);
        first.set(&host, Fact::Consumer, "anna");
        first.hand_on(&host);
        second.begin(&host);
        assert_eq!(second.get(&host, Fact::Consumer).as_deref(), Some("anna"));
        second.set(&host, Fact::Provider, "a");
        second.set(&host, Fact::Form, "anthropic");
        second.hand_on(&host);
        assert_eq!(first.get(&host, Fact::Provider), None);
        first.answered(&host);
        assert_eq!(first.get(&host, Fact::Provider).as_deref(), Some("a"));
        assert_eq!(first.get(&host, Fact::Consumer).as_deref(), Some("anna"));
        // Who has said it knows better than to take it for another's.
        assert_eq!(first.of_others(&host, Fact::Form).as_deref(), Some("anthropic"));
        assert_eq!(second.of_others(&host, Fact::Form), None);
    }

    #[test]
    fn each_fact_has_a_place_of_its_own() {
        for (place, fact) in Fact::ALL.into_iter().enumerate() {
            assert_eq!(fact as usize, place, "{fact:?}");
        }
    }

    #[test]
    fn token_counts_are_told_and_read_like_all_else() {
        let host = ScriptHost::post("/v1/chat/completions");
        let usage = Usage { prompt_tokens: 7, cached_tokens: 2, ..Usage::default() };
        let mut facts = Facts::default();
        assert_eq!((facts.usage(&host), facts.get(&host, Fact::Usage)), (None, None));
        facts.set_usage(usage);
        facts.tell(&host);
        let text = r#"{"prompt_tokens":7,"cached_tokens":2}"#;
        let mut others = Facts::default();
        for known in [&mut facts, &mut others] {
            assert_eq!(known.usage(&host), Some(usage));
            assert_eq!(known.get(&host, Fact::Usage).as_deref(), Some(text));
        }
        // Those of an attempt before do not hold.
        let _ = host.set_property(&[PROPERTY], b"");
        facts.ask_anew(&host);
        facts.answered(&host);
        assert_eq!(facts.usage(&host), None);
    }

    #[test]
    fn what_was_assumed_of_an_answer_does_not_hold_once_it_is_there() {
        let host = ScriptHost::post("/v1/chat/completions");
        let mut facts = Facts::default();
        facts.set(&host, Fact::Model, "assumed");
        facts.set(&host, Fact::Consumer, "anna");
        facts.answered(&host);
        assert_eq!(facts.get(&host, Fact::Model), None);
        assert_eq!(facts.get(&host, Fact::Consumer).as_deref(), Some("anna"));
        facts.set(&host, Fact::Model, "found");
        assert_eq!(facts.get(&host, Fact::Model).as_deref(), Some("found"));
    }

    #[test]
    fn nobody_is_told_where_nobody_is() {
        let host = ScriptHost::post("/v1/chat/completions");
        let mut exchange = exchange(&[(Fact::Consumer, "anna"), (Fact::Cluster, "c")], true);
        exchange.request_headers(&host, false);
        let told: Vec<_> = host.properties.borrow().keys().cloned().collect();
        assert_eq!(told, ["ai.cluster"], "which the proxy's routing reads");
    }
}
