//! The listener: takes requests, gives each to a worker, and hands answers on as they come.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use serde_json::Value;

use super::bridge::Variables;
use super::client::ConnectTo;
use super::exchange::{self, Open, Received};
use super::nginx;
use super::site::Site;
use super::wire::{Body, Head, read_head, write_head, write_piece};
use super::worker::Worker;
use crate::emulator::{Finish, Headers, Module};

/// How a gateway is to be run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What `config.yaml` says.
    pub config: Value,
    /// What `apisix.yaml` says.
    pub routes: Value,
    /// The address to listen on.
    pub listen: SocketAddr,
    /// How many workers; each has its own instances.
    pub workers: usize,
    /// Environment variables of the process; workers see those that `config.yaml` names.
    pub env: BTreeMap<String, String>,
    /// The file that gets what modules log, and a line a request.
    pub log: PathBuf,
    /// Where connections really go, by the `host:port` that is configured.
    #[serde(default)]
    pub connect_to: ConnectTo,
}

/// A file that lines are written to.
#[derive(Clone)]
pub(super) struct Log(Arc<Mutex<File>>);

impl Log {
    pub(super) fn line(&self, line: &str) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(file, "{line}");
    }
}

/// Finds a module by the name of its file.
pub type Modules<'a> = &'a mut dyn FnMut(&str) -> Result<Module, Box<dyn std::error::Error>>;

/// What all requests share.
pub(super) struct Shared {
    pub(super) site: Arc<Site>,
    pub(super) connect_to: ConnectTo,
    log: Log,
    workers: Vec<Worker>,
    stopped: AtomicBool,
}

/// A gateway that listens, until it is dropped.
pub struct Server {
    shared: Arc<Shared>,
    listen: SocketAddr,
}

impl Server {
    /// Reads the configuration, loads the modules that its routes use, and begins to listen.
    ///
    /// # Errors
    /// If APISIX would not take the configuration or not load a module, or the address is taken.
    pub fn start(
        settings: Settings,
        modules: Modules<'_>,
    ) -> Result<Server, Box<dyn std::error::Error>> {
        let site = Arc::new(Site::read(&settings.config, &settings.routes)?);
        let mut loaded = Vec::new();
        for plugin in &site.plugins {
            if site.routes.iter().any(|route| route.conf(&plugin.name).is_some()) {
                let file = plugin.file.file_name().unwrap_or_default();
                loaded.push((plugin.name.clone(), modules(&file.to_string_lossy())?));
            }
        }
        let loaded = Arc::new(loaded);
        let log = Log(Arc::new(Mutex::new(File::create(&settings.log)?)));
        let seen = settings.env.into_iter().filter(|(name, _)| site.env.contains(name));
        let env = Arc::new(seen.collect::<Vec<_>>());
        let start = |n: usize| {
            let (site, loaded, env) = (Arc::clone(&site), Arc::clone(&loaded), Arc::clone(&env));
            Worker::start(site, loaded, env, log.clone(), n as u64 + 1)
        };
        let workers = (0..settings.workers.max(1)).map(start).collect();
        let listener = TcpListener::bind(settings.listen)?;
        let shared = Arc::new(Shared {
            connect_to: settings.connect_to,
            stopped: AtomicBool::new(false),
            site,
            log,
            workers,
        });
        let all = Arc::clone(&shared);
        std::thread::spawn(move || serve(&all, &listener));
        Ok(Server { shared, listen: settings.listen })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        // Wakes the listener, so that it sees it.
        let _ = TcpStream::connect(self.listen);
    }
}

/// Each connection has a thread of its own.
fn serve(shared: &Arc<Shared>, listener: &TcpListener) {
    for (number, socket) in listener.incoming().flatten().enumerate() {
        if shared.stopped.load(Ordering::Relaxed) {
            return;
        }
        let shared = Arc::clone(shared);
        // As in nginx, a connection stays with the worker that has accepted it.
        let worker = shared.workers[number % shared.workers.len()].clone();
        std::thread::spawn(move || {
            // A connection that breaks is nothing to report.
            let _ = connection(&shared, &worker, socket);
        });
    }
}

