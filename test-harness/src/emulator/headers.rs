//! Header maps as the hosts keep them: ordered, several values a name, values of any bytes.

use std::fmt;

/// An ordered list of headers. Names compare without regard to case; a value need not be UTF-8.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    /// No headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// The first value of `name` as text, `None` if it is absent or not UTF-8.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.bytes(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The first value of `name`.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_slice())
    }

    /// Every value of `name`, in order.
    pub fn all(&self, name: &str) -> Vec<&[u8]> {
        let same = |(n, _): &&(String, Vec<u8>)| n.eq_ignore_ascii_case(name);
        self.0.iter().filter(same).map(|(_, v)| v.as_slice()).collect()
    }

    /// True if there is a header of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.bytes(name).is_some()
    }

    /// Makes `value` the only value of `name`, in the place of the first one there was.
    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) {
        let value = value.as_ref().to_vec();
        let mut value = Some(value);
        self.0.retain_mut(|(n, v)| {
            if !n.eq_ignore_ascii_case(name) {
                return true;
            }
            value.take().map(|new| *v = new).is_some()
        });
        if let Some(value) = value {
            self.0.push((name.to_string(), value));
        }
    }

    /// Adds a value, whether or not the name is there already.
    pub fn add(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.0.push((name.to_string(), value.as_ref().to_vec()));
    }

    /// Removes every value of `name`.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_slice()))
    }

    /// The number of values.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if there is no header at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `:status` as a number, 0 if there is none.
    pub fn status(&self) -> u16 {
        self.get(":status").and_then(|s| s.parse().ok()).unwrap_or(0)
    }

    /// Envoy keeps every name in lower case.
    pub(crate) fn lowercased(mut self) -> Self {
        for (name, _) in &mut self.0 {
            name.make_ascii_lowercase();
        }
        self
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |v: &[u8]| String::from_utf8_lossy(v).into_owned();
        f.debug_map().entries(self.0.iter().map(|(n, v)| (n, text(v)))).finish()
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(items: I) -> Self {
        let own = |(n, v): (N, V)| (n.as_ref().to_string(), v.as_ref().to_vec());
        Self(items.into_iter().map(own).collect())
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> From<&[(N, V)]> for Headers {
    fn from(items: &[(N, V)]) -> Self {
        items.iter().map(|(n, v)| (n, v)).collect()
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>, const C: usize> From<&[(N, V); C]> for Headers {
    fn from(items: &[(N, V); C]) -> Self {
        items.as_slice().into()
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>, const C: usize> From<[(N, V); C]> for Headers {
    fn from(items: [(N, V); C]) -> Self {
        items.as_slice().into()
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> From<Vec<(N, V)>> for Headers {
    fn from(items: Vec<(N, V)>) -> Self {
        items.into_iter().collect()
    }
}

impl From<&Headers> for Headers {
    fn from(headers: &Headers) -> Self {
        headers.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_a_header_replaces_all_its_values_in_place() {
        let mut headers = Headers::from(&[("a", "1"), ("b", "2"), ("A", "3")]);
        headers.set("a", "4");
        assert_eq!(headers, Headers::from(&[("a", "4"), ("b", "2")]));
        headers.set("c", "5");
        assert_eq!(headers.get("C"), Some("5"));
    }

    #[test]
    fn a_value_that_is_not_text_is_still_there_as_bytes() {
        let headers = Headers::from(&[("x", b"\xff\xfe".as_slice())]);
        assert_eq!(headers.get("x"), None);
        assert_eq!(headers.bytes("x"), Some(b"\xff\xfe".as_slice()));
    }
}
