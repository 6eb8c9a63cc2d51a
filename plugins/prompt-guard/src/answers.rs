//! Answers: the texts of one are judged as they come, and what is judged goes on.
//!
//! What a place of a text is judged by lies within a bounded distance behind it. So much is held back,
//! which makes the outcome the same however the text is cut, and nothing leaves in pieces that may not
//! leave at all.

use shared::small_map::SmallMap;
use std::cmp::Reverse;

use crate::config::{Action, Treatment};
use crate::expression::Expression;
use crate::mask::nested::{self, Place, behind};
use crate::pii::{Entity, Scanner};
use crate::policy::Policy;
use crate::rules::Count;

/// Bytes behind a value of personal data that its recognition may depend on, itself included.
pub const HOLD_PII: usize = 128;
/// What may still become part of a find that ends so near to the end of what has come.
const AHEAD: usize = 32;
/// Longest run of letters, digits and signs that is waited for, as long keys are.
const MAX_RUN: usize = 8 << 10;
/// Most that is held back for a find that goes on and on: the longest private key.
const MAX_HELD: usize = 16 << 10;
/// An answer is looked at for attempts in pieces of so many bytes, ...
const BLOCK: usize = 1 << 10;
/// ... with so much of what stands before.
const BEFORE: usize = 256;

/// What answers are looked at for, besides rule sets.
#[derive(Debug)]
pub struct Answers {
    /// Personal data.
    pub scanner: Option<Scanner>,
    /// What happens to each kind of it.
    pub treatments: SmallMap<Entity, Treatment>,
    /// Kinds of the configuration's own.
    pub custom: Vec<(String, Expression, Treatment)>,
    /// What happens to what reads as an attempt.
    pub injection: Action,
    /// How much is held back, in bytes.
    pub hold: usize,
}

/// What has been found in the texts of an answer.
#[derive(Debug, Default)]
pub struct Seen {
    /// How sure an attempt is, 0 to 1.
    pub score: f32,
    /// What it was judged by.
    pub rules: Vec<String>,
    /// Kinds of personal data.
    pub kinds: SmallMap<String, u32>,
    /// Some of it was replaced.
    pub masked: bool,
    /// Something is to be told to other plugins.
    pub flagged: bool,
    /// The rule that ends the answer.
    pub end: Option<String>,
    /// Bytes that have gone out.
    pub said: usize,
    count: Count,
}

impl Seen {
    fn note(&mut self, rule: &str, action: Action) {
        self.flagged |= action == Action::Flag;
        if !self.rules.iter().any(|known| known == rule) {
            self.rules.push(rule.to_owned());
        }
    }
}

/// One text on its way.
#[derive(Debug, Default)]
pub struct Watch {
    /// What is held back, and a little of what has gone out before it.
    text: String,
    /// Where begins what is held back.
    from: usize,
    /// How far it has been looked at for attempts.
    judged: usize,
    /// Its length when it was last looked at.
    looked: usize,
    /// Of a JSON document: whether what comes next stands within a string.
    place: Place,
}

#[derive(Clone, Copy)]
enum What<'p> {
    /// Of a rule set: its number and which of its words or patterns.
    Rule(usize, usize),
    Data(&'p str, Treatment),
}

struct Span<'p> {
    start: usize,
    end: usize,
    grows: bool,
    what: What<'p>,
}

impl Watch {
    /// More of the text has come, all of it if `closed`; what goes out of it now. `nested`: the text is
    /// a JSON document.
    pub fn push(
        &mut self,
        policy: &Policy,
        piece: &str,
        nested: bool,
        closed: bool,
        seen: &mut Seen,
    ) -> String {
        let Some(answers) = &policy.answers else { return piece.to_owned() };
        self.text.push_str(piece);
        let len = self.text.len();
        // Looking at the same again and again costs more than it is worth.
        let due = len.saturating_sub(self.looked) > len.saturating_sub(self.from) / 8;
        if seen.end.is_some() || !(closed || due) {
            return String::new();
        }
        self.looked = len;
        let mut cut = if closed { len } else { self.ready(answers) };
        if cut <= self.from {
            return String::new();
        }
        let mut ends = None;
        cut = cut.min(self.judge(policy, answers.injection, closed, seen, &mut ends));
        let mut out = String::new();
        let mut done = self.from;
        for span in self.spans(policy, answers, nested) {
            let start = span.start.max(self.from);
            if start >= cut {
                break;
            }
            let open = span.grows && !closed && span.end.saturating_add(AHEAD) > len;
            if open && len - self.from < MAX_HELD {
                cut = start.max(done);
                break;
            }
            match span.what {
                What::Rule(number, hit) => {
                    let Some(rules) = policy.rules.get(number) else { continue };
                    if !seen.count.add(number, rules, hit) {
                        continue;
                    }
                    if rules.action == Action::Block {
                        ends = Some(rules.name.clone());
                        cut = start.max(done);
                        break;
                    }
                    seen.note(&rules.name, rules.action);
                }
                What::Data(..) if start < done => {}
                What::Data(name, treatment) => {
                    let count = seen.kinds.entry(name.to_owned()).or_insert(0);
                    *count = count.saturating_add(1);
                    if treatment == Treatment::Block {
                        ends = Some(format!("pii:{name}"));
                        cut = start;
                        break;
                    }
                    let value = self.text.get(start..span.end).unwrap_or_default();
                    let Some(with) = policy.instead(name, value, treatment) else { continue };
                    let before = self.text.get(done..start).unwrap_or_default();
                    self.place = behind(self.place, before);
                    out.push_str(before);
                    // A number of a JSON document becomes a string.
                    let quote = if nested && self.place == Place::Outside { "\"" } else { "" };
                    out.extend([quote, &with, quote]);
                    seen.masked = true;
                    done = span.end;
                }
            }
        }
        let rest = self.text.get(done..cut).unwrap_or_default();
        self.place = behind(self.place, rest);
        out.push_str(rest);
        self.from = cut.max(done);
        self.forget();
        seen.said = seen.said.saturating_add(out.len());
        if seen.end.is_none() {
            seen.end = ends;
        }
        out
    }

