//! What everyday prompts cost: `speed < rows`, where rows are JSON lines with `text` and `source`. Runs natively
//! and, built for `wasm32-wasip1`, in V8 (`speed.mjs`), which is what Envoy has.

#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::io::Read as _;
use std::time::Instant;

use prompt_guard::detect::{Detector, Profile};
use prompt_guard::pii::{Entities, Scanner};
use serde_json::Value;

/// Sources of everyday prompts.
const EVERYDAY: [&str; 6] = [
    "arena_hard",
    "mtbench_vicuna",
    "selfinstruct",
    "alpaca_seeds",
    "alignbench_zh",
    "qqp_questions",
];

const ROUNDS: usize = 25;

fn main() {
    let mut input = String::new();
    if let Err(error) = std::io::stdin().read_to_string(&mut input) {
        println!("standard input: {error}");
        return;
    }
    let rows: Vec<Value> =
        input.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let is = |row: &&Value| row["source"].as_str().is_some_and(|source| EVERYDAY.contains(&source));
    let texts: Vec<&str> = rows.iter().filter(is).filter_map(|row| row["text"].as_str()).collect();
    let chinese = |text: &&&str| {
        let han = text.chars().filter(|c| matches!(c, '\u{4e00}'..='\u{9fff}')).count();
        han * 4 > text.chars().count()
    };
    println!(
        "{:<18} {:>6} {:>9} {:>8} {:>14} {:>20}",
        "everyday prompts", "rows", "bytes", "blocked", "personal data", "microseconds per KB"
    );
    let (ascii, chinese): (Vec<&str>, Vec<&str>) = (
        texts.iter().filter(|text| text.is_ascii()).copied().collect(),
        texts.iter().filter(chinese).copied().collect(),
    );
    let (detector, scanner) = (Detector::new(), Scanner::new(Entities::all()));
    for (name, texts) in [("ASCII", ascii), ("Chinese", chinese)] {
        let bytes: usize = texts.iter().map(|text| text.len()).sum();
        let block = Profile::Balanced.block();
        let blocked = texts.iter().filter(|text| detector.detect(text).score >= block).count();
        let personal = texts.iter().filter(|text| !scanner.scan(text).is_empty()).count();
        let round = || {
            let begin = Instant::now();
            for text in &texts {
                black_box((detector.detect(text), scanner.scan(text)));
            }
            begin.elapsed().as_secs_f64() * 1e6 / (bytes as f64 / 1024.0)
        };
        let best = (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min);
        println!(
            "{name:<18} {:>6} {bytes:>9} {blocked:>8} {personal:>14} {best:>20.1}",
            texts.len()
        );
    }
}
