//! Notices that a stream of numbers has changed: CUSUM (Page 1954), against a baseline that is learnt.
//!
//! For a level (the logarithm of a latency, say) the numbers are put in standard deviations from their
//! usual mean, and what exceeds an allowance is added up; for a rate each event adds the logarithm of
//! how much likelier it is after the change than before. A sum that passes its threshold is a change.
//! Thresholds were chosen by simulation, see the tests: stationary traffic of 100,000 requests a day
//! gives less than one alarm for a model with all its signals, and a latency that rises by 30 % or a
//! rate that goes from 2 to 10 % is found within 300 requests.

/// What kind of numbers these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any number, best one whose distribution is about symmetrical.
    Level,
    /// 0 or 1.
    Rate,
}

/// How much of a deviation counts as none, in standard deviations: half of the smallest shift that is
/// to be found, which is ln(1.3) at a standard deviation of 0.5.
const ALLOWANCE: f64 = 0.26;

/// A sum of deviations beyond this is a change of level.
const LEVEL_THRESHOLD: f64 = 38.0;

/// A sum of log likelihood ratios beyond this is a change of rate, of 2 % and below; of higher rates it
/// is a little more.
const RATE_THRESHOLD: f64 = 9.0;

/// By how much the odds of an event must change to be sought.
const ODDS: f64 = 3.2;

/// What one request tells on average of a rate of 2 % and one of these odds, in nats.
const TOLD_AT_2_PERCENT: f64 = 0.02;

/// A rate below this is taken to be this.
const LEAST_RATE: f64 = 0.005;

/// A rate above this is not watched for rising.
const MOST_RATE: f64 = 0.98;

/// One number is no more than so many standard deviations away: a single outlier is no change.
const MOST: f64 = 4.0;

/// Numbers that scatter less than this are taken to scatter so much.
const LEAST_DEVIATION: f64 = 0.05;

/// The baseline is of no more than about so many of the latest numbers.
const MEMORY: f64 = 20_000.0;

/// While a sum is above this share of its threshold, numbers are not taken for usual.
const SUSPICION: f64 = 0.15;

/// What must hold before a change is sought, and how sure it must be.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Numbers that the baseline needs.
    pub warm_up: f64,
    /// Multiplies the thresholds.
    pub tolerance: f64,
}

/// A change that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// The mean until now.
    pub before: f64,
    /// The mean since about when it changed.
    pub after: f64,
    /// Whether it rose.
    pub up: bool,
}

/// The state of one detector. [`FIELDS`](Detector::FIELDS) numbers, so that it can be kept as bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Detector {
    usual: Moments,
    /// Numbers that look like a change; they become usual if it was none.
    doubtful: Moments,
    up: Side,
    down: Side,
}

/// Mean and scatter of numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Moments {
    count: f64,
    mean: f64,
    /// Sum of the squared differences from the mean.
    squares: f64,
}

impl Moments {
    /// Takes up others. <https://en.wikipedia.org/wiki/Algorithms_for_calculating_variance#Parallel_algorithm>
    fn add(&mut self, other: Moments) {
        let count = self.count + other.count;
        if count <= 0.0 {
            return;
        }
        let between = other.mean - self.mean;
        self.mean += between * other.count / count;
        self.squares += other.squares + between * between * self.count * other.count / count;
        self.count = count;
        if self.count > MEMORY {
            self.squares *= MEMORY / self.count;
            self.count = MEMORY;
        }
    }

    fn one(value: f64) -> Moments {
        Moments { count: 1.0, mean: value, squares: 0.0 }
    }
}

/// One direction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Side {
    sum: f64,
    /// Numbers since the sum was last zero, which is when the change will have been.
    count: f64,
    total: f64,
}

impl Side {
    fn add(&mut self, step: f64, value: f64) {
        self.sum += step;
        self.count += 1.0;
        self.total += value;
        if self.sum <= 0.0 {
            *self = Side::default();
        }
    }

    fn mean(&self) -> f64 {
        self.total / self.count.max(1.0)
    }
}

impl Detector {
    /// Numbers of [`to_numbers`](Detector::to_numbers).
    pub const FIELDS: usize = 12;

    /// Looks at one more number.
    pub fn observe(&mut self, kind: Kind, value: f64, settings: Settings) -> Option<Change> {
        if !value.is_finite() {
            return None;
        }
        if self.usual.count < settings.warm_up {
            self.usual.add(Moments::one(value));
            return None;
        }
        let (up, down) = self.steps(kind, value);
        self.up.add(up, value);
        self.down.add(down, value);
        if self.up.sum.max(self.down.sum) >= settings.tolerance {
            let rose = self.up.sum >= self.down.sum;
            let side = if rose { self.up } else { self.down };
            let change = Change { before: self.usual.mean, after: side.mean(), up: rose };
            // From now on the new is what is usual.
            *self = Detector::default();
            return Some(change);
        }
        self.doubtful.add(Moments::one(value));
        if self.up.sum.max(self.down.sum) < settings.tolerance * SUSPICION {
            self.usual.add(std::mem::take(&mut self.doubtful));
        }
        None
    }

