//! How much carbon dioxide requests make.

use shared::small_map::SmallMap;
use std::cell::RefCell;

use shared::config::ConfigError;

use super::config::{self, Intensity};
use super::price::Size;

/// Energy that a model is taken to need where nothing is said, in watt-hours for a thousand tokens.
/// Estimates for large models of 2025 lie around 0.3 Wh for a question with a 500-token answer,
/// <https://epoch.ai/gradient-updates/how-much-energy-does-chatgpt-use>.
pub const USUAL_WATT_HOURS: f64 = 0.5;

/// How much carbon dioxide electricity makes, by region and hour.
#[derive(Debug)]
pub struct Grid {
    regions: SmallMap<String, Vec<f64>>,
    default: f64,
    /// What was fetched, and until when it counts, in nanoseconds since the Unix epoch.
    fetched: RefCell<SmallMap<String, (f64, u64)>>,
}

impl Grid {
    /// Checks a table.
    pub fn new(carbon: &config::Carbon) -> Result<Grid, ConfigError> {
        let mut regions = SmallMap::new();
        for (region, intensity) in &carbon.regions {
            let Intensity(hours) = intensity;
            let valid = hours.iter().all(|value| value.is_finite() && *value >= 0.0);
            if !matches!(hours.len(), 1 | 24) || !valid {
                let message = "give one number of 0 or more, or 24, one for each hour of UTC";
                return Err(ConfigError::new(format!("carbon.regions.{region}"), message));
            }
            regions.insert(region.clone(), hours.clone());
        }
        if !carbon.default.is_finite() || carbon.default < 0.0 {
            return Err(ConfigError::new("carbon.default", "must be 0 or more"));
        }
        Ok(Grid { regions, default: carbon.default, fetched: RefCell::default() })
    }

    /// Grams of CO2 equivalent per kilowatt-hour. `now` is in nanoseconds since the Unix epoch.
    pub fn intensity(&self, region: Option<&str>, now: u64) -> f64 {
        let fetched = self.fetched.borrow();
        let fresh = region.and_then(|region| fetched.get(region)).filter(|(_, until)| now < *until);
        if let Some((value, _)) = fresh {
            return *value;
        }
        let hour = usize::try_from(now / 3_600_000_000_000 % 24).unwrap_or(0);
        let hours = region.and_then(|region| self.regions.get(region));
        let value = hours.and_then(|hours| hours.get(hour % hours.len().max(1)));
        value.copied().unwrap_or(self.default)
    }

    /// A region's number was fetched; it counts until then.
    pub fn fetched(&self, region: &str, value: f64, until: u64) {
        self.fetched.borrow_mut().insert(region.to_owned(), (value, until));
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
        Grid::new(&shared::config::document(json).unwrap())
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
    fn what_was_fetched_counts_for_a_while() {
        let grid = grid(r#"{"regions":{"a":30}}"#).unwrap();
        grid.fetched("a", 7.0, 2 * HOUR);
        assert_eq!(grid.intensity(Some("a"), HOUR), 7.0);
        assert_eq!(grid.intensity(Some("a"), 2 * HOUR), 30.0);
    }

    #[test]
    fn a_wrong_table_is_refused() {
        for json in [r#"{"regions":{"a":[1,2]}}"#, r#"{"regions":{"a":-1}}"#] {
            assert!(grid(json).unwrap_err().to_string().starts_with("carbon.regions.a: "));
        }
    }
}
