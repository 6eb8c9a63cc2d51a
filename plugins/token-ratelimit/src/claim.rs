//! What a request asks of the counts, and what they say.

use shared::text;

use crate::terms::{Kind, Receipt, Standing, Terms};

/// One rule's part in a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// The rule's place.
    pub rule: usize,
    /// Which count it is: the rule's name, the way of counting, and the key.
    pub count: String,
    /// What holds for it.
    pub terms: Terms,
    /// How much, in the unit's smallest part.
    pub amount: u64,
    /// What is to be done.
    pub mode: Mode,
    /// Amounts at which somebody is to be told, the lowest first.
    pub marks: Vec<u64>,
}

/// What is to be done with a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Reserve, if there is room in all of them.
    Reserve,
    /// Reserve in any case.
    Force,
    /// Only look.
    Look,
    /// Forget what was used.
    Reset,
    /// Add to the limit.
    TopUp,
}

impl Mode {
    /// Whether something is reserved.
    pub fn reserves(self) -> bool {
        matches!(self, Mode::Reserve | Mode::Force)
    }
}

/// What a count says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Where it stands now.
    pub standing: Standing,
    /// There was no room.
    pub full: bool,
    /// Seconds until there may be, at least 1.
    pub wait: u64,
    /// How many of the marks are passed, if one of them is for the first time.
    pub passed: usize,
    /// How many were before, where the count is here.
    pub marked: u64,
    /// All that was ever settled.
    pub total: u64,
    /// So that it can be corrected, where the count is here.
    pub receipt: Option<Receipt>,
}

/// What the counts say to all claims of a request, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// There was room wherever it is needed; else nothing was reserved.
    pub ok: bool,
    /// One for each claim.
    pub answers: Vec<Answer>,
}

/// The name of a count. Another way of counting has another count.
pub fn count(rule: &str, terms: &Terms, key: &str) -> String {
    let kind = match terms.kind {
        Kind::Windows { sliding: false, .. } => 'f',
        Kind::Windows { sliding: true, .. } => 's',
        Kind::Bucket { .. } => 'b',
        Kind::Places => 'c',
    };
    text!(kind, ":", rule, ":", key)
}
