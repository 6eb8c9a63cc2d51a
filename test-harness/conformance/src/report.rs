//! How the cases came out, in words and in numbers.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::diff::Difference;

/// How one case came out.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    Equal,
    /// It differs, and is to.
    Adjudicated,
    Differs(Vec<Difference>),
    /// Our gateway does not do this.
    Unsupported(String),
    /// It cannot be read.
    Unreadable(String),
}

/// All that was compared.
#[derive(Debug, Default)]
pub(crate) struct Report {
    lines: Vec<String>,
    stale: Vec<String>,
    unreadable: usize,
    /// Of each pair, how many came out as [`COLUMNS`].
    table: BTreeMap<String, [usize; 4]>,
}

const COLUMNS: [&str; 4] = ["equal", "adjudicated", "differing", "unsupported"];

impl Report {
    pub(crate) fn add(&mut self, case: &str, pair: &str, verdict: Verdict) {
        let counts = self.table.entry(pair.to_owned()).or_default();
        let [equal, adjudicated, differing, unsupported] = counts;
        let mut more = Vec::new();
        let (count, words) = match verdict {
            Verdict::Equal => (equal, "equal".to_owned()),
            Verdict::Adjudicated => (adjudicated, "adjudicated".to_owned()),
            Verdict::Unsupported(why) => (unsupported, format!("unsupported: {why}")),
            Verdict::Differs(differences) => {
                more = differences;
                (differing, "differs:".to_owned())
            }
            Verdict::Unreadable(why) => (&mut self.unreadable, format!("unreadable: {why}")),
        };
        *count += 1;
        self.lines.push(format!("{case}: {words}"));
        self.lines.extend(more.iter().map(|difference| format!("    {difference}")));
    }

    /// An adjudication that is none any more.
    pub(crate) fn stale(&mut self, case: &str, why: &str) {
        self.stale.push(format!("{case}: stale adjudication: {why}"));
    }

    /// All could be read and no adjudication is stale.
    pub(crate) fn is_sound(&self) -> bool {
        self.unreadable == 0 && self.stale.is_empty()
    }

    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        for line in self.lines.iter().chain(&self.stale) {
            writeln!(out, "{line}")?;
        }
        writeln!(
            out,
            "\n| client - provider | {} |\n| --- | --: | --: | --: | --: |",
            COLUMNS.join(" | ")
        )?;
        let mut all = [0; 4];
        for (pair, counts) in &self.table {
            let cells = counts.map(|count| count.to_string()).join(" | ");
            writeln!(out, "| {pair} | {cells} |")?;
            all.iter_mut().zip(counts).for_each(|(all, count)| *all += count);
        }
        let words: Vec<_> =
            all.iter().zip(COLUMNS).map(|(n, word)| format!("{n} {word}")).collect();
        writeln!(out, "\nconformance: {}", words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_counted_by_pair() {
        let mut report = Report::default();
        let difference = Difference { path: "x".into(), ours: Some(1.into()), theirs: None };
        report.add("a", "p to q", Verdict::Equal);
        report.add("b", "p to q", Verdict::Differs(vec![difference]));
        report.add("c", "other", Verdict::Unsupported("why".into()));
        assert!(report.is_sound());
        report.stale("a", "x does not differ");
        assert!(!report.is_sound());
        let mut out = Vec::new();
        report.write(&mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains("b: differs:\n    x: ours 1, theirs nothing\n"), "{out}");
        assert!(out.contains("| p to q | 1 | 0 | 1 | 0 |\n"), "{out}");
        let last = "\nconformance: 1 equal, 0 adjudicated, 1 differing, 1 unsupported\n";
        assert!(out.ends_with(last), "{out}");
    }
}
