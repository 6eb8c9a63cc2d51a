//! Answers that nginx and APISIX make themselves.

use crate::emulator::Headers;

/// An answer made here.
pub(super) struct Page {
    pub(super) headers: Headers,
    pub(super) body: Vec<u8>,
}

/// One of nginx's own pages.
pub(super) fn page(status: u16, reason: &str) -> Page {
    let body = format!(
        "<html>\r\n<head><title>{status} {reason}</title></head>\r\n<body>\r\n\
         <center><h1>{status} {reason}</h1></center>\r\n</body>\r\n</html>\r\n"
    );
    of(status, "text/html; charset=utf-8", body)
}

/// One of APISIX's own answers.
pub(super) fn json(status: u16, body: &str) -> Page {
    of(status, "application/json", format!("{body}\n"))
}

fn of(status: u16, content_type: &str, body: String) -> Page {
    let (status, length) = (status.to_string(), body.len().to_string());
    let headers = [
        (":status", status.as_str()),
        ("content-type", content_type),
        ("content-length", length.as_str()),
    ];
    Page { headers: Headers::from(&headers), body: body.into_bytes() }
}