    /// How near a change is: 1 is one.
    pub fn score(&self, settings: Settings) -> f64 {
        self.up.sum.max(self.down.sum) / settings.tolerance
    }

    /// What the two sums get, as shares of their thresholds.
    fn steps(&self, kind: Kind, value: f64) -> (f64, f64) {
        match kind {
            Kind::Level => {
                let Moments { count, mean, squares } = self.usual;
                let deviation = (squares / count.max(1.0)).sqrt().max(LEAST_DEVIATION);
                let far = ((value - mean) / deviation).clamp(-MOST, MOST);
                ((far - ALLOWANCE) / LEVEL_THRESHOLD, (-far - ALLOWANCE) / LEVEL_THRESHOLD)
            }
            Kind::Rate => {
                let happened = value >= 0.5;
                let Moments { count, mean, .. } = self.usual;
                let rate = (mean * count + 0.5) / (count + 1.0);
                // The usual rate is not known better than this.
                let error = (rate * (1.0 - rate) / count.max(1.0)).sqrt();
                (likelihood(rate + error, happened), likelihood(1.0 - rate + error, !happened))
            }
        }
    }

    /// Its state as numbers.
    pub fn to_numbers(self) -> [f64; Detector::FIELDS] {
        let Detector { usual: u, doubtful: d, up, down } = self;
        [
            u.count, u.mean, u.squares, d.count, d.mean, d.squares, up.sum, up.count, up.total,
            down.sum, down.count, down.total,
        ]
    }

    /// A detector with this state.
    pub fn from_numbers(numbers: [f64; Detector::FIELDS]) -> Detector {
        let [a0, a1, a2, b0, b1, b2, a, b, c, d, e, f] = numbers;
        Detector {
            usual: Moments { count: a0, mean: a1, squares: a2 },
            doubtful: Moments { count: b0, mean: b1, squares: b2 },
            up: Side { sum: a, count: b, total: c },
            down: Side { sum: d, count: e, total: f },
        }
    }
}

