//! What was found.

use shared::small_map::SmallMap;

use crate::rules::Count;

/// What was found in a request, or in one of its texts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// How sure an attempt is, 0 to 1.
    pub score: f32,
    /// The rules that it went by.
    pub rules: Vec<String>,
    /// Kinds of personal data.
    pub kinds: SmallMap<String, u32>,
    /// Kinds for which the request is refused.
    pub blocked: Option<String>,
    /// A user's message fits none of the expressions that one has to.
    pub denied: bool,
    /// A user writes in a script that is not allowed.
    pub foreign: bool,
    /// What the rule sets have found.
    pub count: Count,
}

impl Findings {
    /// What another text has.
    pub fn add(&mut self, other: Findings) {
        if other.score > self.score {
            self.score = other.score;
            self.rules = other.rules;
        }
        for (kind, count) in other.kinds {
            let all = self.kinds.entry(kind).or_insert(0);
            *all = all.saturating_add(count);
        }
        self.blocked = self.blocked.take().or(other.blocked);
        self.denied |= other.denied;
        self.foreign |= other.foreign;
        self.count.extend(other.count);
    }
}
