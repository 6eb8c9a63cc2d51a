//! Values by name: in the data that the workers of an Envoy share, or in the worker's own memory.

use std::cell::RefCell;
use std::collections::HashMap;

use shared::host::{Capability, Host, HostError};

/// How often a change is tried that another worker was faster with.
const TRIES: u32 = 100;

/// Values by name. There is no list of names and no removal: an empty value takes the place of one that
/// is gone, so users of this have a fixed number of names.
#[derive(Debug, Default)]
pub struct Memory {
    own: RefCell<HashMap<String, Vec<u8>>>,
}

impl Memory {
    /// A value, empty if there is none, and its version.
    pub fn read(&self, host: &dyn Host, name: &str) -> (Vec<u8>, u32) {
        if !host.can(Capability::SharedData) {
            return (self.own.borrow().get(name).cloned().unwrap_or_default(), 0);
        }
        host.shared(name).map_or((Vec::new(), 0), |shared| (shared.value, shared.version))
    }

    /// A value; empty if there is none.
    pub fn get(&self, host: &dyn Host, name: &str) -> Vec<u8> {
        self.read(host, name).0
    }

    /// Sets a value, whatever it was.
    pub fn set(&self, host: &dyn Host, name: &str, value: &[u8]) {
        let _ = self.write(host, name, value, 0);
    }

    fn write(
        &self,
        host: &dyn Host,
        name: &str,
        value: &[u8],
        version: u32,
    ) -> Result<(), HostError> {
        if host.can(Capability::SharedData) {
            return host.set_shared(name, value, version);
        }
        let mut own = self.own.borrow_mut();
        if value.is_empty() {
            own.remove(name);
        } else {
            own.insert(name.to_owned(), value.to_vec());
        }
        Ok(())
    }

    /// Replaces a value by what `change` makes of it, so that no other worker's change is lost; `None`
    /// leaves it. `change` may be asked more than once.
    pub fn change<T>(
        &self,
        host: &dyn Host,
        name: &str,
        mut change: impl FnMut(Vec<u8>) -> (Option<Vec<u8>>, T),
    ) -> T {
        let mut tries = 0;
        loop {
            let (value, version) = self.read(host, name);
            let (changed, result) = change(value);
            let Some(changed) = changed else { return result };
            if self.swap(host, name, &changed, version) || tries >= TRIES {
                return result;
            }
            tries += 1;
        }
    }

    /// Sets a value if it still is of this version; false if another worker was faster.
    pub fn swap(&self, host: &dyn Host, name: &str, value: &[u8], version: u32) -> bool {
        self.write(host, name, value, version) != Err(HostError::CAS_MISMATCH)
    }
}
