//! What a client says about caching, in headers.
//!
//! | Header | Meaning |
//! | --- | --- |
//! | `cache-control: no-store` | neither look up nor store |
//! | `cache-control: no-cache` | do not look up, but store |
//! | `cache-control: max-age=N` | nothing older than N seconds |
//! | `cache-control: only-if-cached` | 504 rather than ask a provider |
//! | `x-ai-cache-ttl: N` | keep the answer for N seconds, up to `max_ttl` |
//! | `x-ai-cache-key: TEXT` | apart from requests with another text |
//! | `x-ai-cache-semantic: off` | equal questions only |
//! | `x-ai-cache-threshold: 0.97` | more similar than is configured |

use shared::host::{Host, Map};

/// Headers that are the cache's own, and go no further.
pub const OWN: [&str; 4] =
    ["x-ai-cache-ttl", "x-ai-cache-key", "x-ai-cache-semantic", "x-ai-cache-threshold"];

/// Longest `x-ai-cache-key`, in bytes.
const MAX_KEY: usize = 256;

/// What one request says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Control {
    /// Neither look up nor store.
    pub no_store: bool,
    /// Do not look up.
    pub no_cache: bool,
    /// The oldest answer that will do, in seconds.
    pub max_age: Option<u64>,
    /// Do not ask a provider.
    pub only_if_cached: bool,
    /// A life, in seconds.
    pub ttl: Option<u32>,
    /// Apart from others.
    pub key: String,
    /// Equal questions only.
    pub exact: bool,
    /// A similarity.
    pub threshold: Option<f64>,
}

impl Control {
    /// Reads the headers, and removes those that are the cache's own. The error is for the client.
    pub fn read(host: &dyn Host) -> Result<Control, String> {
        let mut control = Control::default();
        if let Some(value) = header(host, "cache-control") {
            control.standard(&value);
        }
        for name in OWN {
            let Some(value) = header(host, name) else { continue };
            let _ = host.remove_header(Map::Request, name);
            control.own(name, value.trim())?;
        }
        Ok(control)
    }

    fn standard(&mut self, value: &str) {
        for directive in value.split(',') {
            let directive = directive.trim().to_ascii_lowercase();
            match directive.split_once('=') {
                None if directive == "no-store" => self.no_store = true,
                None if directive == "no-cache" => self.no_cache = true,
                None if directive == "only-if-cached" => self.only_if_cached = true,
                Some(("max-age", seconds)) => self.max_age = seconds.trim_matches('"').parse().ok(),
                _ => {}
            }
        }
    }

    fn own(&mut self, name: &str, value: &str) -> Result<(), String> {
        let bad = |expected: &str| Err(format!("the header {name} must be {expected}"));
        match name {
            "x-ai-cache-ttl" => match value.parse() {
                Ok(ttl) => self.ttl = Some(ttl),
                Err(_) => return bad("a number of seconds"),
            },
            "x-ai-cache-key" if value.len() > MAX_KEY => {
                return bad("a text of at most 256 bytes");
            }
            "x-ai-cache-key" => value.clone_into(&mut self.key),
            "x-ai-cache-semantic" => match value {
                "off" => self.exact = true,
                "on" => {}
                _ => return bad("`on` or `off`"),
            },
            _ => match value.parse::<f64>() {
                Ok(value) if (0.0..=1.0).contains(&value) => self.threshold = Some(value),
                _ => return bad("a number from 0 to 1"),
            },
        }
        Ok(())
    }
}

fn header(host: &dyn Host, name: &str) -> Option<String> {
    host.header_text(Map::Request, name)
}

#[cfg(test)]
mod tests {
    use shared::host::script::ScriptHost;

    use super::*;

    fn read(headers: &[(&str, &str)]) -> Result<Control, String> {
        let host = ScriptHost::post("/v1/chat/completions");
        for (name, value) in headers {
            host.put(Map::Request, name, value);
        }
        let control = Control::read(&host);
        assert!(OWN.iter().all(|name| host.text(Map::Request, name).is_none()) || control.is_err());
        control
    }

    #[test]
    fn headers_say_what_is_wanted() {
        let control = read(&[
            ("cache-control", "No-Cache, max-age=60"),
            ("x-ai-cache-ttl", "5"),
            ("x-ai-cache-key", "a b"),
            ("x-ai-cache-semantic", "off"),
            ("x-ai-cache-threshold", "0.95"),
        ]);
        let expected = Control {
            no_cache: true,
            max_age: Some(60),
            ttl: Some(5),
            key: "a b".into(),
            exact: true,
            threshold: Some(0.95),
            ..Control::default()
        };
        assert_eq!(control, Ok(expected));
        assert_eq!(read(&[]), Ok(Control::default()));
        assert!(read(&[("cache-control", "only-if-cached")]).unwrap().only_if_cached);
        assert!(read(&[("cache-control", "no-store")]).unwrap().no_store);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        assert!(read(&[("x-ai-cache-ttl", "soon")]).unwrap_err().contains("x-ai-cache-ttl"));
        assert!(read(&[("x-ai-cache-threshold", "2")]).unwrap_err().contains("threshold"));
        assert!(read(&[("x-ai-cache-semantic", "x")]).unwrap_err().contains("semantic"));
    }
}
