//! The series that one request adds to, found at once.
//!
//! Requests that are alike in all labels of [`names::REQUESTS`] add to the same series of all other
//! metrics, so these are looked up for the first of them only.

use std::cell::RefCell;

use shared::host::Host;

use crate::labels::{OTHER_ID, ValueId};
use crate::names::{Definition, Label};
use crate::series::{Key, Place, SeriesTable};

/// Values of [`Label::TokenType`].
pub(crate) const KINDS: [&str; 5] = ["input", "output", "cached", "cache_write", "reasoning"];

/// Values of [`Label::Source`].
const SOURCES: [&str; 2] = ["reported", "estimated"];

/// What tells the series of one metric apart within a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    /// Which of [`KINDS`], where the metric has them.
    pub(crate) kind: usize,
    /// Whether counts are estimated.
    pub(crate) estimated: bool,
}

/// The series of requests that are alike.
#[derive(Debug)]
pub(crate) struct Group {
    ids: [ValueId; Label::COUNT],
    /// Metric, part and number of each series that was asked for; a dozen.
    known: RefCell<Vec<(usize, Part, Place)>>,
}

impl Group {
    /// Of these labels' values.
    pub(crate) fn new(labels: &[Label], values: &[ValueId]) -> Group {
        let mut ids = [OTHER_ID; Label::COUNT];
        for (label, value) in labels.iter().zip(values) {
            if let Some(slot) = ids.get_mut(*label as usize) {
                *slot = *value;
            }
        }
        Group { ids, known: RefCell::default() }
    }

    /// Adds to a counter.
    pub(crate) fn add(
        &self,
        (table, host): (&SeriesTable, &dyn Host),
        metric: &'static Definition,
        part: Part,
        by: i64,
    ) {
        if let Some(place) = self.place(table, host, metric, part) {
            table.add_at(place, by);
        }
    }

    /// Gives a histogram one more value.
    pub(crate) fn record(
        &self,
        (table, host): (&SeriesTable, &dyn Host),
        metric: &'static Definition,
        part: Part,
        value: u64,
    ) {
        if let Some(place) = self.place(table, host, metric, part) {
            table.record_at(host, place, value);
        }
    }

    fn place(
        &self,
        table: &SeriesTable,
        host: &dyn Host,
        metric: &'static Definition,
        part: Part,
    ) -> Option<Place> {
        let known = self.known.borrow();
        let same = |one: &&(usize, Part, Place)| one.0 == metric.place && one.1 == part;
        if let Some((_, _, place)) = known.iter().find(same) {
            return Some(*place);
        }
        drop(known);
        let id = |label: Label| match label {
            Label::TokenType => {
                let kind = KINDS.get(part.kind).copied().unwrap_or_default();
                table.id(host, label, kind, true)
            }
            Label::Source => {
                let source = SOURCES.get(usize::from(part.estimated)).copied().unwrap_or_default();
                table.id(host, label, source, true)
            }
            label => self.ids.get(label as usize).copied().unwrap_or(OTHER_ID),
        };
        let place = table.place(host, Key::of(metric, id))?;
        self.known.borrow_mut().push((metric.place, part, place));
        Some(place)
    }
}
