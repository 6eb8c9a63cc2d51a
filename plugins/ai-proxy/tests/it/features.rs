//! docs/features.md: what of each feature reaches the other side, by what the golden outputs say.
//! `make features` writes it anew.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::cases::{ANSWERED, ASKED, Answered, Asked, CLIENTS, NO, PROVIDERS};
use ai_proxy::config::Protocol;
use ai_proxy::translate::client::Client;
use serde_json::Value;

const CLIENT_TITLES: [(&str, Client); 4] = [
    ("OpenAI Chat Completions", Client::OpenAiChat),
    ("OpenAI Responses", Client::OpenAiResponses),
    ("Anthropic Messages", Client::Anthropic),
    ("Gemini", Client::Gemini),
];

const PROVIDER_TITLES: [(&str, Protocol); 6] = [
    ("OpenAI Chat Completions", Protocol::Openai),
    ("OpenAI Responses", Protocol::OpenaiResponses),
    ("Anthropic Messages", Protocol::Anthropic),
    ("Gemini", Protocol::Gemini),
    ("Bedrock Converse", Protocol::Bedrock),
    ("Cohere v2", Protocol::Cohere),
];

/// What became of a feature in one pair.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// The bodies pass as they are.
    Passes,
    /// Nothing is lost.
    Whole,
    /// Something is left, and what is not is named.
    Part(BTreeSet<String>),
    /// Nothing is left, which is named.
    Dropped(BTreeSet<String>),
    /// Nothing is left, without a word: a mistake of a translator.
    Lost(PathBuf),
    /// The request is refused.
    Refused(String),
    /// One of the two knows nothing of the kind.
    NotApplicable,
}

impl Outcome {
    fn cell(&self) -> String {
        let names = |names: &BTreeSet<String>| {
            let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
            names.join(", ")
        };
        match self {
            Outcome::Passes => "passes".into(),
            Outcome::Whole => "whole".into(),
            Outcome::Part(dropped) => format!("in part, without {}", names(dropped)),
            Outcome::Dropped(dropped) => format!("without {}", names(dropped)),
            Outcome::Lost(_) => "**lost**".into(),
            Outcome::Refused(why) => format!("refused: {}", why.replace('|', "\\|")),
            Outcome::NotApplicable => String::new(),
        }
    }

