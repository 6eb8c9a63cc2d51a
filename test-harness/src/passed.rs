//! What of a module exchanges pass.

use layout::{Passed, Shape, TRACE, traced};

use crate::cost::{Scenario, scenarios};
use crate::emulator::{LoadError, Module};

/// What the scenarios of `cost` pass of a module of the plugin of this name, one after another.
///
/// # Errors
/// If it is no module, or does not start, with what it said.
///
/// # Panics
/// If an exchange goes wrong.
pub fn passed(plugin: &str, module: &[u8]) -> Result<Passed, LoadError> {
    let invalid = |error: layout::Invalid| LoadError(error.to_string());
    let shape = Shape::of(module).map_err(invalid)?;
    let traced = Module::traced(&traced(module).map_err(invalid)?)?;
    let mut all = Passed::default();
    for scenario in scenarios().iter().filter(|scenario| scenario.module == plugin) {
        all.add(&scenario.passed(&traced, &shape)?);
    }
    Ok(all)
}

impl Scenario {
    /// What an exchange and a tick after it pass of a module of this shape that [`traced`] has changed.
    ///
    /// # Errors
    /// If the plugin does not start, with what it said.
    ///
    /// # Panics
    /// If an exchange goes wrong.
    pub fn passed(&self, module: &Module, shape: &Shape) -> Result<Passed, LoadError> {
        let (vm, root) = self.warm(module)?;
        vm.clear_memory(TRACE);
        self.next(&vm, root);
        vm.tick(root);
        Ok(Passed::read(shape, &vm.memory(TRACE).unwrap_or_default()))
    }
}
