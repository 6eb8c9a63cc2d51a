//! What a provider calls the models that clients ask for.

use shared::small_map::SmallMap;

use regex_lite::Regex;
use shared::config::ConfigError;

/// Maps names: an exact one goes before a prefix (`gpt-*`), the longest prefix before a shorter one,
/// and those before regular expressions (`~^(.*)-latest$`, anchored as written), which are tried in
/// the order of their text. A `*` in the new name stands for what the prefix left, `${1}` for a group.
#[derive(Debug, Default)]
pub struct Names {
    exact: SmallMap<String, String>,
    /// Longest first.
    prefixes: Vec<(String, String)>,
    patterns: Vec<(Regex, String)>,
}

impl Names {
    /// Compiles a map; `path` is where it stands in the configuration.
    pub fn new(map: SmallMap<String, String>, path: &str) -> Result<Names, ConfigError> {
        let mut names = Names::default();
        for (from, to) in map {
            let path = format!("{path}.{from}");
            if from.is_empty() || to.is_empty() {
                return Err(ConfigError::new(path, "names must not be empty"));
            }
            if let Some(pattern) = from.strip_prefix('~') {
                let regex = Regex::new(pattern).map_err(|error| {
                    ConfigError::new(&path, format!("is not a regular expression: {error}"))
                })?;
                names.patterns.push((regex, to));
            } else if let Some(prefix) = from.strip_suffix('*') {
                let at = names.prefixes.partition_point(|(p, _)| p.len() >= prefix.len());
                names.prefixes.insert(at, (prefix.to_owned(), to));
            } else {
                names.exact.insert(from, to);
            }
        }
        Ok(names)
    }

    /// The provider's name of a model; the same if nothing is said about it.
    pub fn of(&self, model: &str) -> String {
        if let Some(to) = self.exact.get(model) {
            return to.clone();
        }
        for (prefix, to) in &self.prefixes {
            if let Some(rest) = model.strip_prefix(prefix.as_str()) {
                return to.replacen('*', rest, 1);
            }
        }
        for (pattern, to) in &self.patterns {
            if pattern.is_match(model) {
                return pattern.replace(model, to.as_str()).into_owned();
            }
        }
        model.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pairs: &[(&str, &str)]) -> Result<Names, ConfigError> {
        let map = pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned()));
        Names::new(map.collect(), "providers[0].models")
    }

    #[test]
    fn exact_goes_before_prefix_before_pattern() {
        let names = names(&[
            ("gpt-4o", "mine"),
            ("gpt-*", "openai/gpt-*"),
            ("gpt-5*", "five"),
            ("~^llama-(\\d+)b$", "meta/llama-${1}b-instruct"),
            ("~llama", "other"),
        ])
        .unwrap();
        for (from, to) in [
            ("gpt-4o", "mine"),
            ("gpt-4", "openai/gpt-4"),
            ("gpt-5-mini", "five"),
            ("llama-70b", "meta/llama-70b-instruct"),
            ("x-llama-y", "x-other-y"),
            ("qwen", "qwen"),
        ] {
            assert_eq!(names.of(from), to, "{from}");
        }
    }

    #[test]
    fn a_bad_pattern_is_named() {
        let error = names(&[("~(", "x")]).unwrap_err().to_string();
        assert!(
            error.starts_with("providers[0].models.~(: is not a regular expression"),
            "{error}"
        );
        assert!(names(&[("a", "")]).is_err());
    }
}
