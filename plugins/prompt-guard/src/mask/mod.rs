//! Masking: values become placeholders that are numbered by their first appearance, and become values
//! again in the answer.
//!
//! A client resends its history with every request, so the numbers come out the same each time and
//! nothing needs to be kept between requests.

pub mod names;
pub mod nested;
mod rest;
pub mod restore;

use std::collections::HashMap;

/// Most values that are told apart in one request; what comes after them is masked without a number
/// and cannot be restored.
pub const MAX_VALUES: usize = 10_000;

/// Stands for text of the client's that looks like a placeholder itself.
pub const LITERAL: &str = "TEXT";

/// The placeholders of one request.
#[derive(Debug, Default)]
pub struct Masks {
    /// By kind and value, with where it has appeared first.
    numbers: HashMap<String, (usize, u32)>,
    counts: HashMap<String, u32>,
    /// By placeholder, for restoring.
    values: HashMap<String, String>,
    /// The place, in the conversation, of what is being masked.
    pub at: u32,
}

impl Masks {
    /// The placeholder of a value of a kind of this name: the same for the same value.
    pub fn placeholder(&mut self, name: &str, value: &str) -> String {
        let key = format!("{name}\u{0}{value}");
        if let Some((number, _)) = self.numbers.get(&key) {
            return format!("[{name}_{number}]");
        }
        if self.numbers.len() >= MAX_VALUES {
            return format!("[{name}]");
        }
        let count = self.counts.entry(name.to_owned()).or_insert(0);
        *count = count.saturating_add(1);
        let placeholder = format!("[{name}_{count}]");
        self.numbers.insert(key, (usize::try_from(*count).unwrap_or(usize::MAX), self.at));
        self.values.insert(placeholder.clone(), value.to_owned());
        placeholder
    }

    /// Whether a value has appeared before this place, where it was a placeholder for the model by then.
    pub fn knew(&self, name: &str, value: &str) -> bool {
        let known = self.numbers.get(&format!("{name}\u{0}{value}"));
        known.is_some_and(|(_, since)| *since < self.at)
    }

    /// What a placeholder stands for.
    pub fn value(&self, placeholder: &str) -> Option<&str> {
        self.values.get(placeholder).map(String::as_str)
    }

    /// Whether there is nothing to restore.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_the_first_appearance_of_each_value() {
        let mut masks = Masks::default();
        assert_eq!(masks.placeholder("EMAIL", "a@b.c"), "[EMAIL_1]");
        assert_eq!(masks.placeholder("EMAIL", "d@e.f"), "[EMAIL_2]");
        assert_eq!(masks.placeholder("IP", "a@b.c"), "[IP_1]");
        assert_eq!(masks.placeholder("EMAIL", "a@b.c"), "[EMAIL_1]");
        assert_eq!(masks.value("[EMAIL_2]"), Some("d@e.f"));
        assert_eq!(masks.value("[EMAIL_3]"), None);
    }

    #[test]
    fn the_number_of_values_is_bounded() {
        let mut masks = Masks::default();
        for number in 0..MAX_VALUES {
            masks.placeholder("X", &number.to_string());
        }
        assert_eq!(masks.placeholder("X", "one more"), "[X]");
        assert_eq!(masks.placeholder("X", "7"), "[X_8]");
    }
}
