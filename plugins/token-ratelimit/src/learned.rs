//! How long the answers of a model usually are.

use std::cell::RefCell;
use std::collections::HashMap;

/// Most models that are told apart.
const MAX_MODELS: usize = 1_000;

/// Answers that are needed before something is known.
const ENOUGH: u64 = 20;

/// The share of answers that are no longer than what is expected.
const QUANTILE: f64 = 0.95;

/// Most providers and models that a name is known to lead to.
const MAX_ANSWERING: usize = 16;

/// What was learned, by model and route.
#[derive(Debug, Default)]
pub struct Learned {
    models: RefCell<HashMap<String, Quantile>>,
    /// The providers and models that have answered, by the model that was asked for.
    answering: RefCell<HashMap<String, Vec<(String, String)>>>,
}

/// An estimate of a quantile that forgets slowly, by stochastic approximation: up by much when a value
/// is above it, down by little when below, so that it rests where it should.
#[derive(Clone, Copy, Debug, Default)]
struct Quantile {
    value: f64,
    count: u64,
}

impl Learned {
    /// Who has answered when a model was asked for.
    pub fn answered(&self, asked: &str, provider: &str, model: &str) {
        let mut answering = self.answering.borrow_mut();
        let room = answering.len() < MAX_MODELS;
        let is = |(p, m): &(String, String)| p == provider && m == model;
        match answering.get_mut(asked) {
            Some(known) if known.len() >= MAX_ANSWERING || known.iter().any(is) => {}
            Some(known) => known.push((provider.to_owned(), model.to_owned())),
            None if !room => {}
            None => {
                let first = vec![(provider.to_owned(), model.to_owned())];
                answering.insert(asked.to_owned(), first);
            }
        }
    }

    /// The most of what this says of those that have answered a model; `None` if nobody has.
    pub fn dearest(&self, asked: &str, cost: impl Fn(&str, &str) -> Option<u64>) -> Option<u64> {
        let answering = self.answering.borrow();
        answering.get(asked)?.iter().filter_map(|(provider, model)| cost(provider, model)).max()
    }

    /// An answer of a model had so many tokens.
    pub fn add(&self, model: &str, route: &str, tokens: u64) {
        let model = place(model, route);
        let mut models = self.models.borrow_mut();
        let room = models.len() < MAX_MODELS;
        let quantile = match models.get_mut(&model) {
            Some(quantile) => quantile,
            None if room => models.entry(model).or_default(),
            None => return,
        };
        let tokens = tokens as f64;
        if quantile.count == 0 {
            quantile.value = tokens;
        }
        // Large steps at first, then a twentieth of where it stands.
        let step = quantile.value.max(8.0) * (1.0 / (quantile.count as f64 + 1.0)).max(0.05);
        if tokens > quantile.value {
            quantile.value += step * QUANTILE;
        } else {
            quantile.value = (quantile.value - step * (1.0 - QUANTILE)).max(1.0);
        }
        quantile.count = quantile.count.saturating_add(1);
    }

    /// How many tokens 19 of 20 answers of a model do not exceed, if enough were seen.
    pub fn expected(&self, model: &str, route: &str) -> Option<u64> {
        let models = self.models.borrow();
        let quantile =
            models.get(&place(model, route)).filter(|quantile| quantile.count >= ENOUGH)?;
        // Positive, and no longer than an answer.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let tokens = quantile.value.ceil() as u64;
        Some(tokens)
    }
}

fn place(model: &str, route: &str) -> String {
    [model, "\n", route].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nineteen_of_twenty_answers_are_covered() {
        let learned = Learned::default();
        let mut state = 7_u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % 1000
        };
        for _ in 0..5_000 {
            learned.add("m", "r", next());
        }
        let expected = learned.expected("m", "r").unwrap();
        assert!((880..=1_020).contains(&expected), "{expected}");
        assert_eq!(learned.expected("m", "other"), None);
        // It follows when answers get longer.
        for _ in 0..2_000 {
            learned.add("m", "r", next() + 2_000);
        }
        assert!(learned.expected("m", "r").unwrap() > 2_500);
    }
}
