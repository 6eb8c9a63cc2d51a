//! Drift: a model that has become slower, terser or more often wrong, and requests that have become
//! other than they were.
//!
//! All workers feed the same detectors, which live in shared data and are changed by compare-and-swap;
//! where there is none each worker has its own. What requests tell waits for the next tick, so that a
//! state is read and written once for all of them.

pub mod detector;
mod signals;

use shared::small_map::SmallMap;
use std::cell::{Cell, RefCell};

use serde_json::json;
use shared::config::ConfigError;
use shared::host::{Capability, Host};
use shared::text;

use crate::config;
use crate::names;
use crate::record::{NONE, Record};
use crate::series::{Labels, SeriesTable};
use detector::{Change, Detector, Settings};
use signals::{MODEL, MOST_SIGNALS, ROUTE, Signal};

/// Where the names of all subjects are.
const SUBJECTS: &str = "ai-metrics.drift.1";

/// How often a state that others change meanwhile is tried to be changed.
const TRIES: usize = 8;

/// Numbers of one signal's state: its detector's, and whether it has changed and nobody has reset it.
const NUMBERS: usize = Detector::FIELDS + 1;

/// Most requests that wait to be looked at; then they are at once.
const MOST_WAITING: usize = 1000;

/// What a request tells of each signal; no number where it tells nothing.
type Told = [f64; MOST_SIGNALS];

/// How often the gauges are set, in nanoseconds.
const PERIOD: u64 = 5_000_000_000;

/// A share of a score in the gauge that shows it, which holds whole numbers.
const MILLI: f64 = 1000.0;

/// The detectors.
#[derive(Debug)]
pub struct Drift {
    enabled: bool,
    settings: Settings,
    max: usize,
    /// The subjects that there are, and what waits to be looked at of each.
    known: RefCell<SmallMap<String, Vec<Told>>>,
    /// How many requests wait, of all subjects.
    waiting: Cell<usize>,
    /// When the gauges were last set.
    shown: Cell<u64>,
    /// The states, where no data is shared.
    local: RefCell<SmallMap<String, Vec<u8>>>,
}

/// Where a signal stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Model or route.
    pub subject: String,
    /// What is watched.
    pub signal: &'static str,
    /// 1 is drift.
    pub score: f64,
    /// Whether it has drifted and nobody has reset it.
    pub active: bool,
}

impl Drift {
    /// Checks the configuration.
    pub fn new(config: config::Drift) -> Result<Drift, ConfigError> {
        if !(0.1..=100.0).contains(&config.tolerance) {
            let message = "must be between 0.1 and 100";
            return Err(ConfigError::new("drift.tolerance", message));
        }
        if config.warm_up < 50 {
            let message = "must be 50 or more; from fewer requests nothing can be learnt";
            return Err(ConfigError::new("drift.warm_up", message));
        }
        Ok(Drift {
            enabled: config.enabled,
            settings: Settings { warm_up: f64::from(config.warm_up), tolerance: config.tolerance },
            max: config.max_subjects,
            known: RefCell::default(),
            waiting: Cell::new(0),
            shown: Cell::new(0),
            local: RefCell::default(),
        })
    }

    /// Whether anything is watched.
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// A request is over.
    pub fn observe(&self, host: &dyn Host, series: &SeriesTable, record: &Record) {
        if !self.enabled {
            return;
        }
        if record.served() && (record.confirmed() || record.status >= 500) {
            let subject = text!("model:", record.provider, "/", record.model);
            self.note(host, series, &subject, &MODEL, record);
        }
        if record.profile.known && record.status < 400 {
            let route = if record.route == NONE { record.operation } else { &record.route };
            self.note(host, series, &text!("route:", route), &ROUTE, record);
        }
        if self.waiting.get() >= MOST_WAITING || !host.can(Capability::Tick) {
            self.look(host, series);
        }
    }

