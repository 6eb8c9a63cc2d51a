//! Properties: attributes of the request on Envoy, nginx variables on APISIX.

use super::memory::{give, read, read_name};
use super::{Answer, Ctx, Status, arg};
use crate::emulator::profile::{APISIX_WRITABLE, BRIDGE_VARIABLES, NGINX_READ_ONLY};
use crate::emulator::state::{Phase, State};
use crate::emulator::stream::Stream;

pub(super) fn get(c: &mut Ctx<'_>, path: u32, path_size: u32, out: u32, size: u32) -> Answer {
    let path = arg!(read_name(c, path, path_size));
    let value = if c.data().envoy() {
        envoy_get(c.data_mut(), &path)
    } else if path == "plugin_root_id" {
        Some(c.data().options.plugin_name.clone().into_bytes())
    } else {
        match c.data_mut().stream() {
            None => return Ok(Status::BadArgument),
            Some(_) => apisix_get(c.data_mut(), &path),
        }
    };
    match value {
        Some(value) => give(c, &value, out, size),
        None => Ok(Status::NotFound),
    }
}

pub(super) fn set(c: &mut Ctx<'_>, path: u32, path_size: u32, value: u32, size: u32) -> Answer {
    let path = arg!(read_name(c, path, path_size));
    let value = arg!(read(c, value, size));
    c.data_mut().value = Some(value.clone());
    if !c.data().envoy() {
        return Ok(apisix_set(c.data_mut(), &path, value));
    }
    match c.data_mut().stream() {
        None => Ok(Status::NotFound),
        Some(stream) => {
            // What another plugin has set under this name is gone.
            stream.given.remove(path.as_bytes());
            stream.properties.insert(path.into_bytes(), value);
            Ok(Status::Ok)
        }
    }
}

fn envoy_get(state: &mut State, path: &str) -> Option<Vec<u8>> {
    let log = state.phase == Phase::Log;
    let root = match path {
        "plugin_name" => Some(state.options.plugin_name.clone()),
        "plugin_vm_id" => Some(state.options.vm_id.clone()),
        "plugin_root_id" => Some(String::new()),
        _ => None,
    };
    if let Some(root) = root {
        return Some(root.into_bytes());
    }
    let segments: Vec<&str> = path.split('\0').collect();
    let given_to_all = |(p, _): &&(Vec<String>, Vec<u8>)| *p == segments;
    let to_all = state.options.properties.iter().find(given_to_all).map(|(_, v)| v.clone());
    let Some(stream) = state.stream() else { return to_all };
    let given = stream.given.get(path.as_bytes()).cloned().or(to_all);
    // What a plugin set under a path of several segments cannot be found again: Envoy looks up the
    // first segment, and a string has no parts.
    let own = || stream.properties.get(path.as_bytes()).filter(|_| segments.len() == 1).cloned();
    given.or_else(|| attribute(stream, &segments, log)).or_else(own)
}

/// The attributes that follow from the exchange itself.
fn attribute(stream: &Stream, path: &[&str], log: bool) -> Option<Vec<u8>> {
    let request = (stream.request.visible || log).then_some(&stream.request.headers);
    let response = (stream.response.visible || log).then_some(&stream.response.headers);
    let header = |name| request.and_then(|h| h.bytes(name)).map(Vec::from);
    match path {
        ["request", "path"] => header(":path"),
        ["request", "url_path"] => {
            header(":path").map(|p| p.split(|b| *b == b'?').next().unwrap_or_default().to_vec())
        }
        ["request", "host"] => header(":authority"),
        ["request", "method"] => header(":method"),
        ["request", "scheme"] => header(":scheme"),
        ["request", "headers", name] => header(name),
        ["request", "time"] => Some(stream.started_ns.to_le_bytes().to_vec()),
        ["request", "duration"] => stream.duration_ns.map(|d| d.to_le_bytes().to_vec()),
        ["response", "headers", name] => response.and_then(|h| h.bytes(name)).map(Vec::from),
        ["response", "code"] if stream.response.headers.status() > 0 => {
            Some(u64::from(stream.response.headers.status()).to_le_bytes().to_vec())
        }
        ["response", "code_details"] => {
            let details = stream.details.as_ref().or(stream.local_reply.as_ref());
            details.map(|d| d.clone().into_bytes())
        }
        ["response", "flags"] => Some(stream.flags.to_le_bytes().to_vec()),
        _ => None,
    }
}

