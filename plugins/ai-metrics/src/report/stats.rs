//! Figures with the confidence that one may have in them.

use serde::{Deserialize, Serialize};

use crate::sketch::Sketch;

/// The two-sided 95 % point of the normal distribution.
const Z: f64 = 1.959_964;

/// What a mean is made of; two add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    count: u64,
    sum: f64,
    squares: f64,
}

impl Mean {
    /// Takes up a value.
    pub fn add(&mut self, value: f64) {
        self.merge(&Mean { count: 1, sum: value, squares: value * value });
    }

    /// Takes up the values of another.
    pub fn merge(&mut self, other: &Mean) {
        self.count = self.count.saturating_add(other.count);
        self.sum += other.sum;
        self.squares += other.squares;
    }

    /// The sum of all values.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// The mean, if there are enough values.
    pub fn figure(&self, min: u64) -> Figure {
        let count = float(self.count);
        if self.count < min.max(2) {
            return Figure { n: self.count, known: None };
        }
        let mean = self.sum / count;
        let variance = ((self.squares - self.sum * mean) / (count - 1.0)).max(0.0);
        let error = Z * (variance / count).sqrt();
        Figure {
            n: self.count,
            known: Some(Known { value: mean, low: mean - error, high: mean + error }),
        }
    }
}

/// A figure, of how many requests, if these are enough to name it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// How many.
    pub n: u64,
    /// The figure.
    pub known: Option<Known>,
}

/// A figure and between which numbers it really lies, with a confidence of 95 %.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known {
    /// The figure.
    pub value: f64,
    /// Not below this.
    pub low: f64,
    /// Not above this.
    pub high: f64,
}

impl Figure {
    /// In another unit.
    #[must_use]
    pub fn times(self, factor: f64) -> Figure {
        let known = self.known.map(|known| Known {
            value: known.value * factor,
            low: known.low * factor,
            high: known.high * factor,
        });
        Figure { known, ..self }
    }
}

/// The share of so many in so many, by Wilson's interval, which holds for few and for rare ones.
/// <https://en.wikipedia.org/wiki/Binomial_proportion_confidence_interval#Wilson_score_interval>
pub fn share(part: u64, all: u64, min: u64) -> Figure {
    if all < min.max(1) {
        return Figure { n: all, known: None };
    }
    let (n, p) = (float(all), float(part) / float(all));
    let z2 = Z * Z / n;
    let middle = (p + z2 / 2.0) / (1.0 + z2);
    let half = Z * (p * (1.0 - p) / n + z2 / (4.0 * n)).sqrt() / (1.0 + z2);
    let known = Known { value: p, low: (middle - half).max(0.0), high: (middle + half).min(1.0) };
    Figure { n: all, known: Some(known) }
}

/// A quantile of a sketch.
pub fn quantile(sketch: &Sketch, share: f64, min: u64) -> Figure {
    let n = sketch.count();
    let enough = n >= min.max(1);
    let known = sketch.quantile(share).zip(sketch.interval(share)).filter(|_| enough);
    Figure { n, known: known.map(|(value, (low, high))| Known { value, low, high }) }
}

/// Exact up to 2^53.
#[allow(clippy::cast_precision_loss)]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 0.0005
    }

    #[test]
    fn wilsons_interval_as_published() {
        // Newcombe 1998, table I: 81 of 263 and 0 of 20.
        let known = share(81, 263, 1).known.unwrap();
        assert!(near(known.low, 0.2553) && near(known.high, 0.3662), "{known:?}");
        let none = share(0, 20, 1).known.unwrap();
        assert!(near(none.low, 0.0) && near(none.high, 0.1611), "{none:?}");
    }

    #[test]
    fn a_mean_and_its_interval() {
        let mut mean = Mean::default();
        (1..=100).for_each(|n| mean.add(f64::from(n)));
        let known = mean.figure(30).known.unwrap();
        // Standard deviation 29.011, of 100: 1.96 * 2.9011.
        assert!(near(known.value, 50.5) && near(known.high, 50.5 + 5.6862), "{known:?}");
        let mut half = Mean::default();
        (1..=50).for_each(|n| half.add(f64::from(n)));
        let mut rest = Mean::default();
        (51..=100).for_each(|n| rest.add(f64::from(n)));
        half.merge(&rest);
        assert_eq!(half.figure(30), mean.figure(30));
    }

    #[test]
    fn too_few_say_nothing() {
        let mut mean = Mean::default();
        (0..29).for_each(|_| mean.add(1.0));
        assert_eq!(mean.figure(30), Figure { n: 29, known: None });
        assert_eq!(share(29, 29, 30).known, None);
        let mut sketch = Sketch::default();
        sketch.add(5);
        assert_eq!(quantile(&sketch, 0.5, 30), Figure { n: 1, known: None });
    }
}
