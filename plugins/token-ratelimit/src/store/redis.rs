//! Counts in Redis, for many proxies: through Webdis (<https://webd.is>), which speaks HTTP.
//!
//! One atomic script (limits.lua) checks and reserves; the same settles what is over. A request makes
//! one round trip, before it goes on. The script is sent with each call rather than by its hash: a Redis
//! that has been restarted does not know it, and asking twice would be a second round trip.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use shared::config::{ConfigError, Secret, Setting};
use shared::filter::CallReply;
use shared::host::{Call, CallId, Capability, Host};

use super::message::{Keys, escaped, model_of, over_of, row_of, short};
use super::queue::{Queue, Settlement};
use super::waiting::is_last;
use super::{Fail, fail};
use crate::claim::{Answer, Checked, Claim};
use crate::config;
use crate::forecast::{self, Keeping};
use crate::terms::Standing;

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
    /// Counts whose models of a forecast are wanted.
    models: Vec<String>,
    /// Models that it brings.
    pub keeping: Vec<Keeping>,
}

/// What Redis has said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    /// The time there, in milliseconds.
    pub at: u64,
    /// What the counts say.
    pub checked: Checked,
    /// The models of forecasts that were wanted, by count.
    pub models: Vec<(String, Vec<u64>)>,
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
        let fail = fail(config.fail, config.local_share)
            .ok_or_else(|| bad("local_share", "must be between 0 and 1"))?;
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
            fail,
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

    /// The call that checks and reserves, fetches these counts' models of a forecast, and keeps those.
    pub fn check(
        &self,
        host: &dyn Host,
        claims: &[Claim],
        models: Vec<String>,
        keeping: Vec<Keeping>,
    ) -> (Asked, Call) {
        let lease = format!("{:016x}{:x}", host.random(), host.now_nanos());
        let due = self.on_requests && !host.can(Capability::Tick);
        let batch = if due { self.queue.take(host.now_nanos(), self.patience()) } else { None };
        let nonce = nonce(host);
        let number = batch.as_ref().map(|(number, _)| *number);
        let asked = Asked { lease, batch: number, nonce, models, keeping };
        let call = self.eval(host, batch, &asked, claims);
        (asked, call)
    }

    /// What came of it; `None` if no answer came.
    pub fn checked(
        &self,
        host: &dyn Host,
        asked: &Asked,
        claims: &[Claim],
        reply: &CallReply,
    ) -> Option<Said> {
        let counts = claims.len() * PER_CLAIM;
        let expected = HEAD + counts + asked.models.len() * forecast::NUMBERS;
        let numbers = self.numbers(reply, expected, asked.nonce);
        if let Some(number) = asked.batch {
            self.queue.ended(host.now_nanos(), number, applied(numbers.as_deref(), number));
        }
        let numbers = numbers?;
        let (head, rest) = numbers.split_at_checked(HEAD)?;
        let (counts, models) = rest.split_at_checked(counts)?;
        let answers = counts.as_chunks::<PER_CLAIM>().0.iter();
        let answers = answers.map(|[used, limit, reset, full, wait, passed, total]| Answer {
            standing: Standing { limit: *limit, used: *used, reset: *reset },
            full: *full == 1,
            wait: *wait,
            passed: usize::try_from(*passed).unwrap_or(0),
            total: *total,
            marked: 0,
            receipt: None,
        });
        let checked = Checked { ok: head.get(1) == Some(&1), answers: answers.collect() };
        let models = models.chunks(forecast::NUMBERS).map(<[u64]>::to_vec);
        let models = asked.models.iter().cloned().zip(models).collect();
        Some(Said { at: *head.first()?, checked, models })
    }

    /// A request is over; false if there was no room to keep that.
    pub fn settle(&self, settlement: Settlement) -> bool {
        self.queue.push(settlement, self.max_queue)
    }

    /// How many more requests that are over wait to be told than the proxy knows of.
    pub fn waiting(&self) -> i64 {
        self.queue.told.change(self.queue.len())
    }

    /// As [`waiting`](Redis::waiting), when no tick comes any more: those of the last are lost.
    pub fn ended(&self) -> i64 {
        if is_last(&self.queue) { self.queue.told.change(0) } else { 0 }
    }

    /// Whether it was told of all that went on without its answer and is over.
    pub fn knows_all(&self) -> bool {
        self.queue.all_asked()
    }

    /// Tells what is over, if something is.
    pub fn tick(&self, host: &dyn Host) {
        let Some(batch) = self.queue.take(host.now_nanos(), self.patience()) else { return };
        let number = batch.0;
        let nonce = nonce(host);
        self.told.set(nonce);
        let asked = Asked { nonce, ..Asked::default() };
        match host.call(&self.eval(host, Some(batch), &asked, &[])) {
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
        struct Evaluated {
            #[serde(rename = "EVAL")]
            eval: Vec<u64>,
        }
        let said = reply.status.filter(|status| *status == 200).and_then(|_| {
            let said = shared::config::record::<Evaluated>(&reply.body)?;
            let ours = said.eval.len() == expected && said.eval.get(3) == Some(&nonce);
            ours.then_some(said.eval)
        });
        if self.failing.replace(said.is_none()) != said.is_none() {
            match said {
                Some(_) => log::warn!(
                    "{}",
                    shared::json::text_of(&json!({"event": "limit_store", "state": "up"}))
                ),
                None => {
                    let status = reply.status;
                    let line = json!({"event": "limit_store", "state": "down", "status": status});
                    log::warn!("{}", shared::json::text_of(&line));
                }
            }
        }
        said
    }

    fn eval(
        &self,
        host: &dyn Host,
        batch: Option<(u64, Vec<Settlement>)>,
        now: &Asked,
        claims: &[Claim],
    ) -> Call {
        let mut keys = Keys::new(&self.prefix);
        let seconds = (host.now_nanos() / 1_000_000_000).cast_signed();
        let mut payload = serde_json::Map::new();
        payload.insert("ttl".into(), json!(self.lease_millis));
        payload.insert("e".into(), json!(now.nonce));
        let asked: Vec<Value> =
            claims.iter().map(|claim| row_of(claim, &mut keys, seconds)).collect();
        if !asked.is_empty() {
            payload.insert("k".into(), json!(keys.place(&format!("lease:{}", now.lease))));
        }
        payload.insert("c".into(), Value::Array(asked));
        if !now.models.is_empty() {
            let wanted: Vec<usize> =
                now.models.iter().map(|count| keys.place(&model_of(count))).collect();
            payload.insert("f".into(), json!(wanted));
            payload.insert("z".into(), json!(forecast::NUMBERS));
        }
        if !now.keeping.is_empty() {
            let kept = now.keeping.iter().map(|model| {
                json!([keys.place(&model_of(&model.count)), model.hour, model.numbers])
            });
            payload.insert("g".into(), kept.collect());
        }
        if let Some((number, settlements)) = batch {
            payload.insert(
                "w".into(),
                json!(keys.place(&format!("worker:{}", self.queue.worker(host)))),
            );
            payload.insert("n".into(), json!(number));
            let over: Vec<Value> =
                settlements.iter().map(|over| over_of(over, &mut keys, seconds)).collect();
            payload.insert("s".into(), Value::Array(over));
        }
        let mut body = format!("EVAL/{}/{}", self.script, keys.list.len());
        for key in &keys.list {
            body.push('/');
            body.push_str(&escaped(key));
        }
        body.push('/');
        body.push_str(&escaped(&shared::json::text_of(&Value::Object(payload))));
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
