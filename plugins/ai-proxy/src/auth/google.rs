//! Google's service accounts: the account's key signs a claim, and Google's token service gives an
//! access token for it, <https://developers.google.com/identity/protocols/oauth2/service-account#httprest>.
//!
//! Nothing here calls anybody or looks at a clock.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::DecodePrivateKey;
use rsa::sha2::Sha256;
use rsa::signature::{SignatureEncoding, Signer};
use shared::config::{ConfigError, Secret};
use shared::json::{JsonStr, parse};
use shared::write::JsonWriter;

/// What the token is good for: all of Google Cloud, within what the account may do.
pub const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// The content type of [`ServiceAccount::token_request`].
pub const CONTENT_TYPE: &str = "application/x-www-form-urlencoded";

/// The token service of keys that name none.
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";

/// How long a claim holds and a token lives, in seconds; Google allows no more.
const LIFETIME: u64 = 3600;

/// A new token is fetched so many seconds before the old one ends.
const REFRESH_BEFORE: u64 = 300;

/// Google's tokens have a few hundred bytes, those for federated accounts up to 16 KiB.
const MAX_TOKEN_BYTES: usize = 16 << 10;

/// How much of Google's own words an error repeats.
const MAX_QUOTED_CHARS: usize = 200;

/// A service account and its key.
pub struct ServiceAccount {
    email: String,
    key: SigningKey<Sha256>,
    key_id: Option<String>,
    token_uri: String,
}

shared::partial! {
    /// The fields of the JSON file that are used.
    struct KeyFile<'a> {
        kind = "type": JsonStr<'a>,
        client_email: JsonStr<'a>,
        private_key: JsonStr<'a>,
        private_key_id: JsonStr<'a>,
        token_uri: JsonStr<'a>,
    }
}

impl ServiceAccount {
    /// Reads the JSON file that Google Cloud gives for a key. Errors name the field and never quote
    /// what it holds.
    pub fn parse(json: &str) -> Result<ServiceAccount, ConfigError> {
        let file: KeyFile<'_> =
            parse(json).map_err(|bad| ConfigError::new(bad.path, bad.message))?;
        check_kind(file.kind.as_ref())?;
        let email = required(file.client_email.as_ref(), "client_email")?;
        let pem = required(file.private_key.as_ref(), "private_key")?;
        let token_uri = match &file.token_uri {
            Some(uri) => uri.decode().into_owned(),
            None => TOKEN_URI.to_owned(),
        };
        // The signed claim is as good as a password for an hour.
        if !token_uri.starts_with("https://") {
            return Err(ConfigError::new("token_uri", "must begin with https://"));
        }
        Ok(ServiceAccount {
            email,
            key: read_key(&pem)?,
            key_id: file.private_key_id.map(|id| id.decode().into_owned()),
            token_uri,
        })
    }

    /// Where tokens are asked for.
    pub fn token_uri(&self) -> &str {
        &self.token_uri
    }

    /// The body of the request for a token.
    pub fn token_request(&self, now_seconds: u64) -> Result<String, SigningFailed> {
        let assertion = self.assertion(now_seconds)?;
        Ok(format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}"
        ))
    }

    /// The signed claim, a JWT.
    pub fn assertion(&self, now_seconds: u64) -> Result<String, SigningFailed> {
        let mut jwt = encode(&self.header());
        jwt.push('.');
        jwt.push_str(&encode(&self.claims(now_seconds)));
        let signature = self.key.try_sign(jwt.as_bytes()).map_err(|_| SigningFailed)?;
        jwt.push('.');
        jwt.push_str(&URL_SAFE_NO_PAD.encode(signature.to_bytes()));
        Ok(jwt)
    }

    fn header(&self) -> String {
        let mut w = JsonWriter::with_capacity(96);
        w.open('{');
        w.field("alg", "RS256");
        w.field("typ", "JWT");
        if let Some(id) = &self.key_id {
            w.key("kid");
            w.text(id);
        }
        w.close('}');
        w.finish()
    }

    fn claims(&self, now_seconds: u64) -> String {
        let mut w = JsonWriter::with_capacity(256);
        w.open('{');
        w.key("iss");
        w.text(&self.email);
        w.field("scope", SCOPE);
        w.key("aud");
        w.text(&self.token_uri);
        w.key("iat");
        w.value(now_seconds);
        w.key("exp");
        w.value(now_seconds.saturating_add(LIFETIME));
        w.close('}');
        w.finish()
    }
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAccount")
            .field("email", &self.email)
            .field("key", &"***")
            .field("token_uri", &self.token_uri)
            .finish()
    }
}

/// The files of other kinds of credentials look alike and are often taken for this one.
fn check_kind(kind: Option<&JsonStr<'_>>) -> Result<(), ConfigError> {
    let message = match kind.map(JsonStr::decode).as_deref() {
        Some("service_account") => return Ok(()),
        Some("authorized_user") => {
            "is a person's login (`authorized_user`); create a key of a service account instead"
        }
        Some("external_account") => {
            "is workload identity federation (`external_account`), which has no key to sign with; \
             create a key of a service account instead"
        }
        Some(_) => "must be `service_account`",
        None => "is missing; give the JSON file that Google Cloud made for the key, as a whole",
    };
    Err(ConfigError::new("type", message))
}

