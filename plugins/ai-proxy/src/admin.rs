//! The plugin's own endpoints, for who has the admin key.
//!
//! | Request | Answer |
//! | --- | --- |
//! | `GET /_ai/canaries` | where the canaries stand |
//! | `POST /_ai/canaries/pause?route=R` | the canary stays at its step |
//! | `POST /_ai/canaries/resume?route=R` | it goes on |
//! | `POST /_ai/canaries/promote?route=R` | everybody is sent to the target that is tried |
//! | `POST /_ai/canaries/abort?route=R` | nobody is |

use serde_json::{Value, json};
use shared::admin::reply;
use shared::filter::Reply;
use shared::host::{Host, Map};
use shared::percent;

use crate::gateway::Gateway;
use crate::routing::canary::{Canary, Status};

/// Where they are.
const PATH: &str = "/_ai/canaries";

/// The answer to a request for one of them; none if it is for none.
pub fn answer(gateway: &Gateway, host: &dyn Host) -> Option<Reply> {
    let path = host.path()?;
    let (path, query) = path.split_once('?').unwrap_or((&path, ""));
    let rest = path.strip_prefix(PATH)?;
    if !rest.is_empty() && !rest.starts_with('/') {
        return None;
    }
    Some(answer_to(gateway, host, rest, query))
}

fn answer_to(gateway: &Gateway, host: &dyn Host, rest: &str, query: &str) -> Reply {
    let status = match rest {
        "" => None,
        "/pause" => Some(Status::Paused),
        "/resume" => Some(Status::Running),
        "/promote" => Some(Status::Promoted),
        "/abort" => Some(Status::Aborted),
        _ => return error(404, "there is no such endpoint"),
    };
    if gateway.admin_key.is_empty() {
        return error(404, "there is no such endpoint; `admin_key` is not set");
    }
    let authorization = host.header(Map::Request, "authorization").unwrap_or_default();
    let scheme = authorization.get(..7).unwrap_or_default();
    let key = authorization.get(7..).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case(b"bearer ") || !gateway.admin_key.any_matches(key) {
        return error(401, "send the admin key as `authorization: Bearer KEY`");
    }
    let method = if status.is_some() { "POST" } else { "GET" };
    if host.method().as_deref() != Some(method) {
        return error(405, &format!("use {method}"));
    }
    let canaries = || gateway.routing().canaries();
    let Some(status) = status else {
        let all: Vec<Value> = canaries().map(|canary| standing(canary, host)).collect();
        return reply(200, &json!({ "canaries": all }));
    };
    let route = query.split('&').find_map(|pair| pair.strip_prefix("route="));
    let route = percent::decode(route.unwrap_or_default());
    let Some(canary) = canaries().find(|canary| canary.route() == route) else {
        return error(404, "route: there is no route of this name that has a canary");
    };
    canary.set(host, status);
    reply(200, &standing(canary, host))
}

fn standing(canary: &Canary, host: &dyn Host) -> Value {
    let account = canary.account(host);
    json!({
        "route": canary.route(),
        "status": account.status,
        "step": account.step,
        "percent": canary.percent(&account),
        "since": account.since / 1_000_000_000,
        "tried": account.canary,
        "others": account.stable,
    })
}

fn error(status: u16, message: &str) -> Reply {
    reply(status, &json!({ "error": { "message": message, "code": status } }))
}
