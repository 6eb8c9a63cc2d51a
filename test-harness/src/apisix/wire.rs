//! HTTP/1.1 as far as it is needed here: messages from and to a socket, whole or in pieces.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;

use crate::emulator::Headers;

/// Most bytes of a message's head: scripts for mock-llm travel in a header.
const MAX_HEAD: u64 = 1 << 20;
/// Most bytes of a body that is read whole; APISIX has no limit of its own.
pub(super) const MAX_BODY: u64 = 128 << 20;

/// A head: its first line and its headers, names in lower case.
pub(super) struct Head {
    pub(super) first: String,
    pub(super) headers: Headers,
}

/// A body on its way.
pub(super) struct Body {
    from: BufReader<TcpStream>,
    left: Left,
}

enum Left {
    /// So many bytes.
    Bytes(u64),
    /// Chunks, of the one at hand so many bytes.
    Chunks(u64),
    /// Whatever comes until the connection ends.
    Rest,
    Nothing,
}

fn bad(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}

/// Reads a head; `None` if the connection ended before it.
pub(super) fn read_head(from: &mut BufReader<TcpStream>) -> io::Result<Option<Head>> {
    let mut from = from.take(MAX_HEAD);
    let first = line(&mut from)?;
    if first.is_empty() {
        return Ok(None);
    }
    let mut headers = Headers::new();
    loop {
        let line = line(&mut from)?;
        if line.is_empty() {
            break;
        }
        let colon = line.iter().position(|b| *b == b':').ok_or_else(|| bad("a header"))?;
        let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
        headers.add(&name, line[colon + 1..].trim_ascii());
    }
    let first = String::from_utf8(first).map_err(|_| bad("the first line"))?;
    Ok(Some(Head { first, headers }))
}

fn line(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line)?;
    while line.last().is_some_and(|b| matches!(b, b'\r' | b'\n')) {
        line.pop();
    }
    Ok(line)
}

impl Body {
    /// The body that follows a head; `until_end`: one without a length lasts as long as the connection.
    pub(super) fn of(
        from: BufReader<TcpStream>,
        headers: &Headers,
        until_end: bool,
    ) -> io::Result<Body> {
        let left = match (headers.get("transfer-encoding"), headers.get("content-length")) {
            (Some(coding), _) if coding.eq_ignore_ascii_case("chunked") => Left::Chunks(0),
            (Some(_), _) => return Err(bad("transfer-encoding")),
            (None, Some(length)) => Left::Bytes(length.parse().map_err(|_| bad("content-length"))?),
            (None, None) if until_end => Left::Rest,
            (None, None) => Left::Nothing,
        };
        Ok(Body { from, left })
    }

    /// The next piece, as it comes; empty at the end.
    pub(super) fn piece(&mut self) -> io::Result<Vec<u8>> {
        if let Left::Chunks(0) = self.left {
            let size = line(&mut self.from)?;
            let size = std::str::from_utf8(&size).ok().and_then(|size| size.split(';').next());
            let size = size.and_then(|size| u64::from_str_radix(size.trim(), 16).ok());
            self.left = Left::Chunks(size.ok_or_else(|| bad("a chunk"))?);
            if let Left::Chunks(0) = self.left {
                while !line(&mut self.from)?.is_empty() {}
                self.left = Left::Nothing;
            }
        }
        let most = match self.left {
            Left::Bytes(left) | Left::Chunks(left) => left,
            Left::Rest => u64::MAX,
            Left::Nothing => 0,
        };
        if most == 0 {
            return Ok(Vec::new());
        }
        let there = self.from.fill_buf()?;
        let size = there.len().min(usize::try_from(most).unwrap_or(usize::MAX));
        let piece = there[..size].to_vec();
        self.from.consume(size);
        match &mut self.left {
            Left::Rest => return Ok(piece),
            _ if piece.is_empty() => return Err(bad("cut off")),
            Left::Bytes(left) => *left -= size as u64,
            Left::Chunks(left) => {
                *left -= size as u64;
                if *left == 0 {
                    line(&mut self.from)?;
                }
            }
            Left::Nothing => {}
        }
        Ok(piece)
    }

    /// All that is left.
    pub(super) fn whole(&mut self) -> io::Result<Vec<u8>> {
        let mut whole = Vec::new();
        loop {
            let piece = self.piece()?;
            if piece.is_empty() {
                return Ok(whole);
            }
            whole.extend(piece);
            if whole.len() as u64 > MAX_BODY {
                return Err(bad("a body too large"));
            }
        }
    }

    /// The connection, for the next message.
    pub(super) fn into_connection(self) -> BufReader<TcpStream> {
        self.from
    }
}

/// Headers that concern one connection.
pub(super) fn of_connection(name: &str) -> bool {
    ["connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection", "te", "expect"]
        .iter()
        .any(|other| name.eq_ignore_ascii_case(other))
}

/// Writes a head; pseudo headers and those of the connection are left out.
pub(super) fn write_head(
    to: &mut impl Write,
    first: &str,
    headers: &Headers,
    more: &str,
) -> io::Result<()> {
    let mut out = format!("{first}\r\n{more}").into_bytes();
    for (name, value) in headers.iter() {
        if name.starts_with(':') || of_connection(name) {
            continue;
        }
        out.extend(name.as_bytes());
        out.extend(b": ");
        out.extend(value);
        out.extend(b"\r\n");
    }
    out.extend(b"\r\n");
    to.write_all(&out)
}

/// Writes a piece of a body; an empty one ends it.
pub(super) fn write_piece(to: &mut impl Write, piece: &[u8], chunked: bool) -> io::Result<()> {
    match (chunked, piece.is_empty()) {
        (false, _) => to.write_all(piece),
        (true, true) => to.write_all(b"0\r\n\r\n"),
        (true, false) => {
            let mut out = format!("{:x}\r\n", piece.len()).into_bytes();
            out.extend(piece);
            out.extend(b"\r\n");
            to.write_all(&out)
        }
    }
}
