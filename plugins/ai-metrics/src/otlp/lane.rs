//! When the next export of a kind is made.

use std::cell::Cell;
use std::time::Duration;

use shared::filter::CallReply;
use shared::host::{CallId, Host};

/// Longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// What the collector made of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Taken.
    Ok,
    /// Not taken, and never will be.
    Refused,
    /// Not taken now.
    Again,
}

impl Verdict {
    pub(super) fn name(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Refused => "refused",
            Verdict::Again => "retry",
        }
    }
}

/// The exports of one kind, one after the other.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Since when an export is under way, and its call if a tick has made it.
    since: Cell<Option<u64>>,
    call: Cell<Option<CallId>>,
    /// When the next one may be made, nanoseconds.
    next: Cell<u64>,
    failures: Cell<u32>,
}

impl Lane {
    /// Whether an export may be made now. One whose answer never came does not block for ever.
    pub(super) fn is_due(&self, now: u64, timeout: Duration) -> bool {
        let lost = nanos(timeout).saturating_mul(2);
        let free = self.since.get().is_none_or(|since| now.saturating_sub(since) > lost);
        free && now >= self.next.get()
    }

    /// An export has begun; `call` if a tick has made it.
    pub(super) fn started(&self, now: u64, call: Option<CallId>) {
        self.since.set(Some(now));
        self.call.set(call);
    }

    /// Whether this is the call of the export under way.
    pub(super) fn is(&self, call: CallId) -> bool {
        self.call.get() == Some(call)
    }

    /// The next one need not wait: there is more to be sent.
    pub(super) fn hurry(&self) {
        self.next.set(0);
    }

    /// An export was answered; plans the next.
    pub(super) fn ended(&self, host: &dyn Host, reply: &CallReply, period: Duration) -> Verdict {
        self.call.take();
        self.since.take();
        let verdict = match reply.status {
            Some(200..=299) => Verdict::Ok,
            // <https://opentelemetry.io/docs/specs/otlp/#retryable-response-codes>
            None | Some(429 | 502 | 503 | 504) => Verdict::Again,
            Some(_) => Verdict::Refused,
        };
        let failures =
            if verdict == Verdict::Ok { 0 } else { self.failures.get().saturating_add(1) };
        self.failures.set(failures);
        let mut pause = period;
        for _ in 1..failures {
            pause = pause.saturating_mul(2).min(MAX_PAUSE);
        }
        let asked = reply.retry_after.as_deref().and_then(|after| after.trim().parse().ok());
        if let (Verdict::Again, Some(seconds)) = (verdict, asked) {
            pause = pause.max(Duration::from_secs(seconds).min(MAX_PAUSE));
        }
        // So that workers and sites that failed together do not come back together.
        let jitter = if failures == 0 { 0 } else { host.random() % (nanos(pause) / 4).max(1) };
        self.next.set(host.now_nanos().saturating_add(nanos(pause)).saturating_add(jitter));
        verdict
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