fn required(value: Option<&JsonStr<'_>>, name: &str) -> Result<String, ConfigError> {
    match value {
        Some(text) if !text.is_empty() => Ok(text.decode().into_owned()),
        _ => Err(ConfigError::new(
            name,
            "is missing; give the JSON file that Google Cloud made for the key, as a whole",
        )),
    }
}

/// Line breaks that were escaped once too often, as environment variables make of them, are mended.
fn read_key(pem: &str) -> Result<SigningKey<Sha256>, ConfigError> {
    let bad = |message: &str| ConfigError::new("private_key", message);
    let pem = pem.replace("\\n", "\n");
    if pem.contains("-----BEGIN RSA PRIVATE KEY-----") {
        return Err(bad(
            "is PKCS #1; Google's keys are PKCS #8 (`BEGIN PRIVATE KEY`): convert it \
                        with `openssl pkcs8 -topk8 -nocrypt`",
        ));
    }
    if pem.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
        return Err(bad("is encrypted; give it without a passphrase"));
    }
    if !pem.contains("-----BEGIN PRIVATE KEY-----") {
        return Err(bad("is not a key in PEM form (`-----BEGIN PRIVATE KEY-----`)"));
    }
    let key = rsa::PrivateKey::from_pkcs8_pem(pem.trim_start())
        .map_err(|_| bad("is damaged, or not an RSA key of 1024 to 8192 bits"))?;
    Ok(SigningKey::new(key))
}

fn encode(json: &str) -> String {
    URL_SAFE_NO_PAD.encode(json)
}

/// The key could not sign; it is smaller than any that Google makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningFailed;

impl fmt::Display for SigningFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the service account's key could not sign")
    }
}

impl std::error::Error for SigningFailed {}

/// An access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What `authorization: Bearer` is followed by.
    pub value: Secret,
    /// When it ends, in seconds since 1970.
    pub expires_at: u64,
}

shared::partial! {
    /// The token service's answer.
    struct Answer<'a> {
        access_token: JsonStr<'a>,
        expires_in: u64,
        token_type: JsonStr<'a>,
        error: JsonStr<'a>,
        error_description: JsonStr<'a>,
    }
}

impl Token {
    /// Reads the token service's answer.
    pub fn read(status: u16, body: &str, now_seconds: u64) -> Result<Token, TokenError> {
        let Ok(answer) = parse::<Answer<'_>>(body) else {
            return Err(TokenError::Failed(format!(
                "status {status}, and no token service's JSON"
            )));
        };
        if let Some(error) = &answer.error {
            return Err(refusal(status, error, answer.error_description.as_ref()));
        }
        let failed = |what: &str| Err(TokenError::Failed(format!("status {status}, {what}")));
        if !(200..300).contains(&status) {
            return failed("without an error's name");
        }
        let Some(value) = answer.access_token else {
            return failed("without `access_token`");
        };
        if answer.token_type.is_some_and(|kind| !kind.decode().eq_ignore_ascii_case("bearer")) {
            return failed("with a `token_type` other than Bearer");
        }
        let value = value.decode().into_owned();
        if value.is_empty() || value.len() > MAX_TOKEN_BYTES || !is_header_value(&value) {
            return failed("with an `access_token` that cannot be sent in a header");
        }
        let lifetime = answer.expires_in.unwrap_or(LIFETIME);
        Ok(Token { value: Secret::new(value), expires_at: now_seconds.saturating_add(lifetime) })
    }

    /// Whether it needs no replacement yet.
    pub fn fresh(&self, now_seconds: u64) -> bool {
        now_seconds.saturating_add(REFRESH_BEFORE) < self.expires_at
    }

    /// Whether it is still good, while a fresh one is fetched.
    pub fn usable(&self, now_seconds: u64) -> bool {
        now_seconds < self.expires_at
    }
}

fn is_header_value(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// Google refuses; asking again helps only after somebody has mended the account or its key.
    Refused(String),
    /// Something failed; asking again later may help.
    Failed(String),
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenError::Refused(why) => write!(f, "Google refuses a token: {why}"),
            TokenError::Failed(why) => write!(f, "Google's token service failed: {why}"),
        }
    }
}

impl std::error::Error for TokenError {}

/// Google's own words; they speak of the account and the claim, never of the key.
fn refusal(status: u16, error: &JsonStr<'_>, description: Option<&JsonStr<'_>>) -> TokenError {
    let mut why = error.decode().into_owned();
    if let Some(description) = description {
        why.push_str(": ");
        why.push_str(&description.decode());
    }
    let why = why.chars().filter(|c| !c.is_control()).take(MAX_QUOTED_CHARS).collect();
    match status {
        408 | 429 | 500.. => TokenError::Failed(why),
        _ => TokenError::Refused(why),
    }
}
