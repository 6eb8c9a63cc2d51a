//! The plugin's own endpoints.
//!
//! | Request | Answer |
//! | --- | --- |
//! | `GET /_ai/report` | the comparison, as JSON or, for a browser or with `?format=html`, a page |
//! | `GET /_ai/costs` | what each account has used, as JSON or with `?format=csv` |
//! | `POST /_ai/drift/reset` | forgets what is usual, of all or of `?subject=` |
//! | `POST /_ai/feedback?for=F&score=S` | takes a score of 0 to 1 for the answer whose `x-ai-feedback` is F |
//!
//! None has a body: it would only come after the plugins behind this one have refused the path.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use shared::admin::parameters;
use shared::config::Secrets;
use shared::filter::Reply;
use shared::host::{Host, Map};

use crate::metrics::Metrics;
use crate::report::{Contents, costs_csv, costs_json, page, view};

/// The header of an answer that feedback on it names.
pub const FEEDBACK_HEADER: &str = "x-ai-feedback";

/// Where the endpoints are.
const PREFIX: &str = "/_ai/";

/// Stands between the parts of [`FEEDBACK_HEADER`].
const PART: char = '\n';

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Report,
    Costs,
    Reset,
    Feedback,
}

/// Which endpoint was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    what: What,
    query: String,
}

impl Asked {
    /// Reads the path; `None` if it is none of them.
    pub fn of(host: &dyn Host) -> Option<Asked> {
        let path = host.path()?;
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        let what = match path.strip_prefix(PREFIX)? {
            "report" => What::Report,
            "costs" => What::Costs,
            "drift/reset" => What::Reset,
            "feedback" => What::Feedback,
            _ => return None,
        };
        Some(Asked { what, query: query.to_owned() })
    }

    fn parameter(&self, name: &str) -> Option<String> {
        parameters(&self.query).find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

/// Answers a request for one of the endpoints.
pub fn answer(metrics: &Metrics, host: &dyn Host, asked: &Asked) -> Reply {
    let (keys, method) = match asked.what {
        What::Report | What::Costs => (metrics.report.admin_keys(), "GET"),
        What::Reset => (metrics.report.admin_keys(), "POST"),
        What::Feedback => (metrics.report.feedback_keys(), "POST"),
    };
    if keys.is_empty() {
        return error(404, "there is no such endpoint; `report` has no key for it");
    }
    if host.method().as_deref() != Some(method) {
        return error(405, &format!("use {method}"));
    }
    // A browser sends what it has once been told with every request that any page makes.
    if !authorized(host, keys, method == "GET") {
        let mut reply = error(401, "send the key as `authorization: Bearer KEY`");
        if method == "GET" {
            let ask = "Basic realm=\"AI gateway: the admin key as password\"";
            reply.headers.push(("www-authenticate".into(), ask.into()));
        }
        return reply;
    }
    match asked.what {
        What::Report => report(metrics, host, asked),
        What::Costs => costs(metrics, host, asked),
        What::Reset => {
            let subject = asked.parameter("subject");
            let count = metrics.drift.reset(host, subject.as_deref());
            reply(200, "application/json", shared::json::text_of(&json!({ "reset": count })))
        }
        What::Feedback => feedback(metrics, host, asked),
    }
}

fn report(metrics: &Metrics, host: &dyn Host, asked: &Asked) -> Reply {
    let accept = header(host, "accept").unwrap_or_default();
    let html = match asked.parameter("format").as_deref() {
        Some("html") => true,
        Some("json") => false,
        None => accept.contains("text/html"),
        Some(_) => return error(400, "format: expected json or html"),
    };
    let tally = metrics.report.all(host);
    metrics.drift.look(host, &metrics.series);
    let drift = metrics.drift.standings(host);
    let min = metrics.report.min_samples();
    let contents = Contents { tally: &tally, drift: &drift, min, now: host.now_nanos() };
    if html {
        return reply(200, "text/html; charset=utf-8", page(&contents));
    }
    reply(200, "application/json", shared::json::text_of(&view(&contents)))
}

fn costs(metrics: &Metrics, host: &dyn Host, asked: &Asked) -> Reply {
    let tally = metrics.report.all(host);
    match asked.parameter("format").as_deref() {
        Some("csv") => reply(200, "text/csv; charset=utf-8", costs_csv(&tally)),
        None | Some("json") => {
            reply(200, "application/json", shared::json::text_of(&costs_json(&tally)))
        }
        Some(_) => error(400, "format: expected json or csv"),
    }
}

fn feedback(metrics: &Metrics, host: &dyn Host, asked: &Asked) -> Reply {
    let score = asked.parameter("score").and_then(|score| score.parse::<f64>().ok());
    let Some(score) = score.filter(|score| (0.0..=1.0).contains(score)) else {
        return error(400, "score: must be a number between 0 and 1, as in `?for=F&score=0.9`");
    };
    let about = asked.parameter("for").unwrap_or_default();
    let Some(about) = URL_SAFE_NO_PAD.decode(about).ok().and_then(|b| String::from_utf8(b).ok())
    else {
        return error(400, "for: is no value of `x-ai-feedback`");
    };
    let mut parts = about.split(PART);
    let mut part = || parts.next().unwrap_or_default();
    let subject = (part(), part(), part());
    if !metrics.report.feedback(host, &metrics.series, subject, score) {
        return error(404, "for: nothing is known of this model");
    }
    reply(202, "application/json", "{}".into())
}

/// The value of [`FEEDBACK_HEADER`] for an answer of this model.
pub fn feedback_header(provider: &str, model: &str, variant: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{provider}{PART}{model}{PART}{variant}"))
}

/// Whether the request has one of the keys; a browser has it as the password of whatever user.
fn authorized(host: &dyn Host, keys: &Secrets, browser: bool) -> bool {
    let Some(value) = header(host, "authorization") else { return false };
    let Some((scheme, rest)) = value.split_once(' ') else { return false };
    if scheme.eq_ignore_ascii_case("bearer") {
        return keys.any_matches(rest.trim().as_bytes());
    }
    if !scheme.eq_ignore_ascii_case("basic") || !browser {
        return false;
    }
    let Ok(decoded) = STANDARD.decode(rest.trim()) else { return false };
    let password = decoded.splitn(2, |byte| *byte == b':').nth(1);
    password.is_some_and(|password| keys.any_matches(password))
}

fn header(host: &dyn Host, name: &str) -> Option<String> {
    String::from_utf8(host.header(Map::Request, name)?).ok()
}

fn reply(status: u16, content_type: &str, body: String) -> Reply {
    let headers = [
        ("content-type", content_type),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'"),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Reply { status, headers: headers.into(), body: body.into_bytes() }
}

fn error(status: u16, message: &str) -> Reply {
    let body: Value = json!({ "error": { "message": message, "code": status } });
    reply(status, "application/json", shared::json::text_of(&body))
}