/// How much likelier this is if the odds of an event with this rate have risen: the logarithm, as a
/// share of the threshold.
fn likelihood(rate: f64, happened: bool) -> f64 {
    if rate > MOST_RATE {
        // It can hardly rise.
        return -1.0;
    }
    let rate = rate.max(LEAST_RATE);
    let odds = rate / (1.0 - rate) * ODDS;
    let risen = odds / (1.0 + odds);
    let (event, none) = ((risen / rate).ln(), ((1.0 - risen) / (1.0 - rate)).ln());
    // What one request tells on average. The more that is, the more often chance alone gets anywhere,
    // and the sooner a change is found, so the threshold rises with it.
    let told = -(rate * event + (1.0 - rate) * none);
    let threshold = RATE_THRESHOLD + 1.4 * (told / TOLD_AT_2_PERCENT).ln().max(0.0);
    (if happened { event } else { none }) / threshold
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings { warm_up: 500.0, tolerance: 1.0 };

    /// SplitMix64, <https://prng.di.unimi.it/splitmix64.c>.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        }

        fn normal(&mut self) -> f64 {
            let (a, b) = (self.next().max(1e-300), self.next());
            (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
        }

        /// The logarithm of a latency in milliseconds with a median of a second.
        fn latency(&mut self, factor: f64) -> f64 {
            (1000.0 * factor * (0.5 * self.normal()).exp()).ln_1p()
        }

        fn event(&mut self, rate: f64) -> f64 {
            f64::from(self.next() < rate)
        }
    }

    /// Requests after the change until it was found.
    fn delay(
        kind: Kind,
        seed: u64,
        usual: usize,
        mut draw: impl FnMut(&mut Random, bool) -> f64,
    ) -> Option<usize> {
        let (mut detector, mut random) = (Detector::default(), Random(seed));
        for _ in 0..usual {
            let value = draw(&mut random, false);
            if detector.observe(kind, value, SETTINGS).is_some() {
                detector = Detector::default();
            }
        }
        (1..=3000).find(|_| {
            let value = draw(&mut random, true);
            detector.observe(kind, value, SETTINGS).is_some()
        })
    }

    /// The 95th of a hundred, of 400 runs.
    fn slow(kind: Kind, usual: usize, draw: impl Fn(&mut Random, bool) -> f64) -> (usize, usize) {
        let mut delays: Vec<_> = (0..400)
            .map(|seed| delay(kind, seed * 7919 + 1, usual, &draw).unwrap_or(usize::MAX))
            .collect();
        delays.sort_unstable();
        (delays[200], delays[380])
    }

    #[test]
    fn a_shift_of_latency_or_length_by_30_percent_is_found_within_300_requests() {
        for (usual, factor) in [(800, 1.3), (5000, 1.3), (800, 1.0 / 1.3)] {
            let (median, slow) =
                slow(Kind::Level, usual, |r, new| r.latency(if new { factor } else { 1.0 }));
            println!("level x{factor:.2} after {usual}: median {median}, 95 % within {slow}");
            assert!(slow <= 300, "after {usual}, by {factor}: {slow}");
        }
    }

    #[test]
    fn a_rate_that_goes_from_2_to_10_percent_is_found_within_300_requests() {
        for usual in [1000, 2000, 5000] {
            let (median, slow) =
                slow(Kind::Rate, usual, |r, new| r.event(if new { 0.1 } else { 0.02 }));
            println!("rate after {usual}: median {median}, 95 % within {slow}");
            assert!(slow <= 300, "after {usual}: {slow}");
        }
    }

    #[test]
    fn stationary_traffic_has_less_than_one_alarm_a_day_for_a_model_with_all_its_signals() {
        // As a model has them: three levels and four rates; 100,000 requests a day.
        let rates = [0.02, 0.005, 0.1, 0.4];
        let (days, mut alarms) = (30, 0);
        for day in 0..days {
            let mut random = Random(day * 104_729 + 17);
            let mut levels = [Detector::default(); 3];
            let mut events = [Detector::default(); 4];
            for _ in 0..100_000 {
                for detector in &mut levels {
                    let value = random.latency(1.0);
                    alarms += usize::from(detector.observe(Kind::Level, value, SETTINGS).is_some());
                }
                for (detector, rate) in events.iter_mut().zip(rates) {
                    let value = random.event(rate);
                    alarms += usize::from(detector.observe(Kind::Rate, value, SETTINGS).is_some());
                }
            }
        }
        println!("{alarms} false alarms in {days} days");
        assert!(alarms < days as usize, "{alarms} in {days} days");
    }

    #[test]
    fn a_change_tells_what_was_before_and_after_and_then_the_new_is_usual() {
        let (mut detector, mut random) = (Detector::default(), Random(3));
        for _ in 0..2000 {
            assert_eq!(detector.observe(Kind::Level, random.latency(1.0), SETTINGS), None);
        }
        let found =
            (0..300).find_map(|_| detector.observe(Kind::Level, random.latency(2.0), SETTINGS));
        let change = found.unwrap();
        assert!(change.up);
        assert!((change.before.exp() - 1000.0).abs() < 50.0, "{}", change.before.exp());
        assert!((change.after.exp() - 2000.0).abs() < 300.0, "{}", change.after.exp());
        for _ in 0..3000 {
            assert_eq!(detector.observe(Kind::Level, random.latency(2.0), SETTINGS), None);
        }
    }

    #[test]
    fn one_outlier_and_no_number_at_all_are_no_change() {
        let (mut detector, mut random) = (Detector::default(), Random(4));
        for _ in 0..1000 {
            detector.observe(Kind::Level, random.latency(1.0), SETTINGS);
        }
        for value in [1e300, f64::INFINITY, f64::NAN, -1e300] {
            assert_eq!(detector.observe(Kind::Level, value, SETTINGS), None);
        }
        assert!(detector.score(SETTINGS) < 0.5);
    }

    #[test]
    fn numbers_that_never_differ_are_no_change_until_they_do() {
        let mut detector = Detector::default();
        for _ in 0..5000 {
            assert_eq!(detector.observe(Kind::Rate, 0.0, SETTINGS), None);
        }
        let found = (0..50).find_map(|_| detector.observe(Kind::Rate, 1.0, SETTINGS));
        let change = found.unwrap();
        assert!(change.before < 0.001 && change.after > 0.999 && change.up, "{change:?}");
    }

    proptest::proptest! {
        #[test]
        fn its_state_survives_as_numbers(values in proptest::collection::vec(-10.0..10.0_f64, 0..900)) {
            let mut detector = Detector::default();
            for value in values {
                detector.observe(Kind::Level, value, SETTINGS);
            }
            proptest::prop_assert_eq!(Detector::from_numbers(detector.to_numbers()), detector);
        }
    }
}