    /// Whether something is held back.
    pub fn holds(&self) -> bool {
        self.from < self.text.len()
    }

    /// How far the text can go out as far as its form is concerned.
    fn ready(&self, answers: &Answers) -> usize {
        let bytes = self.text.as_bytes();
        let cut = floor(&self.text, bytes.len().saturating_sub(answers.hold));
        if answers.scanner.is_none() {
            return cut;
        }
        let tail = bytes.iter().rev().take(MAX_RUN).take_while(|byte| byte.is_ascii_graphic());
        let run = tail.count();
        if run == MAX_RUN { cut } else { cut.min(bytes.len() - run) }
    }

    /// Looks for attempts; how far the text can go out as far as these are concerned.
    fn judge(
        &mut self,
        policy: &Policy,
        action: Action,
        closed: bool,
        seen: &mut Seen,
        ends: &mut Option<String>,
    ) -> usize {
        let len = self.text.len();
        if action == Action::Allow {
            self.judged = len;
            return len;
        }
        loop {
            let fresh = len.saturating_sub(self.judged);
            if fresh == 0 || (fresh < BLOCK && !closed) {
                break;
            }
            let end = floor(&self.text, self.judged.saturating_add(BLOCK).min(len));
            let start = floor(&self.text, self.judged.saturating_sub(BEFORE));
            let verdict = policy.detector.detect(self.text.get(start..end).unwrap_or_default());
            seen.score = seen.score.max(verdict.score);
            if verdict.score >= policy.threshold {
                let rule = verdict.rules.first().map_or("injection", String::as_str);
                if action == Action::Block {
                    *ends = Some(rule.to_owned());
                    return self.judged;
                }
                seen.note(rule, action);
            }
            self.judged = end;
        }
        if action == Action::Block { self.judged } else { len }
    }

    /// All that is found in what is held back, in order; what ends an answer before what does not.
    fn spans<'p>(&self, policy: &'p Policy, answers: &'p Answers, nested: bool) -> Vec<Span<'p>> {
        let mut spans = Vec::new();
        let text = self.text.as_str();
        for (number, rules) in policy.rules.iter().enumerate().filter(|(_, set)| set.answers) {
            rules.hits(text, |hit| {
                if hit.end > self.from {
                    let what = What::Rule(number, hit.number);
                    spans.push(Span { start: hit.start, end: hit.end, grows: hit.grows, what });
                }
                true
            });
        }
        let shown = if nested { nested::plain(text) } else { text.into() };
        let mut data = |start, end, name, treatment| {
            let start = if nested { nested::start(text, start) } else { start };
            if start >= self.from {
                spans.push(Span { start, end, grows: true, what: What::Data(name, treatment) });
            }
        };
        for found in answers.scanner.iter().flat_map(|scanner| scanner.scan(&shown)) {
            if let Some(treatment) = answers.treatments.get(&found.entity) {
                data(found.start, found.end, found.entity.name(), *treatment);
            }
        }
        for (name, pattern, treatment) in &answers.custom {
            for found in pattern.find_iter(&shown).filter(|found| !found.is_empty()) {
                data(found.start(), found.end(), name, *treatment);
            }
        }
        shared::sort::by_key(&mut spans, |span| {
            let start = span.start.max(self.from);
            (start, matches!(span.what, What::Data(..)), Reverse(span.end))
        });
        spans
    }

    /// Drops of what has gone out all but what later finds may depend on.
    fn forget(&mut self) {
        let known = self.from.min(self.judged);
        if known <= 2 * BEFORE {
            return;
        }
        let cut = floor(&self.text, known - BEFORE);
        // Not within a word, which would look like another.
        let window = self.text.get(cut..known).unwrap_or_default();
        let cut = window.find(' ').map_or(cut, |space| cut + space);
        self.text.drain(..cut);
        for place in [&mut self.from, &mut self.judged, &mut self.looked] {
            *place = place.saturating_sub(cut);
        }
    }
}

/// The last place of a character at or before this one.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}
