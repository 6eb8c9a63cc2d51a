//! Tokens of issuers: JWS in its compact form, RFC 7515 and RFC 7519.
//!
//! What a token says of itself decides nothing: the issuer's configuration says which algorithms are
//! taken, and each key checks only signatures of its own kind.

mod keyset;
mod verify;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};
use shared::config::ConfigError;
use shared::filter::CallReply;
use shared::host::{Call, CallId, Host};

use crate::config::{self, Algorithm};
use keyset::KeySet;
use verify::{Key, Named};

/// Longest token that is looked at, in bytes.
pub const MAX_TOKEN: usize = 16 << 10;

/// Fewest bytes of a shared secret, RFC 7518 section 3.2.
const MIN_SECRET: usize = 32;

/// Why a token was not taken; for the proxy's log, never for the client.
pub type Reason = &'static str;

/// An issuer, compiled.
#[derive(Debug)]
pub struct Issuer {
    /// Its configuration.
    pub config: config::Jwt,
    keys: KeySet,
}

/// A token, read but not believed.
#[derive(Debug)]
pub struct Token<'a> {
    algorithm: Algorithm,
    kid: Option<String>,
    /// What it claims.
    pub claims: Map<String, Value>,
    signed: &'a str,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    /// Extensions that must be understood; none is.
    #[serde(default)]
    crit: Option<Value>,
}

/// What came of a check.
#[derive(Debug)]
pub enum Checked {
    /// It is the issuer's, and valid now.
    Valid,
    /// It is not.
    Invalid(Reason),
    /// Nobody knows before the issuer's keys have been fetched.
    NeedsKeys(Box<Call>),
    /// Nor now: they could not be fetched, or another request is waiting for them.
    LacksKeys,
}

impl<'a> Token<'a> {
    /// Whether a credential has the form of a token.
    pub fn looks_like_one(text: &str) -> bool {
        text.starts_with("eyJ") && text.split('.').count() == 3
    }

    /// Reads one.
    pub fn read(text: &'a str) -> Result<Token<'a>, Reason> {
        if text.len() > MAX_TOKEN {
            return Err("the token is too long");
        }
        let (signed, signature) = text.rsplit_once('.').ok_or("no token")?;
        let (header, claims) = signed.split_once('.').ok_or("no token")?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| "not base64url");
        let header: Header =
            shared::json::from_bytes(&decode(header)?).map_err(|_| "its header cannot be read")?;
        if header.crit.is_some() {
            return Err("it has extensions that must be understood");
        }
        let algorithm = match header.alg.as_str() {
            "HS256" => Algorithm::Hs256,
            "RS256" => Algorithm::Rs256,
            "ES256" => Algorithm::Es256,
            // RFC 9864 calls it by its curve.
            "EdDSA" | "Ed25519" => Algorithm::EdDsa,
            _ => return Err("its algorithm is not taken"),
        };
        let claims =
            shared::json::from_bytes(&decode(claims)?).map_err(|_| "its claims cannot be read")?;
        let signature = decode(signature)?;
        Ok(Token { algorithm, kid: header.kid, claims, signed, signature })
    }

    /// A claim as text; `path` goes into objects at its dots, unless there is a claim of just this
    /// name.
    pub fn claim(&self, path: &str) -> Option<&Value> {
        if let Some(value) = self.claims.get(path) {
            return Some(value);
        }
        let mut parts = path.split('.');
        let mut value = self.claims.get(parts.next()?)?;
        for part in parts {
            value = value.get(part)?;
        }
        Some(value)
    }

    fn moment(&self, name: &str) -> Result<Option<i64>, Reason> {
        match self.claims.get(name) {
            None => Ok(None),
            // Whole seconds, or a fraction of them.
            Some(Value::Number(number)) => {
                #[allow(clippy::cast_possible_truncation)]
                let seconds = number.as_i64().or_else(|| number.as_f64().map(|f| f as i64));
                Ok(seconds)
            }
            Some(_) => Err("one of its times is no number"),
        }
    }
}

