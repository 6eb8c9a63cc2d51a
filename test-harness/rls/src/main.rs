//! A rate limit service for tests: Envoy's `ShouldRateLimit` in front of Limitador's engine, which has no
//! refunds and does not count what it refuses. With `--refunds` in front of counts of its own, which are like
//! envoyproxy/ratelimit's: what is refused is counted, and `is_negative_hits` gives back.
//!
//! `rls ADDRESS [--refunds] RULE=MOST/SECONDS...`; each call is a line of JSON on the output.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod counts;
mod message;

use std::error::Error;
use std::rc::Rc;

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, Response};
use tokio::net::{TcpListener, TcpStream};

use counts::Counts;

type Failure = Box<dyn Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let address = args.next().ok_or("usage: rls ADDRESS [--refunds] RULE=MOST/SECONDS...")?;
    let mut rest: Vec<String> = args.collect();
    let refunds = rest.first().is_some_and(|first| first == "--refunds");
    if refunds {
        rest.remove(0);
    }
    let counts = Rc::new(Counts::new(refunds, &rest)?);
    let listener = TcpListener::bind(address).await?;
    println!("{}", serde_json::json!({"listening": listener.local_addr()?.to_string()}));
    let connections = async {
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::task::spawn_local(connection(stream, Rc::clone(&counts)));
        }
    };
    let local = tokio::task::LocalSet::new();
    local.run_until(connections).await
}

async fn connection(stream: TcpStream, counts: Rc<Counts>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let counts = Rc::clone(&counts);
        tokio::task::spawn_local(async move {
            if let Err(error) = answer(request.into_body(), respond, &counts).await {
                eprintln!("{error}");
            }
        });
    }
}

async fn answer(
    mut body: h2::RecvStream,
    mut respond: SendResponse<Bytes>,
    counts: &Counts,
) -> Result<(), Failure> {
    let mut frame = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        frame.extend_from_slice(&chunk);
    }
    // One message: a byte that it is not compressed, and its length.
    let (head, message) = frame.split_at_checked(5).ok_or("no frame")?;
    let length = head.get(1..).and_then(|length| length.try_into().ok()).map(u32::from_be_bytes);
    if head.first() != Some(&0) || length.map(u64::from) != Some(message.len() as u64) {
        return Err("a frame of another length".into());
    }
    let request = message::read(message)?;
    let said = counts.decide(&request)?;
    println!("{}", message::line(&request, &said));
    let reply = message::write(&said)?;
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(reply.len())?.to_be_bytes());
    frame.extend_from_slice(&reply);
    let head = Response::builder().header("content-type", "application/grpc").body(())?;
    let mut stream = respond.send_response(head, false)?;
    stream.send_data(frame.into(), false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse()?);
    stream.send_trailers(trailers)?;
    Ok(())
}
