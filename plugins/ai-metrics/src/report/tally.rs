//! What is added up of requests, for each model, variant and account.

use shared::small_map::SmallMap;

use serde::{Deserialize, Serialize};

use super::stats::Mean;
use crate::labels::OTHER;
use crate::record::{Ending, NONE, Record};
use crate::sketch::Sketch;

/// Stands between the parts of an account's key.
pub(super) const PART: char = '\u{1f}';

/// Everything that one worker has added up, or several together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// By provider and model, as `provider/model`.
    pub models: SmallMap<String, Group>,
    /// By variant, as `experiment=variant`.
    pub variants: SmallMap<String, Group>,
    /// By team, consumer, provider and model.
    pub accounts: SmallMap<String, Account>,
    /// Nanoseconds since the Unix epoch at the first request.
    pub since: u64,
}

/// How requests fared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Group {
    /// Answered as they should.
    pub ok: u64,
    /// Refused for what was asked.
    pub refused: u64,
    /// Failed.
    pub failed: u64,
    /// The client left.
    pub left: u64,
    /// Microseconds to the first token.
    pub first_token: Sketch,
    /// Microseconds in all.
    pub duration: Sketch,
    /// Tokens of an answer.
    pub answer: Mean,
    /// Billionths of a US dollar of a request.
    pub cost: Mean,
    /// Scores.
    pub feedback: Mean,
    /// Requests that had been asked before, and what they cost.
    pub repeated: Sum,
    /// By cheaper model: requests that it could have served, and what it would have saved.
    pub cheaper: SmallMap<String, Sum>,
}

/// A number of things and the sum of something about them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// How many.
    pub count: u64,
    /// Billionths of a US dollar.
    pub nano_usd: u64,
}

impl Sum {
    fn add(&mut self, nano_usd: u64) {
        self.merge(&Sum { count: 1, nano_usd });
    }

    fn merge(&mut self, other: &Sum) {
        self.count = self.count.saturating_add(other.count);
        self.nano_usd = self.nano_usd.saturating_add(other.nano_usd);
    }
}

/// What an account has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    /// Requests.
    pub requests: u64,
    /// Of these, with tokens that are estimated.
    pub estimated: u64,
    /// Of these, with tokens and no price.
    pub unpriced: u64,
    /// Tokens of requests.
    pub input: u64,
    /// Of these, from the provider's cache.
    pub cached: u64,
    /// Tokens of answers.
    pub output: u64,
    /// Billionths of a US dollar.
    pub nano_usd: u64,
}

impl Tally {
    /// Takes up a request; `repeated`: the same had been asked before. False if it had to be counted
    /// under `other`.
    pub fn add(&mut self, record: &Record, repeated: bool, max: usize) -> bool {
        if self.since == 0 {
            self.since = record.arrived;
        }
        let mut fits = self.account(record, max);
        if !record.served() {
            return fits;
        }
        // A model that nothing has confirmed is the client's word.
        if record.confirmed() || record.status >= 500 {
            let name = format!("{}/{}", record.provider, record.model);
            fits &= entry(&mut self.models, name, max, |group| group.add(record, repeated));
        }
        if record.variant != NONE {
            let name = record.variant.clone();
            fits &= entry(&mut self.variants, name, max, |group| group.add(record, repeated));
        }
        fits
    }

    fn account(&mut self, record: &Record, max: usize) -> bool {
        let model = if record.confirmed() { &record.model } else { NONE };
        let provider = if record.served() { &record.provider } else { NONE };
        let parts = [&record.team, &record.consumer, provider, model];
        let separator = PART.to_string();
        let key = parts.map(|part| part.replace(PART, " ")).join(&separator);
        entry(&mut self.accounts, key, max, |account: &mut Account| {
            account.requests = account.requests.saturating_add(1);
            let Some(usage) = record.usage.filter(|_| record.served()) else { return };
            let more = |count: &mut u64, by: u64| *count = count.saturating_add(by);
            more(&mut account.input, usage.prompt_tokens);
            more(&mut account.cached, usage.cached_tokens);
            more(&mut account.output, usage.completion_tokens);
            more(&mut account.estimated, u64::from(record.estimated));
            more(&mut account.unpriced, u64::from(record.cost.is_none()));
            more(&mut account.nano_usd, record.cost.unwrap_or(0));
        })
    }

