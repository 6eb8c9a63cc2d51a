//! What a target costs for a request.

use shared::small_map::SmallMap;
use std::cell::Cell;

use shared::config::ConfigError;
use shared::hours::Hours;
use shared::price::{LongContext, Price as Known, check_long, long};

use super::config::{Committed, Price};

/// Tokens that an answer is taken to have where the client sets no limit.
const USUAL_ANSWER: u64 = 500;

/// Size of a request and its answer, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Of the prompt.
    pub prompt: u64,
    /// Of the answer, as expected.
    pub answer: u64,
}

impl Size {
    /// That of a prompt and an answer of `max_tokens` at most.
    pub fn new(prompt: u64, max_tokens: Option<u64>) -> Size {
        Size { prompt, answer: max_tokens.map_or(USUAL_ANSWER, |max| max.min(USUAL_ANSWER)) }
    }
}

/// What a target charges.
#[derive(Debug)]
pub struct Tariff {
    /// US dollars for a million tokens.
    input: f64,
    output: f64,
    long: Vec<LongContext>,
    off_peak: Option<(Hours, f64)>,
    committed: Option<Capacity>,
}

/// Capacity that is paid for anyway. Each worker counts what it has used itself and, at each tick,
/// what all have.
#[derive(Debug)]
pub struct Capacity {
    given: Committed,
    /// The window, and what was used in it.
    used: Cell<(u64, u64)>,
}

impl Tariff {
    /// Checks a price; `currencies` are worth so many US dollars each.
    pub fn new(
        price: Price,
        currencies: &SmallMap<String, f64>,
        path: &str,
    ) -> Result<Tariff, ConfigError> {
        let bad = |field: &str, message: String| {
            Err(ConfigError::new(format!("{path}.{field}"), message))
        };
        let amounts = [("input", price.input), ("output", price.output)];
        check_long(&price.long_context, path)?;
        for (field, amount) in amounts {
            if !(0.0..=1e9).contains(&amount) {
                return bad(field, "must be 0 or more".into());
            }
        }
        let share = |share: f64| (0.0..=1.0).contains(&share);
        if !share(price.discount) {
            return bad("discount", "must be between 0 and 1".into());
        }
        let worth = match price.currency.as_deref() {
            None | Some("USD") => 1.0,
            Some(name) => match currencies.get(name) {
                Some(worth) => *worth,
                None => return bad("currency", format!("`currencies` has no `{name}`")),
            },
        };
        let off_peak = match price.off_peak {
            Some(off) if !share(off.discount) => {
                return bad("off_peak.discount", "must be between 0 and 1".into());
            }
            Some(off) => {
                let hours = Hours::new(&off.time, &format!("{path}.off_peak.time"))?;
                // Taken off the full price.
                Some((hours, (1.0 - off.discount) / (1.0 - price.discount).max(1e-9)))
            }
            None => None,
        };
        if price.committed.is_some_and(|committed| committed.tokens == 0 || committed.seconds == 0)
        {
            return bad("committed", "`tokens` and `seconds` must be 1 or more".into());
        }
        let factor = worth * (1.0 - price.discount);
        let in_dollars = |long: LongContext| LongContext {
            input: long.input * factor,
            output: long.output * factor,
            ..long
        };
        let long = price.long_context.into_iter().map(in_dollars).collect();
        Ok(Tariff {
            input: price.input * factor,
            output: price.output * factor,
            long,
            off_peak,
            committed: price.committed.map(|given| Capacity { given, used: Cell::new((0, 0)) }),
        })
    }

    /// What is commonly known of a model's price.
    pub fn known(price: &Known) -> Tariff {
        Tariff {
            input: price.input,
            output: price.output,
            long: price.long_context.clone(),
            off_peak: None,
            committed: None,
        }
    }

    /// What so much costs, in US dollars. `now` is in nanoseconds since the Unix epoch.
    pub fn of(&self, size: Size, now: u64) -> f64 {
        let tokens = size.prompt.saturating_add(size.answer);
        if self.committed.as_ref().is_some_and(|capacity| capacity.has_room(tokens, now)) {
            return 0.0;
        }
        let (input, output) = long(&self.long, size.prompt)
            .map_or((self.input, self.output), |long| (long.input, long.output));
        let full = (input * size.prompt as f64 + output * size.answer as f64) / 1e6;
        match &self.off_peak {
            Some((hours, factor)) if hours.hold(now) => full * factor,
            _ => full,
        }
    }

