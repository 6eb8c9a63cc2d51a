//! What users think of answers: `POST /v1/feedback`.
//!
//! Each answer comes with a token in `x-ai-feedback`, which says what it was and is signed. Whoever
//! sends it back with a score from 0 to 1 has one vote, once, and as the consumer that got the answer.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha2::Sha256;
use shared::config::{ConfigError, Secret, Setting};
use shared::errors::{ApiError, ErrorKind};
use shared::host::{Capability, Host};

use crate::config;

/// The header of an answer that its feedback names.
pub const HEADER: &str = "x-ai-feedback";

/// Bytes of the signature; half of SHA-256's, as RFC 2104 allows.
const SIGNED: usize = 16;

/// Votes are remembered in so many places that the workers share.
const SLOTS: u64 = 64;

/// Votes that one place remembers. Older ones are forgotten, and could be cast again.
const VOTES: usize = 256;

/// How often a change is tried again that another worker was faster with.
const TRIES: u32 = 8;

/// Takes feedback.
#[derive(Debug)]
pub struct Feedback {
    secret: Secret,
    /// In seconds.
    max_age: u64,
    /// The votes where workers share no data.
    own: std::cell::RefCell<VecDeque<u64>>,
}

/// What an answer was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Setting)]
pub struct About {
    /// A number of its own.
    #[serde(rename = "n")]
    id: u64,
    /// When, in seconds since the Unix epoch.
    #[serde(rename = "t")]
    when: u64,
    /// Who asked, as a hash.
    #[serde(rename = "c")]
    consumer: u64,
    /// The provider that answered.
    #[serde(rename = "p")]
    pub provider: String,
    /// Its model.
    #[serde(rename = "m")]
    pub model: String,
    /// The variant of an experiment, or empty.
    #[serde(rename = "v")]
    pub variant: String,
}

/// A vote.
#[derive(Clone, Debug, PartialEq)]
pub struct Vote {
    /// For which answer.
    pub about: About,
    /// 0 to 1.
    pub score: f64,
}

#[derive(Setting)]
#[serde(deny_unknown_fields)]
struct Asked {
    token: String,
    score: f64,
}

impl Feedback {
    /// Checks the configuration.
    pub fn new(given: config::Feedback) -> Result<Feedback, ConfigError> {
        if given.secret.expose().len() < 16 {
            return Err(ConfigError::new("feedback.secret", "must have 16 characters or more"));
        }
        Ok(Feedback {
            secret: given.secret,
            max_age: given.max_age_seconds,
            own: std::cell::RefCell::default(),
        })
    }

    /// The token of an answer.
    pub fn token(
        &self,
        host: &dyn Host,
        consumer: &str,
        (provider, model, variant): (&str, &str, &str),
    ) -> String {
        let about = About {
            id: host.random(),
            when: host.now_nanos() / 1_000_000_000,
            consumer: crate::routing::order::hash(consumer.as_bytes()),
            provider: provider.to_owned(),
            model: model.to_owned(),
            variant: variant.to_owned(),
        };
        let json = serde_json::to_vec(&about).unwrap_or_default();
        let signature = self.mac(&json).finalize().into_bytes();
        let signature = signature.get(..SIGNED).unwrap_or_default();
        format!("{}.{}", BASE64.encode(&json), BASE64.encode(signature))
    }

    /// Takes a vote of this consumer.
    pub fn take(&self, host: &dyn Host, consumer: &str, body: &str) -> Result<Vote, ApiError> {
        let bad = |kind, field: &str, message: &str| {
            Err(ApiError::new(kind, format!("{field}: {message}")).param(field))
        };
        let asked: Asked = match shared::config::document(body) {
            Ok(asked) => asked,
            Err(error) => {
                let message = format!(
                    "expected {{\"token\": <x-ai-feedback of the answer>, \"score\": <0 to 1>}}; {error}"
                );
                return Err(ApiError::new(ErrorKind::InvalidRequest, message));
            }
        };
        if !(0.0..=1.0).contains(&asked.score) {
            return bad(ErrorKind::InvalidRequest, "score", "must be between 0 and 1");
        }
        let Some(about) = self.read(&asked.token) else {
            let message = "is no value of `x-ai-feedback` that this gateway has given";
            return bad(ErrorKind::InvalidRequest, "token", message);
        };
        if about.consumer != crate::routing::order::hash(consumer.as_bytes()) {
            return bad(ErrorKind::Permission, "token", "is of an answer to somebody else");
        }
        let now = host.now_nanos() / 1_000_000_000;
        if now.saturating_sub(about.when) > self.max_age {
            return bad(ErrorKind::InvalidRequest, "token", "is too old");
        }
        if !self.first(host, about.id) {
            let error = ApiError::new(ErrorKind::InvalidRequest, "token: has been used already");
            return Err(error.param("token").code("already_voted").status(409));
        }
        Ok(Vote { about, score: asked.score })
    }

