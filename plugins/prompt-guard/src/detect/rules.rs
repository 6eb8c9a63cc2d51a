//! Sentences that attacks are made of: classes of words in an order, near each other.

use super::lexicon::{Class, Hit};

/// How near the next word of a sentence must be, in bytes.
const CLOSE: u16 = 25;
const NEAR: u16 = 45;
const FAR: u16 = 150;
const WIDE: u16 = 400;

/// What an attack is after; a configuration may treat each in its own way.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    shared::config::Setting,
    serde::Serialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Set {
    /// To put other orders in the place of the application's.
    Override,
    /// To learn what the model was told, or secrets that it was given.
    Disclosure,
    /// To be somebody without limits.
    Persona,
    /// To switch limits off.
    Limits,
    /// To be taken for the system, or for a document's own orders.
    Smuggling,
    /// What no rule has words for.
    Model,
}

/// A sentence.
#[derive(Debug)]
pub struct Rule {
    /// Its name, in answers, logs and metrics.
    pub name: &'static str,
    /// What it is a sign of.
    pub set: Set,
    /// Classes in their order, each with the most bytes between it and the one before.
    pub steps: &'static [(Class, u16)],
}

const fn rule(name: &'static str, set: Set, steps: &'static [(Class, u16)]) -> Rule {
    Rule { name, set, steps }
}

use Class::*;
use Set::{Disclosure, Limits as Lifting, Override, Persona as Acting, Smuggling};

/// All of them. Their weights are learned: see [`model`](super::model).
pub const RULES: &[Rule] = &[
    rule("ignore-instructions", Override, &[(Ignore, 0), (Before, NEAR), (Orders, NEAR)]),
    rule("ignore-orders", Override, &[(Ignore, 0), (Orders, CLOSE)]),
    rule("orders-ignored", Override, &[(Before, 0), (Orders, CLOSE), (Ignore, CLOSE)]),
    rule("ignore-and-instead", Override, &[(Ignore, 0), (Before, NEAR), (New, 120)]),
    rule("ignore-and-say", Override, &[(Ignore, 0), (Orders, NEAR), (Begin, 120)]),
    rule("ignore-and-reveal", Override, &[(Ignore, 0), (Orders, NEAR), (Reveal, 120)]),
    rule("ignore-and-become", Override, &[(Ignore, 0), (Orders, NEAR), (Become, FAR)]),
    rule("marks-and-ignore", Smuggling, &[(Marks, 0), (Ignore, 200)]),
    rule("marks-and-new", Smuggling, &[(Marks, 0), (New, 100)]),
    rule("marks-and-marks", Smuggling, &[(Marks, 0), (Marks, WIDE)]),
    rule("marks-and-state", Smuggling, &[(Marks, 0), (State, FAR)]),
    rule("marks-and-orders", Smuggling, &[(Marks, 0), (Orders, NEAR), (Reveal, FAR)]),
    rule("embedded-orders", Smuggling, &[(Embedded, 0), (Outward, FAR)]),
    rule("embedded-ignore", Smuggling, &[(Embedded, 0), (Ignore, FAR)]),
    rule("embedded-reveal", Smuggling, &[(Embedded, 0), (Reveal, FAR)]),
    rule("send-out", Smuggling, &[(Outward, 0), (Payload, FAR)]),
    rule("payload", Smuggling, &[(Payload, 0)]),
    rule("decode-and-follow", Smuggling, &[(Decode, 0), (Follow, FAR)]),
    rule("reveal-prompt", Disclosure, &[(Reveal, 0), (Secret, NEAR)]),
    rule("prompt-revealed", Disclosure, &[(Secret, 0), (Reveal, 30)]),
    rule("reveal-verbatim", Disclosure, &[(Reveal, 0), (Secret, 80), (Verbatim, 80)]),
    rule("verbatim-reveal", Disclosure, &[(Verbatim, 0), (Secret, 80)]),
    rule("reveal-asset", Disclosure, &[(Reveal, 0), (Asset, NEAR)]),
    rule("ignore-and-asset", Disclosure, &[(Ignore, 0), (Orders, NEAR), (Asset, FAR)]),
    rule("authority-asset", Disclosure, &[(Authority, 0), (Asset, FAR)]),
    rule("state-asset", Disclosure, &[(State, 0), (Asset, FAR)]),
    rule("authority-prompt", Disclosure, &[(Authority, 0), (Secret, FAR)]),
    rule("persona", Acting, &[(Become, 0), (Persona, WIDE)]),
    rule("become-unlimited", Acting, &[(Become, 0), (Unlimited, WIDE)]),
    rule("become-obedient", Acting, &[(Become, 0), (Obey, 800)]),
    rule("become-machine-unlimited", Acting, &[(Become, 0), (Machine, FAR), (Unlimited, FAR)]),
    rule("become-ignore-limits", Acting, &[(Become, 0), (Ignore, WIDE), (Limits, NEAR)]),
    rule("enter-state", Acting, &[(Become, 0), (State, FAR)]),
    rule("unlimited-obedience", Acting, &[(Unlimited, 0), (Obey, WIDE)]),
    rule("obedience-unlimited", Acting, &[(Obey, 0), (Unlimited, WIDE)]),
    rule("obedience-begin", Acting, &[(Obey, 0), (Begin, WIDE)]),
    rule("unlimited-persona", Acting, &[(Persona, 0), (Unlimited, WIDE)]),
    rule("ignore-persona", Acting, &[(Persona, 0), (Ignore, WIDE), (Orders, NEAR)]),
    rule("persona-machine", Acting, &[(Persona, 0), (Machine, FAR), (Obey, WIDE)]),
    rule("hypothetical-unlimited", Acting, &[(Hypothetical, 0), (Unlimited, FAR)]),
    rule("hypothetical-machine", Acting, &[(Hypothetical, 0), (Machine, FAR), (Unlimited, FAR)]),
    rule("unlimited-machine", Acting, &[(Unlimited, 0), (Machine, CLOSE)]),
    rule("machine-unlimited", Acting, &[(Machine, 0), (Unlimited, NEAR)]),
    rule("state-unlimited", Lifting, &[(State, 0), (Unlimited, WIDE)]),
    rule("state-obedience", Lifting, &[(State, 0), (Obey, WIDE)]),
    rule("disable-limits", Lifting, &[(Disable, 0), (Limits, NEAR)]),
    rule("limits-disabled", Lifting, &[(Limits, 0), (Disable, NEAR)]),
    rule("ignore-limits", Lifting, &[(Ignore, 0), (Limits, NEAR)]),
    rule("authority-limits", Lifting, &[(Authority, 0), (Limits, FAR)]),
    rule("authority-state", Lifting, &[(Authority, 0), (State, FAR)]),
    rule("state-authority", Lifting, &[(State, 0), (Authority, FAR)]),
    rule("authority-ignore", Lifting, &[(Authority, 0), (Ignore, FAR), (Orders, NEAR)]),
];

