//! Patterns of texts: exact, by prefix, by regular expression.

use crate::config::ConfigError;
use regex_lite::Regex;

/// `text`, `prefix*` or `~regex`.
#[derive(Debug)]
pub enum Pattern {
    /// The text itself.
    Exact(String),
    /// What begins so; everything if it is empty.
    Prefix(String),
    /// What the expression finds a match in; anchored as written.
    Regex(Regex),
}

impl Pattern {
    /// Compiles one; `path` is where it stands in the configuration.
    pub fn new(text: &str, path: &str) -> Result<Pattern, ConfigError> {
        if text.is_empty() {
            return Err(ConfigError::new(path, "must not be empty; `*` fits everything"));
        }
        if let Some(regex) = text.strip_prefix('~') {
            let regex = Regex::new(regex).map_err(|error| {
                ConfigError::new(path, format!("is not a regular expression: {error}"))
            })?;
            return Ok(Pattern::Regex(regex));
        }
        match text.strip_suffix('*') {
            Some(prefix) if prefix.contains('*') => {
                let message = "`*` may stand at the end only; write a regular expression after `~`";
                Err(ConfigError::new(path, message))
            }
            Some(prefix) => Ok(Pattern::Prefix(prefix.to_owned())),
            None => Ok(Pattern::Exact(text.to_owned())),
        }
    }

    /// Compiles a list of them.
    pub fn all(texts: &[String], path: &str) -> Result<Vec<Pattern>, ConfigError> {
        let texts = texts.iter().enumerate();
        texts.map(|(index, text)| Pattern::new(text, &format!("{path}[{index}]"))).collect()
    }

    /// Whether it fits.
    pub fn fits(&self, text: &str) -> bool {
        match self {
            Pattern::Exact(exact) => exact == text,
            Pattern::Prefix(prefix) => text.starts_with(prefix.as_str()),
            Pattern::Regex(regex) => regex.is_match(text),
        }
    }

    /// Whether it fits all that another fits, as far as that can be told: of two different expressions
    /// it cannot.
    pub fn covers(&self, other: &Pattern) -> bool {
        match (self, other) {
            (_, Pattern::Exact(text)) => self.fits(text),
            (Pattern::Prefix(all), Pattern::Prefix(some)) => some.starts_with(all.as_str()),
            (Pattern::Prefix(all), Pattern::Regex(_)) => all.is_empty(),
            (Pattern::Regex(one), Pattern::Regex(other)) => one.as_str() == other.as_str(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, text: &str) -> bool {
        Pattern::new(pattern, "p").unwrap().fits(text)
    }

    #[test]
    fn the_three_forms() {
        assert!(fits("gpt-4o", "gpt-4o") && !fits("gpt-4o", "gpt-4o-mini"));
        assert!(fits("gpt-*", "gpt-4o") && fits("*", "") && !fits("gpt-*", "o4"));
        assert!(fits("~^(gpt|o)-?\\d", "o4-mini") && !fits("~^x$", "xx"));
    }

    #[test]
    fn bad_ones_are_named() {
        for (pattern, words) in
            [("", "must not be empty"), ("a*b*", "at the end"), ("~(", "regular")]
        {
            let error = Pattern::new(pattern, "routes[0].when.models[1]").unwrap_err().to_string();
            assert!(error.starts_with("routes[0].when.models[1]: "), "{error}");
            assert!(error.contains(words), "{error}");
        }
    }
}
