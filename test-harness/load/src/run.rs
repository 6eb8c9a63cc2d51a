//! Clients on kept-alive connections; each asks again as soon as it has its answer, or a pause later.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;

use crate::think::think;
use crate::{Error, TOOK, mark};

/// What is to be done: `to=127.0.0.1:10000 path=/v1/chat/completions body=FILE connections=16
/// requests=4000 expect=TEXT begin_us=5000 pause_us=5000 header=name:value ...`. Each client waits for about `begin_us`
/// before it asks for the first time, and for about `pause_us` before it asks at all. An answer that is not 200, or whose body does
/// not hold `expect`, ends the run with an error. Wherever the body has [`NUMBER`], each request has another
/// number in its place, so that no two are alike.
#[derive(Debug)]
pub(crate) struct Options {
    to: String,
    path: Uri,
    body: Bytes,
    connections: usize,
    requests: usize,
    expect: String,
    begin: Duration,
    pause: Duration,
    headers: Vec<(String, String)>,
}

/// Stands in a body for the number of the request.
const NUMBER: &[u8] = b"00000000";

/// A body with this number wherever one belongs, so that no two are the same.
pub(crate) fn numbered(body: &Bytes, number: u64) -> Bytes {
    let mut out = body.to_vec();
    let number = format!("{:08}", number % 100_000_000);
    for at in memchr::memmem::find_iter(body, NUMBER) {
        let place = out.iter_mut().skip(at);
        place.zip(number.bytes()).for_each(|(byte, digit)| *byte = digit);
    }
    out.into()
}

impl Options {
    fn of(arguments: &[&str]) -> Result<Options, Error> {
        let mut options = Options {
            to: String::new(),
            path: Uri::from_static("/v1/chat/completions"),
            body: Bytes::new(),
            connections: 1,
            requests: 1,
            expect: String::new(),
            begin: Duration::ZERO,
            pause: Duration::ZERO,
            headers: Vec::new(),
        };
        for argument in arguments {
            let (name, value) = argument.split_once('=').ok_or("an option is name=value")?;
            match name {
                "to" => options.to = value.to_owned(),
                "path" => options.path = value.parse()?,
                "body" => options.body = std::fs::read(value)?.into(),
                "connections" => options.connections = value.parse()?,
                "requests" => options.requests = value.parse()?,
                "expect" => options.expect = value.to_owned(),
                "begin_us" => options.begin = Duration::from_micros(value.parse()?),
                "pause_us" => options.pause = Duration::from_micros(value.parse()?),
                "header" => {
                    let (name, value) = value.split_once(':').ok_or("a header is name:value")?;
                    options.headers.push((name.to_owned(), value.trim().to_owned()));
                }
                _ => return Err(format!("there is no option {name}").into()),
            }
        }
        Ok(options)
    }

    fn request(&self, number: u64) -> Result<Request<Full<Bytes>>, Error> {
        let mut request = Request::post(self.path.clone())
            .header("host", "gateway.example")
            .header("content-type", "application/json");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let body = numbered(&self.body, number);
        Ok(request.body(Full::new(body))?)
    }
}

/// What was seen, in microseconds, without the time for which the provider has thought.
#[derive(Debug, Default)]
struct Seen {
    /// From the question to the end of the answer.
    answers: Vec<u64>,
    /// From the question to the first byte of the answer's body.
    first: Vec<u64>,
    /// From when the provider sent a token to when it came.
    tokens: Vec<u64>,
    /// Bytes of all answers.
    bytes: u64,
}

/// Asks as it was told to and prints what was seen.
#[allow(clippy::print_stdout, reason = "its result")]
pub(crate) async fn run(arguments: &[&str]) -> Result<(), Error> {
    let options = Rc::new(Options::of(arguments)?);
    let seen = Rc::new(RefCell::new(Seen::default()));
    let left = Rc::new(RefCell::new(options.requests));
    let begun = Instant::now();
    let clients: Vec<_> = (0..options.connections.min(options.requests))
        .map(|_| {
            let (options, left, seen) = (options.clone(), left.clone(), seen.clone());
            tokio::task::spawn_local(async move { client(&options, &left, &seen).await })
        })
        .collect();
    for client in clients {
        client.await??;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let mut seen = seen.borrow_mut();
    let result = json!({
        "requests": seen.answers.len(),
        "seconds": seconds,
        "bytes": seen.bytes,
        "tokens": seen.tokens.len(),
        "answer_us": quantiles(&mut seen.answers),
        "first_us": quantiles(&mut seen.first),
        "token_us": quantiles(&mut seen.tokens),
    });
    println!("{result}");
    Ok(())
}

async fn client(
    options: &Options,
    left: &RefCell<usize>,
    seen: &RefCell<Seen>,
) -> Result<(), Error> {
    let stream = TcpStream::connect(&options.to).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::task::spawn_local(connection);
    if !options.begin.is_zero() {
        think(options.begin).await;
    }
    while take(left) {
        if !options.pause.is_zero() {
            think(options.pause).await;
        }
        let begun = Instant::now();
        let micros = || u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        sender.ready().await?;
        // By the clock, so that a later run's are others as well.
        let request = options.request(mark::now() + *left.borrow() as u64)?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let took = response.headers().get(TOOK).and_then(|took| took.to_str().ok()?.parse().ok());
        let took: u64 = took.unwrap_or(0);
        let ours = || micros().saturating_sub(took);
        let mut body = response.into_body();
        let mut text = Vec::new();
        let mut first = None;
        while let Some(frame) = body.frame().await {
            let frame = frame?;
            let Some(data) = frame.data_ref() else { continue };
            first.get_or_insert_with(ours);
            seen.borrow_mut().tokens.extend(mark::ages(data));
            text.extend_from_slice(data);
        }
        if status != 200 || memchr::memmem::find(&text, options.expect.as_bytes()).is_none() {
            let text: String = String::from_utf8_lossy(&text).chars().take(500).collect();
            return Err(format!("{status}, expected {:?}: {text}", options.expect).into());
        }
        let mut seen = seen.borrow_mut();
        seen.bytes += text.len() as u64;
        seen.answers.push(ours());
        seen.first.extend(first);
    }
    Ok(())
}

fn take(left: &RefCell<usize>) -> bool {
    let mut left = left.borrow_mut();
    let some = *left > 0;
    *left = left.saturating_sub(1);
    some
}

fn quantiles(values: &mut [u64]) -> serde_json::Value {
    values.sort_unstable();
    let at = |part: f64| values.get(((values.len() as f64) * part) as usize).or(values.last());
    json!({"p50": at(0.5), "p99": at(0.99)})
}
