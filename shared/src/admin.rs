//! What the plugins' own endpoints (`/_ai/...`) have in common: queries, the admin key, answers.

use serde_json::Value;

use crate::filter::Reply;
use crate::host::{Host, Map};
use crate::percent::decode_form;

/// The pairs of a query in their order, values decoded. What has no `=` is left out.
pub fn parameters(query: &str) -> impl Iterator<Item = (&str, String)> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key, decode_form(value)))
}

/// The request's `authorization: Bearer KEY`; empty if there is none. To be compared in constant time, see
/// [`Secrets`](crate::config::Secrets).
pub fn bearer(host: &dyn Host) -> Vec<u8> {
    let value = host.header(Map::Request, "authorization").unwrap_or_default();
    match value.split_at_checked(7) {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case(b"bearer ") => key.to_vec(),
        _ => Vec::new(),
    }
}

/// An answer in JSON that nobody on the way keeps.
pub fn reply(status: u16, body: &Value) -> Reply {
    let headers = [("content-type", "application/json"), ("cache-control", "no-store")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    Reply { status, headers, body: crate::json::text_of(body).into_bytes() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::script::ScriptHost;

    #[test]
    fn a_query_is_pairs() {
        let pairs: Vec<_> = parameters("a=1&b&c=x%26y=z&a=2").collect();
        let pair = |key, value: &str| (key, value.to_owned());
        assert_eq!(pairs, [pair("a", "1"), pair("c", "x&y=z"), pair("a", "2")]);
        assert_eq!(parameters("").count(), 0);
    }

    #[test]
    fn a_key_comes_as_a_bearer_token() {
        for (header, key) in [("Bearer k", "k"), ("bearer  k", " k"), ("Basic k", ""), ("B", "")] {
            let host = ScriptHost::default();
            host.put(Map::Request, "authorization", header);
            assert_eq!(bearer(&host), key.as_bytes(), "{header}");
        }
        assert_eq!(bearer(&ScriptHost::default()), b"");
    }
}