fn connection(shared: &Arc<Shared>, worker: &Worker, socket: TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let peer = socket.peer_addr()?;
    let mut to = socket.try_clone()?;
    let mut from = BufReader::new(socket);
    while let Some(Head { first, headers }) = read_head(&mut from)? {
        if headers.get("expect").is_some() {
            to.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let mut parts = first.split(' ').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        let (method, target, protocol) = (next(), next(), next());
        let closes = protocol == "HTTP/1.0"
            || headers.get("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let mut body = Body::of(from, &headers, false)?;
        let whole = body.whole()?;
        from = body.into_connection();
        let given = vec![
            ("remote_addr", peer.ip().to_string()),
            ("remote_port", peer.port().to_string()),
            ("server_protocol", protocol),
        ];
        let mut headers = headers;
        // Only if the client named one: HTTP/1.0 need not.
        if let Some(host) = headers.bytes("host").map(<[u8]>::to_vec) {
            headers.set(":authority", host);
        }
        headers.set(":method", &method);
        headers.set(":path", &target);
        let received = Received { method, target, headers, body: whole, given };
        let mut client = ToClient::new(to.try_clone()?, received.method == "HEAD", closes);
        let done = handle(shared, worker, &received, &mut client);
        if closes || !matches!(done, Ok(Finish::Complete)) {
            // In the middle of an answer this is what tells the client that it is not whole.
            return to.shutdown(std::net::Shutdown::Both);
        }
    }
    Ok(())
}

fn handle(
    shared: &Arc<Shared>,
    worker: &Worker,
    received: &Received,
    to: &mut ToClient,
) -> Result<Finish, Left> {
    let path = received.target.split('?').next().unwrap_or_default();
    let Some(route) = shared.site.route(&received.method, path) else {
        let page = nginx::json(404, r#"{"error_msg":"404 Route Not Found"}"#);
        to.head(&page.headers)?;
        to.piece(&page.body)?;
        to.end()?;
        return Ok(Finish::Complete);
    };
    let mut open = Open::new(worker.clone());
    let done = exchange::run(shared, route, received, &mut open, to);
    let how = match &done {
        Ok(how) => *how,
        Err(Left) => Finish::ClientDisconnect,
    };
    shared.log.line(&access(to.status, &open.finish(how)));
    done
}

/// What APISIX's own metrics and access log are made of.
fn access(status: u16, variables: &Variables) -> String {
    let names = ["request_type", "llm_model", "llm_prompt_tokens", "llm_completion_tokens"];
    let values = names.map(|name| {
        let value = variables.get(name).map(|value| String::from_utf8_lossy(value).into_owned());
        let value = value.filter(|value| !value.is_empty()).unwrap_or_else(|| "-".into());
        format!(" {name}={value}")
    });
    format!("access: {status}{}", values.concat())
}

/// The client has left.
#[derive(Debug)]
pub(super) struct Left;

impl From<io::Error> for Left {
    fn from(_: io::Error) -> Left {
        Left
    }
}

/// Where an answer goes.
pub(super) struct ToClient {
    to: TcpStream,
    /// It answers `HEAD`.
    without_body: bool,
    closes: bool,
    chunked: bool,
    status: u16,
}

impl ToClient {
    fn new(to: TcpStream, without_body: bool, closes: bool) -> ToClient {
        ToClient { to, without_body, closes, chunked: false, status: 0 }
    }

    pub(super) fn head(&mut self, headers: &Headers) -> Result<(), Left> {
        self.status = headers.status();
        self.without_body |= matches!(self.status, 204 | 304);
        self.chunked = !self.without_body && !headers.contains("content-length");
        let mut more = String::new();
        if self.chunked {
            more.push_str("transfer-encoding: chunked\r\n");
        }
        if self.closes {
            more.push_str("connection: close\r\n");
        }
        Ok(write_head(&mut self.to, &format!("HTTP/1.1 {} -", self.status), headers, &more)?)
    }

    /// A piece of the body, if there is any.
    pub(super) fn piece(&mut self, bytes: &[u8]) -> Result<(), Left> {
        if bytes.is_empty() || self.without_body {
            return Ok(());
        }
        Ok(write_piece(&mut self.to, bytes, self.chunked)?)
    }

    pub(super) fn end(&mut self) -> Result<(), Left> {
        if self.chunked {
            write_piece(&mut self.to, &[], true)?;
        }
        Ok(())
    }
}