    /// The capacity that is paid for anyway.
    pub fn committed(&self) -> Option<&Capacity> {
        self.committed.as_ref()
    }
}

impl Capacity {
    fn window(&self, now: u64) -> u64 {
        now / 1_000_000_000 / self.given.seconds.max(1)
    }

    fn used_now(&self, now: u64) -> u64 {
        let (window, used) = self.used.get();
        if window == self.window(now) { used } else { 0 }
    }

    fn has_room(&self, tokens: u64, now: u64) -> bool {
        self.used_now(now).saturating_add(tokens) <= self.given.tokens
    }

    /// So many tokens were used.
    pub fn spend(&self, tokens: u64, now: u64) {
        let used = self.used_now(now).saturating_add(tokens);
        self.used.set((self.window(now), used));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000_000_000;

    fn tariff(json: &str) -> Result<Tariff, ConfigError> {
        let currencies = SmallMap::from([("EUR".to_owned(), 1.1)]);
        Tariff::new(shared::config::document(json).unwrap(), &currencies, "price")
    }

    fn cost(json: &str, size: Size, now: u64) -> f64 {
        tariff(json).unwrap().of(size, now)
    }

    #[test]
    fn a_request_costs_by_its_size() {
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        let size = Size { prompt: 1000, answer: 100 };
        close(cost(r#"{"input":2,"output":8}"#, size, 0), 0.0028);
        close(cost(r#"{"input":2,"output":8,"currency":"EUR"}"#, size, 0), 0.0028 * 1.1);
        close(cost(r#"{"input":2,"output":8,"discount":0.25}"#, size, 0), 0.0021);
        let long = r#"{"input":2,"output":8,"long_context":[{"above":999,"input":4,"output":8},
            {"above":1000,"input":9,"output":9}],"currency":"EUR","discount":0.5}"#;
        close(cost(long, size, 0), 0.0048 * 1.1 / 2.0);
        assert_eq!(Size::new(1, Some(1_000_000)).answer, USUAL_ANSWER);
    }

    #[test]
    fn what_is_commonly_known_of_long_prompts_counts() {
        let known = shared::models::find("gemini-2.5-pro").unwrap();
        let tariff = Tariff::known(&known.price);
        let cost = |prompt| tariff.of(Size { prompt, answer: 0 }, 0);
        assert!((cost(200_000) - 0.25).abs() < 1e-9);
        assert!((cost(200_001) - 0.5).abs() < 1e-4);
    }

    #[test]
    fn the_night_is_cheaper_and_its_discount_is_instead_of_the_other() {
        let json = r#"{"input":2,"output":0,"discount":0.1,
            "off_peak":{"time":{"from":"22:00","to":"06:00"},"discount":0.5}}"#;
        let size = Size { prompt: 1_000_000, answer: 0 };
        assert!((cost(json, size, 12 * HOUR) - 1.8).abs() < 1e-9);
        assert!((cost(json, size, 23 * HOUR) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_paid_for_anyway_costs_nothing_until_it_is_used_up() {
        let json = r#"{"input":2,"output":2,"committed":{"tokens":1000,"seconds":3600}}"#;
        let tariff = tariff(json).unwrap();
        let size = Size { prompt: 300, answer: 100 };
        assert_eq!(tariff.of(size, HOUR), 0.0);
        tariff.committed().unwrap().spend(700, HOUR);
        assert!(tariff.of(size, HOUR + 1) > 0.0);
        assert_eq!(tariff.of(size, 2 * HOUR), 0.0, "another hour");
    }

    #[test]
    fn mistakes_are_named() {
        for (json, place) in [
            (r#"{"input":-1,"output":0}"#, "price.input: "),
            (r#"{"input":1,"output":0,"discount":2}"#, "price.discount: "),
            (r#"{"input":1,"output":0,"currency":"XYZ"}"#, "price.currency: "),
            (
                r#"{"input":1,"output":0,"long_context":[{"above":1,"input":-1,"output":1}]}"#,
                "price.long_context[0].input: ",
            ),
            (r#"{"input":1,"output":0,"committed":{"tokens":0,"seconds":1}}"#, "price.committed: "),
        ] {
            let error = tariff(json).unwrap_err().to_string();
            assert!(error.starts_with(place), "{error}");
        }
    }
}
