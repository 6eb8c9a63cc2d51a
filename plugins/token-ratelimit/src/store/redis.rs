//! Counts in Redis, for many proxies: through Webdis (<https://webd.is>), which speaks HTTP.
//!
//! One atomic script (limits.lua) checks and reserves; the same settles what is over. A request makes
//! one round trip, before it goes on. The script is sent with each call rather than by its hash: a Redis
//! that has been restarted does not know it, and asking twice would be a second round trip.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use shared::config::{ConfigError, Secret, Setting};
use shared::filter::CallReply;
use shared::host::{Call, CallId, Capability, Host};

use super::Fail;
use super::queue::{Queue, Settlement};
use crate::account::{Kind, Standing, Terms};
use crate::claim::{Answer, Checked, Claim, Mode};
use crate::config;
use crate::window::Window;

/// The form of what is kept; another release with another form counts for itself.
const FORM: &str = "1";

/// Numbers of each claim in an answer, and those before them.
const PER_CLAIM: usize = 7;
const HEAD: usize = 4;

/// Counts in Redis.
#[derive(Debug)]
pub struct Redis {
    call: Call,
    headers: Vec<(String, Secret)>,
    prefix: String,
    /// The script as it goes into a call.
    script: String,
    lease_millis: u64,
    max_queue: usize,
    flush: Duration,
    /// What to do when it does not answer.
    pub fail: Fail,
    on_requests: bool,
    queue: Rc<Queue>,
    failing: Cell<bool>,
    /// What the answer to the batch under way must repeat.
    told: Cell<u64>,
}

/// A check under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Under which name it reserves.
    pub lease: String,
    /// The number of the batch that goes with it.
    batch: Option<u64>,
    /// What the answer must repeat.
    nonce: u64,
}