    /// The column of the first table.
    fn count(&self) -> Option<usize> {
        match self {
            Outcome::Passes | Outcome::Whole => Some(0),
            Outcome::Part(_) => Some(1),
            Outcome::Dropped(_) => Some(2),
            Outcome::Refused(_) => Some(3),
            Outcome::NotApplicable | Outcome::Lost(_) => None,
        }
    }
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn same(client: usize, provider: usize) -> bool {
    PROVIDER_TITLES[provider].1.is_that_of(CLIENT_TITLES[client].1)
}

/// Whether a proof stands in an output.
fn holds(proof: &str, text: &str) -> bool {
    proof.split(" | ").any(|proof| {
        let (wanted, proof) = proof.strip_prefix('!').map_or((true, proof), |proof| (false, proof));
        let found = match proof.strip_suffix('#') {
            None => text.contains(proof),
            Some(before) => text
                .split(before)
                .skip(1)
                .filter_map(|after| after.chars().next())
                .any(|next| matches!(next, '1'..='9')),
        };
        found == wanted
    })
}

#[test]
fn proofs_are_read_as_they_say() {
    assert!(holds("a | b", "xbx"));
    assert!(!holds("a | b", "x"));
    assert!(holds("!a", "x"));
    assert!(!holds("!a", "a"));
    assert!(holds("\"n\":#", r#"{"n":0,"m":{"n":12}}"#));
    assert!(!holds("\"n\":#", r#"{"n":0}"#));
    assert!(holds("!\"n\":#", r#"{"n":0}"#));
}

fn request(feature: &Asked, client: usize, provider: usize) -> Outcome {
    let case = feature.cases[client];
    if case == NO {
        return Outcome::NotApplicable;
    }
    if same(client, provider) {
        return Outcome::Passes;
    }
    let path = golden().join("requests").join(CLIENTS[client]).join(case);
    let path = path.join(PROVIDERS[provider]).with_extension("json");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut body: Value = serde_json::from_str(&text).unwrap();
    for key in ["unsupported", "error"] {
        if let (Some(why), true) = (body[key].as_str(), body.as_object().unwrap().len() < 3) {
            return Outcome::Refused(why.to_owned());
        }
    }
    let dropped = body.as_object_mut().unwrap().remove("x-ai-dropped");
    let dropped: BTreeSet<String> =
        dropped.map(|names| serde_json::from_value(names).unwrap()).unwrap_or_default();
    let proof = feature.proofs[provider];
    match (proof != NO && holds(proof, &body.to_string()), dropped.is_empty()) {
        (true, true) => Outcome::Whole,
        (true, false) => Outcome::Part(dropped),
        (false, false) => Outcome::Dropped(dropped),
        (false, true) => Outcome::Lost(path),
    }
}

fn answer(feature: &Answered, client: usize, provider: usize) -> Outcome {
    let case = feature.cases[provider];
    if case == NO {
        return Outcome::NotApplicable;
    }
    if same(client, provider) {
        return Outcome::Passes;
    }
    let proof = feature.proofs[client];
    let path = golden().join("answers").join(PROVIDERS[provider]).join(case);
    let mut looked_at = 0;
    let mut dropped = BTreeSet::new();
    for kind in ["answer", "stream"] {
        let extension = if kind == "answer" { "json" } else { "sse" };
        let path = path.join(format!("{kind}.{}.{extension}", CLIENTS[client]));
        let Ok(text) = fs::read_to_string(&path) else { continue };
        looked_at += 1;
        let (text, named) = told(text);
        dropped.extend(named.clone());
        // Google's clients are told in a header only, which leaves before a stream is over.
        let silent = kind == "stream" && CLIENT_TITLES[client].1 == Client::Gemini;
        if proof == NO && named.is_empty() && !silent || proof != NO && !holds(proof, &text) {
            return Outcome::Lost(path);
        }
    }
    assert!(looked_at > 0, "{}: no case {}", feature.name, path.display());
    match (proof == NO, dropped.is_empty()) {
        (true, true) => Outcome::Lost(path),
        (true, false) => Outcome::Dropped(dropped),
        (false, true) => Outcome::Whole,
        (false, false) => Outcome::Part(dropped),
    }
}

/// A whole answer, which is written for readers with spaces between, or a stream; and what its client is
/// told that it got nothing of.
fn told(text: String) -> (String, BTreeSet<String>) {
    let names = |names: &str| names.split(',').map(str::to_owned).collect();
    let Ok(mut body) = serde_json::from_str::<Value>(&text) else {
        let comment = text.lines().find_map(|line| line.strip_prefix(": x-ai-dropped: "));
        let named = comment.map(names).unwrap_or_default();
        return (text, named);
    };
    let named = body.as_object_mut().and_then(|body| body.remove("x-ai-dropped"));
    let named = named.map(|names| serde_json::from_value(names).unwrap()).unwrap_or_default();
    (body.to_string(), named)
}

/// A line of a table.
fn row(out: &mut String, cells: impl IntoIterator<Item = String>) {
    let cells: Vec<_> = cells.into_iter().collect();
    writeln!(out, "| {} |", cells.join(" | ")).unwrap();
}

fn head(out: &mut String, first: &str, titles: impl IntoIterator<Item = &'static str>) {
    let titles: Vec<_> = titles.into_iter().map(str::to_owned).collect();
    let count = titles.len();
    row(out, std::iter::once(first.to_owned()).chain(titles));
    row(out, std::iter::repeat_n("---".to_owned(), count + 1));
}

const INTRO: &str = "\
# What each pair of protocols can do

<!-- Made from plugins/ai-proxy/tests/golden by plugins/ai-proxy/tests/it/features.rs. -->

Four protocols of clients and six of providers are 24 pairs. This page says what of each feature reaches the
other side. It is made of the golden files in `plugins/ai-proxy/tests/golden`, which hold what a client
sends or a provider answers, and what our translators make of it: a feature counts as whole if the output
has it in the other protocol's own words.

| word | meaning |
| --- | --- |
| passes | client and provider speak the same protocol: the bytes pass, but for the model's name and what a vendor of Chat Completions does not take |
| whole | translated, nothing lost |
| in part, without `x` | the nearest that the provider has; `x` is named in `x-ai-dropped` |
| without `x` | the provider has nothing for it; `x` is named in `x-ai-dropped`. With `on_unsupported: error` the request is refused |
| refused: why | 400: leaving it out would change what was asked |
| (empty) | the client's protocol, or of answers the provider's, has nothing of the kind |

The provider in column OpenAI Chat Completions is OpenAI itself; what other vendors of that protocol have
nothing for is in [providers.md](providers.md). Bedrock's model is Claude Sonnet 4.5; models of other makers
have no `top_k`, no thoughts and no marks for the prompt cache there.

Completions, OpenAI's older protocol, is translated too, as a chat of one message.

What a client gets nothing of in an answer begins with `answer.`: it is known before the header leaves where
the answer is whole. Of a stream it is known at its end only: clients of OpenAI and Anthropic then get the
comment `: x-ai-dropped: ...` after the last event, which SDKs pass over and `curl -N` shows; Google's own
clients take comments for answers, so theirs get none.
";

fn pairs() -> impl Iterator<Item = (usize, usize)> {
    (0..CLIENTS.len()).flat_map(|client| (0..PROVIDERS.len()).map(move |p| (client, p)))
}

/// Of each pair, the features of requests and then those of answers.
fn outcomes() -> BTreeMap<(usize, usize), Vec<Outcome>> {
    let of = |(c, p)| {
        let requests = ASKED.iter().map(|feature| request(feature, c, p));
        let answers = ANSWERED.iter().map(|feature| answer(feature, c, p));
        ((c, p), requests.chain(answers).collect())
    };
    pairs().map(of).collect()
}

fn page() -> String {
    let mut out = INTRO.to_owned();
    let outcomes = outcomes();
    out.push_str("\n## All pairs\n\nFeatures of requests and answers, counted.\n\n");
    head(&mut out, "client - provider", ["whole", "in part, named", "dropped, named", "refused"]);
    for ((c, p), outcomes) in &outcomes {
        let mut counts = [0_usize; 4];
        outcomes.iter().filter_map(Outcome::count).for_each(|column| counts[column] += 1);
        let name = format!("{} - {}", CLIENT_TITLES[*c].0, PROVIDER_TITLES[*p].0);
        row(&mut out, std::iter::once(name).chain(counts.map(|count| count.to_string())));
    }
    for (c, (client, _)) in CLIENT_TITLES.iter().enumerate() {
        writeln!(out, "\n## Clients of {client}").unwrap();
        let mut table = |title: &str, names: Vec<&str>, from: usize| {
            writeln!(out, "\n{title}\n").unwrap();
            head(&mut out, "feature", PROVIDER_TITLES.map(|(title, _)| title));
            for (index, name) in names.into_iter().enumerate() {
                let cells: Vec<_> =
                    (0..PROVIDERS.len()).map(|p| outcomes[&(c, p)][from + index].clone()).collect();
                if cells.iter().any(|cell| *cell != Outcome::NotApplicable) {
                    let cells = cells.iter().map(Outcome::cell);
                    row(&mut out, std::iter::once(name.to_owned()).chain(cells));
                }
            }
        };
        table("What it asks for:", ASKED.iter().map(|feature| feature.name).collect(), 0);
        let names = ANSWERED.iter().map(|feature| feature.name).collect();
        table("What it gets:", names, ASKED.len());
    }
    out
}

#[test]
fn the_page_of_features_says_what_the_golden_outputs_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/features.md");
    let page = page();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page, "docs/features.md is stale: run `make features`");
}

#[test]
fn nothing_is_lost_without_a_word() {
    let names = || ASKED.iter().map(|f| f.name).chain(ANSWERED.iter().map(|f| f.name));
    let mut lost = Vec::new();
    for outcomes in outcomes().values() {
        for (name, outcome) in names().zip(outcomes) {
            if let Outcome::Lost(path) = outcome {
                lost.push(format!("{name}: {}", path.display()));
            }
        }
    }
    assert!(lost.is_empty(), "{lost:#?}");
}
