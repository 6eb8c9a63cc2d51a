//! The provider.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::answers::Format;
use crate::think::think;
use crate::{Error, Local, TOOK};

/// Listens until it is killed.
pub(crate) async fn serve(address: &str) -> Result<(), Error> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::task::spawn_local(async move {
            let mut server = auto::Builder::new(Local);
            server.http2().max_concurrent_streams(100_000);
            let service =
                service_fn(|request| async { Ok::<_, Infallible>(answer(request).await) });
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

type Answer = BoxBody<Bytes, Infallible>;

async fn answer(request: Request<Incoming>) -> Response<Answer> {
    let format = Format::of(request.uri().path());
    let asked = request.headers().get("x-load").and_then(|value| value.to_str().ok());
    let asked = asked.map(Asked::of).unwrap_or_default();
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    let begun = Instant::now();
    if !asked.after.is_zero() {
        think(asked.after).await;
    }
    let took = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    let (body, content_type) = match asked.streams() {
        true => (asked.body(format), "text/event-stream"),
        false => (Full::new(Bytes::from(format.whole())).boxed(), "application/json"),
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(TOOK, took.into());
    response
}

/// An answer as it was asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    /// How long the provider thinks.
    after: Duration,
    /// Of a stream; 0 if it is none.
    tokens: usize,
    gap: Duration,
    /// One token, and nothing after it.
    hold: bool,
}

impl Asked {
    fn of(text: &str) -> Asked {
        let mut asked = Asked::default();
        let micros = |text: &str| Duration::from_micros(text.parse().unwrap_or(0));
        for word in text.split_whitespace() {
            match word.split_once('=') {
                Some(("after_us", after)) => asked.after = micros(after),
                Some(("tokens", count)) => asked.tokens = count.parse().unwrap_or(0),
                Some(("gap_us", gap)) => asked.gap = micros(gap),
                _ => asked.hold = word == "hold",
            }
        }
        asked
    }

    fn streams(self) -> bool {
        self.tokens > 0 || self.hold
    }

    fn body(self, format: Format) -> Answer {
        let (sender, receiver) = mpsc::channel(1);
        tokio::task::spawn_local(self.send(format, sender));
        Pieces(receiver).boxed()
    }

    async fn send(self, format: Format, out: mpsc::Sender<String>) {
        let first = format.start() + &format.token();
        if out.send(first).await.is_err() {
            return;
        }
        while self.hold && !out.is_closed() {
            sleep(Duration::from_secs(1)).await;
        }
        let mut gaps = interval(self.gap.max(Duration::from_micros(1)));
        gaps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        gaps.tick().await;
        for _ in 1..self.tokens {
            gaps.tick().await;
            if out.send(format.token()).await.is_err() {
                return;
            }
        }
        let _ = out.send(format.end(self.tokens)).await;
    }
}

/// A body in pieces, as they come.
struct Pieces(mpsc::Receiver<String>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(Bytes::from(piece)))))
    }
}