fn apisix_get(state: &mut State, path: &str) -> Option<Vec<u8>> {
    let name = path.to_lowercase();
    let given_to_all = |(p, _): &&(Vec<String>, Vec<u8>)| *p == [name.as_str()];
    let to_all = state.options.properties.iter().find(given_to_all).map(|(_, v)| v.clone());
    let declared = declared(state, &name);
    let (phase, clock) = (state.phase, state.clock_ns);
    let stream = state.stream()?;
    if let Some(value) = stream.nginx.variables.get(&name) {
        return Some(value.clone());
    }
    if let Some(given) = stream.given.get(name.as_bytes()) {
        return Some(given.clone());
    }
    let value = nginx_variable(stream, &name, clock, phase).or(to_all);
    // A variable that is declared but was never set is empty.
    value.or_else(|| declared.then(Vec::new))
}

/// What nginx itself knows.
fn nginx_variable(stream: &Stream, name: &str, clock: u64, phase: Phase) -> Option<Vec<u8>> {
    let headers = &stream.nginx.original;
    let header = |name: &str| headers.bytes(name).map(Vec::from);
    let target = header(":path").unwrap_or_default();
    let cut = target.iter().position(|b| *b == b'?').unwrap_or(target.len());
    let query = target.get(cut + 1..).unwrap_or_default();
    if let Some(name) = name.strip_prefix("http_") {
        return stream.request.headers.bytes(&name.replace('_', "-")).map(Vec::from);
    }
    if let Some(name) = name.strip_prefix("sent_http_") {
        return stream.response.headers.bytes(&name.replace('_', "-")).map(Vec::from);
    }
    if let Some(name) = name.strip_prefix("arg_") {
        let pair =
            |p: &&[u8]| p.strip_prefix(name.as_bytes()).is_some_and(|v| v.first() == Some(&b'='));
        let found = query.split(|b| *b == b'&').find(pair)?;
        return Some(found[name.len() + 1..].to_vec());
    }
    match name {
        "host" => header(":authority").map(|h| {
            // Without the port.
            h.split(|b| *b == b':').next().unwrap_or_default().to_ascii_lowercase()
        }),
        "uri" | "document_uri" => {
            Some(stream.nginx.new_path.clone().unwrap_or_else(|| target[..cut].to_vec()))
        }
        "request_uri" => Some(target),
        "args" | "query_string" => Some(query.to_vec()),
        "is_args" => Some(if query.is_empty() { Vec::new() } else { b"?".to_vec() }),
        "request_method" => stream.request.headers.bytes(":method").map(Vec::from),
        "scheme" => Some(header(":scheme").unwrap_or_else(|| b"http".to_vec())),
        "remote_addr" => Some(b"127.0.0.1".to_vec()),
        "server_protocol" => Some(b"HTTP/1.1".to_vec()),
        "content_type" => header("content-type"),
        "content_length" => header("content-length"),
        "request_id" => Some(b"00000000000000000000000000000001".to_vec()),
        "msec" => Some(format!("{}.{:03}", clock / 1_000_000_000, clock / 1_000_000 % 1000).into()),
        "status" if matches!(phase, Phase::ResponseHeaders | Phase::ResponseBody) => {
            Some(format!("{:03}", stream.response.headers.status()).into_bytes())
        }
        _ => None,
    }
}

fn apisix_set(state: &mut State, path: &str, value: Vec<u8>) -> Status {
    let name = path.to_lowercase();
    let declared = declared(state, &name);
    let Some(stream) = state.stream() else { return Status::BadArgument };
    if declared {
        stream.nginx.variables.insert(name, value);
        return Status::Ok;
    }
    let known = NGINX_READ_ONLY.contains(&name.as_str());
    if known { Status::InternalFailure } else { Status::NotFound }
}

fn declared(state: &State, name: &str) -> bool {
    APISIX_WRITABLE.contains(&name)
        || state.options.bridge && BRIDGE_VARIABLES.contains(&name)
        || state.options.nginx_variables.iter().any(|v| v == name)
}
