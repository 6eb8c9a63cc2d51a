//! The list of models that clients can ask for, in the form of whichever API asks.
//!
//! Only those are shown that the consumer may ask for. A prefix (`gpt-*`) stands for names that the gateway does not know, so it is not listed.

use serde_json::{Value, json};
use shared::errors::{ApiError, ErrorKind};
use shared::filter::Reply;
use shared::pattern::Pattern;
use shared::percent;
use shared::protocol::endpoint::{GooglePath, tail};

use crate::gateway::Gateway;

/// Whose form the list has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// <https://platform.openai.com/docs/api-reference/models>
    OpenAi,
    /// <https://docs.anthropic.com/en/api/models-list>
    Anthropic,
    /// <https://ai.google.dev/api/models>
    Google,
}

/// Since when models are here: not known, and clients want a number.
const CREATED: u64 = 0;

/// The models that a consumer may ask for.
#[derive(Debug, Default)]
pub struct Allowed(Option<Vec<Pattern>>);

impl Allowed {
    /// Reads [`Fact::AllowedModels`](shared::facts::Fact::AllowedModels); all, if it is absent.
    pub fn of(fact: Option<&str>) -> Allowed {
        let patterns = |fact: &str| fact.lines().filter_map(|p| Pattern::new(p, "").ok()).collect();
        Allowed(fact.map(patterns))
    }

    fn has(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| pattern.fits(name)))
    }
}

/// Answers with the list, or with the one model that the path names.
pub fn reply(
    gateway: &Gateway,
    form: Form,
    path: &str,
    allowed: &Allowed,
) -> Result<Reply, ApiError> {
    let wanted = match GooglePath::of(path).filter(|_| form == Form::Google) {
        Some(google) => google.model,
        None => {
            let tail = tail(path).unwrap_or_default().split('?').next().unwrap_or_default();
            tail.strip_prefix("/models/").unwrap_or_default()
        }
    };
    let body = if wanted.is_empty() {
        list(gateway, form, allowed)
    } else {
        let wanted = percent::decode(wanted.trim_end_matches('/'));
        let Some(owner) = gateway.owner(&wanted).filter(|_| allowed.has(&wanted)) else {
            let message = "no such model here; GET /v1/models lists those that there are";
            return Err(ApiError::new(ErrorKind::NotFound, message).code("model_not_found"));
        };
        one(form, &wanted, owner)
    };
    Ok(Reply {
        status: 200,
        headers: vec![("content-type".into(), "application/json".into())],
        body: shared::json::text_of(&body).into_bytes(),
    })
}

fn list(gateway: &Gateway, form: Form, allowed: &Allowed) -> Value {
    let mut names = gateway.all_names();
    names.retain(|(name, _)| allowed.has(name));
    let models: Vec<Value> = names.iter().map(|(name, owner)| one(form, name, owner)).collect();
    let (first, last) = (names.first(), names.last());
    match form {
        Form::OpenAi => json!({ "object": "list", "data": models }),
        Form::Anthropic => json!({
            "data": models,
            "has_more": false,
            "first_id": first.map(|(name, _)| name),
            "last_id": last.map(|(name, _)| name),
        }),
        Form::Google => json!({ "models": models }),
    }
}

fn one(form: Form, name: &str, owner: &str) -> Value {
    match form {
        Form::OpenAi => {
            json!({ "id": name, "object": "model", "created": CREATED, "owned_by": owner })
        }
        Form::Anthropic => json!({
            "type": "model",
            "id": name,
            "display_name": name,
            "created_at": "1970-01-01T00:00:00Z",
        }),
        Form::Google => json!({
            "name": format!("models/{name}"),
            "displayName": name,
            "supportedGenerationMethods": ["generateContent", "countTokens", "embedContent"],
        }),
    }
}