impl Redis {
    /// Checks a configuration; `path` is where it stands.
    pub fn new(config: config::Redis, path: &str) -> Result<Redis, ConfigError> {
        let bad = |field: &str, message: &str| ConfigError::new(format!("{path}.{field}"), message);
        if config.upstream.is_empty() {
            return Err(bad("upstream", "name Webdis's cluster (on APISIX its `host:port`)"));
        }
        if !matches!(config.scheme.as_str(), "http" | "https") {
            return Err(bad("scheme", "must be `http` or `https`"));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_{}".contains(&byte);
        if !(1..=64).contains(&config.prefix.len()) || !config.prefix.bytes().all(plain) {
            return Err(bad("prefix", "must have 1 to 64 letters, digits, `-`, `_`, `{` or `}`"));
        }
        if config.timeout_ms == 0 || config.flush_ms < 10 || config.lease_seconds == 0 {
            let message =
                "`timeout_ms` and `lease_seconds` must be 1 or more, `flush_ms` 10 or more";
            return Err(ConfigError::new(path, message));
        }
        if !(0.0..=1.0).contains(&config.local_share) {
            return Err(bad("local_share", "must be between 0 and 1"));
        }
        let queue = Queue::of(&format!("{}/{}", config.upstream, config.prefix));
        let headers = config.headers.into_iter();
        Ok(Redis {
            call: Call {
                authority: config.authority.unwrap_or_else(|| config.upstream.clone()),
                upstream: config.upstream,
                scheme: config.scheme,
                method: "POST".into(),
                path: "/".into(),
                headers: Vec::new(),
                body: Vec::new(),
                timeout: Duration::from_millis(config.timeout_ms.into()),
            },
            headers: headers.map(|(name, key)| (name.to_ascii_lowercase(), key)).collect(),
            prefix: format!("{}:{FORM}", config.prefix),
            script: escaped(&short(include_str!("limits.lua"))),
            lease_millis: u64::from(config.lease_seconds).saturating_mul(1_000),
            max_queue: config.max_queue,
            flush: Duration::from_millis(config.flush_ms.into()),
            fail: match config.fail {
                config::Fail::Open => Fail::Open,
                config::Fail::Closed => Fail::Closed,
                config::Fail::Local => Fail::Local(config.local_share),
            },
            on_requests: config.on_requests,
            queue,
            failing: Cell::new(false),
            told: Cell::new(0),
        })
    }

    /// How often what is over is told; never where requests do it.
    pub fn tick_period(&self) -> Option<Duration> {
        (!self.on_requests).then_some(self.flush)
    }

    /// The call that checks and reserves.
    pub fn check(&self, host: &dyn Host, claims: &[Claim]) -> (Asked, Call) {
        let lease = format!("{:016x}{:x}", host.random(), host.now_nanos());
        let due = self.on_requests && !host.can(Capability::Tick);
        let batch = if due { self.queue.take(host.now_nanos(), self.patience()) } else { None };
        let nonce = nonce(host);
        let asked = Asked { lease, batch: batch.as_ref().map(|(number, _)| *number), nonce };
        let call = self.eval(host, nonce, batch, &asked.lease, claims);
        (asked, call)
    }

    /// What came of it: the time there in milliseconds, and the counts; `None` if no answer came.
    pub fn checked(
        &self,
        host: &dyn Host,
        asked: &Asked,
        claims: &[Claim],
        reply: &CallReply,
    ) -> Option<(u64, Checked)> {
        let numbers = self.numbers(reply, HEAD + claims.len() * PER_CLAIM, asked.nonce);
        if let Some(number) = asked.batch {
            self.queue.ended(host.now_nanos(), number, applied(numbers.as_deref(), number));
        }
        let numbers = numbers?;
        let (head, rest) = numbers.split_at_checked(HEAD)?;
        let answers = rest.as_chunks::<PER_CLAIM>().0.iter();
        let answers = answers.map(|[used, limit, reset, full, wait, passed, total]| Answer {
            standing: Standing { limit: *limit, used: *used, reset: *reset },
            full: *full == 1,
            wait: *wait,
            passed: usize::try_from(*passed).unwrap_or(0),
            total: *total,
            receipt: None,
        });
        let checked = Checked { ok: head.get(1) == Some(&1), answers: answers.collect() };
        Some((*head.first()?, checked))
    }

    /// A request is over; false if there was no room to keep that.
    pub fn settle(&self, settlement: Settlement) -> bool {
        self.queue.push(settlement, self.max_queue)
    }

    /// How many requests that are over wait to be told.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Tells what is over, if something is.
    pub fn tick(&self, host: &dyn Host) {
        let Some(batch) = self.queue.take(host.now_nanos(), self.patience()) else { return };
        let number = batch.0;
        let nonce = nonce(host);
        self.told.set(nonce);
        match host.call(&self.eval(host, nonce, Some(batch), "", &[])) {
            Ok(call) => self.queue.sent_with(call),
            Err(_) => self.queue.ended(host.now_nanos(), number, false),
        }
    }

    /// A call of a tick was answered; false if it was none of these.
    pub fn called(&self, host: &dyn Host, call: CallId, reply: &CallReply) -> bool {
        if !self.queue.is_in(call) {
            return false;
        }
        let number = self.queue.number();
        let numbers = self.numbers(reply, HEAD, self.told.get());
        self.queue.ended(host.now_nanos(), number, applied(numbers.as_deref(), number));
        // More may have come meanwhile.
        self.tick(host);
        true
    }

    /// After how many nanoseconds a call is taken to be lost that nobody has told the end of.
    fn patience(&self) -> u64 {
        let timeout = u64::try_from(self.call.timeout.as_nanos()).unwrap_or(u64::MAX);
        timeout.saturating_mul(2)
    }

    /// Webdis 0.1.9 can give the answer of a client that has given up to the next one, so an answer
    /// counts only if it repeats what it was sent.
    fn numbers(&self, reply: &CallReply, expected: usize, nonce: u64) -> Option<Vec<u64>> {
        #[derive(Setting)]
        struct Said {
            #[serde(rename = "EVAL")]
            eval: Vec<u64>,
        }
        let said = reply.status.filter(|status| *status == 200).and_then(|_| {
            let said = shared::config::record::<Said>(&reply.body)?;
            let ours = said.eval.len() == expected && said.eval.get(3) == Some(&nonce);
            ours.then_some(said.eval)
        });
        if self.failing.replace(said.is_none()) != said.is_none() {
            match said {
                Some(_) => log::warn!("{}", json!({"event": "limit_store", "state": "up"})),
                None => {
                    let status = reply.status;
                    log::warn!(
                        "{}",
                        json!({"event": "limit_store", "state": "down", "status": status})
                    );
                }
            }
        }
        said
    }

    fn eval(
        &self,
        host: &dyn Host,
        nonce: u64,
        batch: Option<(u64, Vec<Settlement>)>,
        lease: &str,
        claims: &[Claim],
    ) -> Call {
        let mut keys = Keys { prefix: &self.prefix, list: Vec::new(), known: HashMap::new() };
        let mut payload = serde_json::Map::new();
        payload.insert("ttl".into(), json!(self.lease_millis));
        payload.insert("e".into(), json!(nonce));
        let asked: Vec<Value> = claims.iter().map(|claim| row_of(claim, &mut keys)).collect();
        if !asked.is_empty() {
            payload.insert("k".into(), json!(keys.place(&format!("lease:{lease}"))));
        }
        payload.insert("c".into(), Value::Array(asked));
        if let Some((number, settlements)) = batch {
            payload.insert(
                "w".into(),
                json!(keys.place(&format!("worker:{}", self.queue.worker(host)))),
            );
            payload.insert("n".into(), json!(number));
            let over: Vec<Value> =
                settlements.iter().map(|over| over_of(over, &mut keys)).collect();
            payload.insert("s".into(), Value::Array(over));
        }
        let mut body = format!("EVAL/{}/{}", self.script, keys.list.len());
        for key in &keys.list {
            body.push('/');
            body.push_str(&escaped(key));
        }
        body.push('/');
        body.push_str(&escaped(&Value::Object(payload).to_string()));
        let mut call = self.call.clone();
        let content_type = "application/x-www-form-urlencoded".to_owned();
        call.headers.push(("content-type".into(), content_type));
        let headers = self.headers.iter();
        call.headers.extend(headers.map(|(name, key)| (name.clone(), key.expose().to_owned())));
        call.body = body.into_bytes();
        call
    }
}

/// A number that survives Lua's.
fn nonce(host: &dyn Host) -> u64 {
    host.random() & ((1 << 52) - 1)
}

fn applied(numbers: Option<&[u64]>, number: u64) -> bool {
    numbers.and_then(|numbers| numbers.get(2)).is_some_and(|last| *last >= number)
}

/// The keys of a call, each once.
struct Keys<'a> {
    prefix: &'a str,
    list: Vec<String>,
    known: HashMap<String, usize>,
}

