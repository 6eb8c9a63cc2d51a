//! Keys and tokens by the marks that their makers put on them, private keys, JSON web tokens,
//! connection strings, and values that are assigned to a name such as `password`.
//!
//! The marks are those that the makers document for secret scanning,
//! <https://docs.github.com/en/code-security/secret-scanning/introduction/supported-secret-scanning-patterns>.

use super::Found;
use super::bytes::{at, before, is_word, run};
use super::entity::Entity;

/// What may follow a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Letters, digits, `_` and `-`, at least so many.
    Token(usize),
    /// The same and dots.
    Dotted(usize),
    /// Capital letters and digits, exactly so many.
    Upper(usize),
    /// Hexadecimal digits, exactly so many.
    Hex(usize),
    /// A JSON web token.
    Jwt,
    /// A block of PEM.
    Pem,
    /// `://`: an address with a password in it.
    Address,
    /// A name to which a secret is assigned.
    Assigned,
    /// What stands up to the next space, as the path of a web hook.
    Path(usize),
}

/// Marks and what follows.
const MARKS: [(&str, Form); 75] = [
    ("sk-ant-", Form::Token(20)),
    ("sk-proj-", Form::Token(20)),
    ("sk-or-v1-", Form::Token(32)),
    ("sk-", Form::Token(20)),
    ("sk_live_", Form::Token(16)),
    ("sk_test_", Form::Token(16)),
    ("rk_live_", Form::Token(16)),
    ("rk_test_", Form::Token(16)),
    ("pk_live_", Form::Token(16)),
    ("whsec_", Form::Token(24)),
    ("AKIA", Form::Upper(16)),
    ("ASIA", Form::Upper(16)),
    ("ABIA", Form::Upper(16)),
    ("ghp_", Form::Token(30)),
    ("gho_", Form::Token(30)),
    ("ghu_", Form::Token(30)),
    ("ghs_", Form::Token(30)),
    ("ghr_", Form::Token(30)),
    ("github_pat_", Form::Token(22)),
    ("glpat-", Form::Token(20)),
    ("gldt-", Form::Token(20)),
    ("glrt-", Form::Token(20)),
    ("xoxb-", Form::Token(20)),
    ("xoxp-", Form::Token(20)),
    ("xoxa-", Form::Token(20)),
    ("xoxr-", Form::Token(20)),
    ("xoxs-", Form::Token(20)),
    ("xoxe-", Form::Token(20)),
    ("xapp-", Form::Token(20)),
    ("AIza", Form::Token(33)),
    ("ya29.", Form::Token(20)),
    ("GOCSPX-", Form::Token(20)),
    ("hf_", Form::Token(30)),
    ("gsk_", Form::Token(40)),
    ("xai-", Form::Token(40)),
    ("pplx-", Form::Token(40)),
    ("r8_", Form::Token(30)),
    ("nvapi-", Form::Token(40)),
    ("fw_", Form::Token(22)),
    ("tgp_v1_", Form::Token(30)),
    ("AGE-SECRET-KEY-1", Form::Upper(58)),
    ("npm_", Form::Token(36)),
    ("pypi-AgE", Form::Token(50)),
    ("rubygems_", Form::Token(40)),
    ("SG.", Form::Dotted(50)),
    ("key-", Form::Hex(32)),
    ("dop_v1_", Form::Hex(64)),
    ("doo_v1_", Form::Hex(64)),
    ("shpat_", Form::Hex(32)),
    ("shpss_", Form::Hex(32)),
    ("shpca_", Form::Hex(32)),
    ("sq0atp-", Form::Token(22)),
    ("sq0csp-", Form::Token(40)),
    ("EAAA", Form::Token(56)),
    ("LTAI", Form::Token(12)),
    ("AKID", Form::Token(32)),
    ("hvs.", Form::Token(24)),
    ("hvb.", Form::Token(24)),
    ("dapi", Form::Hex(32)),
    ("lin_api_", Form::Token(32)),
    ("figd_", Form::Token(32)),
    ("sntrys_", Form::Token(32)),
    ("glsa_", Form::Token(32)),
    ("ATATT3", Form::Token(60)),
    ("ATCTT3", Form::Token(60)),
    ("ntn_", Form::Token(40)),
    ("secret_", Form::Token(40)),
    ("NRAK-", Form::Upper(27)),
    ("PMAK-", Form::Token(40)),
    ("eyJ", Form::Jwt),
    ("-----BEGIN ", Form::Pem),
    ("://", Form::Address),
    ("hooks.slack.com/services/", Form::Path(30)),
    ("AccountKey=", Form::Path(40)),
    ("SharedAccessKey=", Form::Path(30)),
];

