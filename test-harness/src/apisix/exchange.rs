//! One request on its way: the route's plugins in order, the upstream, the answer in pieces.

use std::sync::Arc;
use std::time::Duration;

use super::bridge::{self, Variables};
use super::client::{self, NoAnswer, Outgoing};
use super::nginx::{self, Page};
use super::server::{Left, Shared, ToClient};
use super::site::{Plugin, Route, Upstream};
use super::wire::Body;
use super::worker::{Instances, Worker};
use crate::emulator::{Callout, Exchange, Finish, Headers};

/// By this header a test tells mock-llm what to do. A plugin's call has headers of its own only, so it is
/// given to that as well.
const SCRIPT: &str = "x-mock-llm";
/// nginx hands an answer on in buffers of this size.
const BUFFER: usize = 8 << 10;

/// A request as the client sent it.
pub(super) struct Received {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: Headers,
    pub(super) body: Vec<u8>,
    /// What nginx knows about it: `remote_addr`, `server_protocol`.
    pub(super) given: Vec<(&'static str, String)>,
}

/// The state of a request in its worker: what outlives an abandoned driver.
pub(super) struct Open {
    worker: Worker,
    /// The exchanges of the route's Wasm plugins, in order.
    pub(super) ids: Vec<u64>,
}

impl Open {
    pub(super) fn new(worker: Worker) -> Open {
        Open { worker, ids: Vec::new() }
    }

    /// Ends the exchanges; what the variables were then.
    pub(super) fn finish(&self, how: Finish) -> Variables {
        let ids = self.ids.clone();
        let job = move |instances: &mut Instances| {
            let mut variables = Variables::new();
            for id in ids {
                let Some(exchange) = instances.exchanges.remove(&id) else { continue };
                let message = exchange.client_response();
                let over = message.complete || message.reset;
                exchange.finish(if over { how } else { Finish::ClientDisconnect });
                variables.extend(exchange.properties());
            }
            variables
        };
        self.worker.run(job)
    }

    fn with<T: Send + 'static>(
        &self,
        id: u64,
        job: impl FnOnce(&Exchange) -> T + Send + 'static,
    ) -> T {
        self.worker.run(move |instances| job(&instances.exchanges[&id]))
    }
}

/// How the request phases ended.
enum Asked {
    /// To this upstream, with this request.
    Send { upstream: Upstream, headers: Headers, variables: Variables, body: Vec<u8> },
    /// Answered here; the exchange of this place gave the answer itself.
    Answer { page: Page, by: Option<usize>, variables: Variables },
}

/// Runs a request. How it ended, unless the client has left.
pub(super) fn run(
    shared: &Arc<Shared>,
    route: usize,
    received: &Received,
    open: &mut Open,
    to: &mut ToClient,
) -> Result<Finish, Left> {
    let number = route;
    let asked = request(shared, number, received, open);
    let route = &shared.site.routes[number];
    if let Asked::Answer { .. } = &asked {
        // Those that come after get the answer's callbacks without ever having seen the request.
        for (name, _) in route.wasm().skip(open.ids.len()).map(|(n, c)| (n.to_owned(), c)) {
            let id = open.worker.run(move |all| all.begin(&name, number));
            open.ids.push(id);
        }
    }
    match asked {
        Asked::Answer { page, by, variables } => local(route, open, to, page, by, variables),
        Asked::Send { upstream, headers, variables, body } => {
            let set = |name: &str| variables.get(name).filter(|value| !value.is_empty());
            let path = set("upstream_uri").map(|path| String::from_utf8_lossy(path).into_owned());
            let host = match set("upstream_host") {
                Some(host) if upstream.pass_host => host.clone(),
                _ if upstream.pass_host => headers.bytes("host").unwrap_or_default().to_vec(),
                _ => upstream.node.clone().into_bytes(),
            };
            let outgoing = Outgoing {
                scheme: &upstream.scheme,
                address: &upstream.node,
                method: &received.method,
                path: path.as_deref().unwrap_or(&received.target),
                host: &host,
                headers: &headers,
                body: &body,
                wait: Duration::from_millis(upstream.read_timeout_ms),
            };
            match client::send(&shared.connect_to, &outgoing) {
                Ok((head, body)) => answer(route, open, to, head, body, variables),
                Err(NoAnswer::Broken) => {
                    local(route, open, to, nginx::page(502, "Bad Gateway"), None, variables)
                }
                Err(NoAnswer::Late) => {
                    local(route, open, to, nginx::page(504, "Gateway Time-out"), None, variables)
                }
            }
        }
    }
}