    fn read(&self, token: &str) -> Option<About> {
        let (json, signature) = token.split_once('.')?;
        let json = BASE64.decode(json).ok()?;
        let signature = BASE64.decode(signature).ok()?;
        if signature.len() != SIGNED {
            return None;
        }
        // In constant time.
        self.mac(&json).verify_truncated_left(&signature).ok()?;
        shared::config::record(&json)
    }

    fn mac(&self, bytes: &[u8]) -> Hmac<Sha256> {
        // A key of any length is taken.
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.expose().as_bytes())
            .unwrap_or_else(|_| Hmac::<Sha256>::new(&Default::default()));
        mac.update(bytes);
        mac
    }

    /// Whether this vote has not been cast before; it has been from now on.
    fn first(&self, host: &dyn Host, id: u64) -> bool {
        if !host.can(Capability::SharedData) {
            let mut own = self.own.borrow_mut();
            if own.contains(&id) {
                return false;
            }
            if own.len() >= VOTES {
                own.pop_front();
            }
            own.push_back(id);
            return true;
        }
        let key = format!("ai-proxy.votes.1.{}", id % SLOTS);
        for _ in 0..TRIES {
            let shared = host.shared(&key);
            let version = shared.as_ref().map_or(0, |shared| shared.version);
            let mut votes = shared.map(|shared| shared.value).unwrap_or_default();
            let cast = id.to_le_bytes();
            if votes.chunks_exact(cast.len()).any(|vote| vote == cast) {
                return false;
            }
            let over = (votes.len() + cast.len()).saturating_sub(VOTES * cast.len());
            votes.drain(..over.min(votes.len()));
            votes.extend_from_slice(&cast);
            if host.set_shared(&key, &votes, version).is_ok() {
                return true;
            }
        }
        // Not to be counted twice is more than to be counted.
        false
    }
}

#[cfg(test)]
mod tests {
    use shared::host::script::ScriptHost;

    use super::*;

    fn feedback(secret: &str) -> Feedback {
        let given = serde_json::json!({"secret": secret, "max_age_seconds": 100});
        Feedback::new(shared::config::document(&given.to_string()).unwrap()).unwrap()
    }

    fn body(token: &str, score: f64) -> String {
        format!(r#"{{"token":"{token}","score":{score}}}"#)
    }

    #[test]
    fn one_vote_for_whoever_got_the_answer() {
        let (host, feedback) = (ScriptHost::default(), feedback("0123456789abcdef"));
        let token = feedback.token(&host, "ann", ("openai", "gpt-5", "tone=warm"));
        let take = |consumer: &str, token: &str, score| {
            feedback.take(&host, consumer, &body(token, score)).map_err(|error| error.message)
        };
        assert!(take("bob", &token, 1.0).unwrap_err().contains("somebody else"));
        assert!(take("ann", &token, 2.0).unwrap_err().starts_with("score: "));
        let vote = take("ann", &token, 0.5).unwrap();
        assert_eq!((vote.about.model.as_str(), vote.score), ("gpt-5", 0.5));
        assert!(take("ann", &token, 0.5).unwrap_err().contains("already"));
        let other = feedback.token(&host, "ann", ("openai", "gpt-5", ""));
        host.now_nanos.set(101_000_000_000);
        assert!(take("ann", &other, 0.5).unwrap_err().contains("too old"));
    }

    #[test]
    fn a_token_that_was_made_up_or_changed_is_refused() {
        let (host, ours) = (ScriptHost::default(), feedback("0123456789abcdef"));
        let theirs = feedback("fedcba9876543210").token(&host, "ann", ("a", "b", ""));
        let mut changed = ours.token(&host, "ann", ("a", "b", ""));
        changed.insert(3, 'x');
        for token in [theirs.as_str(), changed.as_str(), "", "a.b"] {
            let error = ours.take(&host, "ann", &body(token, 1.0)).unwrap_err();
            assert!(error.message.contains("is no value of"), "{}", error.message);
        }
    }
}
