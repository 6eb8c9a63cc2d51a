//! In which order a route's targets are asked.

use std::cell::RefCell;

use super::config::{Strategy, Weights};
use super::health::Fitness;

/// What is known of a target when a request comes.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Its number in the route.
    pub index: usize,
    /// Its share.
    pub weight: u32,
    /// Whether it may be asked.
    pub fitness: Fitness,
    /// Time to the first token, in nanoseconds, as expected; 0 if nothing is known.
    pub latency: f64,
    /// Requests under way, or what the target itself says of its load.
    pub busy: f64,
    /// US dollars for this request; none if no price is known.
    pub cost: Option<f64>,
    /// Grams of CO2 equivalent for this request.
    pub carbon: f64,
    /// Failures and dislike, 0 (none) to 1.
    pub badness: f64,
}

/// Turns taken by weight: each target in its share, spread as evenly as can be (smooth weighted round
/// robin, as nginx does it). Each worker takes its own turns.
#[derive(Debug, Default)]
pub struct Turns(RefCell<Vec<i64>>);

impl Turns {
    /// Whose turn it is.
    pub fn next(&self, candidates: &[Candidate]) -> Option<usize> {
        let mut turns = self.0.borrow_mut();
        let most = candidates.iter().map(|candidate| candidate.index).max()?;
        if turns.len() <= most {
            turns.resize(most + 1, 0);
        }
        let mut total = 0i64;
        let mut best: Option<(usize, i64)> = None;
        for candidate in candidates {
            let weight = i64::from(candidate.weight);
            total = total.saturating_add(weight);
            let Some(turn) = turns.get_mut(candidate.index) else { continue };
            *turn = turn.saturating_add(weight);
            if weight > 0 && best.is_none_or(|(_, most)| *turn > most) {
                best = Some((candidate.index, *turn));
            }
        }
        let (index, _) = best?;
        if let Some(turn) = turns.get_mut(index) {
            *turn = turn.saturating_sub(total);
        }
        Some(index)
    }
}

