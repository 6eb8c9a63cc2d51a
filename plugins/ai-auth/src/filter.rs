//! The filter: finds out who asks, and what of it is allowed.

use std::rc::Rc;

use shared::config::Mode;
use shared::errors::{ApiError, ErrorKind};
use shared::facts::Fact;
use shared::filter::{CallReply, Cx, Filter, Flow};
use shared::host::{Host, Map};
use shared::multipart;
use shared::request::RequestBody;
use shared::{audit, client};

use crate::access::{Rules, endpoint};
use crate::asked::Asked;
use crate::auth::{Auth, Identity, Pending, Who};
use crate::credentials;

/// One request's part.
pub(crate) struct AuthFilter {
    auth: Rc<Auth>,
    credential: Option<String>,
    pending: Option<Pending>,
    who: Option<Who>,
}

/// Why a request is refused: for the client, and for the log.
struct Refusal {
    error: ApiError,
    reason: String,
}

impl AuthFilter {
    pub(crate) fn new(auth: Rc<Auth>) -> AuthFilter {
        AuthFilter { auth, credential: None, pending: None, who: None }
    }

    fn identified(&mut self, cx: &mut Cx<'_>, identity: Identity) -> Flow {
        match identity {
            Identity::Known(who) => self.admit(cx, *who),
            Identity::Ask(call, pending) => {
                self.pending = Some(pending);
                Flow::Call(call)
            }
            Identity::Unknown(reason) => {
                // One text, whatever was wrong: it tells nobody what to try next.
                let message = "the request has no valid key or token; send one as \
                               `authorization: Bearer ...`";
                let error = ApiError::new(ErrorKind::Authentication, message);
                self.refuse(cx, Refusal { error, reason: reason.into() })
            }
            Identity::Unavailable(reason) => {
                let message = "keys cannot be checked at the moment; try again soon";
                let error = ApiError::new(ErrorKind::Overloaded, message);
                self.refuse(cx, Refusal { error, reason: reason.into() })
            }
        }
    }

    fn admit(&mut self, cx: &mut Cx<'_>, who: Who) -> Flow {
        let access = self.auth.rules(&who);
        let rules = Rules(&access);
        let name = endpoint(cx.endpoint);
        let refusal = if !rules.allow_address(|| client::address(cx.host)) {
            Some(denied("address", "this request is not allowed"))
        } else if !rules.allow_time(cx.host.now_nanos()) {
            Some(denied("hours", "this request is not allowed"))
        } else if !rules.allow_endpoint(name) {
            Some(denied("endpoint", "this API is not allowed for this key"))
        } else {
            None
        };
        state(cx, &who, rules);
        if rules.need_body() {
            cx.read_body();
        }
        self.who = Some(who);
        if self.auth.mode == Mode::Enforce && !self.auth.keep_credentials {
            credentials::remove(cx.host, self.auth.query_key.as_deref());
        }
        refusal.map_or(Flow::Continue, |refusal| self.refuse(cx, refusal))
    }

    fn refuse(&self, cx: &mut Cx<'_>, refusal: Refusal) -> Flow {
        let who = self.who.as_ref();
        let action = match self.auth.mode {
            Mode::DryRun => "would_refuse",
            _ => "refuse",
        };
        let more = serde_json::json!({
            "status": refusal.error.status,
            "rule": refusal.reason,
            "key_id": who.map(|who| who.key_id.as_str()),
            "endpoint": endpoint(cx.endpoint),
        });
        let name = who.map(|who| who.name.as_str());
        let line = audit::line(cx.host.now_nanos(), "auth", action, name, more);
        log::warn!("{line}");
        if self.auth.mode == Mode::DryRun {
            return Flow::Continue;
        }
        cx.facts.set(
            cx.host,
            Fact::Error,
            refusal.error.kind.name(shared::protocol::Vendor::OpenAi),
        );
        let mut reply = refusal.error.reply(cx.endpoint);
        if refusal.error.status == 401 {
            // RFC 9110 section 15.5.2: it says how to do better.
            reply.headers.push(("www-authenticate".into(), "Bearer".into()));
        }
        Flow::Respond(Box::new(reply))
    }

