//! Holt-Winters smoothing of an hourly series with a daily and a weekly season.
//!
//! The additive form with two seasons of J. W. Taylor, "Short-term electricity demand forecasting using
//! double seasonal exponential smoothing" (2003), in error-correction form; the variance of a sum of
//! forecasts is that of R. J. Hyndman et al., "Forecasting with Exponential Smoothing" (2008), chapter 6.
//! While little is known, each part is the mean of what was seen.

/// Hours of a day and of a week.
const DAY: usize = 24;
const WEEK: usize = 168;

/// Numbers that are kept of a series.
pub const NUMBERS: usize = 4 + DAY + WEEK;

/// How fast the parts follow: level, trend, hour of the day, hour of the week.
const LEVEL: f64 = 0.01;
const TREND: f64 = 0.000_03;
const DAILY: f64 = 0.03;
const WEEKLY: f64 = 0.2;
/// How much of the trend is left after an hour.
const DAMPING: f64 = 0.998;
/// How fast the variance follows.
const SPREAD: f64 = 0.005;
/// The first weeks' part of what the hour of the week is made of.
const FIRST_WEEKS: f64 = 0.7;

/// What is known of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct HoltWinters {
    /// Hours seen.
    pub seen: u64,
    level: f64,
    trend: f64,
    variance: f64,
    daily: Vec<f64>,
    weekly: Vec<f64>,
}

/// A forecast of a sum.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Forecast {
    /// What is expected.
    pub mean: f64,
    /// 19 of 20 are between these.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Default for HoltWinters {
    fn default() -> HoltWinters {
        HoltWinters {
            seen: 0,
            level: 0.0,
            trend: 0.0,
            variance: 0.0,
            daily: vec![0.0; DAY],
            weekly: vec![0.0; WEEK],
        }
    }
}

impl HoltWinters {
    /// The next hour, `hour` hours after the epoch, had so much.
    pub fn push(&mut self, hour: u64, value: f64) {
        let seen = self.seen as f64;
        let (day, week) = (at(hour, DAY), at(hour, WEEK));
        let (daily, weekly) = (get(&self.daily, day), get(&self.weekly, week));
        let carried = self.level + DAMPING * self.trend;
        if self.seen == 0 {
            self.level = value;
        } else {
            let error = value - carried - daily - weekly;
            self.level = carried + LEVEL.max(1.0 / (seen + 1.0)) * error;
            self.trend *= DAMPING;
            if self.seen >= 2 * WEEK as u64 {
                self.trend += TREND * error;
            }
            if self.seen >= DAY as u64 {
                let first = if self.seen < WEEK as u64 { 1.0 / (1.0 + days(seen)) } else { 0.0 };
                add(&mut self.daily, day, DAILY.max(first) * error);
            }
            if self.seen >= WEEK as u64 {
                let first = FIRST_WEEKS / (1.0 + (seen / WEEK as f64).floor());
                add(&mut self.weekly, week, WEEKLY.max(first) * error);
            }
            let rate = SPREAD.max(1.0 / (seen + 1.0));
            self.variance += rate * (error * error - self.variance);
        }
        self.seen = self.seen.saturating_add(1);
    }

    /// The sum of the next `hours`, from this hour on.
    pub fn sum(&self, from: u64, hours: u64) -> Forecast {
        let (mut level, mut trend, mut mean) = (self.level, self.trend, 0.0_f64);
        // How much one surprise now moves the sum of all that follow, from the last hour backwards.
        let (mut weight, mut slope, mut factor, mut variance) =
            (1.0_f64, 0.0_f64, 1.0_f64, 0.0_f64);
        for step in 0..hours {
            trend *= DAMPING;
            level += trend;
            let hour = from.saturating_add(step);
            let seasons = get(&self.daily, at(hour, DAY)) + get(&self.weekly, at(hour, WEEK));
            // Nobody spends less than nothing.
            mean += (level + seasons).max(0.0);
            variance += weight * weight;
            factor *= DAMPING;
            slope += TREND * factor;
            weight += LEVEL + slope;
            if (step + 1) % DAY as u64 == 0 {
                weight += DAILY;
            }
            if (step + 1) % WEEK as u64 == 0 {
                weight += WEEKLY;
            }
        }
        let spread = 1.96 * (self.variance * variance).sqrt();
        Forecast { mean, low: (mean - spread).max(0.0), high: mean + spread }
    }

    /// As numbers to keep.
    pub fn to_bytes(&self) -> Vec<u8> {
        let head = [self.seen as f64, self.level, self.trend, self.variance];
        let numbers = head.iter().chain(&self.daily).chain(&self.weekly);
        // Seven digits are more than is known.
        #[allow(clippy::cast_possible_truncation)]
        let bytes = numbers.flat_map(|number| (*number as f32).to_le_bytes()).collect();
        bytes
    }

    /// What was kept; `None` if it is of another form.
    pub fn from_bytes(bytes: &[u8]) -> Option<HoltWinters> {
        let numbers: Vec<f64> = bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|four| f64::from(f32::from_le_bytes(*four)))
            .collect();
        let (head, seasons) = numbers.split_at_checked(4)?;
        let (daily, weekly) = seasons.split_at_checked(DAY)?;
        let [seen, level, trend, variance] = *head else { return None };
        if weekly.len() != WEEK || numbers.iter().any(|number| !number.is_finite()) || seen < 0.0 {
            return None;
        }
        // Not negative, and no more hours than there were.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let seen = seen as u64;
        Some(HoltWinters {
            seen,
            level,
            trend,
            variance,
            daily: daily.to_vec(),
            weekly: weekly.to_vec(),
        })
    }
}

