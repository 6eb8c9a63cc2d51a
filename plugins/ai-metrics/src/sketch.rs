//! Quantiles of many values in little memory: a histogram whose buckets grow by a constant factor, so
//! that every quantile is right to within 1 %. Two sketches add up to that of all their values.
//! <https://arxiv.org/abs/1908.10693> (DDSketch).

use shared::small_map::SmallMap;

use serde::{Deserialize, Serialize};

/// Each bucket ends at so many times the end of the one before: 1 % to either side of its middle.
const GROWTH: f64 = 1.02;

/// Most buckets. Beyond, the smallest values share one, so that high quantiles stay right.
const MAX_BUCKETS: usize = 1024;

/// A sketch of values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sketch {
    count: u64,
    /// Values of 0.
    zero: u64,
    /// How many values there are in each bucket.
    buckets: SmallMap<i16, u64>,
}

impl Sketch {
    /// Takes up a value.
    pub fn add(&mut self, value: u64) {
        self.count = self.count.saturating_add(1);
        if value == 0 {
            self.zero = self.zero.saturating_add(1);
            return;
        }
        let bucket = self.buckets.entry(bucket(value)).or_default();
        *bucket = bucket.saturating_add(1);
        self.shrink();
    }

    /// Takes up the values of another.
    pub fn merge(&mut self, other: &Sketch) {
        self.count = self.count.saturating_add(other.count);
        self.zero = self.zero.saturating_add(other.zero);
        for (bucket, count) in &other.buckets {
            let mine = self.buckets.entry(*bucket).or_default();
            *mine = mine.saturating_add(*count);
        }
        self.shrink();
    }

    fn shrink(&mut self) {
        while self.buckets.len() > MAX_BUCKETS {
            let mut lowest = self.buckets.iter();
            let (Some((first, count)), Some((second, more))) = (lowest.next(), lowest.next())
            else {
                return;
            };
            let (first, second, sum) = (*first, *second, count.saturating_add(*more));
            self.buckets.remove(&first);
            self.buckets.insert(second, sum);
        }
    }

    /// How many values it has.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The value below which this share of all lies; `None` of none.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let last = self.count.checked_sub(1)?;
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss
        )]
        let rank = (share.clamp(0.0, 1.0) * last as f64).round() as u64;
        let mut seen = self.zero;
        if rank < seen {
            return Some(0.0);
        }
        for (bucket, count) in &self.buckets {
            seen = seen.saturating_add(*count);
            if rank < seen {
                // The point that is equally far, in proportion, from both ends.
                return Some(GROWTH.powi(i32::from(*bucket)) * 2.0 / (1.0 + GROWTH));
            }
        }
        None
    }

    /// Between which values the quantile lies with a confidence of 95 %: by how many of so many values
    /// may lie below it, which is binomial. <https://www.jstor.org/stable/2683964>
    pub fn interval(&self, share: f64) -> Option<(f64, f64)> {
        #[allow(clippy::cast_precision_loss)]
        let count = self.count as f64;
        if self.count == 0 {
            return None;
        }
        let spread = 1.96 * (share * (1.0 - share) / count).sqrt();
        Some((self.quantile(share - spread)?, self.quantile(share + spread)?))
    }
}

fn bucket(value: u64) -> i16 {
    // At most 2240, for the largest value.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    let bucket = ((value as f64).ln() / GROWTH.ln()).ceil() as i16;
    bucket
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = u64>) -> Sketch {
        let mut sketch = Sketch::default();
        values.into_iter().for_each(|value| sketch.add(value));
        sketch
    }

    #[test]
    fn quantiles_are_right_to_one_percent() {
        let sketch = of(1..=100_000);
        for (share, value) in [(0.5, 50_000.0), (0.95, 95_000.0), (0.99, 99_000.0), (1.0, 1e5)] {
            let found: f64 = sketch.quantile(share).unwrap();
            assert!((found / value - 1.0).abs() < 0.011, "{share}: {found}");
        }
    }

    #[test]
    fn the_interval_holds_the_quantile_and_narrows_with_more_values() {
        let width = |count: u64| {
            let (low, high) =
                of((0..count).map(|n| 1000 + n * 1000 / count)).interval(0.5).unwrap();
            assert!(low <= 1520.0 && 1480.0 <= high, "{low} {high}");
            high - low
        };
        assert!(width(100) > 2.0 * width(10_000));
    }

    #[test]
    fn nothing_has_no_quantile() {
        assert_eq!(Sketch::default().quantile(0.5), None);
        assert_eq!(of([0, 0, 5]).quantile(0.1), Some(0.0));
    }

    #[test]
    fn memory_is_bounded_whatever_comes() {
        let sketch =
            of((0..64).flat_map(|power| (0..99).map(move |n| (1_u64 << power) / 100 * (100 + n))));
        assert!(sketch.buckets.len() <= MAX_BUCKETS);
        assert!(sketch.quantile(1.0).unwrap() > 1e19);
    }

    proptest::proptest! {
        #[test]
        fn two_sketches_add_up_to_that_of_all(
            a in proptest::collection::vec(0..u64::MAX, 0..50),
            b in proptest::collection::vec(0..u64::MAX, 0..50),
        ) {
            let mut merged = of(a.clone());
            merged.merge(&of(b.clone()));
            proptest::prop_assert_eq!(merged, of(a.into_iter().chain(b)));
        }
    }
}