fn request(
    shared: &Arc<Shared>,
    route_number: usize,
    received: &Received,
    open: &mut Open,
) -> Asked {
    let route = &shared.site.routes[route_number];
    let mut headers = received.headers.clone();
    let mut variables = Variables::new();
    let mut body = received.body.clone();
    let mut upstream = route.upstream.clone();
    for plugin in &route.plugins {
        match plugin {
            Plugin::KeyAuth { header, hidden } => {
                let key = headers.get(header).unwrap_or_default().to_owned();
                let message = if key.is_empty() {
                    r#"{"message":"Missing API key in request"}"#
                } else {
                    r#"{"message":"Invalid API key in request"}"#
                };
                let Some(consumer) = shared.site.keys.get(&key) else {
                    return Asked::Answer { page: nginx::json(401, message), by: None, variables };
                };
                if *hidden {
                    headers.remove(header);
                }
                headers.set("x-consumer-username", consumer);
            }
            Plugin::Wasm(name, _) => {
                let place = open.ids.len();
                let (name, shared) = (name.clone(), Arc::clone(shared));
                let id = open.worker.run(move |all| all.begin(&name, route_number));
                open.ids.push(id);
                // The path stays the client's for every plugin.
                headers.set(":method", &received.method);
                headers.set(":path", &received.target);
                match wasm(&shared, open, id, received, headers.clone(), &variables) {
                    Ok((next, set)) => {
                        headers = next;
                        variables.extend(set);
                    }
                    Err((page, set)) => {
                        variables.extend(set);
                        return Asked::Answer { page, by: Some(place), variables };
                    }
                }
            }
            Plugin::BridgesRequests => {
                if let Some(instead) = bridge::instead(&variables, "wasm_req_body") {
                    body = instead;
                }
            }
            Plugin::TrafficSplit(targets) => {
                let value = |name: &str| match name.strip_prefix("http_") {
                    Some(header) => headers.bytes(&header.replace('_', "-")).map(<[u8]>::to_vec),
                    None => variables.get(name).cloned(),
                };
                let fits = |(name, wanted, _): &&(String, String, Upstream)| {
                    value(name).is_some_and(|value| value == wanted.as_bytes())
                };
                if let Some((_, _, to)) = targets.iter().find(fits) {
                    upstream = Some(to.clone());
                }
            }
        }
    }
    match upstream {
        Some(upstream) => Asked::Send { upstream, headers, variables, body },
        None => {
            let page = nginx::json(502, r#"{"error_msg":"502 Bad Gateway: no upstream"}"#);
            Asked::Answer { page, by: None, variables }
        }
    }
}

/// The request phase of one Wasm plugin: headers, or its answer, and variables as it leaves them.
fn wasm(
    shared: &Arc<Shared>,
    open: &Open,
    id: u64,
    received: &Received,
    headers: Headers,
    variables: &Variables,
) -> Result<(Headers, Variables), (Page, Variables)> {
    let given: Vec<_> = received.given.iter().map(|(n, v)| (*n, v.clone())).collect();
    let before = variables.clone();
    let empty = received.body.is_empty();
    open.with(id, move |exchange| {
        for (name, value) in &given {
            exchange.set_property(&[name], value);
        }
        for (name, value) in &before {
            exchange.set_property(&[name], value);
        }
        exchange.request_headers(headers, empty);
    });
    calls(shared, open, id, received);
    if !empty {
        let body = received.body.clone();
        open.with(id, move |exchange| {
            exchange.request_body(body, true);
        });
        calls(shared, open, id, received);
    }
    open.with(id, |exchange| {
        let reply = exchange.client_response();
        let variables = exchange.properties().into_iter().collect();
        if reply.local_reply.is_some() {
            let body = reply.body();
            return Err((Page { headers: reply.message.headers, body }, variables));
        }
        let sent = exchange.upstream_request().expect("a request is let go or answered");
        Ok((sent.headers, variables))
    })
}

/// Makes a plugin's calls, one after the other, until it wants no more.
fn calls(shared: &Arc<Shared>, open: &Open, id: u64, received: &Received) {
    while let Some(callout) = open.with(id, |exchange| exchange.callouts().into_iter().next()) {
        let reply = call(shared, &callout, received.headers.bytes(SCRIPT));
        open.with(id, move |exchange| match reply {
            Ok((headers, body)) => exchange.answer_callout(callout.id, headers, body),
            Err(_) => exchange.fail_callout(callout.id),
        });
    }
}

fn call(
    shared: &Arc<Shared>,
    callout: &Callout,
    script: Option<&[u8]>,
) -> Result<(Headers, Vec<u8>), NoAnswer> {
    let mut headers = callout.headers.clone();
    if let Some(script) = script {
        headers.set(SCRIPT, script);
    }
    let header = |name: &str| callout.headers.get(name).unwrap_or_default();
    let outgoing = Outgoing {
        scheme: header(":scheme"),
        address: &callout.upstream,
        method: header(":method"),
        path: header(":path"),
        host: header(":authority").as_bytes(),
        headers: &headers,
        body: &callout.body,
        wait: Duration::from_millis(u64::from(callout.timeout_ms).max(1)),
    };
    let (head, mut body) = client::send(&shared.connect_to, &outgoing)?;
    Ok((head, body.whole().map_err(|_| NoAnswer::Broken)?))
}

/// An answer made here goes through the response phases too: of every plugin, whether or not it has seen
/// the request.
fn local(
    route: &Route,
    open: &mut Open,
    to: &mut ToClient,
    page: Page,
    by: Option<usize>,
    mut variables: Variables,
) -> Result<Finish, Left> {
    let mut headers = page.headers;
    let began = open.ids.clone();
    for (place, id) in began.iter().enumerate() {
        if by != Some(place) {
            headers = head_through(open, *id, headers, &mut variables);
        }
    }
    // The exchange that answered has seen its own answer already.
    let seen: Vec<u64> =
        began.iter().enumerate().filter(|(p, _)| by != Some(*p)).map(|(_, id)| *id).collect();
    to.head(&headers)?;
    for piece in page.body.chunks(BUFFER) {
        to.piece(&piece_through(route, open, &seen, piece.to_vec(), false))?;
    }
    to.piece(&piece_through(route, open, &seen, Vec::new(), true))?;
    to.end()?;
    Ok(Finish::Complete)
}

fn answer(
    route: &Route,
    open: &mut Open,
    to: &mut ToClient,
    head: Headers,
    mut body: Body,
    mut variables: Variables,
) -> Result<Finish, Left> {
    let ids = open.ids.clone();
    let mut headers = head;
    for id in &ids {
        headers = head_through(open, *id, headers, &mut variables);
    }
    to.head(&headers)?;
    loop {
        let Ok(data) = body.piece() else { return Ok(Finish::UpstreamReset) };
        if data.is_empty() {
            to.piece(&piece_through(route, open, &ids, Vec::new(), true))?;
            to.end()?;
            return Ok(Finish::Complete);
        }
        for piece in data.chunks(BUFFER) {
            to.piece(&piece_through(route, open, &ids, piece.to_vec(), false))?;
        }
    }
}

/// Shows the head of an answer to a plugin: headers as it leaves them. Variables are the request's, whoever
/// has set them.
fn head_through(open: &Open, id: u64, headers: Headers, variables: &mut Variables) -> Headers {
    let before = variables.clone();
    let (headers, after) = open.with(id, move |exchange| {
        for (name, value) in &before {
            exchange.set_property(&[name], value);
        }
        exchange.response_to_unseen_request(headers, false);
        (exchange.client_response().message.headers, exchange.properties())
    });
    variables.extend(after);
    headers
}

/// Shows a piece of an answer to every plugin; what goes out.
fn piece_through(route: &Route, open: &Open, ids: &[u64], piece: Vec<u8>, end: bool) -> Vec<u8> {
    let mut variables = Variables::new();
    for id in ids {
        let piece = piece.clone();
        let set = open.with(*id, move |exchange| {
            exchange.response_body(piece, end);
            ["wasm_resp_body", "wasm_resp_body_set"]
                .map(|name| exchange.property(&[name]).map(|value| (name.to_owned(), value)))
        });
        variables.extend(set.into_iter().flatten());
    }
    let instead = route.bridges_answers.then(|| bridge::instead(&variables, "wasm_resp_body"));
    instead.flatten().unwrap_or(piece)
}