impl Keys<'_> {
    /// A key's place, the first being 1.
    fn place(&mut self, name: &str) -> usize {
        if let Some(place) = self.known.get(name) {
            return *place;
        }
        self.list.push(format!("{}:{name}", self.prefix));
        let place = self.list.len();
        self.known.insert(name.to_owned(), place);
        place
    }
}

/// Kind, seconds, offset and burst, as the script has them.
fn numbers_of(terms: &Terms) -> [Value; 4] {
    let (kind, seconds, offset, burst) = match terms.kind {
        Kind::Windows { window, offset, sliding } => {
            let seconds = match window {
                Window::Seconds(seconds) => json!(seconds),
                Window::Week => json!(-1),
                Window::Month => json!(-2),
            };
            (u8::from(sliding), seconds, offset, 0)
        }
        Kind::Bucket { seconds, burst } => (2, json!(seconds), 0, burst),
        Kind::Places => (3, json!(0), 0, 0),
    };
    [json!(kind), seconds, json!(offset), json!(burst)]
}

fn row_of(claim: &Claim, keys: &mut Keys<'_>) -> Value {
    let mode = match claim.mode {
        Mode::Reserve => 0,
        Mode::Force => 1,
        Mode::Look => 2,
        Mode::Reset => 3,
        Mode::TopUp => 4,
    };
    let [kind, seconds, offset, burst] = numbers_of(&claim.terms);
    let key = keys.place(&claim.count);
    let mut row = vec![json!(mode), json!(key), kind, json!(claim.terms.limit)];
    row.extend([json!(claim.amount), seconds, offset, burst]);
    row.extend(claim.marks.iter().map(|mark| json!(mark)));
    Value::Array(row)
}

fn over_of(over: &Settlement, keys: &mut Keys<'_>) -> Value {
    let lease =
        if over.lease.is_empty() { 0 } else { keys.place(&format!("lease:{}", over.lease)) };
    let rows = over.rows.iter().map(|row| {
        let [kind, seconds, offset, burst] = numbers_of(&row.terms);
        let key = keys.place(&row.count);
        let reserved = row.reserved.map_or(json!(-1), |reserved| json!(reserved));
        let limit = json!(row.terms.limit);
        json!([key, kind, limit, seconds, offset, burst, row.actual, reserved])
    });
    json!({"k": lease, "r": over.at, "a": rows.collect::<Vec<_>>()})
}

/// A script without its comments and indents.
fn short(script: &str) -> String {
    let lines = script.lines().map(str::trim).filter(|line| !line.starts_with("--"));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// As an argument of Webdis: a `.` may begin a format, a `?` a query, and a `+` is a space.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_mul(2));
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.push(char::from(byte)),
            b'-' | b'_' | b',' | b':' | b'(' | b')' | b'[' | b']' | b'=' | b'*' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            _ => {
                const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                out.push('%');
                for nibble in [byte >> 4, byte & 15] {
                    let digit = DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
                    out.push(char::from(digit));
                }
            }
        }
    }
    out
}