/// Names to which secrets are assigned, in small letters, without what joins their words.
const NAMES: [&str; 17] = [
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "api_key",
    "apikey",
    "api-key",
    "access_token",
    "accesstoken",
    "auth_token",
    "private_key",
    "secret_key",
    "client_secret",
    "access_key",
    "密码",
    "密钥",
];

/// Longest key block that is taken for one.
const MAX_PEM: usize = 16 << 10;
/// Longest token that is looked at.
const MAX_TOKEN: usize = 8 << 10;
/// So much of one decides whether it is one. Marks may follow each other closely, and each is looked at.
const DECIDES: usize = 256;
/// Longest head of a JSON web token.
const MAX_HEAD: usize = 1 << 10;

/// All marks.
pub(super) fn marks() -> impl Iterator<Item = (&'static str, Form)> {
    MARKS.into_iter().chain(NAMES.into_iter().map(|name| (name, Form::Assigned)))
}

/// The secret whose mark stands at `start..end`.
pub(super) fn find(text: &[u8], start: usize, end: usize, form: Form) -> Option<Found> {
    let found = |start, end| Found { entity: Entity::Secret, start, end };
    match form {
        Form::Pem => pem(text, start, end).map(|end| found(start, end)),
        Form::Jwt => jwt(text, start).map(|end| found(start, end)),
        Form::Address => {
            let (start, end) = address(text, start, end)?;
            Some(found(start, end))
        }
        Form::Assigned => {
            let (start, end) = assigned(text, start, end)?;
            Some(found(start, end))
        }
        Form::Path(least) => {
            let is = |b| is_token(b) || b"/+=.".contains(&b);
            let count = run(text, end, DECIDES, is);
            (count >= least && varied(text.get(end..end + count)?))
                .then(|| found(start, end + run(text, end, MAX_TOKEN, is)))
        }
        Form::Token(least) => token(text, start, end, least, is_token),
        Form::Dotted(least) => {
            token(text, start, end, least, |byte| is_token(byte) || byte == b'.')
        }
        Form::Upper(count) => {
            exactly(text, start, end, count, |b| b.is_ascii_uppercase() || b.is_ascii_digit())
        }
        Form::Hex(count) => exactly(text, start, end, count, |byte| byte.is_ascii_hexdigit()),
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

fn token(text: &[u8], start: usize, end: usize, least: usize, is: fn(u8) -> bool) -> Option<Found> {
    // `sk-` is the end of many a word.
    if is_word(before(text, start)) {
        return None;
    }
    let count = run(text, end, DECIDES, is);
    let value = text.get(end..end + count)?;
    let digits = value.iter().any(u8::is_ascii_digit);
    let real = count >= least && digits && varied(value);
    // A name in small letters with hyphens is no key.
    let words = value.iter().filter(|byte| **byte == b'-').count() * 5 > count;
    if !real || words {
        return None;
    }
    let count = run(text, end, MAX_TOKEN, is);
    Some(Found { entity: Entity::Secret, start, end: end + count })
}

fn exactly(
    text: &[u8],
    start: usize,
    end: usize,
    count: usize,
    is: fn(u8) -> bool,
) -> Option<Found> {
    let value = text.get(end..end + count)?;
    let closed = !is_word(at(text, end + count)) && !is_word(before(text, start));
    (closed && value.iter().all(|byte| is(*byte)) && varied(value)).then_some(Found {
        entity: Entity::Secret,
        start,
        end: end + count,
    })
}

/// Whether it is no placeholder: `xxxxxxxx`, `your-key-here`, `...EXAMPLE`.
fn varied(value: &[u8]) -> bool {
    let mut seen = 0_u128;
    for byte in value.iter().take(64) {
        seen |= 1_u128.checked_shl(u32::from(*byte)).unwrap_or(0);
    }
    let small = value.get(..value.len().min(64)).unwrap_or_default().to_ascii_lowercase();
    let sample = [&b"example"[..], b"xxxx", b"your", b"placeholder", b"1234567890abcdef"];
    seen.count_ones() >= 8
        && !sample.iter().any(|word| memchr::memmem::find(&small, word).is_some())
}

fn pem(text: &[u8], start: usize, end: usize) -> Option<usize> {
    let window = text.get(start..start.saturating_add(MAX_PEM).min(text.len()))?;
    let label = window.get(end - start..)?;
    let label = label.get(..memchr::memmem::find(label.get(..label.len().min(48))?, b"-----")?)?;
    let private = memchr::memmem::find(label, b"PRIVATE KEY").is_some();
    if !private || label.len() > 40 {
        return None;
    }
    let body = end + label.len() + 5;
    match memchr::memmem::find(window, b"-----END ") {
        Some(close) => {
            let rest = window.get(close + 9..)?;
            let tail = memchr::memmem::find(rest.get(..rest.len().min(64))?, b"-----");
            Some(start + close + 9 + tail.map_or(0, |tail| tail + 5))
        }
        // Cut off, or longer than any: as far as it looks like one.
        None => {
            let is = |b: u8| b.is_ascii_alphanumeric() || b"+/=\r\n\\ -:,".contains(&b);
            let count = run(text, body, MAX_PEM, is);
            (count >= 40).then_some(body + count)
        }
    }
}

/// Three parts of base64url, the first two JSON objects.
fn jwt(text: &[u8], start: usize) -> Option<usize> {
    if is_word(before(text, start)) {
        return None;
    }
    let head = run(text, start, MAX_HEAD, is_token);
    let payload = start + head + 1;
    let starts = text.get(payload..).is_some_and(|rest| rest.starts_with(b"eyJ"));
    if head < 12 || !starts || at(text, payload - 1) != b'.' {
        return None;
    }
    let body = run(text, payload, MAX_TOKEN, is_token);
    let signature = payload + body + 1;
    if body < 8 || at(text, signature - 1) != b'.' {
        return None;
    }
    Some(signature + run(text, signature, MAX_TOKEN, is_token))
}

/// `scheme://user:password@host`: all of it up to the host's end.
fn address(text: &[u8], colon: usize, end: usize) -> Option<(usize, usize)> {
    let scheme =
        super::bytes::run_back(text, colon, 24, |b| b.is_ascii_alphanumeric() || b == b'+');
    let start = colon.checked_sub(scheme).filter(|_| scheme >= 2)?;
    let user = run(text, end, 128, |b| {
        !b.is_ascii_whitespace() && b.is_ascii() && !b":/@\"'<>?#".contains(&b)
    });
    if at(text, end + user) != b':' {
        return None;
    }
    let from = end + user + 1;
    let count = run(text, from, 256, |b| {
        !b.is_ascii_whitespace() && b.is_ascii() && !b"/@\"'<>".contains(&b)
    });
    let password = text.get(from..from + count)?;
    let sample = [&b"password"[..], b"pass", b"pwd", b"****", b"secret"];
    let real = at(text, from + count) == b'@'
        && count >= 3
        && !password.starts_with(b"$")
        && !password.starts_with(b"{")
        && !sample.contains(&password)
        && !password.iter().all(|byte| matches!(byte, b'*' | b'x' | b'X'));
    let host = from + count + 1;
    let host_end =
        host + run(text, host, 255, |b| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b));
    (real && host_end > host).then_some((start, host_end))
}

/// `password = "..."`, `"api_key": "..."`: the value, if it looks like a secret: twelve characters or
/// more of three kinds, or eight in quotes after a name of a password.
fn assigned(text: &[u8], start: usize, end: usize) -> Option<(usize, usize)> {
    if is_word(at(text, end))
        || before(text, start).is_ascii_alphabetic() && at(text, start).is_ascii()
    {
        return None;
    }
    let mut place = end;
    place += run(text, place, 2, |b| b == b'"' || b == b'\'' || b == b' ');
    let rest = text.get(place..)?;
    place += ["=>", ":=", "=", ":", "：", "是"]
        .into_iter()
        .find(|s| rest.starts_with(s.as_bytes()))?
        .len();
    place += run(text, place, 3, |byte| byte == b' ');
    let quote = at(text, place);
    let quoted = matches!(quote, b'"' | b'\'' | b'`');
    let from = place + usize::from(quoted);
    let count = run(text, from, 256, |b| {
        b.is_ascii_graphic() && b != quote && !b"\"'`<>(){}[],;\\".contains(&b)
    });
    let value = text.get(from..from + count)?;
    let kinds = [
        u8::is_ascii_lowercase,
        u8::is_ascii_uppercase,
        u8::is_ascii_digit,
        u8::is_ascii_punctuation,
    ];
    let kinds = kinds.into_iter().filter(|is| value.iter().any(is)).count();
    let digits = value.iter().any(u8::is_ascii_digit);
    let least = if quoted { 8 } else { 12 };
    let code = [&b"$"[..], b"process.", b"os.", b"env.", b"self.", b"config.", b"http"];
    let real = count >= least
        && kinds >= 3
        && digits
        && varied(value)
        && !code.iter().any(|c| value.starts_with(c));
    real.then_some((from, from + count))
}