    /// Takes up a score for an answer of this model and variant; false if neither is known.
    pub fn feedback(&mut self, model: &str, variant: &str, score: f64) -> bool {
        let groups = [self.models.get_mut(model), self.variants.get_mut(variant)];
        let known = groups.iter().any(Option::is_some);
        groups.into_iter().flatten().for_each(|group| group.feedback.add(score));
        known
    }

    /// Takes up what another worker has.
    pub fn merge(&mut self, other: &Tally) {
        for (mine, theirs) in
            [(&mut self.models, &other.models), (&mut self.variants, &other.variants)]
        {
            for (name, group) in theirs {
                mine.entry(name.clone()).or_default().merge(group);
            }
        }
        for (name, account) in &other.accounts {
            self.accounts.entry(name.clone()).or_default().merge(account);
        }
        self.since = match (self.since, other.since) {
            (0, since) | (since, 0) => since,
            (a, b) => a.min(b),
        };
    }
}

/// Changes an entry, or `other` where there is no room for one more.
fn entry<T: Default>(
    map: &mut SmallMap<String, T>,
    name: String,
    max: usize,
    change: impl FnOnce(&mut T),
) -> bool {
    let fits = map.len() < max || map.contains_key(&name);
    change(map.entry(if fits { name } else { OTHER.into() }).or_default());
    fits
}

impl Group {
    /// All requests.
    pub fn requests(&self) -> u64 {
        [self.ok, self.refused, self.failed, self.left].into_iter().fold(0, u64::saturating_add)
    }

    fn add(&mut self, record: &Record, repeated: bool) {
        let count = match record.ending {
            Ending::Ok => &mut self.ok,
            Ending::Refused => &mut self.refused,
            Ending::Failed => &mut self.failed,
            Ending::Left => &mut self.left,
        };
        *count = count.saturating_add(1);
        if let Some(first) = record.first_token {
            self.first_token.add(first / 1_000);
        }
        if record.ending == Ending::Ok {
            self.duration.add(record.total / 1_000);
            if let Some(usage) = &record.usage {
                self.answer.add(float(usage.completion_tokens));
            }
        }
        let Some(cost) = record.cost else { return };
        self.cost.add(float(cost));
        if repeated {
            self.repeated.add(cost);
        }
        if let Some((model, cheaper)) = &record.cheaper {
            let sum = self.cheaper.entry(model.clone()).or_default();
            sum.add(cost.saturating_sub(*cheaper));
        }
    }

    fn merge(&mut self, other: &Group) {
        for (mine, theirs) in [
            (&mut self.ok, other.ok),
            (&mut self.refused, other.refused),
            (&mut self.failed, other.failed),
            (&mut self.left, other.left),
        ] {
            *mine = mine.saturating_add(theirs);
        }
        self.first_token.merge(&other.first_token);
        self.duration.merge(&other.duration);
        self.answer.merge(&other.answer);
        self.cost.merge(&other.cost);
        self.feedback.merge(&other.feedback);
        self.repeated.merge(&other.repeated);
        for (model, sum) in &other.cheaper {
            self.cheaper.entry(model.clone()).or_default().merge(sum);
        }
    }
}

impl Account {
    fn merge(&mut self, other: &Account) {
        for (mine, theirs) in [
            (&mut self.requests, other.requests),
            (&mut self.estimated, other.estimated),
            (&mut self.unpriced, other.unpriced),
            (&mut self.input, other.input),
            (&mut self.cached, other.cached),
            (&mut self.output, other.output),
            (&mut self.nano_usd, other.nano_usd),
        ] {
            *mine = mine.saturating_add(theirs);
        }
    }
}

/// Exact up to 2^53.
#[allow(clippy::cast_precision_loss)]
fn float(count: u64) -> f64 {
    count as f64
}
