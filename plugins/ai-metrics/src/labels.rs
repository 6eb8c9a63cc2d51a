//! The values of labels: numbered, and no more of them than are allowed.
//!
//! A label whose values come from outside can have any number of them, and each is a series in the
//! proxy that is never freed. So every label has a list of the values that it has had, which all workers
//! share, and what no longer fits in is `other`.

use shared::small_map::SmallMap;
use std::cell::RefCell;
use std::rc::Rc;

use shared::host::{Capability, Host};

use crate::names::Label;

/// What a value becomes for which there is no room.
pub const OTHER: &str = "other";

/// Longest value, in bytes.
const MAX_VALUE: usize = 128;

/// How often a list that others change meanwhile is tried to be changed.
const TRIES: usize = 8;

/// For how long a worker takes what the others have confirmed as it was when last asked, in nanoseconds.
const KNOWN_FOR: u64 = 100_000_000;

/// The number of a value within its label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(pub u16);

/// [`OTHER`] in every label.
pub const OTHER_ID: ValueId = ValueId(0);

/// The values of all labels, as one worker knows them.
#[derive(Debug)]
pub struct Values {
    max: usize,
    columns: RefCell<Vec<Column>>,
}

#[derive(Debug, Default)]
struct Column {
    ids: SmallMap<Rc<str>, ValueId>,
    values: Vec<Rc<str>>,
    full: bool,
    /// When a value that nothing has confirmed was last looked for among those of the other workers.
    asked: Option<u64>,
}

impl Column {
    fn add(&mut self, value: &str) -> ValueId {
        if let Some(id) = self.ids.get(value) {
            return *id;
        }
        let Ok(id) = u16::try_from(self.values.len()).map(ValueId) else { return OTHER_ID };
        let value: Rc<str> = value.into();
        self.values.push(Rc::clone(&value));
        self.ids.insert(value, id);
        id
    }
}

impl Values {
    /// Room for so many values of each label.
    pub fn new(max: u16) -> Values {
        let columns = (0..Label::COUNT).map(|_| {
            let mut column = Column::default();
            column.add(OTHER);
            column
        });
        Values { max: usize::from(max), columns: RefCell::new(columns.collect()) }
    }

    /// The number of a value; `None` if there is no room for it. A value that is not `trusted` (it comes
    /// from a client and nothing has confirmed it) takes no room: it must be known already.
    pub fn id(&self, host: &dyn Host, label: Label, value: &str, trusted: bool) -> Option<ValueId> {
        let mut columns = self.columns.borrow_mut();
        let column = columns.get_mut(label as usize)?;
        if let Some(id) = column.ids.get(value) {
            return Some(*id);
        }
        if value.len() > MAX_VALUE || column.full || (!trusted && !host.can(Capability::SharedData))
        {
            return None;
        }
        self.admit(host, label, column, value, trusted)
    }

    /// Asks the list that the workers share.
    fn admit(
        &self,
        host: &dyn Host,
        label: Label,
        column: &mut Column,
        value: &str,
        trusted: bool,
    ) -> Option<ValueId> {
        if !host.can(Capability::SharedData) {
            column.full = column.values.len() > self.max;
            return (!column.full).then(|| column.add(value));
        }
        if !trusted {
            let now = host.now_nanos();
            if column.asked.is_some_and(|then| now.saturating_sub(then) < KNOWN_FOR) {
                return None;
            }
            column.asked = Some(now);
        }
        let key = format!("ai-metrics.label.1.{}", label.name());
        for _ in 0..TRIES {
            let shared = host.shared(&key);
            let (bytes, version) = shared.map_or((Vec::new(), 0), |s| (s.value, s.version));
            let mut known: Vec<&str> =
                std::str::from_utf8(&bytes).unwrap_or_default().split('\0').collect();
            known.retain(|known| !known.is_empty());
            if value.is_empty() || (trusted && known.contains(&value)) {
                return Some(column.add(value));
            }
            if !trusted {
                // All of them, as nobody is asked again for a while.
                known.iter().for_each(|known| {
                    column.add(known);
                });
                return column.ids.get(value).copied();
            }
            if known.len() >= self.max {
                known.iter().for_each(|known| {
                    column.add(known);
                });
                column.full = true;
                return None;
            }
            known.push(value);
            if host.set_shared(&key, known.join("\0").as_bytes(), version).is_ok() {
                return Some(column.add(value));
            }
        }
        None
    }

    /// A value by its number.
    pub fn value(&self, label: Label, id: ValueId) -> Rc<str> {
        let columns = self.columns.borrow();
        let value = columns.get(label as usize).and_then(|c| c.values.get(usize::from(id.0)));
        value.map_or_else(|| OTHER.into(), Rc::clone)
    }
}

#[cfg(test)]
mod tests {
    use shared::host::script::ScriptHost;

    use super::*;

    #[test]
    fn what_does_not_fit_is_other_in_every_worker() {
        let host = ScriptHost::default();
        let (one, two) = (Values::new(2), Values::new(2));
        assert!(one.id(&host, Label::Route, "a", true).is_some());
        assert!(two.id(&host, Label::Route, "b", true).is_some());
        assert_eq!(one.id(&host, Label::Route, "c", true), None);
        assert!(one.id(&host, Label::Route, "b", true).is_some(), "known to the other worker");
        assert_eq!(two.id(&host, Label::Route, "c", true), None);
        assert!(two.id(&host, Label::Route, "a", true).is_some());
        assert!(two.id(&host, Label::Consumer, "c", true).is_some(), "each label has its own");
    }

    #[test]
    fn what_nobody_has_confirmed_takes_no_room() {
        let host = ScriptHost::default();
        let values = Values::new(2);
        for junk in ["x1", "x2", "x3"] {
            assert_eq!(values.id(&host, Label::RequestModel, junk, false), None);
        }
        // What another worker has confirmed is known here a little later.
        let other = Values::new(2);
        other.id(&host, Label::RequestModel, "gpt-5", true).unwrap();
        other.id(&host, Label::RequestModel, "gpt-6", true).unwrap();
        assert_eq!(values.id(&host, Label::RequestModel, "gpt-5", false), None);
        host.now_nanos.set(KNOWN_FOR);
        let known = values.id(&host, Label::RequestModel, "gpt-5", false).unwrap();
        assert_eq!(values.id(&host, Label::RequestModel, "gpt-5", false), Some(known));
        assert_eq!(&*values.value(Label::RequestModel, known), "gpt-5");
        // So is all else that was in their list.
        let known = values.id(&host, Label::RequestModel, "gpt-6", false).unwrap();
        assert_eq!(&*values.value(Label::RequestModel, known), "gpt-6");
    }

    #[test]
    fn without_shared_data_each_worker_counts_for_itself() {
        let mut host = ScriptHost::default();
        host.cannot.insert(Capability::SharedData);
        let values = Values::new(2);
        let ids = ["a", "b", "c", "a"].map(|v| values.id(&host, Label::Team, v, true).is_some());
        assert_eq!(ids, [true, true, false, true]);
    }

    #[test]
    fn a_value_of_any_length_is_no_label() {
        let values = Values::new(9);
        let long = "x".repeat(MAX_VALUE + 1);
        assert_eq!(values.id(&ScriptHost::default(), Label::Team, &long, true), None);
    }
}
