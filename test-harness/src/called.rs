//! Which of a module's functions an exchange calls.

use std::error::Error;
use std::path::Path;

use layout::{Functions, traced};

use crate::cost::Scenario;
use crate::emulator::Module;

/// The functions that modules are laid out by, one per line, beside lines that begin with `#`.
pub const LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/layout/order.txt");

/// A module that has its functions' names, and tells which of them are called.
pub struct Traced {
    names: Vec<String>,
    module: Module,
}

impl Traced {
    /// Reads one of the modules that `make wasm` leaves in `target`.
    ///
    /// # Errors
    /// If it cannot be read or is no module.
    pub fn from_file(path: &Path) -> Result<Self, Box<dyn Error>> {
        let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let names = Functions::read(&bytes)?.names;
        Ok(Self { names, module: Module::from_bytes(&traced(&bytes)?)? })
    }

    /// The names of those that an exchange and the tick after it call, in the order of their first calls.
    ///
    /// # Errors
    /// If the plugin does not start, with what it said.
    pub fn called_in(&self, scenario: &Scenario) -> Result<Vec<&str>, Box<dyn Error>> {
        let called = scenario.called(&self.module, self.names.len())?;
        let names = called.iter().filter_map(|function| self.names.get(*function));
        Ok(names.map(String::as_str).filter(|name| !name.is_empty()).collect())
    }
}