impl Issuer {
    /// Checks a configuration; `path` is where it stands.
    pub fn new(config: config::Jwt, path: &str) -> Result<Issuer, ConfigError> {
        let bad =
            |field: &str, message: &str| Err(ConfigError::new(format!("{path}.{field}"), message));
        if config.issuer.is_empty() {
            return bad("issuer", "must not be empty");
        }
        if config.algorithms.is_empty() {
            return bad("algorithms", "name those that are taken, as `[\"RS256\"]`");
        }
        let mut keys = Vec::new();
        let symmetric = config.algorithms.contains(&Algorithm::Hs256);
        match &config.secret {
            Some(secret) if symmetric => {
                if secret.expose().len() < MIN_SECRET {
                    return bad("secret", "must have 32 characters or more");
                }
                let key = Key::Hmac(secret.expose().as_bytes().to_vec());
                keys.push(Named { kid: None, key });
            }
            Some(_) => return bad("secret", "is for `HS256`, which `algorithms` does not have"),
            None if symmetric => return bad("secret", "`HS256` needs it"),
            None => {}
        }
        if let Some(set) = &config.jwks {
            let found = keyset::read(set);
            if found.is_empty() {
                return bad(
                    "jwks",
                    "has no key that can be used: RSA of 2048 bits, P-256, Ed25519",
                );
            }
            keys.extend(found);
        }
        let asymmetric = config.algorithms.iter().any(|algorithm| *algorithm != Algorithm::Hs256);
        if asymmetric && config.jwks.is_none() && config.jwks_url.is_none() {
            return bad("jwks_url", "name where the issuer's keys are, or give them as `jwks`");
        }
        if config.jwks.is_some() && config.jwks_url.is_some() {
            return bad("jwks_url", "is there besides `jwks`; give one of them");
        }
        if config.jwks_url.as_ref().is_some_and(|fetch| fetch.refresh == 0) {
            return bad("jwks_url.refresh", "must be 1 or more");
        }
        if config.clock_skew > 600 {
            return bad("clock_skew", "must be 600 or less");
        }
        let keys = KeySet::new(keys, config.jwks_url.clone());
        Ok(Issuer { config, keys })
    }

    /// Whether a token is this issuer's and valid at this second.
    pub fn check(&self, host: &dyn Host, token: &Token<'_>, now: i64) -> Checked {
        if !self.config.algorithms.contains(&token.algorithm) {
            return Checked::Invalid("its algorithm is not taken from its issuer");
        }
        let kid = token.kid.as_deref();
        let asymmetric = token.algorithm != Algorithm::Hs256;
        if asymmetric && self.keys.is_fetched() {
            let has = self.keys.has(kid);
            if (!has || self.keys.is_due(host))
                && let Some(call) = self.keys.wanted(host)
            {
                return Checked::NeedsKeys(Box::new(call));
            }
            if !has && self.keys.is_missing() {
                return Checked::LacksKeys;
            }
        }
        // A shared secret has no name.
        let kid = kid.filter(|_| asymmetric);
        let signed = self.keys.any(kid, |named| {
            named.key.algorithm() == token.algorithm
                && named.key.verifies(token.signed.as_bytes(), &token.signature)
        });
        if !signed {
            return Checked::Invalid("no key of its issuer has signed it");
        }
        match self.claims(token, now) {
            Ok(()) => Checked::Valid,
            Err(reason) => Checked::Invalid(reason),
        }
    }

    fn claims(&self, token: &Token<'_>, now: i64) -> Result<(), Reason> {
        let skew = i64::from(self.config.clock_skew);
        let expires = token.moment("exp")?.ok_or("it does not say when it expires")?;
        if now >= expires.saturating_add(skew) {
            return Err("it has expired");
        }
        if token.moment("nbf")?.is_some_and(|from| now < from.saturating_sub(skew)) {
            return Err("it is not valid yet");
        }
        if token.moment("iat")?.is_some_and(|made| now < made.saturating_sub(skew)) {
            return Err("it was made in the future");
        }
        let ours = |audience: &Value| {
            let audience = audience.as_str();
            audience.is_some_and(|name| self.config.audiences.iter().any(|ours| ours == name))
        };
        let for_us = match token.claims.get("aud") {
            _ if self.config.audiences.is_empty() => true,
            Some(Value::Array(audiences)) => audiences.iter().any(ours),
            Some(audience) => ours(audience),
            None => false,
        };
        if for_us { Ok(()) } else { Err("it is for another audience") }
    }

    /// Takes a key set that a request has waited for.
    pub fn fetched(&self, host: &dyn Host, reply: &CallReply) {
        self.keys.fetched(host, reply);
    }

    /// Whether its keys are fetched.
    pub fn fetches(&self) -> bool {
        self.keys.is_fetched()
    }

    /// Fetches its keys if it is time.
    pub fn tick(&self, host: &dyn Host) {
        self.keys.tick(host);
    }

    /// A fetch was answered; false if it was another's.
    pub fn called(&self, host: &dyn Host, id: CallId, reply: &CallReply) -> bool {
        self.keys.called(host, id, reply)
    }
}
