//! Moderation by a service outside: categories of content (hate, violence ...) that take a model of their
//! own to tell.
//!
//! Sources: <https://platform.openai.com/docs/api-reference/moderations>,
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ApplyGuardrail.html>,
//! <https://help.aliyun.com/document_detail/2671445.html>,
//! <https://cloud.tencent.com/document/api/1124/51860>.

mod sign;
mod verdict;

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use shared::config::{ConfigError, Secret};
use shared::filter::CallReply;
use shared::host::{Call, Host};
use shared::json::JsonStr;
use shared::sigv4::{Signable, Signer};

use crate::config::{self, Service};

/// Longest answer of a service that is read, in bytes.
const MAX_REPLY: usize = 256 << 10;

/// A configured service.
#[derive(Debug)]
pub struct Moderation {
    /// How it is configured.
    pub config: config::Moderation,
    call: Call,
    /// Of Bedrock.
    signer: Option<Signer>,
    id: Secret,
    secret: Secret,
}

impl Moderation {
    /// Checks a configuration.
    pub fn new(config: config::Moderation) -> Result<Moderation, ConfigError> {
        let bad = |field: &str, message: &str| {
            Err(ConfigError::new(format!("moderation.{field}"), message))
        };
        if config.upstream.is_empty() {
            return bad("upstream", "name the service's cluster (on APISIX its `host:port`)");
        }
        if !matches!(config.scheme.as_str(), "http" | "https") {
            return bad("scheme", "must be `http` or `https`");
        }
        if config.timeout_ms == 0 || config.max_characters == 0 || config.max_calls == 0 {
            let message = "`timeout_ms`, `max_characters` and `max_calls` must be 1 or more";
            return bad("timeout_ms", message);
        }
        if config.answer_piece == 0 || config.max_answer_calls == 0 {
            return bad("answer_piece", "and `max_answer_calls` must be 1 or more");
        }
        let signs = matches!(config.service, Service::Bedrock | Service::Aliyun | Service::Tencent);
        let (id, secret) = match (&config.access_key_id, &config.secret_access_key) {
            (Some(id), Some(secret)) => (id.clone(), secret.clone()),
            _ if signs => return bad("access_key_id", "and `secret_access_key` are needed"),
            _ => (Secret::new(""), Secret::new("")),
        };
        if signs && config.region.is_empty() {
            return bad("region", "is needed, as it is signed");
        }
        let region = &config.region;
        let (authority, path) = match config.service {
            Service::Openai => ("api.openai.com".to_owned(), "/v1/moderations".to_owned()),
            Service::Bedrock => {
                let plain = |text: &str| {
                    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric())
                };
                if !plain(&config.guardrail) || !plain(&config.guardrail_version) {
                    return bad("guardrail", "and `guardrail_version` must be letters and digits");
                }
                let (id, version) = (&config.guardrail, &config.guardrail_version);
                let path = format!("/guardrail/{id}/version/{version}/apply");
                (format!("bedrock-runtime.{region}.amazonaws.com"), path)
            }
            Service::Aliyun => (format!("green-cip.{region}.aliyuncs.com"), "/".to_owned()),
            Service::Tencent => ("tms.tencentcloudapi.com".to_owned(), "/".to_owned()),
            Service::Http => {
                if !config.body.contains("{{text}}") {
                    return bad("body", "must have `{{text}}` where the text stands");
                }
                if !config.flagged.starts_with('/') {
                    return bad("flagged", "must be a JSON pointer, as `/result/flagged`");
                }
                (config.upstream.clone(), "/".to_owned())
            }
        };
        let call = Call {
            upstream: config.upstream.clone(),
            scheme: config.scheme.clone(),
            authority: config.authority.clone().unwrap_or(authority),
            method: "POST".into(),
            path: config.path.clone().unwrap_or(path),
            headers: Vec::new(),
            body: Vec::new(),
            timeout: Duration::from_millis(config.timeout_ms.into()),
        };
        let signer = (config.service == Service::Bedrock).then(|| {
            let token = config.session_token.clone();
            Signer::new(id.clone(), secret.clone(), token, region, "bedrock")
        });
        Ok(Moderation { config, call, signer, id, secret })
    }

    /// The texts in pieces that the service takes; `None` if they take more than so many calls.
    pub fn pieces(&self, texts: &[String], most: usize) -> Option<Vec<String>> {
        let mut pieces: Vec<String> = Vec::new();
        let mut room = 0_usize;
        for text in texts {
            for (place, letter) in text.chars().enumerate() {
                // A text begins in the piece that the one before has ended in, if there is room.
                if room == 0 {
                    pieces.push(String::new());
                    room = self.config.max_characters;
                } else if place == 0 {
                    self.add(&mut pieces, '\n');
                }
                self.add(&mut pieces, letter);
                room -= 1;
            }
            if pieces.len() > most {
                return None;
            }
        }
        Some(pieces)
    }

    fn add(&self, pieces: &mut [String], letter: char) {
        if let Some(piece) = pieces.last_mut() {
            piece.push(letter);
        }
    }

    /// The call that has a piece checked; `answer`: it is a model's.
    pub fn call(&self, host: &dyn Host, piece: &str, answer: bool) -> Call {
        let config = &self.config;
        let source = if answer { "OUTPUT" } else { "INPUT" };
        let mut content_type = "application/json";
        let body = match config.service {
            Service::Openai => {
                shared::json::text_of(&json!({"model": config.model, "input": piece}))
            }
            Service::Bedrock => shared::json::text_of(
                &json!({"source": source, "content": [{"text": {"text": piece}}]}),
            ),
            Service::Aliyun => {
                content_type = "application/x-www-form-urlencoded";
                let parameters = shared::json::text_of(&json!({"content": piece}));
                let service = match (&config.model, answer) {
                    (Some(model), _) => model.as_str(),
                    (None, false) => "llm_query_moderation",
                    (None, true) => "llm_response_moderation",
                };
                let (service, parameters) = (sign::encoded(service), sign::encoded(&parameters));
                format!("Service={service}&ServiceParameters={parameters}")
            }
            Service::Tencent => {
                let content = BASE64_STANDARD.encode(piece);
                match &config.model {
                    Some(model) => {
                        shared::json::text_of(&json!({"Content": content, "BizType": model}))
                    }
                    None => shared::json::text_of(&json!({"Content": content})),
                }
            }
            Service::Http => {
                let quoted = |text: &str| JsonStr::encode(text).quoted().to_owned();
                // The text comes last, as it may itself have what looks like a place for another.
                let body = config.body.replace("{{source}}", &quoted(source));
                body.replace("{{text}}", &quoted(piece))
            }
        };
        let mut call = self.call.clone();
        call.body = body.into_bytes();
        call.headers.push(("content-type".into(), content_type.into()));
        let headers = config.headers.iter();
        let headers =
            headers.map(|(name, value)| (name.to_ascii_lowercase(), value.expose().into()));
        call.headers.extend(headers);
        if let Some(key) = &config.api_key {
            call.headers.push(("authorization".into(), format!("Bearer {}", key.expose())));
        }
        let now = host.now_nanos() / 1_000_000_000;
        let (id, secret) = (self.id.expose(), self.secret.expose());
        match (config.service, &self.signer) {
            (Service::Bedrock, Some(signer)) => {
                let signed = signer.headers(&Signable {
                    method: "POST",
                    host: &call.authority,
                    path: &call.path,
                    headers: &[("content-type", content_type)],
                    body: &call.body,
                    now,
                });
                let signed = signed.into_iter().map(|(name, value)| (name.to_owned(), value));
                call.headers.extend(signed);
            }
            (Service::Aliyun, _) => sign::acs3(&mut call, id, secret, now, host.random()),
            (Service::Tencent, _) => sign::tc3(&mut call, id, secret, &config.region, now),
            _ => {}
        }
        call
    }

    /// The categories that a service has found; `None` if it did not answer as it should.
    pub fn verdict(&self, reply: &CallReply) -> Option<Vec<String>> {
        if reply.status != Some(200) || reply.body.len() > MAX_REPLY {
            return None;
        }
        verdict::of(&self.config, &shared::json::tree_of(&reply.body)?)
    }
}
