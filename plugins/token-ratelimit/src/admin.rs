//! The plugin's own endpoints, for who has the admin key.
//!
//! | Request | Answer |
//! | --- | --- |
//! | `GET /_ai/limits` | the rules |
//! | `GET /_ai/limits?rule=R&key=K` | where a key stands; `K` as in `overrides`, parts joined by `/` |
//! | `POST /_ai/limits/reset?rule=R&key=K` | gives back what it has used |
//! | `POST /_ai/budgets/topup?rule=R&key=K&amount=N` | adds to its limit, for this window |

use serde_json::{Value, json};
use shared::filter::Reply;
use shared::host::Host;

use crate::account::Terms;
use crate::config::Unit;
use crate::filter::bearer;
use crate::limiter::Limiter;
use crate::rule::{Allowance, Rule};
use crate::store::KeyId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Show,
    Reset,
    TopUp,
}

/// Which endpoint was asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    what: What,
    query: String,
}

impl Asked {
    /// Reads the path; `None` if it is none of them.
    pub fn of(host: &dyn Host) -> Option<Asked> {
        let path = host.path()?;
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        let what = match path {
            "/_ai/limits" => What::Show,
            "/_ai/limits/reset" => What::Reset,
            "/_ai/budgets/topup" => What::TopUp,
            _ => return None,
        };
        Some(Asked { what, query: query.to_owned() })
    }

    fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| decode(value))
    }
}

/// Answers a request for one of the endpoints.
pub fn answer(limiter: &Limiter, host: &dyn Host, asked: &Asked) -> Reply {
    if limiter.admin.is_empty() {
        return reply(404, &json!({"error": {"message": "there is no such endpoint"}}));
    }
    if !limiter.admin.any_matches(&bearer(host)) {
        return reply(401, &json!({"error": {"message": "send the admin key as a bearer token"}}));
    }
    let wanted = if asked.what == What::Show { "GET" } else { "POST" };
    if host.method().as_deref() != Some(wanted) {
        return reply(405, &json!({"error": {"message": format!("use {wanted}")}}));
    }
    let Some(name) = asked.parameter("rule") else {
        if asked.what == What::Show {
            let rules: Vec<Value> = limiter.rules.iter().map(describe).collect();
            return reply(200, &json!({"rules": rules}));
        }
        return reply(400, &json!({"error": {"message": "`rule` is missing"}}));
    };
    let Some(rule) = limiter.rules.iter().find(|rule| rule.name == name) else {
        return reply(404, &json!({"error": {"message": "there is no such rule"}}));
    };
    let key = asked.parameter("key").unwrap_or_default();
    let id = KeyId::new(&rule.name, &key);
    let terms = match rule.allowance(&key) {
        Allowance::Terms(terms) => terms,
        Allowance::Unlimited => return reply(200, &json!({"rule": name, "unlimited": true})),
        Allowance::Blocked => return reply(200, &json!({"rule": name, "blocked": true})),
    };
    match asked.what {
        What::Show => {}
        What::Reset => limiter.store.adjust(host, id, &terms, |account, _| account.reset()),
        What::TopUp => {
            let amount = asked.parameter("amount").and_then(|text| text.parse::<f64>().ok());
            let Some(amount) = amount.filter(|amount| (0.0..=1e9).contains(amount)) else {
                let message =
                    "`amount` must be a number, in the rule's unit (of `cost` in US dollars)";
                return reply(400, &json!({"error": {"message": message}}));
            };
            let amount = if rule.unit == Unit::Cost { amount * 1e9 } else { amount };
            // At most 1e18, as was just checked.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let amount = amount.round() as u64;
            limiter.store.adjust(host, id, &terms, |account, now| {
                account.top_up(&terms, amount, now);
            });
        }
    }
    if asked.what != What::Show {
        let line =
            json!({"event": "limit_admin", "action": format!("{:?}", asked.what), "rule": name});
        log::warn!("{line}");
    }
    reply(200, &standing(limiter, host, rule, id, &terms))
}

fn standing(limiter: &Limiter, host: &dyn Host, rule: &Rule, id: KeyId, terms: &Terms) -> Value {
    let standing = limiter.store.standing(host, id, terms);
    let amount = |value: u64| match rule.unit {
        Unit::Cost => json!(value as f64 / 1e9),
        _ => json!(value),
    };
    json!({
        "rule": rule.name,
        "limit": amount(standing.limit),
        "used": amount(standing.used),
        "remaining": amount(standing.remaining()),
        "reset_seconds": standing.reset,
    })
}

fn describe(rule: &Rule) -> Value {
    json!({"name": rule.name, "window": rule.window_name, "unit": format!("{:?}", rule.unit)})
}

fn reply(status: u16, body: &Value) -> Reply {
    let headers = [("content-type", "application/json"), ("cache-control", "no-store")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    Reply { status, headers, body: body.to_string().into_bytes() }
}

/// `%2F` and `+` of a query.
fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (byte, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(code)) => {
                out.push(code);
                rest = after.get(2..).unwrap_or_default();
            }
            (b'+', _) => {
                out.push(b' ');
                rest = after;
            }
            _ => {
                out.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