fn days(hours: f64) -> f64 {
    (hours / DAY as f64).floor()
}

fn at(hour: u64, season: usize) -> usize {
    usize::try_from(hour % season as u64).unwrap_or(0)
}

fn get(season: &[f64], at: usize) -> f64 {
    season.get(at).copied().unwrap_or(0.0)
}

fn add(season: &mut [f64], at: usize, by: f64) {
    if let Some(value) = season.get_mut(at) {
        *value += by;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Normal noise of a fixed seed, by Box and Muller.
    struct Noise(u64);

    impl Noise {
        fn next(&mut self) -> f64 {
            let mut uniform = || {
                self.0 ^= self.0 << 13;
                self.0 ^= self.0 >> 7;
                self.0 ^= self.0 << 17;
                ((self.0 >> 11) as f64 + 1.0) / (1_u64 << 53) as f64
            };
            let (one, two) = (uniform(), uniform());
            (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * two).cos()
        }
    }

    /// An hour of a team that works by day and little at weekends; grows by half in three months.
    fn spent(hour: u64, kind: &str, noise: f64) -> f64 {
        let weekend = (hour / 24) % 7 >= 5;
        let of_day = (hour % 24) as f64;
        let base = match kind {
            "office" => {
                let busy = if (8..18).contains(&(hour % 24)) { 30.0 } else { 1.0 };
                busy * if weekend { 0.05 } else { 1.0 }
            }
            _ => {
                let wave = 1.0 + 0.8 * ((of_day - 8.0) / 24.0 * std::f64::consts::TAU).sin();
                10.0 * wave * if weekend { 0.25 } else { 1.0 }
            }
        };
        let growth = if kind == "growing" { 1.0 + hour as f64 / (24.0 * 180.0) } else { 1.0 };
        (base * growth * (1.0 + 0.2 * noise)).max(0.0)
    }

    /// Mean errors of the forecast and of the straight line for a month, and how often the truth was
    /// within the interval, after `history` days before it.
    fn compare(kind: &str, history: u64) -> (f64, f64, f64) {
        let (mut ours, mut line, mut within, mut number) = (0.0, 0.0, 0.0, 0.0);
        for seed in 1..=6 {
            for into in [2, 5, 9, 15, 22] {
                let (begin, end) = (history * 24, history * 24 + 30 * 24);
                let now = begin + into * 24 + 7 * seed;
                let mut noise = Noise(seed * 7_919);
                let series: Vec<f64> =
                    (0..end).map(|hour| spent(hour, kind, noise.next())).collect();
                let mut model = HoltWinters::default();
                for hour in 0..now {
                    model.push(hour, series[hour as usize]);
                }
                let used: f64 = series[begin as usize..now as usize].iter().sum();
                let rest: f64 = series[now as usize..].iter().sum();
                let forecast = model.sum(now, end - now);
                let straight = used * (end - begin) as f64 / (now - begin) as f64;
                ours += (forecast.mean - rest).abs() / (used + rest);
                line += (straight - used - rest).abs() / (used + rest);
                within += f64::from((forecast.low..=forecast.high).contains(&rest));
                number += 1.0;
            }
        }
        (ours / number, line / number, within / number)
    }

    #[test]
    fn a_month_is_foretold_better_than_by_a_straight_line() {
        for (kind, history, most) in [
            ("steady", 14, 0.08),
            ("steady", 35, 0.05),
            ("office", 14, 0.09),
            ("office", 35, 0.05),
            ("growing", 35, 0.05),
            ("growing", 70, 0.05),
        ] {
            let (ours, line, within) = compare(kind, history);
            assert!(
                ours < line && ours < most,
                "{kind}, {history} days: {ours:.3}, line {line:.3}"
            );
            assert!(within >= 0.85, "{kind}, {history} days: {within:.2} within the interval");
        }
    }

    #[test]
    fn what_never_changes_is_foretold_exactly() {
        let mut model = HoltWinters::default();
        for hour in 0..500 {
            model.push(hour, 7.0);
        }
        let forecast = model.sum(500, 100);
        assert!((forecast.mean - 700.0).abs() < 1e-6 && forecast.high - forecast.low < 1e-6);
        assert_eq!(HoltWinters::default().sum(0, 100), Forecast::default());
    }

    #[test]
    fn what_was_kept_foretells_the_same() {
        let mut model = HoltWinters::default();
        let mut noise = Noise(5);
        for hour in 0..900 {
            model.push(hour, spent(hour, "steady", noise.next()));
        }
        let kept = HoltWinters::from_bytes(&model.to_bytes()).unwrap();
        let (one, two) = (model.sum(900, 300), kept.sum(900, 300));
        assert!((one.mean - two.mean).abs() < one.mean * 1e-5, "{one:?} {two:?}");
        assert_eq!(HoltWinters::from_bytes(&[0; 40]), None);
        assert_eq!(HoltWinters::from_bytes(&[0xff; 784]), None);
    }
}
