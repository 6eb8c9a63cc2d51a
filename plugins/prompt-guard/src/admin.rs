//! The plugin's own endpoint, for who has its key: `POST /_ai/guard/test` says what would become of a request,
//! without sending it to anybody.
//!
//! The body is a request of any API, or `{"text": "..."}`. The answer has `action` (`block`, `flag`, `log` or
//! `allow`), the `rule` that it goes by, `score`, `rules`, the `entities` found and how often, and, if
//! something is masked, the body as it would be sent. A service outside is not asked.

use serde_json::{Value, json};
use shared::admin::{bearer, reply};
use shared::filter::Flow;
use shared::host::Host;
use shared::request::RequestBody;

use crate::config::Action;
use crate::filter::{GuardFilter, Looked};
use crate::mask::Masks;

const PATH: &str = "/_ai/guard/test";

impl GuardFilter {
    /// Whether a request is for the endpoint, and there is one.
    pub(crate) fn is_test(&self, host: &dyn Host) -> bool {
        !self.policy.test_key.is_empty()
            && host.path().is_some_and(|path| path.split('?').next() == Some(PATH))
    }

    /// The answer of the endpoint.
    pub(crate) fn tested(&mut self, host: &dyn Host, body: &RequestBody) -> Flow {
        let error = |status, message: &str| reply(status, &json!({"error": {"message": message}}));
        let answer = if !self.policy.test_key.any_matches(&bearer(host)) {
            error(401, "send the key of the test endpoint as a bearer token")
        } else if host.method().as_deref() != Some("POST") {
            error(405, "use POST")
        } else {
            match self.test(body.text()) {
                Ok(judged) => reply(200, &judged),
                Err(message) => error(400, &message),
            }
        };
        Flow::Respond(Box::new(answer))
    }

    fn test(&mut self, text: &str) -> Result<Value, String> {
        const EXPECTED: &str = "give a request as a client would send it, or `{\"text\": \"...\"}`";
        let body = shared::json::tree(text).map_err(|_| EXPECTED.to_owned())?;
        let asked = match body.get("text") {
            Some(Value::String(text)) => {
                shared::json::text_of(&json!({"messages": [{"role": "user", "content": text}]}))
            }
            _ if body.is_object() => text.to_owned(),
            _ => return Err(EXPECTED.to_owned()),
        };
        let mut body = RequestBody::new(asked.into_bytes()).map_err(|_| EXPECTED.to_owned())?;
        let said = body.said().map_err(|error| crate::filter::malformed(&error))?;
        let texts = said.texts;
        let Looked { findings, edits, .. } = self.look(&texts, &body);
        let judged = self.judge(&texts, &findings);
        let sets: Vec<_> =
            self.policy.fitting(&findings).iter().map(|rules| rules.name.clone()).collect();
        let (action, rule) = match &judged {
            Ok(Action::Flag) => ("flag", None),
            Ok(Action::Log) => ("log", None),
            Ok(_) => ("allow", None),
            Err(refusal) => ("block", Some(refusal.rule.clone())),
        };
        let edits: Vec<_> = edits.iter().map(|(at, with)| (at.clone(), with.as_str())).collect();
        let masked = !edits.is_empty() && body.edit(&edits).is_ok();
        self.masks = Masks::default();
        Ok(json!({
            "action": action,
            "rule": rule,
            "score": findings.score,
            "rules": (sets.into_iter().chain(findings.rules).collect::<Vec<_>>()),
            "entities": findings.kinds,
            "masked": masked.then(|| body.text()),
        }))
    }
}
