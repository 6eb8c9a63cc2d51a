//! What a client shows of itself.

use shared::host::{Host, Map};

/// Headers in which clients show keys.
const HEADERS: [&str; 4] = ["authorization", "x-api-key", "api-key", "x-goog-api-key"];

/// The first credential of a request: OpenAI's clients send `authorization`, Anthropic's `x-api-key`,
/// Azure's `api-key`, Google's `x-goog-api-key` or, if it is allowed, the parameter of this name.
pub fn of(host: &dyn Host, query: Option<&str>) -> Option<String> {
    let header = HEADERS.into_iter().find_map(|name| {
        let value = String::from_utf8(host.header(Map::Request, name)?).ok()?;
        let value = value.trim();
        let value = match name {
            "authorization" => bearer(value)?,
            _ => value,
        };
        (!value.is_empty()).then(|| value.to_owned())
    });
    header.or_else(|| {
        let path = host.path()?;
        let (_, found) = split_query(&path, query?);
        found.filter(|key| !key.is_empty())
    })
}

/// The scheme's name has no case, RFC 9110 section 11.1.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, rest) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| rest.trim())
}

/// Takes all of them off the request, so that no provider gets a client's.
pub fn remove(host: &dyn Host, query: Option<&str>) {
    for name in HEADERS {
        if host.header(Map::Request, name).is_some() {
            let _ = host.remove_header(Map::Request, name);
        }
    }
    remove_query(host, query);
}

/// Takes the key out of the path, whether or not it was the one that counted.
pub fn remove_query(host: &dyn Host, query: Option<&str>) {
    let (Some(name), Some(path)) = (query, host.path()) else { return };
    let (stripped, found) = split_query(&path, name);
    if found.is_some() {
        let _ = host.set_path(&stripped);
    }
}

/// A path without the parameters of this name, and the value of the first of them.
fn split_query(path: &str, name: &str) -> (String, Option<String>) {
    let Some((before, query)) = path.split_once('?') else { return (path.to_owned(), None) };
    let mut found = None;
    let mut kept = Vec::new();
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if key == name {
            found.get_or_insert_with(|| value.to_owned());
        } else {
            kept.push(pair);
        }
    }
    let kept = kept.join("&");
    let path = if kept.is_empty() { before.to_owned() } else { format!("{before}?{kept}") };
    (path, found)
}

#[cfg(test)]
mod tests {
    use shared::host::script::ScriptHost;

    use super::*;

    #[test]
    fn each_clients_way_is_found() {
        for (name, value, expected) in [
            ("authorization", "Bearer k", Some("k")),
            ("authorization", "bearer  k ", Some("k")),
            ("authorization", "Basic k", None),
            ("authorization", "Bearer ", None),
            ("x-api-key", "k", Some("k")),
            ("api-key", "k", Some("k")),
            ("x-goog-api-key", "k", Some("k")),
            ("cookie", "k", None),
        ] {
            let host = ScriptHost::post("/v1/chat/completions?key=q");
            host.put(Map::Request, name, value);
            assert_eq!(of(&host, None).as_deref(), expected, "{name}: {value}");
        }
    }

    #[test]
    fn a_key_in_the_query_counts_if_allowed_and_is_taken_out() {
        let host = ScriptHost::post("/v1beta/models/m:generateContent?alt=sse&key=k&key=l&x");
        assert_eq!(of(&host, None), None);
        assert_eq!(of(&host, Some("key")).as_deref(), Some("k"));
        remove(&host, Some("key"));
        assert_eq!(host.path().unwrap(), "/v1beta/models/m:generateContent?alt=sse&x");
        let host = ScriptHost::post("/v1beta/models/m:generateContent?key=k");
        remove(&host, Some("key"));
        assert_eq!(host.path().unwrap(), "/v1beta/models/m:generateContent");
    }
}
