//! What the script in Redis (limits.lua) is given, in the form in which Webdis takes it.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::queue::Settlement;
use crate::claim::{Claim, Mode};
use crate::forecast;
use crate::terms::{Kind, Terms};
use crate::window::Window;
use crate::zone::Zone;

/// The keys of a call, each once.
pub(in crate::store) struct Keys<'a> {
    prefix: &'a str,
    pub(in crate::store) list: Vec<String>,
    known: HashMap<String, usize>,
}

impl<'a> Keys<'a> {
    /// None yet; all begin with the prefix.
    pub(in crate::store) fn new(prefix: &'a str) -> Keys<'a> {
        Keys { prefix, list: Vec::new(), known: HashMap::new() }
    }

    /// A key's place, the first being 1.
    pub(in crate::store) fn place(&mut self, name: &str) -> usize {
        if let Some(place) = self.known.get(name) {
            return *place;
        }
        self.list.push(format!("{}:{name}", self.prefix));
        let place = self.list.len();
        self.known.insert(name.to_owned(), place);
        place
    }
}

/// Kind, seconds, offset and burst, as the script has them; the offset at a second where it changes.
fn numbers_of(terms: &Terms, now: i64) -> [Value; 4] {
    let (kind, seconds, offset, burst) = match terms.kind {
        Kind::Windows { window, zone, sliding } => {
            let seconds = match window {
                Window::Seconds(seconds) => json!(seconds),
                Window::Week => json!(-1),
                Window::Month => json!(-2),
            };
            (u8::from(sliding), seconds, offset_of(&zone, now), 0)
        }
        Kind::Bucket { seconds, burst } => (2, json!(seconds), json!(0), burst),
        Kind::Places => (3, json!(0), json!(0), 0),
    };
    [json!(kind), seconds, offset, json!(burst)]
}

/// A number; of a place whose clock is changed the offsets of these years and when they begin.
fn offset_of(zone: &Zone, now: i64) -> Value {
    if let Some(offset) = zone.always() {
        return json!(offset);
    }
    let (first, changes) = zone.changes(now);
    let rest = changes.into_iter().flat_map(|(second, offset)| [second, offset]);
    std::iter::once(first).chain(rest).collect()
}

/// What a claim asks.
pub(in crate::store) fn row_of(claim: &Claim, keys: &mut Keys<'_>, now: i64) -> Value {
    let mode = match claim.mode {
        Mode::Reserve => 0,
        Mode::Force => 1,
        Mode::Look => 2,
        Mode::Reset => 3,
        Mode::TopUp => 4,
    };
    let [kind, seconds, offset, burst] = numbers_of(&claim.terms, now);
    let key = keys.place(&claim.count);
    let mut row = vec![json!(mode), json!(key), kind, json!(claim.terms.limit)];
    row.extend([json!(claim.amount), seconds, offset, burst]);
    row.extend(claim.marks.iter().map(|mark| json!(mark)));
    Value::Array(row)
}

/// What a request that is over has used.
pub(in crate::store) fn over_of(over: &Settlement, keys: &mut Keys<'_>, now: i64) -> Value {
    let lease =
        if over.lease.is_empty() { 0 } else { keys.place(&format!("lease:{}", over.lease)) };
    let rows = over.rows.iter().map(|row| {
        let [kind, seconds, offset, burst] = numbers_of(&row.terms, now);
        let key = keys.place(&row.count);
        let reserved = row.reserved.map_or(json!(-1), |reserved| json!(reserved));
        let limit = json!(row.terms.limit);
        json!([key, kind, limit, seconds, offset, burst, row.actual, reserved])
    });
    json!({"k": lease, "r": over.at, "a": rows.collect::<Vec<_>>()})
}

/// A script without its comments and indents.
pub(in crate::store) fn short(script: &str) -> String {
    let lines = script.lines().map(str::trim).filter(|line| !line.starts_with("--"));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// As an argument of Webdis: a `.` may begin a format, a `?` a query, and a `+` is a space.
pub(in crate::store) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_mul(2));
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.push(char::from(byte)),
            b'-' | b'_' | b',' | b':' | b'(' | b')' | b'[' | b']' | b'=' | b'*' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            _ => {
                const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                out.push('%');
                for nibble in [byte >> 4, byte & 15] {
                    let digit = DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
                    out.push(char::from(digit));
                }
            }
        }
    }
    out
}

/// The key of a count's model.
pub(in crate::store) fn model_of(count: &str) -> String {
    format!("{}:{count}", forecast::FORM)
}
