//! How a provider is shown who asks.

pub mod access;
pub mod google;

use std::borrow::Cow;

use shared::errors::{ApiError, ErrorKind};
use shared::host::{Host, Map};

use crate::presets::Auth;
use crate::provider::Provider;
use shared::sigv4::Signable;

/// The headers in which clients show their keys.
pub const CLIENT_HEADERS: [&str; 4] = ["authorization", "x-api-key", "api-key", "x-goog-api-key"];

/// A request that is ready but for its credentials.
#[derive(Clone, Copy)]
pub struct Unsigned<'a> {
    /// Knows the time and, as long as no other is given, the method.
    pub host: &'a dyn Host,
    /// `POST` ..., if it is not that of the client's request.
    pub method: Option<&'static str>,
    /// Path and query, as they are sent.
    pub path: &'a str,
    /// The body.
    pub body: &'a [u8],
}

impl Unsigned<'_> {
    /// Seconds since the Unix epoch.
    fn now(&self) -> u64 {
        self.host.now_nanos() / 1_000_000_000
    }
}

/// The headers that show who asks: with the provider's key of this number, or with the client's own
/// if that is given.
pub fn headers(
    provider: &Provider,
    key: Option<usize>,
    client_key: Option<&str>,
    request: Unsigned<'_>,
) -> Result<Vec<(String, String)>, ApiError> {
    let own = key.and_then(|key| provider.keys.get(key)).map(|key| key.expose());
    let token;
    let key = match (client_key.or(own), &provider.google) {
        (Some(key), _) => key,
        (None, Some(access)) => {
            token = access.token(request.now()).ok_or_else(|| no_token(&provider.name))?;
            token.as_str()
        }
        (None, None) => return Ok(sign(provider, request)),
    };
    Ok(match provider.auth {
        Auth::None if client_key.is_none() => Vec::new(),
        Auth::Header(name) => vec![(name.to_owned(), key.to_owned())],
        Auth::Bearer | Auth::None | Auth::SigV4 | Auth::GoogleServiceAccount => {
            vec![("authorization".to_owned(), format!("Bearer {key}"))]
        }
    })
}

/// Amazon's signature, if the provider has credentials for it.
fn sign(provider: &Provider, request: Unsigned<'_>) -> Vec<(String, String)> {
    let Some(signer) = &provider.signer else { return Vec::new() };
    let sent = || request.host.method().unwrap_or_else(|| "POST".into());
    let method = request.method.map_or_else(|| Cow::Owned(sent()), Cow::Borrowed);
    let signable = Signable {
        method: &method,
        host: &provider.base_url.authority,
        path: request.path,
        headers: &[],
        body: request.body,
        now: request.now(),
    };
    let headers = signer.headers(&signable).into_iter();
    headers.map(|(name, value)| (name.to_owned(), value)).collect()
}

fn no_token(provider: &str) -> ApiError {
    let message = format!("the gateway has no token for provider `{provider}` yet; try again soon");
    ApiError::new(ErrorKind::Overloaded, message)
}

/// The key that the client has sent, wherever it stands.
pub fn client_key(host: &dyn Host) -> Option<String> {
    CLIENT_HEADERS.into_iter().find_map(|name| {
        let value = String::from_utf8(host.header(Map::Request, name)?).ok()?;
        let key = match value.split_once(' ') {
            Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim(),
            _ => value.trim(),
        };
        (!key.is_empty()).then(|| key.to_owned())
    })
}

/// What a client is told whose own key is to be passed on, and who has sent none.
pub fn no_client_key() -> ApiError {
    let message = "this model is used with your own key of its provider; send it as \
                   `authorization: Bearer <key>`";
    ApiError::new(ErrorKind::Authentication, message)
}
