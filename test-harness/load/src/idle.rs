//! Streams that have begun and wait for more, many over few HTTP/2 connections.

use std::rc::Rc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http2;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::run::numbered;
use crate::{Error, Local};

/// Envoy's own limit is lower in practice: many clients share a proxy.
const PER_CONNECTION: usize = 100;

/// Opens the streams, prints `open` when each has its first bytes, and holds them until its input ends.
#[allow(clippy::print_stdout, reason = "its result")]
pub(crate) async fn idle(
    address: &str,
    streams: &str,
    body: &str,
    headers: &[&str],
) -> Result<(), Error> {
    let streams: usize = streams.parse()?;
    let body = Bytes::from(std::fs::read(body)?);
    let headers: Rc<[(String, String)]> = headers
        .iter()
        .filter_map(|header| header.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    for from in (0..streams).step_by(PER_CONNECTION) {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http2::handshake(Local, TokioIo::new(stream)).await?;
        tokio::task::spawn_local(connection);
        let begun: Vec<_> = (from..streams.min(from + PER_CONNECTION))
            .map(|number| {
                let (told, begun) = oneshot::channel();
                let (sender, headers) = (sender.clone(), headers.clone());
                let body = numbered(&body, number as u64);
                tokio::task::spawn_local(hold(sender, body, headers, told));
                begun
            })
            .collect();
        for begun in begun {
            begun.await??;
        }
    }
    println!("open");
    let mut input = Vec::new();
    tokio::io::stdin().read_to_end(&mut input).await?;
    Ok(())
}

async fn hold(
    mut sender: http2::SendRequest<Full<Bytes>>,
    body: Bytes,
    headers: Rc<[(String, String)]>,
    told: oneshot::Sender<Result<(), Error>>,
) {
    let mut request = Request::post("http://gateway.example/v1/chat/completions")
        .header("content-type", "application/json");
    for (name, value) in headers.iter() {
        request = request.header(name, value);
    }
    let begin = async {
        sender.ready().await?;
        let response = sender.send_request(request.body(Full::new(body))?).await?;
        let status = response.status();
        let mut body = response.into_body();
        let first = body.frame().await.ok_or("a stream without a byte")??;
        match status.as_u16() {
            200 => Ok(body),
            _ => Err(Error::from(format!("{status}: {first:?}"))),
        }
    };
    match begin.await {
        Ok(mut body) => {
            let _ = told.send(Ok(()));
            while let Some(Ok(_)) = body.frame().await {}
        }
        Err(error) => drop(told.send(Err(error))),
    }
}
