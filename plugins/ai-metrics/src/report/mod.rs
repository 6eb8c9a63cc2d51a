//! The comparison of models and variants, and the accounts.

mod costs;
mod page;
mod repeats;
pub mod stats;
pub mod tally;
mod view;
mod workers;

use std::cell::{Cell, RefCell};

use shared::config::Secrets;
use shared::host::Host;

use crate::config;
use crate::drift::Standing;
use crate::labels::OTHER;
use crate::names;
use crate::record::{Ending, Record};
use crate::series::{Labels, SeriesTable};
use repeats::Repeats;
use tally::Tally;
use workers::Worker;

pub use costs::{csv as costs_csv, json as costs_json};
pub use page::page;
pub use view::view;

/// What there is to report.
#[derive(Debug)]
pub struct Report {
    admin: Secrets,
    feedback: Secrets,
    max: usize,
    min: u64,
    period: u64,
    tally: RefCell<Tally>,
    worker: RefCell<Worker>,
    repeats: Repeats,
    changed: Cell<bool>,
    shown: Cell<u64>,
}

impl Report {
    /// A report with the configuration's bounds.
    pub fn new(config: &config::Report) -> Report {
        Report {
            admin: config.admin_key.clone(),
            feedback: config.feedback_key.clone(),
            max: config.max_groups,
            min: u64::from(config.min_samples),
            period: u64::from(config.period_ms).saturating_mul(1_000_000),
            tally: RefCell::default(),
            worker: RefCell::default(),
            repeats: Repeats::new(config.repeats),
            changed: Cell::new(false),
            shown: Cell::new(0),
        }
    }

    /// Who may read it.
    pub fn admin_keys(&self) -> &Secrets {
        &self.admin
    }

    /// Who may give feedback.
    pub fn feedback_keys(&self) -> &Secrets {
        &self.feedback
    }

    /// Whether feedback is taken.
    pub fn takes_feedback(&self) -> bool {
        !self.feedback.is_empty()
    }

    /// Whether anybody can read it, without which nothing is added up.
    pub fn enabled(&self) -> bool {
        !self.admin.is_empty()
    }

    /// Requests that a figure needs.
    pub fn min_samples(&self) -> u64 {
        self.min
    }

    /// A request is over.
    pub fn add(&self, host: &dyn Host, series: &SeriesTable, record: &Record) {
        if !self.enabled() {
            return;
        }
        let asked = record.profile.known && record.served() && record.ending == Ending::Ok;
        let repeated = asked && self.repeats.seen(host, record.profile.hash);
        if !self.tally.borrow_mut().add(record, repeated, self.max) {
            series.add(host, &names::DROPPED, Labels(&["report_group"]), true, 1);
        }
        self.changed.set(true);
    }

    /// A score for an answer; false if nothing is known of its model and variant.
    pub fn feedback(
        &self,
        host: &dyn Host,
        series: &SeriesTable,
        (provider, model, variant): (&str, &str, &str),
        score: f64,
    ) -> bool {
        let name = format!("{provider}/{model}");
        let (of_model, of_variant) = {
            let all = self.all(host);
            (all.models.contains_key(&name), all.variants.contains_key(variant))
        };
        if !of_model && !of_variant {
            return false;
        }
        let mut tally = self.tally.borrow_mut();
        // Another worker may have served it. What nobody has served are the client's own words.
        if of_model {
            tally.models.entry(name.clone()).or_default();
        }
        if of_variant {
            tally.variants.entry(variant.to_owned()).or_default();
        }
        tally.feedback(&name, variant, score);
        self.changed.set(true);
        let (provider, model) = if of_model { (provider, model) } else { (OTHER, OTHER) };
        let variant = if of_variant || variant.is_empty() { variant } else { OTHER };
        let labels = Labels(&[provider, model, variant]);
        series.add(host, &names::FEEDBACKS, labels, true, 1);
        // Scores are from 0 to 1.
        #[allow(clippy::cast_possible_truncation)]
        let milli = (score * 1000.0).round() as i64;
        series.add(host, &names::FEEDBACK, labels, true, milli);
        true
    }

    /// Shows the other workers what there is.
    pub fn tick(&self, host: &dyn Host) {
        let now = host.now_nanos();
        if !self.enabled() || now.saturating_sub(self.shown.get()) < self.period {
            return;
        }
        self.shown.set(now);
        self.show(host);
    }

    /// Shows it at once, if there is something new.
    pub fn show(&self, host: &dyn Host) {
        if !self.enabled() {
            return;
        }
        let changed = self.changed.replace(false);
        self.worker.borrow_mut().show(host, &mut self.tally.borrow_mut(), changed);
    }

    /// What all workers have added up.
    pub fn all(&self, host: &dyn Host) -> Tally {
        self.worker.borrow().all(host, &self.tally.borrow())
    }
}

/// All that a report shows.
#[derive(Debug)]
pub struct Contents<'a> {
    /// What was added up.
    pub tally: &'a Tally,
    /// What is watched for changes.
    pub drift: &'a [Standing],
    /// Requests that a figure needs.
    pub min: u64,
    /// Nanoseconds since the Unix epoch, now.
    pub now: u64,
}