/// The target that a hash stands for, in the targets' shares. Where shares change, or a target goes, as
/// few hashes as possible change theirs (weighted rendezvous hashing,
/// <https://en.wikipedia.org/wiki/Rendezvous_hashing#Weighted_rendezvous_hash>).
pub fn drawn(candidates: &[Candidate], hash: u64) -> Option<usize> {
    let score = |candidate: &Candidate| {
        let mixed = mix(hash ^ mix(candidate.index as u64 + 1));
        // 0 < unit < 1.
        let unit = ((mixed >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        -f64::from(candidate.weight) / unit.ln()
    };
    let some = candidates.iter().filter(|candidate| candidate.weight > 0);
    some.max_by(|a, b| score(a).total_cmp(&score(b))).map(|candidate| candidate.index)
}

/// Spreads a hash over all 64 bits (the finaliser of SplitMix64).
pub fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The hash of a text (FNV-1a).
pub fn hash(text: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    mix(text.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

/// The targets' numbers in the order they are to be asked. Those that rest come last: better than to
/// ask nobody.
///
/// `first` is who must be asked first if it is well: whoever the request sticks to. At most `most` are
/// given.
pub fn order(
    candidates: &[Candidate],
    strategy: Strategy,
    weights: &Weights,
    turns: &Turns,
    first: Option<usize>,
    most: usize,
) -> Vec<usize> {
    let turn = match strategy {
        Strategy::Weighted if first.is_none() => {
            let well = candidates.iter().copied().filter(|c| c.fitness != Fitness::Resting);
            let well: Vec<_> = well.collect();
            turns.next(if well.is_empty() { candidates } else { &well })
        }
        _ => None,
    };
    let scale = (strategy == Strategy::Scored).then(|| Scale::of(candidates));
    let score = |candidate: &Candidate| match strategy {
        Strategy::Priority => candidate.index as f64,
        // After the one whose turn it is, the heaviest.
        Strategy::Weighted => -f64::from(candidate.weight),
        // Nobody waits for one that is faster but has a queue.
        Strategy::LeastLatency => candidate.latency * (candidate.busy + 1.0),
        Strategy::LeastBusy => candidate.busy / f64::from(candidate.weight.max(1)),
        Strategy::Cheapest | Strategy::Auto => candidate.cost.unwrap_or(f64::MAX),
        Strategy::Carbon => candidate.carbon,
        Strategy::Quality => candidate.badness,
        Strategy::Scored => scale.as_ref().map_or(0.0, |scale| scale.mix(candidate, weights)),
    };
    let mut list: Vec<_> = candidates
        .iter()
        .map(|candidate| {
            let resting = candidate.fitness == Fitness::Resting;
            let chosen = turn.or(first) == Some(candidate.index);
            (resting, !chosen, score(candidate), candidate.index)
        })
        .collect();
    // A few of perhaps many: the best, the best of the others, and so on.
    let mut best = Vec::with_capacity(most.min(list.len()));
    while best.len() < most
        && let Some((place, (.., index))) =
            list.iter().copied().enumerate().min_by(|(_, a), (_, b)| {
                let by_choice = (a.0, a.1).cmp(&(b.0, b.1));
                by_choice.then(a.2.total_cmp(&b.2)).then(a.3.cmp(&b.3))
            })
    {
        best.push(index);
        list.swap_remove(place);
    }
    best
}

/// The largest of each measure, so that they can be compared with each other.
struct Scale {
    latency: f64,
    cost: f64,
    carbon: f64,
    busy: f64,
}

impl Scale {
    fn of(candidates: &[Candidate]) -> Scale {
        let most = |measure: &dyn Fn(&Candidate) -> f64| {
            candidates.iter().map(measure).fold(f64::MIN_POSITIVE, f64::max)
        };
        Scale {
            latency: most(&|c| c.latency),
            cost: most(&|c| c.cost.unwrap_or(0.0)),
            carbon: most(&|c| c.carbon),
            busy: most(&|c| c.busy),
        }
    }

    fn mix(&self, candidate: &Candidate, weights: &Weights) -> f64 {
        weights.latency * candidate.latency / self.latency
            + weights.cost * candidate.cost.map_or(1.0, |cost| cost / self.cost)
            + weights.carbon * candidate.carbon / self.carbon
            + weights.busy * candidate.busy / self.busy
            + weights.quality * candidate.badness
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(weights: &[u32]) -> Vec<Candidate> {
        let one = |(index, weight): (usize, &u32)| Candidate {
            index,
            weight: *weight,
            fitness: Fitness::Well,
            latency: 0.0,
            busy: 0.0,
            cost: None,
            carbon: 0.0,
            badness: 0.0,
        };
        weights.iter().enumerate().map(one).collect()
    }

    fn asked(list: &[Candidate], strategy: Strategy) -> Vec<usize> {
        order(list, strategy, &Weights::default(), &Turns::default(), None, 9)
    }

    #[test]
    fn turns_are_taken_in_the_shares_and_spread_evenly() {
        let (list, turns) = (candidates(&[5, 1, 1, 0]), Turns::default());
        let taken: Vec<_> = (0..7).map(|_| turns.next(&list).unwrap()).collect();
        assert_eq!(taken, [0, 0, 1, 0, 2, 0, 0]);
        let mut counts = [0; 4];
        for _ in 0..7000 {
            counts[turns.next(&list).unwrap()] += 1;
        }
        assert_eq!(counts, [5000, 1000, 1000, 0]);
    }

    #[test]
    fn a_hash_keeps_its_target_and_hashes_are_spread_in_the_shares() {
        let list = candidates(&[80, 20]);
        let heavy = (0..10_000u64).filter(|n| drawn(&list, mix(*n)) == Some(0)).count();
        assert!((7850..8150).contains(&heavy), "{heavy}");
        assert_eq!(drawn(&list, 7), drawn(&list, 7));
        // A third target takes its share of each of the others and moves nobody between them.
        let more = candidates(&[80, 20, 25]);
        for n in 0..1000 {
            let (before, after) = (drawn(&list, mix(n)), drawn(&more, mix(n)));
            assert!(after == before || after == Some(2));
        }
    }

    #[test]
    fn each_strategy_asks_its_best_first_and_the_resting_last() {
        let mut list = candidates(&[1, 1, 1]);
        for (candidate, value) in list.iter_mut().zip([3.0, 1.0, 2.0]) {
            candidate.latency = value;
            candidate.cost = Some(value);
            candidate.carbon = value;
            candidate.badness = value / 10.0;
        }
        for strategy in
            [Strategy::LeastLatency, Strategy::Cheapest, Strategy::Carbon, Strategy::Quality]
        {
            assert_eq!(asked(&list, strategy), [1, 2, 0], "{strategy:?}");
        }
        assert_eq!(asked(&list, Strategy::Priority), [0, 1, 2]);
        list[1].fitness = Fitness::Resting;
        assert_eq!(asked(&list, Strategy::Cheapest), [2, 0, 1]);
        assert_eq!(asked(&list, Strategy::Priority), [0, 2, 1]);
        list[0].busy = 5.0;
        assert_eq!(asked(&list, Strategy::LeastBusy), [2, 0, 1]);
    }

    #[test]
    fn one_without_a_price_is_dearest() {
        let mut list = candidates(&[1, 1]);
        list[1].cost = Some(100.0);
        assert_eq!(asked(&list, Strategy::Cheapest), [1, 0]);
    }

    #[test]
    fn a_mix_weighs_what_it_is_told_to() {
        let mut list = candidates(&[1, 1]);
        (list[0].latency, list[0].cost) = (1.0, Some(10.0));
        (list[1].latency, list[1].cost) = (2.0, Some(1.0));
        let by = |latency, cost| {
            let weights = Weights { latency, cost, ..Weights::default() };
            order(&list, Strategy::Scored, &weights, &Turns::default(), None, 9)
        };
        assert_eq!(by(1.0, 0.1), [0, 1]);
        assert_eq!(by(0.1, 1.0), [1, 0]);
    }

    #[test]
    fn each_weight_of_a_mix_counts() {
        let best = |weights: &Weights| {
            let mut list = candidates(&[1, 1, 1, 1, 1]);
            for candidate in &mut list {
                let worse_than = |index| if candidate.index == index { 1.0 } else { 2.0 };
                candidate.latency = worse_than(0);
                candidate.cost = Some(worse_than(1));
                candidate.carbon = worse_than(2);
                candidate.busy = worse_than(3);
                candidate.badness = worse_than(4) / 2.0;
            }
            order(&list, Strategy::Scored, weights, &Turns::default(), None, 1)
        };
        let none = Weights::default();
        assert_eq!(best(&Weights { latency: 1.0, ..none }), [0]);
        assert_eq!(best(&Weights { cost: 1.0, ..none }), [1]);
        assert_eq!(best(&Weights { carbon: 1.0, ..none }), [2]);
        assert_eq!(best(&Weights { busy: 1.0, ..none }), [3]);
        assert_eq!(best(&Weights { quality: 1.0, ..none }), [4]);
    }

    #[test]
    fn who_the_request_sticks_to_goes_first_unless_it_rests() {
        let mut list = candidates(&[1, 1]);
        let stuck = |list: &[Candidate]| {
            order(list, Strategy::Weighted, &Weights::default(), &Turns::default(), Some(1), 9)
        };
        assert_eq!(stuck(&list), [1, 0]);
        list[1].fitness = Fitness::Resting;
        assert_eq!(stuck(&list), [0, 1]);
    }
}
