//! The names of models that clients can ask for.

use shared::small_map::SmallMap;

use super::Gateway;
use crate::routing::Route;

impl Gateway {
    /// All names that clients can ask for, but for families of them, and who has each.
    pub fn all_names(&self) -> Vec<(&str, &str)> {
        let owner = |route: &Route| {
            let target = route.targets.first()?;
            Some(self.providers.get(target.provider)?.name.as_str())
        };
        let mut names: SmallMap<&str, &str> = SmallMap::new();
        for name in self.exact.keys().chain(self.aliases.keys()) {
            let number = self.rule(self.real_name(name));
            let route = number.and_then(|number| self.routing.route(number));
            if let Some(owner) = route.and_then(owner) {
                names.insert(name, owner);
            }
        }
        for (name, route) in self.routing.model_names() {
            if let Some(owner) = owner(route) {
                names.insert(name, owner);
            }
        }
        names.into_iter().collect()
    }

    /// The provider that is asked first for a model, if nothing else about the request matters.
    pub fn owner(&self, model: &str) -> Option<&str> {
        let named = self.routing.model_names().find(|(name, _)| *name == model);
        let entry = || self.routing.route(self.rule(self.real_name(model))?);
        let route = named.map(|(_, route)| route).or_else(entry)?;
        Some(self.providers.get(route.targets.first()?.provider)?.name.as_str())
    }

    /// A few of the names that clients can ask for, for error messages.
    pub fn model_names(&self) -> Vec<&str> {
        let mut names = self.all_names();
        names.truncate(10);
        names.into_iter().map(|(name, _)| name).collect()
    }
}
