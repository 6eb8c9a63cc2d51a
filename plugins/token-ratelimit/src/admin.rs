//! The plugin's own endpoints, for who has the admin key.
//!
//! | Request | Answer |
//! | --- | --- |
//! | `GET /_ai/limits` | the rules |
//! | `GET /_ai/limits?rule=R&key=K` | where a key stands; `K` as in `overrides`, parts joined by `/` |
//! | `POST /_ai/limits/reset?rule=R&key=K` | gives back what it has used |
//! | `POST /_ai/budgets/topup?rule=R&key=K&amount=N` | adds to its limit, for this window |

use serde_json::{Value, json};
use shared::admin::{bearer, reply};
use shared::audit;
use shared::filter::{CallReply, Reply};
use shared::host::{Call, Host};

use crate::claim::{self, Answer, Claim, Mode};
use crate::limiter::Limiter;
use crate::rule::{Allowance, Rule};
use crate::store::Store;
use crate::store::redis::Asked as AskedThere;

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
        shared::admin::parameters(&self.query).find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

/// What comes of a request for one of the endpoints.
pub enum Said {
    /// This.
    Reply(Reply),
    /// That is known when the store has answered.
    There(Box<There>, Box<Call>),
}

/// A question to a store elsewhere.
pub struct There {
    claim: Claim,
    asked: AskedThere,
}

impl There {
    /// What it has answered comes to.
    pub fn answer(&self, limiter: &Limiter, host: &dyn Host, reply_there: &CallReply) -> Reply {
        let Store::Redis(redis) = &limiter.store else { return unavailable() };
        let claims = std::slice::from_ref(&self.claim);
        let checked = redis.checked(host, &self.asked, claims, reply_there);
        let answer = checked.and_then(|said| said.checked.answers.first().copied());
        match (answer, limiter.rules.get(self.claim.rule)) {
            (Some(answer), Some(rule)) => standing(rule, &answer),
            _ => unavailable(),
        }
    }
}

/// Answers a request for one of the endpoints.
pub fn answer(limiter: &Limiter, host: &dyn Host, asked: &Asked) -> Said {
    match read(limiter, host, asked) {
        Err(reply) => Said::Reply(reply),
        Ok(claim) => {
            if asked.what != What::Show {
                let action = format!("{:?}", asked.what).to_ascii_lowercase();
                let name = limiter.rules.get(claim.rule).map(|rule| rule.name.as_str());
                let more = json!({"rule": name});
                let now = host.now_nanos();
                log::warn!("{}", audit::line(now, "limit_admin", &action, None, more));
            }
            match &limiter.store {
                Store::Redis(redis) => {
                    let (asked, call) =
                        redis.check(host, std::slice::from_ref(&claim), Vec::new(), Vec::new());
                    Said::There(Box::new(There { claim, asked }), Box::new(call))
                }
                Store::Rls(_) => {
                    let message = "the counts are in the rate limit service; ask it";
                    Said::Reply(reply(501, &json!({"error": {"message": message}})))
                }
                Store::Local => {
                    let checked = limiter.check_here(host, std::slice::from_ref(&claim));
                    let answer = checked.answers.first().copied().unwrap_or_default();
                    let rule = limiter.rules.get(claim.rule);
                    Said::Reply(rule.map_or_else(unavailable, |rule| standing(rule, &answer)))
                }
            }
        }
    }
}

/// What is to be done, or what is wrong with it.
fn read(limiter: &Limiter, host: &dyn Host, asked: &Asked) -> Result<Claim, Reply> {
    let wrong = |status, message: &str| reply(status, &json!({"error": {"message": message}}));
    if limiter.admin.is_empty() {
        return Err(wrong(404, "there is no such endpoint"));
    }
    if !limiter.admin.any_matches(&bearer(host)) {
        return Err(wrong(401, "send the admin key as a bearer token"));
    }
    let wanted = if asked.what == What::Show { "GET" } else { "POST" };
    if host.method().as_deref() != Some(wanted) {
        return Err(wrong(405, &format!("use {wanted}")));
    }
    let Some(name) = asked.parameter("rule") else {
        if asked.what == What::Show {
            let rules: Vec<Value> = limiter.rules.iter().map(describe).collect();
            return Err(reply(200, &json!({"rules": rules})));
        }
        return Err(wrong(400, "`rule` is missing"));
    };
    let found = limiter.rules.iter().enumerate().find(|(_, rule)| rule.name == name);
    let Some((index, rule)) = found else { return Err(wrong(404, "there is no such rule")) };
    let Some(key) = rule.key_of(&asked.parameter("key").unwrap_or_default()) else {
        let message =
            "`key` must have the parts of the rule's key, joined by `/` (within one it is `%2F`)";
        return Err(wrong(400, message));
    };
    let terms = match rule.allowance(&key) {
        Allowance::Terms(terms) => terms,
        Allowance::Unlimited => return Err(reply(200, &json!({"rule": name, "unlimited": true}))),
        Allowance::Blocked => return Err(reply(200, &json!({"rule": name, "blocked": true}))),
    };
    let (mode, amount) = match asked.what {
        What::Show => (Mode::Look, 0),
        What::Reset => (Mode::Reset, 0),
        What::TopUp => {
            let amount = asked.parameter("amount").and_then(|text| text.parse::<f64>().ok());
            let Some(amount) = amount.filter(|amount| (0.0..=1e9).contains(amount)) else {
                return Err(wrong(
                    400,
                    "`amount` must be a number, in the rule's unit (of `cost` in US dollars)",
                ));
            };
            (Mode::TopUp, rule.scaled(amount))
        }
    };
    let count = claim::count(&rule.name, &terms, &key);
    Ok(Claim { rule: index, count, terms, amount, mode, marks: Vec::new() })
}

fn unavailable() -> Reply {
    reply(503, &json!({"error": {"message": "the store does not answer; try again"}}))
}

fn standing(rule: &Rule, answer: &Answer) -> Reply {
    let standing = answer.standing;
    reply(
        200,
        &json!({
            "rule": rule.name,
            "limit": rule.shown(standing.limit),
            "used": rule.shown(standing.used),
            "remaining": rule.shown(standing.remaining()),
            "reset_seconds": standing.reset,
        }),
    )
}

fn describe(rule: &Rule) -> Value {
    json!({"name": rule.name, "window": rule.window_name, "unit": rule.unit})
}
