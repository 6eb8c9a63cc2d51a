//! A provider's `base_url`.

/// Where an API begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Host and, if given, port: what is sent as `host`.
    pub authority: String,
    /// The path before the API's own paths, without a slash at the end.
    pub path: String,
}

impl BaseUrl {
    /// Reads `https://host[:port][/path]`.
    pub fn parse(url: &str) -> Result<BaseUrl, &'static str> {
        let (scheme, rest) = match url.split_once("://") {
            Some(("https", rest)) => ("https", rest),
            Some(("http", rest)) => ("http", rest),
            _ => return Err("must begin with https:// or http://"),
        };
        if rest.contains(['?', '#', '@', ' ', '\\']) || !rest.bytes().all(|b| b.is_ascii_graphic())
        {
            return Err("must be of the form https://host[:port][/path], nothing else");
        }
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (host, port) = split_port(authority);
        if host.is_empty() || port.is_some_and(|port| port.parse::<u16>().map_or(true, |p| p == 0))
        {
            return Err("must have a host name and, if any, a port from 1 to 65535");
        }
        let path = path.trim_end_matches('/').to_owned();
        Ok(BaseUrl { scheme, authority: authority.to_ascii_lowercase(), path })
    }

    /// `host:port`, the port being the scheme's if none was given.
    pub fn address(&self) -> String {
        match (split_port(&self.authority).1, self.scheme) {
            (Some(_), _) => self.authority.clone(),
            (None, "http") => format!("{}:80", self.authority),
            (None, _) => format!("{}:443", self.authority),
        }
    }
}

/// An IPv6 address stands in brackets, and only what follows them is a port.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_port_and_path_are_told_apart() {
        for (url, authority, path, address) in [
            ("https://api.openai.com/v1", "api.openai.com", "/v1", "api.openai.com:443"),
            ("https://api.openai.com/v1/", "api.openai.com", "/v1", "api.openai.com:443"),
            ("http://Ollama:11434", "ollama:11434", "", "ollama:11434"),
            ("http://[::1]/a/b", "[::1]", "/a/b", "[::1]:80"),
            ("http://[::1]:8000", "[::1]:8000", "", "[::1]:8000"),
        ] {
            let parsed = BaseUrl::parse(url).unwrap();
            assert_eq!((&*parsed.authority, &*parsed.path), (authority, path), "{url}");
            assert_eq!(parsed.address(), address, "{url}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for url in [
            "",
            "api.openai.com",
            "ftp://a",
            "https://",
            "https:///v1",
            "https://a:0",
            "https://a:x",
            "https://key@host",
            "https://a/v1?key=1",
            "https://a b",
            "https://ä",
        ] {
            assert!(BaseUrl::parse(url).is_err(), "{url}");
        }
    }
}
