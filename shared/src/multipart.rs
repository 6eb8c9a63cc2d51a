//! Forms with files (`multipart/form-data`, RFC 7578): finds a field's value, changes nothing.

use std::ops::Range;

use memchr::memmem;

/// Most bytes of one part's headers.
const MAX_HEADERS: usize = 8 * 1024;

/// A form that cannot be read, or not in one way only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadForm {
    /// The `content-type` names no boundary.
    NoBoundary,
    /// The body is not made of parts between this boundary.
    Malformed,
    /// The field is there more than once.
    Duplicate,
}

impl std::fmt::Display for BadForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            BadForm::NoBoundary => "the header `content-type` names no boundary",
            BadForm::Malformed => "the body is no form of the boundary that its header names",
            BadForm::Duplicate => "the field is there more than once",
        })
    }
}

impl std::error::Error for BadForm {}

/// Where the value of the field `name` stands in `body`; `None` if there is no such field.
///
/// # Errors
///
/// [`BadForm`]; a provider might read such a form in another way than the gateway.
pub fn field(body: &[u8], content_type: &str, name: &str) -> Result<Option<Range<usize>>, BadForm> {
    let boundary = boundary(content_type).ok_or(BadForm::NoBoundary)?;
    let delimiter = format!("\r\n--{boundary}");
    let finder = memmem::Finder::new(delimiter.as_bytes());
    // The first delimiter may stand at the very beginning, without its line break.
    let mut at = if body.starts_with(delimiter.as_bytes().get(2..).unwrap_or_default()) {
        delimiter.len() - 2
    } else {
        finder.find(body).ok_or(BadForm::Malformed)? + delimiter.len()
    };
    let mut found = None;
    loop {
        let rest = body.get(at..).ok_or(BadForm::Malformed)?;
        if rest.starts_with(b"--") {
            return Ok(found);
        }
        // White space may follow a boundary.
        let blank = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let rest = rest.get(blank..).and_then(|rest| rest.strip_prefix(b"\r\n"));
        let start = at + blank + 2;
        let rest = rest.ok_or(BadForm::Malformed)?;
        let length = finder.find(rest).ok_or(BadForm::Malformed)?;
        let part = rest.get(..length).ok_or(BadForm::Malformed)?;
        let head = memmem::find(part, b"\r\n\r\n").filter(|head| *head <= MAX_HEADERS);
        let head = head.ok_or(BadForm::Malformed)?;
        let headers = std::str::from_utf8(part.get(..head).unwrap_or_default());
        if headers.is_ok_and(|headers| names(headers, name)) {
            if found.is_some() {
                return Err(BadForm::Duplicate);
            }
            found = Some(start + head + 4..start + length);
        }
        at = start + length + delimiter.len();
    }
}

/// The parameter `boundary`, 1 to 70 characters.
fn boundary(content_type: &str) -> Option<&str> {
    let mut parts = content_type.split(';');
    let essence = parts.next()?.trim();
    if !essence.eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let value = parts.find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
    })?;
    (1..=70).contains(&value.len()).then_some(value)
}

/// Whether the part with these headers is the field `name`.
fn names(headers: &str, name: &str) -> bool {
    let disposition = headers.split("\r\n").find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    });
    disposition.is_some_and(|value| {
        value.split(';').skip(1).any(|parameter| {
            let Some((key, value)) = parameter.split_once('=') else { return false };
            key.trim().eq_ignore_ascii_case("name") && value.trim().trim_matches('"') == name
        })
    })
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=\"x-y\"";

    fn form(parts: &[(&str, &str)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (headers, value) in parts {
            out.extend_from_slice(format!("--x-y\r\n{headers}\r\n\r\n{value}\r\n").as_bytes());
        }
        out.extend_from_slice(b"--x-y--\r\n");
        out
    }

    #[test]
    fn a_field_is_found_among_files() {
        let body = form(&[
            (
                "Content-Disposition: form-data; name=\"file\"; filename=\"model\"\r\nContent-Type: a/b",
                "\r\n--x-z\r\nname=\"model\"",
            ),
            ("content-disposition: form-data; name=\"model\"", "whisper-1"),
            ("Content-Disposition: form-data; name=empty", ""),
        ]);
        let range = field(&body, TYPE, "model").unwrap().unwrap();
        assert_eq!(body.get(range).unwrap(), b"whisper-1");
        let range = field(&body, TYPE, "empty").unwrap().unwrap();
        assert!(range.is_empty());
        assert_eq!(field(&body, TYPE, "language"), Ok(None));
        // Something may stand before the first boundary.
        let body = [b"preamble\r\n".as_slice(), &body].concat();
        let range = field(&body, TYPE, "model").unwrap().unwrap();
        assert_eq!(body.get(range).unwrap(), b"whisper-1");
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let twice = [("Content-Disposition: form-data; name=\"model\"", "a"); 2];
        assert_eq!(field(&form(&twice), TYPE, "model"), Err(BadForm::Duplicate));
        assert_eq!(field(b"", TYPE, "model"), Err(BadForm::Malformed));
        assert_eq!(field(b"--x-y\r\n", TYPE, "model"), Err(BadForm::Malformed));
        assert_eq!(field(b"--x-y--", TYPE, "model"), Ok(None));
        assert_eq!(field(b"", "application/json", "model"), Err(BadForm::NoBoundary));
        let body = form(&twice);
        for end in 0..body.len() - 4 {
            assert!(field(body.get(..end).unwrap(), TYPE, "model").is_err(), "{end}");
        }
    }
}
