//! `make cache-eval`: what a semantic cache serves rightly and wrongly. Reads lines of JSON, a pair of
//! questions each: `set`, `label` (1 if the answer to one serves the other), `cosine`, `a`, `b`, and maybe
//! `kind`. With `--show SET`, also prints what is decided wrongly at the default settings.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::io::BufRead;
use std::process::ExitCode;

use semantic_cache_client::config::{Config, Language, Semantic};
use semantic_cache_client::veto;
use serde_json::Value;

/// A pair of questions.
struct Pair {
    same: bool,
    cosine: f64,
    kind: String,
    a: String,
    b: String,
    known: bool,
    vetoed: Option<veto::Why>,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let show = match args.as_slice() {
        [flag, set] if flag == "--show" => set.clone(),
        _ => String::new(),
    };
    let settings = defaults();
    let mut sets: BTreeMap<String, Vec<Pair>> = BTreeMap::new();
    for line in std::io::stdin().lock().lines() {
        let Some((set, pair)) =
            line.ok().as_deref().and_then(|line| read(line, &settings.languages))
        else {
            eprintln!("a line is no pair of questions");
            return ExitCode::FAILURE;
        };
        sets.entry(set).or_default().push(pair);
    }
    println!("served: cosine >= threshold, language known, no veto (with veto)\n");
    for (set, pairs) in &sets {
        table(set, pairs, settings.threshold);
    }
    for pair in sets.get(&show).into_iter().flatten() {
        let served = pair.known && pair.cosine >= settings.threshold && pair.vetoed.is_none();
        if served != pair.same {
            let why = pair.vetoed.map_or("-", |why| why.name());
            println!("{} {:.3} {why} | {} | {}", u8::from(pair.same), pair.cosine, pair.a, pair.b);
        }
    }
    ExitCode::SUCCESS
}

/// What holds where nothing is said.
fn defaults() -> Semantic {
    let text =
        r#"{"semantic":{"embedder":{"kind":"openai","model":"m","service":{"upstream":"u"}}}}"#;
    let config: Result<Config, _> = shared::config::parse(text.as_bytes());
    match config.map(|config| config.semantic) {
        Ok(Some(semantic)) => semantic,
        _ => std::process::exit(2),
    }
}

fn read(line: &str, languages: &[Language]) -> Option<(String, Pair)> {
    let pair: Value = serde_json::from_str(line).ok()?;
    let text = |key: &str| pair.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (a, b) = (text("a"), text("b"));
    let known = [&a, &b].iter().all(|text| languages.contains(&veto::language(text)));
    let vetoed = veto::differ(&a, &b);
    let same = pair.get("label")?.as_i64()? == 1;
    let cosine = pair.get("cosine")?.as_f64()?;
    Some((text("set"), Pair { same, cosine, kind: text("kind"), a, b, known, vetoed }))
}

fn table(set: &str, pairs: &[Pair], default: f64) {
    let positive = pairs.iter().filter(|pair| pair.same).count();
    println!("{set}: {} pairs, {positive} the same", pairs.len());
    println!("threshold |  precision  recall  wrong | with veto: precision  recall  wrong");
    let mut thresholds: Vec<f64> = (0..8).map(|step| 0.98 - 0.02 * f64::from(step)).collect();
    thresholds.push(default);
    thresholds.sort_by(f64::total_cmp);
    thresholds.dedup_by(|a, b| (*a - *b).abs() < 1e-9);
    for threshold in thresholds {
        let figures = |veto: bool| {
            let served = |same: bool| {
                let chosen = pairs.iter().filter(|pair| {
                    pair.same == same
                        && pair.cosine >= threshold
                        && (!veto || (pair.vetoed.is_none() && pair.known))
                });
                chosen.count()
            };
            let (right, wrong) = (served(true), served(false));
            let share = |part: usize, whole: usize| {
                if whole == 0 {
                    "    -".to_owned()
                } else {
                    format!("{:5.1}", part as f64 * 100.0 / whole as f64)
                }
            };
            let wrong_share = share(wrong, pairs.len() - positive);
            format!(
                "{} %  {} %  {wrong_share} %",
                share(right, right + wrong),
                share(right, positive)
            )
        };
        let mark = if (threshold - default).abs() < 1e-9 { "*" } else { " " };
        println!("{threshold:.2}{mark}     |  {} |            {}", figures(false), figures(true));
    }
    let mut kinds: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for pair in pairs.iter().filter(|pair| !pair.kind.is_empty()) {
        let count = kinds.entry(&pair.kind).or_default();
        count.0 += 1;
        count.1 += usize::from(pair.known && pair.cosine >= default && pair.vetoed.is_none());
    }
    for (kind, (all, served)) in kinds {
        println!("  {kind}: {served} of {all} served");
    }
    println!();
}