/// Which rules a text fits, as bits, and how many steps each class is part of.
#[derive(Debug)]
pub(super) struct Matcher {
    /// By class: rule and step.
    places: Vec<Vec<(u16, u16)>>,
}

impl Matcher {
    /// A matcher for all rules.
    pub(super) fn new() -> Matcher {
        let mut places = vec![Vec::new(); Class::ALL.len()];
        for (number, rule) in (0_u16..).zip(RULES) {
            for (step, (class, _)) in (0_u16..).zip(rule.steps) {
                if let Some(list) = places.get_mut(*class as usize) {
                    list.push((number, step));
                }
            }
        }
        // The last step first, so that one word is not two steps.
        for list in &mut places {
            shared::sort::by_key(list, |(rule, step)| (*rule, std::cmp::Reverse(*step)));
        }
        Matcher { places }
    }

    /// The rules that these finds fit. For each step the latest place is kept, since it is the nearest
    /// to all that follow; so each find is looked at once.
    pub(super) fn fitting(&self, hits: &[Hit]) -> u64 {
        let mut ends = [[0_usize; 2]; RULES.len()];
        let mut fitting = 0_u64;
        for hit in hits {
            let Some(places) = self.places.get(hit.class as usize) else { continue };
            for (number, step) in places {
                let number = usize::from(*number);
                let (Some(rule), Some(ends)) = (RULES.get(number), ends.get_mut(number)) else {
                    continue;
                };
                let step = usize::from(*step);
                let gap = rule.steps.get(step).map_or(0, |step| usize::from(step.1));
                let open = match step.checked_sub(1) {
                    None => true,
                    // Ends are counted from one; none is 0.
                    Some(before) => ends.get(before).is_some_and(|end| {
                        *end > 0 && *end - 1 <= hit.start && hit.start - (*end - 1) <= gap
                    }),
                };
                if !open {
                    continue;
                }
                if step + 1 == rule.steps.len() {
                    fitting |= 1 << number;
                } else if let Some(end) = ends.get_mut(step) {
                    *end = hit.end + 1;
                }
            }
        }
        fitting
    }
}

/// The rules of a set of bits.
pub(super) fn of_bits(bits: u64) -> impl Iterator<Item = (usize, &'static Rule)> {
    RULES.iter().enumerate().filter(move |(number, _)| bits >> number & 1 == 1)
}

const _: () = assert!(RULES.len() <= 64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_steps_few() {
        let names: std::collections::BTreeSet<_> = RULES.iter().map(|rule| rule.name).collect();
        assert_eq!(names.len(), RULES.len());
        assert!(RULES.iter().all(|rule| (1..=3).contains(&rule.steps.len())));
    }

    #[test]
    fn order_and_distance_count() {
        let hit = |class, start| Hit { class, start, end: start + 5 };
        let fits = |hits: &[Hit]| {
            let bits = Matcher::new().fitting(hits);
            of_bits(bits).any(|(_, rule)| rule.name == "ignore-instructions")
        };
        assert!(fits(&[hit(Ignore, 0), hit(Before, 10), hit(Orders, 20)]));
        assert!(!fits(&[hit(Before, 0), hit(Ignore, 10), hit(Orders, 20)]));
        assert!(!fits(&[hit(Ignore, 0), hit(Before, 10), hit(Orders, 200)]));
        assert!(fits(&[hit(Ignore, 0), hit(Ignore, 90), hit(Before, 100), hit(Orders, 110)]));
    }
}