    fn check(&self, cx: &Cx<'_>, who: &Who, body: &mut RequestBody) -> Result<(), Refusal> {
        let access = self.auth.rules(who);
        let rules = Rules(&access);
        if !rules.need_body() {
            return Ok(());
        }
        let path = cx.host.path().unwrap_or_default();
        let asked = asked(cx, &path, body)?;
        // What names no model (a list of files) needs none; what should have one is refused later.
        let mut models = asked.model.iter().chain(&asked.more_models);
        if models.any(|model| !rules.allow_model(model)) {
            return Err(denied("model", "this model is not allowed for this key").with("model"));
        }
        if rules.limit_tools() && asked.tools.iter().any(|tool| !rules.allow_tool(tool)) {
            return Err(
                denied("tool", "one of the tools is not allowed for this key").with("tools")
            );
        }
        if let Some(most) = rules.max_tokens() {
            match asked.max_tokens {
                Some(wanted) if wanted > most => {
                    let message = format!("this key may ask for at most {most} tokens");
                    return Err(denied("max_tokens", &message).with("max_tokens"));
                }
                _ if !asked.can_be_limited() => {}
                _ if !cx.can_change_request() => {
                    let message = format!(
                        "this key may ask for at most {most} tokens; say for how many, as it cannot \
                         be added here"
                    );
                    return Err(denied("max_tokens", &message).with("max_tokens"));
                }
                _ if self.auth.mode == Mode::Enforce => asked.limit_tokens(body, most),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Filter for AuthFilter {
    fn request_head(&mut self, cx: &mut Cx<'_>) -> Flow {
        // The plugins' own endpoints have keys of their own. A path that any API answers is none of them.
        let path = cx.host.path().unwrap_or_default();
        if cx.endpoint.is_none() && path.starts_with("/_ai/") {
            return Flow::Continue;
        }
        let query = self.auth.query_key.as_deref();
        self.credential = credentials::of(cx.host, query);
        let identity = self.auth.identify(cx.host, self.credential.as_deref(), false);
        self.identified(cx, identity)
    }

    fn called(&mut self, cx: &mut Cx<'_>, reply: CallReply) -> Flow {
        let Some(pending) = self.pending.take() else { return Flow::Continue };
        let credential = self.credential.clone().unwrap_or_default();
        let identity = self.auth.answered(cx.host, pending, &credential, &reply);
        self.identified(cx, identity)
    }

    fn request(&mut self, cx: &mut Cx<'_>, body: &mut RequestBody) -> Flow {
        self.credential = None;
        let Some(who) = self.who.clone() else { return Flow::Continue };
        match self.check(cx, &who, body) {
            Ok(()) => Flow::Continue,
            Err(refusal) => self.refuse(cx, refusal),
        }
    }
}

/// What the other plugins are told.
fn state(cx: &mut Cx<'_>, who: &Who, rules: Rules<'_>) {
    let max_tokens = rules.max_tokens().map(|most| most.to_string());
    let facts = [
        (Fact::Consumer, Some(who.name.as_str())),
        (Fact::Groups, Some(who.groups.as_str()).filter(|text| !text.is_empty())),
        (Fact::KeyId, Some(who.key_id.as_str()).filter(|text| !text.is_empty())),
        (Fact::Tags, Some(who.tags.as_str()).filter(|text| !text.is_empty())),
        (Fact::Claims, Some(who.claims.as_str()).filter(|text| !text.is_empty())),
        (Fact::AllowedModels, rules.model_names()),
        (Fact::AllowedRegions, rules.regions()),
        (Fact::MaxTokens, max_tokens.as_deref()),
    ];
    for (fact, value) in facts {
        if let Some(value) = value {
            cx.facts.set(cx.host, fact, value);
        }
    }
}

fn asked(cx: &Cx<'_>, path: &str, body: &RequestBody) -> Result<Asked, Refusal> {
    let unreadable = |message: String| Refusal {
        error: ApiError::new(ErrorKind::InvalidRequest, message),
        reason: "body".into(),
    };
    let content_type = header(cx.host, "content-type");
    if content_type.trim_start().to_ascii_lowercase().starts_with("multipart/") {
        let found = multipart::field(body.bytes(), &content_type, "model");
        let range = found.map_err(|error| unreadable(error.to_string()))?;
        let model = range.and_then(|range| body.bytes().get(range));
        let model = model.map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned());
        return Ok(Asked::of_model(model));
    }
    if !matches!(header(cx.host, "content-encoding").trim(), "" | "identity") {
        let message = "the body is compressed, so that it cannot be checked; send it as it is";
        return Err(Refusal {
            error: ApiError::new(ErrorKind::UnsupportedMediaType, message),
            reason: "body".into(),
        });
    }
    Asked::of(cx.endpoint, path, body).map_err(|error| unreadable(error.0))
}

fn header(host: &dyn Host, name: &str) -> String {
    host.header_text(Map::Request, name).unwrap_or_default()
}

fn denied(reason: &str, message: &str) -> Refusal {
    Refusal { error: ApiError::new(ErrorKind::Permission, message), reason: reason.into() }
}

impl Refusal {
    fn with(mut self, param: &str) -> Refusal {
        self.error = self.error.param(param);
        self
    }
}