    fn note(
        &self,
        host: &dyn Host,
        series: &SeriesTable,
        subject: &str,
        signals: &'static [Signal],
        record: &Record,
    ) {
        if !self.admit(host, subject) {
            series.add(host, &names::DROPPED, Labels(&["drift_subject"]), true, 1);
            return;
        }
        let mut told = [f64::NAN; MOST_SIGNALS];
        for (slot, signal) in told.iter_mut().zip(signals) {
            *slot = (signal.of)(record).unwrap_or(f64::NAN);
        }
        if told.iter().any(|value| value.is_finite())
            && let Some(waiting) = self.known.borrow_mut().get_mut(subject)
        {
            waiting.push(told);
            self.waiting.set(self.waiting.get().saturating_add(1));
        }
    }

    /// Looks at what waits.
    pub fn look(&self, host: &dyn Host, series: &SeriesTable) {
        if self.waiting.replace(0) == 0 {
            return;
        }
        let mut known = self.known.borrow_mut();
        for (subject, waiting) in known.iter_mut().filter(|(_, waiting)| !waiting.is_empty()) {
            let waiting = std::mem::take(waiting);
            for (signal, change) in self.step(host, subject, &waiting) {
                tell(host, series, subject, signal, change);
            }
        }
    }

    /// Feeds the numbers to the detectors; the changes that these find.
    fn step(
        &self,
        host: &dyn Host,
        subject: &str,
        waiting: &[Told],
    ) -> Vec<(&'static Signal, Change)> {
        let mut found = Vec::new();
        self.update(host, subject, |state| {
            found.clear();
            for (place, signal) in signals(subject).iter().enumerate() {
                let (mut detector, mut active) = read(state, place);
                let values = waiting.iter().filter_map(|told| told.get(place));
                for value in values.filter(|value| value.is_finite()) {
                    if let Some(change) = detector.observe(signal.kind, *value, self.settings) {
                        active = true;
                        found.push((signal, change));
                    }
                }
                write(state, place, detector, active);
            }
        });
        found
    }

    /// Changes a subject's state. What others change at the same time is not lost; a request that
    /// cannot get through to it within a few tries is.
    fn update(&self, host: &dyn Host, subject: &str, mut change: impl FnMut(&mut Vec<u8>)) {
        if !host.can(Capability::SharedData) {
            let mut local = self.local.borrow_mut();
            change(local.entry(subject.to_owned()).or_default());
            return;
        }
        let key = key(subject);
        for _ in 0..TRIES {
            let shared = host.shared(&key);
            let (mut state, version) = shared.map_or((Vec::new(), 0), |s| (s.value, s.version));
            change(&mut state);
            if host.set_shared(&key, &state, version).is_ok() {
                return;
            }
        }
    }

    fn state(&self, host: &dyn Host, subject: &str) -> Vec<u8> {
        if host.can(Capability::SharedData) {
            return host.shared(&key(subject)).map(|shared| shared.value).unwrap_or_default();
        }
        self.local.borrow().get(subject).cloned().unwrap_or_default()
    }

    /// Whether there is room for a subject.
    fn admit(&self, host: &dyn Host, subject: &str) -> bool {
        if self.known.borrow().contains_key(subject) {
            return true;
        }
        if !host.can(Capability::SharedData) {
            let mut known = self.known.borrow_mut();
            return known.len() < self.max
                && known.insert(subject.to_owned(), Vec::new()).is_none();
        }
        for _ in 0..TRIES {
            let shared = host.shared(SUBJECTS);
            let (bytes, version) = shared.map_or((Vec::new(), 0), |s| (s.value, s.version));
            let mut all = lines(&bytes);
            if !all.contains(&subject) {
                if all.len() >= self.max {
                    return false;
                }
                all.push(subject);
                if host.set_shared(SUBJECTS, all.join("\n").as_bytes(), version).is_err() {
                    continue;
                }
            }
            self.known.borrow_mut().insert(subject.to_owned(), Vec::new());
            return true;
        }
        false
    }

    fn subjects(&self, host: &dyn Host) -> Vec<String> {
        let shared = host.shared(SUBJECTS).map(|shared| shared.value).unwrap_or_default();
        let shared = lines(&shared).into_iter().map(str::to_owned);
        let mut all: Vec<_> = shared.chain(self.known.borrow().keys().cloned()).collect();
        shared::sort::by(&mut all, |a, b| a < b);
        all.dedup();
        all
    }

