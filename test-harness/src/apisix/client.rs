//! HTTP requests to upstreams and to what plugins call.

use std::collections::HashMap;
use std::io::{BufReader, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::wire::{Body, Head, of_connection, read_head, write_head};
use crate::emulator::Headers;

/// Where connections really go: `host:port` as configured, and an address on this machine that stands in
/// for it. TLS is not spoken, so that an `https` address needs an entry.
pub type ConnectTo = HashMap<String, String>;

/// No answer came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// Nobody there, or the connection ended.
    Broken,
    /// Not in time.
    Late,
}

/// A request to be sent.
pub(super) struct Outgoing<'a> {
    pub(super) scheme: &'a str,
    /// `host:port`.
    pub(super) address: &'a str,
    pub(super) method: &'a str,
    /// Path and query.
    pub(super) path: &'a str,
    pub(super) host: &'a [u8],
    pub(super) headers: &'a Headers,
    pub(super) body: &'a [u8],
    /// How long it may take until the next byte comes.
    pub(super) wait: Duration,
}

/// Sends a request and waits for the answer's head.
pub(super) fn send(
    connect_to: &ConnectTo,
    request: &Outgoing<'_>,
) -> Result<(Headers, Body), NoAnswer> {
    let address = match connect_to.get(request.address) {
        Some(address) => address,
        None if request.scheme == "https" => return Err(NoAnswer::Broken),
        None => request.address,
    };
    let broken = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => NoAnswer::Late,
        _ => NoAnswer::Broken,
    };
    let address = address.to_socket_addrs().ok().and_then(|mut all| all.next());
    let address = address.ok_or(NoAnswer::Broken)?;
    let mut socket = TcpStream::connect_timeout(&address, request.wait).map_err(broken)?;
    let _ = socket.set_nodelay(true);
    socket.set_read_timeout(Some(request.wait)).map_err(broken)?;
    let mut headers = request.headers.clone();
    headers.set("host", request.host);
    headers.remove("content-length");
    let bodiless = ["GET", "HEAD", "DELETE"].contains(&request.method);
    if !(request.body.is_empty() && bodiless) {
        headers.set("content-length", request.body.len().to_string());
    }
    let first = format!("{} {} HTTP/1.1", request.method, request.path);
    write_head(&mut socket, &first, &headers, "connection: close\r\n").map_err(broken)?;
    socket.write_all(request.body).map_err(broken)?;
    let mut from = BufReader::new(socket);
    let Head { first, headers } = read_head(&mut from).map_err(broken)?.ok_or(NoAnswer::Broken)?;
    let status = first.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok());
    let status = status.ok_or(NoAnswer::Broken)?;
    let none = request.method == "HEAD" || matches!(status, 204 | 304);
    let body = Body::of(from, if none { &NONE } else { &headers }, !none).map_err(broken)?;
    let mut seen = Headers::new();
    seen.set(":status", status.to_string());
    headers.iter().filter(|(name, _)| !of_connection(name)).for_each(|(n, v)| seen.add(n, v));
    Ok((seen, body))
}

static NONE: std::sync::LazyLock<Headers> = std::sync::LazyLock::new(Headers::new);
