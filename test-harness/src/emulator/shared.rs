//! What the VMs of one process share: shared data, queues and metrics.

use std::cell::{Ref, RefCell, RefMut};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// The process-wide part of a host. Give the same handle to several [`Vm`](super::Vm)s (by
/// [`Options::shared`](super::Options::shared)) to emulate worker threads, or two roles of a plugin.
/// As on Envoy, shared data is kept apart by `vm_id`.
#[derive(Clone, Default)]
pub struct SharedStore(Rc<RefCell<Inner>>);

#[derive(Default)]
pub(crate) struct Inner {
    data: BTreeMap<(String, Vec<u8>), (Vec<u8>, u32)>,
    last_cas: u32,
    queues: Vec<Queue>,
    metrics: BTreeMap<String, Metric>,
}

struct Queue {
    vm_id: String,
    name: Vec<u8>,
    items: VecDeque<Vec<u8>>,
}

/// The kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// A level.
    Gauge,
    /// Keeps every recorded value here, buckets on the real host.
    Histogram,
}

/// A metric as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// What it was defined as.
    pub kind: MetricKind,
    /// The value of a counter or gauge.
    pub value: u64,
    /// What was recorded in a histogram, in order.
    pub samples: Vec<u64>,
}

impl SharedStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The shared data of `vm_id`: key, value and CAS number.
    pub fn data(&self, vm_id: &str) -> BTreeMap<Vec<u8>, (Vec<u8>, u32)> {
        let inner = self.read();
        let own = inner.data.iter().filter(|((id, _), _)| id == vm_id);
        own.map(|((_, key), value)| (key.clone(), value.clone())).collect()
    }

    /// Every metric by name.
    pub fn metrics(&self) -> BTreeMap<String, Metric> {
        self.read().metrics.clone()
    }

    pub(crate) fn read(&self) -> Ref<'_, Inner> {
        self.0.borrow()
    }

    pub(crate) fn write(&self) -> RefMut<'_, Inner> {
        self.0.borrow_mut()
    }
}

impl Inner {
    pub(crate) fn get(&self, vm_id: &str, key: &[u8]) -> Option<(Vec<u8>, u32)> {
        self.data.get(&(vm_id.to_string(), key.to_vec())).cloned()
    }

    /// False if `cas` is not that of the value there is. It does not protect creation: with no value
    /// there, any `cas` is accepted.
    pub(crate) fn set(&mut self, vm_id: &str, key: &[u8], value: Vec<u8>, cas: u32) -> bool {
        let key = (vm_id.to_string(), key.to_vec());
        if cas != 0 && self.data.get(&key).is_some_and(|(_, current)| *current != cas) {
            return false;
        }
        self.last_cas += 1;
        self.data.insert(key, (value, self.last_cas));
        true
    }

    /// The token of the queue, made if it is not there.
    pub(crate) fn register_queue(&mut self, vm_id: &str, name: &[u8]) -> u32 {
        if let Some(token) = self.resolve_queue(vm_id, name) {
            return token;
        }
        let queue = Queue { vm_id: vm_id.to_string(), name: name.to_vec(), items: VecDeque::new() };
        self.queues.push(queue);
        u32::try_from(self.queues.len()).expect("few queues")
    }

    pub(crate) fn resolve_queue(&self, vm_id: &str, name: &[u8]) -> Option<u32> {
        let at = self.queues.iter().position(|q| q.vm_id == vm_id && q.name == name)?;
        u32::try_from(at + 1).ok()
    }

    /// The items of the queue with this token.
    pub(crate) fn queue(&mut self, token: u32) -> Option<&mut VecDeque<Vec<u8>>> {
        let at = usize::try_from(token).ok()?.checked_sub(1)?;
        self.queues.get_mut(at).map(|q| &mut q.items)
    }

    pub(crate) fn metric(&mut self, name: &str, kind: MetricKind) -> &mut Metric {
        let new = || Metric { kind, value: 0, samples: Vec::new() };
        self.metrics.entry(name.to_string()).or_insert_with(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cas_protects_a_change_but_not_the_creation() {
        let store = SharedStore::new();
        let mut inner = store.write();
        assert!(inner.set("vm", b"k", b"1".to_vec(), 77), "any CAS creates");
        let (_, cas) = inner.get("vm", b"k").unwrap();
        assert!(inner.set("vm", b"k", b"2".to_vec(), cas));
        assert!(!inner.set("vm", b"k", b"3".to_vec(), cas), "the CAS is spent");
        assert!(inner.set("vm", b"k", b"4".to_vec(), 0), "0 overwrites");
        assert_eq!(inner.get("other", b"k"), None, "each vm_id has its own data");
    }
}
