//! Paths of AI services that no client API of the suite describes: vision APIs, KServe and Triton, Hugging
//! Face's inference, any HTTP server with a model behind it.

use std::rc::Rc;

use crate::config::ConfigError;
use crate::pattern::Pattern;

/// The paths that a configuration names. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Services(Option<Rc<[Pattern]>>);

impl Services {
    /// Compiles patterns (exact, `prefix*`, `~regex`); `path` is where they stand in the configuration.
    pub fn new(patterns: &[String], path: &str) -> Result<Services, ConfigError> {
        if patterns.is_empty() {
            return Ok(Services(None));
        }
        Pattern::all(patterns, path).map(|all| Services(Some(all.into())))
    }

    /// Whether a path (its query may follow) is one of them.
    pub fn has(&self, path: &str) -> bool {
        let Some(patterns) = &self.0 else { return false };
        let path = path.split(['?', '#']).next().unwrap_or_default();
        patterns.iter().any(|pattern| pattern.fits(path))
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn the_query_does_not_count() {
        let services = Services::new(&["/v2/models/*".into(), "/ocr".into()], "services").unwrap();
        assert!(services.has("/v2/models/resnet/infer?x=y") && services.has("/ocr?page=1"));
        assert!(!services.has("/ocr/2") && !services.has("/x?/ocr"));
        assert!(!Services::default().has("/"));
    }

    #[test]
    fn a_mistake_has_its_place() {
        let error = Services::new(&["/a".into(), "~(".into()], "services").unwrap_err();
        assert_eq!(error.path, "services[1]");
    }
}
