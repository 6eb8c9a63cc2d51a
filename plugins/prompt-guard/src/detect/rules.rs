//! Sentences that attacks are made of: classes of words in an order, near each other.

use super::words::Class;

/// How near: Latin letters need about three times the room of Chinese characters.
pub(super) const NEAR: usize = 45;
const FAR: usize = 400;

/// A sentence.
pub(super) struct Rule {
    /// Its name, in answers, logs and metrics.
    pub(super) name: &'static str,
    /// Classes in their order, each with the most bytes between it and the one before.
    pub(super) steps: &'static [(Class, usize)],
    /// How sure it is, 0 to 1.
    pub(super) weight: f32,
}

/// All of them.
pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "ignore-instructions",
        steps: &[(Class::Ignore, 0), (Class::Before, NEAR), (Class::Orders, NEAR)],
        weight: 0.85,
    },
    Rule { name: "ignore-orders", steps: &[(Class::Ignore, 0), (Class::Orders, 25)], weight: 0.35 },
    Rule {
        name: "ignore-and-instead",
        steps: &[(Class::Ignore, 0), (Class::Before, NEAR), (Class::New, 120)],
        weight: 0.35,
    },
    Rule {
        name: "reveal-prompt",
        steps: &[(Class::Reveal, 0), (Class::Secret, NEAR)],
        weight: 0.72,
    },
    Rule {
        name: "prompt-revealed",
        steps: &[(Class::Secret, 0), (Class::Reveal, 30)],
        weight: 0.4,
    },
    Rule { name: "persona", steps: &[(Class::Become, 0), (Class::Persona, FAR)], weight: 0.45 },
    Rule {
        name: "become-unlimited",
        steps: &[(Class::Become, 0), (Class::Unlimited, FAR)],
        weight: 0.5,
    },
    Rule { name: "become-obedient", steps: &[(Class::Become, 0), (Class::Obey, 800)], weight: 0.4 },
    Rule {
        name: "unlimited-obedience",
        steps: &[(Class::Unlimited, 0), (Class::Obey, FAR)],
        weight: 0.45,
    },
    Rule {
        name: "obedience-unlimited",
        steps: &[(Class::Obey, 0), (Class::Unlimited, FAR)],
        weight: 0.4,
    },
    Rule { name: "enter-state", steps: &[(Class::Become, 0), (Class::State, 150)], weight: 0.6 },
    Rule {
        name: "state-unlimited",
        steps: &[(Class::State, 0), (Class::Unlimited, FAR)],
        weight: 0.5,
    },
    Rule {
        name: "begin-obediently",
        steps: &[(Class::Obey, 0), (Class::Begin, FAR)],
        weight: 0.35,
    },
    Rule { name: "role-marks", steps: &[(Class::Marks, 0), (Class::New, 200)], weight: 0.45 },
    Rule {
        name: "role-marks-ignore",
        steps: &[(Class::Marks, 0), (Class::Ignore, 200)],
        weight: 0.45,
    },
    Rule {
        name: "unlimited-persona",
        steps: &[(Class::Persona, 0), (Class::Unlimited, FAR)],
        weight: 0.4,
    },
    Rule {
        name: "ignore-persona",
        steps: &[(Class::Persona, 0), (Class::Ignore, FAR), (Class::Orders, NEAR)],
        weight: 0.45,
    },
];
