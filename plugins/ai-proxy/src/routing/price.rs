//! What a target costs for a request, in money and in emissions.

use std::collections::BTreeMap;

use shared::config::ConfigError;

use super::config::{self, Intensity, Price};

/// Tokens that an answer is taken to have where the client sets no limit.
const USUAL_ANSWER: u64 = 500;

/// Energy that a model is taken to need where nothing is said, in watt-hours for a thousand tokens.
/// Estimates for large models of 2025 lie around 0.3 Wh for a question with a 500-token answer,
/// <https://epoch.ai/gradient-updates/how-much-energy-does-chatgpt-use>.
pub const USUAL_WATT_HOURS: f64 = 0.5;

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

impl Price {
    /// What so much costs, in US dollars.
    pub fn of(&self, size: Size) -> f64 {
        (self.input * size.prompt as f64 + self.output * size.answer as f64) / 1e6
    }
}

/// How much carbon dioxide electricity makes, by region and hour.
#[derive(Debug)]
pub struct Grid {
    regions: BTreeMap<String, Vec<f64>>,
    default: f64,
}

impl Grid {
    /// Checks a table.
    pub fn new(carbon: config::Carbon) -> Result<Grid, ConfigError> {
        let mut regions = BTreeMap::new();
        for (region, intensity) in carbon.regions {
            let Intensity(hours) = intensity;
            let valid = hours.iter().all(|value| value.is_finite() && *value >= 0.0);
            if !matches!(hours.len(), 1 | 24) || !valid {
                let message = "give one number of 0 or more, or 24, one for each hour of UTC";
                return Err(ConfigError::new(format!("carbon.regions.{region}"), message));
            }
            regions.insert(region, hours);
        }
        if !carbon.default.is_finite() || carbon.default < 0.0 {
            return Err(ConfigError::new("carbon.default", "must be 0 or more"));
        }
        Ok(Grid { regions, default: carbon.default })
    }

    /// Grams of CO2 equivalent per kilowatt-hour. `now` is in nanoseconds since the Unix epoch.
    pub fn intensity(&self, region: Option<&str>, now: u64) -> f64 {
        let hour = usize::try_from(now / 3_600_000_000_000 % 24).unwrap_or(0);
        let hours = region.and_then(|region| self.regions.get(region));
        let value = hours.and_then(|hours| hours.get(hour % hours.len().max(1)));
        value.copied().unwrap_or(self.default)
    }

    /// Grams of CO2 equivalent of a request.
    pub fn grams(&self, watt_hours: f64, size: Size, region: Option<&str>, now: u64) -> f64 {
        let thousands = size.prompt.saturating_add(size.answer) as f64 / 1e3;
        thousands * watt_hours / 1e3 * self.intensity(region, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000_000_000;

    fn grid(json: &str) -> Result<Grid, ConfigError> {
        Grid::new(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_request_costs_by_its_size() {
        let price = Price { input: 2.0, output: 8.0 };
        assert!((price.of(Size::new(1000, Some(100))) - 0.0028).abs() < 1e-12);
        assert_eq!(Size::new(1, Some(1_000_000)).answer, USUAL_ANSWER);
    }

    #[test]
    fn electricity_has_its_hours() {
        let mut hours = vec![100.0; 24];
        hours[3] = 10.0;
        let grid =
            grid(&format!(r#"{{"regions":{{"a":30,"b":{hours:?}}},"default":400}}"#)).unwrap();
        assert_eq!(grid.intensity(Some("a"), 5 * HOUR), 30.0);
        assert_eq!(grid.intensity(Some("b"), 24 * HOUR + 3 * HOUR + 1), 10.0);
        assert_eq!(grid.intensity(Some("b"), 4 * HOUR), 100.0);
        assert_eq!(grid.intensity(Some("c"), 0), 400.0);
        assert_eq!(grid.intensity(None, 0), 400.0);
        let size = Size { prompt: 1500, answer: 500 };
        assert!((grid.grams(1.0, size, Some("a"), 0) - 0.06).abs() < 1e-12);
    }

    #[test]
    fn a_wrong_table_is_refused() {
        for json in [r#"{"regions":{"a":[1,2]}}"#, r#"{"regions":{"a":-1}}"#] {
            assert!(grid(json).unwrap_err().to_string().starts_with("carbon.regions.a: "));
        }
    }
}