    /// Where all signals stand.
    pub fn standings(&self, host: &dyn Host) -> Vec<Standing> {
        let mut all = Vec::new();
        for subject in self.subjects(host) {
            let state = self.state(host, &subject);
            for (place, signal) in signals(&subject).iter().enumerate() {
                let (detector, active) = read(&state, place);
                let score = detector.score(self.settings);
                let subject = subject.clone();
                all.push(Standing { subject, signal: signal.name, score, active });
            }
        }
        all
    }

    /// Shows where the signals stand in the metrics. All workers set the same gauges to the same.
    pub fn tick(&self, host: &dyn Host, series: &SeriesTable) {
        self.look(host, series);
        let now = host.now_nanos();
        if !self.enabled || now.saturating_sub(self.shown.get()) < PERIOD {
            return;
        }
        self.shown.set(now);
        for standing in self.standings(host) {
            let labels = Labels(&[&standing.subject, standing.signal]);
            // The cast saturates.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let score = (standing.score * MILLI) as u64;
            series.set(host, &names::DRIFT_SCORE, labels, score);
            series.set(host, &names::DRIFT_ACTIVE, labels, u64::from(standing.active));
        }
    }

    /// Forgets what is usual for a subject, or for all; how many there were.
    pub fn reset(&self, host: &dyn Host, subject: Option<&str>) -> usize {
        let mut subjects = self.subjects(host);
        subjects.retain(|known| subject.is_none_or(|wanted| wanted == known));
        for subject in &subjects {
            if let Some(waiting) = self.known.borrow_mut().get_mut(subject) {
                waiting.clear();
            }
            self.update(host, subject, Vec::clear);
        }
        subjects.len()
    }
}

/// One line in the proxy's log, and the count of it.
fn tell(host: &dyn Host, series: &SeriesTable, subject: &str, signal: &Signal, change: Change) {
    let direction = if change.up { "up" } else { "down" };
    let line = json!({
        "event": "drift",
        "subject": subject,
        "signal": signal.name,
        "direction": direction,
        "before": signal.readable(change.before),
        "after": signal.readable(change.after),
    });
    log::warn!("{}", shared::json::text_of(&line));
    let labels = Labels(&[subject, signal.name, direction]);
    series.add(host, &names::DRIFT_EVENTS, labels, true, 1);
}

fn signals(subject: &str) -> &'static [Signal] {
    if subject.starts_with("model:") { &MODEL } else { &ROUTE }
}

fn key(subject: &str) -> String {
    format!("{SUBJECTS}.{subject}")
}

fn lines(bytes: &[u8]) -> Vec<&str> {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    text.lines().filter(|line| !line.is_empty()).collect()
}

/// Reads the state of the signal at this place; one that is not there yet is new.
fn read(state: &[u8], place: usize) -> (Detector, bool) {
    let mut numbers = [0.0; NUMBERS];
    let (all, _) = state.as_chunks::<8>();
    for (number, bytes) in numbers.iter_mut().zip(all.iter().skip(place.saturating_mul(NUMBERS))) {
        *number = f64::from_le_bytes(*bytes);
    }
    let (active, detector) = numbers.split_last().unwrap_or((&0.0, &[]));
    let detector = detector.try_into().map(Detector::from_numbers).unwrap_or_default();
    (detector, *active > 0.5)
}

fn write(state: &mut Vec<u8>, place: usize, detector: Detector, active: bool) {
    let start = place.saturating_mul(NUMBERS * 8);
    let end = start.saturating_add(NUMBERS * 8);
    if state.len() < end {
        state.resize(end, 0);
    }
    let active = if active { 1.0 } else { 0.0 };
    let numbers = detector.to_numbers().into_iter().chain([active]);
    let bytes = numbers.flat_map(f64::to_le_bytes);
    let slots = state.get_mut(start..end).unwrap_or_default();
    for (slot, byte) in slots.iter_mut().zip(bytes) {
        *slot = byte;
    }
}
