//! Amazon's Signature Version 4,
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.
//!
//! Other clouds sign the same canonical request in other ways, so its parts are public. Nothing here looks
//! at a clock. The path is signed as it is sent, encoded once more, as Amazon does
//! for all of its services but S3.

use std::cell::Cell;
use std::fmt;
use std::fmt::Write as _;

use crate::config::Secret;
use crate::sort;
use crate::text::hex;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SECONDS_A_DAY: u64 = 86_400;

/// Who signs, and for which service where.
pub struct Signer {
    access_key_id: Secret,
    secret_access_key: Secret,
    session_token: Option<Secret>,
    region: String,
    service: String,
    /// The day, since the Unix epoch, and its key: it costs more than all the rest.
    key: Cell<Option<(u64, [u8; 32])>>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({}, {})", self.service, self.region)
    }
}

/// A request that is to be signed.
#[derive(Clone, Copy, Debug)]
pub struct Signable<'a> {
    /// `POST` ...
    pub method: &'a str,
    /// Where it is sent, with the port unless it is the usual one.
    pub host: &'a str,
    /// As it is sent, encoded; the query may follow.
    pub path: &'a str,
    /// Further headers that are signed; the host and the date always are. No proxy on the way may
    /// change them.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
    /// Seconds since the Unix epoch.
    pub now: u64,
}

impl Signer {
    /// Signs for `service` in `region` with these credentials.
    pub fn new(
        access_key_id: Secret,
        secret_access_key: Secret,
        session_token: Option<Secret>,
        region: &str,
        service: &str,
    ) -> Signer {
        Signer {
            access_key_id,
            secret_access_key,
            session_token,
            region: region.to_owned(),
            service: service.to_owned(),
            key: Cell::new(None),
        }
    }

    /// The headers that the request must have besides those that are signed.
    pub fn headers(&self, request: &Signable<'_>) -> Vec<(&'static str, String)> {
        let time = timestamp(request.now);
        let date = time.split('T').next().unwrap_or_default();
        let token = self.session_token.as_ref().map(Secret::expose);
        let mut headers = request.headers.to_vec();
        headers.extend([("host", request.host), ("x-amz-date", &time)]);
        headers.extend(token.map(|token| ("x-amz-security-token", token)));
        let (canonical, signed) = canonical_request(request, &headers);
        let scope = format!("{date}/{}/{}/aws4_request", self.region, self.service);
        let hash = sha256(canonical.as_bytes());
        let to_sign = format!("{ALGORITHM}\n{time}\n{scope}\n{hash}");
        let signature = hex(&hmac(&self.day_key(request.now, date), &to_sign));
        let id = self.access_key_id.expose();
        let authorization = format!(
            "{ALGORITHM} Credential={id}/{scope}, SignedHeaders={signed}, Signature={signature}"
        );
        let token = token.map(|token| ("x-amz-security-token", token.to_owned()));
        let mut added = vec![("authorization", authorization), ("x-amz-date", time.clone())];
        added.extend(token);
        added
    }

    fn day_key(&self, now: u64, date: &str) -> [u8; 32] {
        let day = now / SECONDS_A_DAY;
        if let Some((known, key)) = self.key.get()
            && known == day
        {
            return key;
        }
        let secret = format!("AWS4{}", self.secret_access_key.expose());
        let parts = [date, &self.region, &self.service, "aws4_request"];
        let key = parts.iter().fold(secret.into_bytes(), |key, part| hmac(&key, part).to_vec());
        let key = key.try_into().unwrap_or_default();
        self.key.set(Some((day, key)));
        key
    }
}

/// The request in the form that is hashed, and the names of the headers in it.
pub fn canonical_request(request: &Signable<'_>, headers: &[(&str, &str)]) -> (String, String) {
    let (path, query) = request.path.split_once('?').unwrap_or((request.path, ""));
    let mut all: Vec<(String, String)> = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let (name, value) = (name.to_ascii_lowercase(), one_spaced(value));
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => {
                values.push(',');
                values.push_str(&value);
            }
            None => all.push((name, value)),
        }
    }
    sort::few(&mut all, |a, b| a < b);
    let signed = all.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
    let lines: String = all.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let hash = sha256(request.body);
    let (method, path, query) = (request.method, canonical_path(path), canonical_query(query));
    (format!("{method}\n{path}\n{query}\n{lines}\n{signed}\n{hash}"), signed)
}

/// Without empty and dotted parts, and encoded once more.
fn canonical_path(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let mut out = String::with_capacity(path.len() + 8);
    for part in &parts {
        out.push('/');
        part.bytes().for_each(|byte| encode(byte, &mut out));
    }
    let open = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
    if parts.is_empty() || open {
        out.push('/');
    }
    out
}

/// Sorted, and all encoded in one way.
fn canonical_query(query: &str) -> String {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<_> = pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encoded_once(name), encoded_once(value)))
        .collect();
    sort::few(&mut pairs, |a, b| a < b);
    let pairs: Vec<_> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// What is encoded stays so, in capital letters; what should be is.
fn encoded_once(text: &str) -> String {
    let digit = |byte: Option<u8>| {
        char::from(byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
    };
    let mut out = String::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        match (byte, digit(ahead.next()), digit(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                encode(high << 4 | low, &mut out);
                bytes = ahead;
            }
            _ => encode(byte, &mut out),
        }
    }
    out
}

/// Adds a byte, percent-encoded unless it is a letter, a digit or one of `-_.~`.
pub fn encode(byte: u8, out: &mut String) {
    if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
        out.push(char::from(byte));
    } else {
        let _ = write!(out, "%{byte:02X}");
    }
}

/// Without white space at the ends, and with one space for any other.
fn one_spaced(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `20150830T123600Z`.
pub fn timestamp(now: u64) -> String {
    let mut out = crate::time::stamp(now, "", "");
    out.push('Z');
    out
}

/// HMAC-SHA-256.
pub fn hmac(key: &[u8], text: &str) -> [u8; 32] {
    // A key may have any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

/// SHA-256 in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests;
