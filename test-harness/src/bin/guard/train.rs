//! `guard train FOLDER OUT`: the weights of prompt-guard's linear model, from the rows that may be
//! learned from (`"train": true`). The same rows give the same weights.
//!
//! Logistic regression by stochastic gradient descent, in two steps: first rules alone, whose weights may
//! not be negative, then words and pairs of words for what the rules leave. Prints what each
//! row would be taken for by a model that has not seen it.

use std::collections::BTreeMap;
use std::path::Path;

use prompt_guard::detect::{Detector, Evidence, FEWEST, HEAD, MAX_RULES, RULES, WEIGHTS};
use serde_json::Value;

const EPOCHS: u32 = 40;
const RATE: f64 = 0.3;
const DECAY: f64 = 2e-5;
const RULE_EPOCHS: u32 = 200;
const RULE_DECAY: f64 = 1e-4;
const FOLDS: usize = 5;
/// What is added to the weight of a rule that is to be enough by itself.
const CERTAIN: (&str, f64) = ("ignore-instructions", 1.2);
/// What words count for beside rules. They know the texts of training better than any others.
const TRUST: f64 = 0.6;
/// What a text in a script without words gets instead of what words would say.
const WORDLESS: f64 = 1.0;
/// From which score on each profile blocks: where, in cross-validation, some 2 %, 0.8 % and 0.15 % of the
/// harmless rows would be taken for attacks.
const THRESHOLDS: [f64; 3] = [0.4, 1.4, 4.8];

struct Row {
    evidence: Evidence,
    attack: bool,
    learned: bool,
    source: String,
}

/// What was learned.
struct Learned {
    bias: f64,
    rules: Vec<f64>,
    words: Vec<f64>,
}

/// Runs it.
pub fn run(args: &[&str]) -> Result<(), String> {
    let [folder, out] = args else { return Err("usage: guard train FOLDER OUT".into()) };
    let rows = read(folder)?;
    let scores = cross(&rows);
    report(&rows, &scores);
    let learned = fit(rows.iter().filter(|row| row.learned));
    rules_table(&rows, &learned);
    let largest = learned.words.iter().fold(0.0_f64, |most, weight| most.max(weight.abs()));
    let scale = largest.max(1e-9) / 127.0;
    let mut bytes = Vec::with_capacity(HEAD + WEIGHTS);
    let mut number = |number: f64| bytes.extend((number as f32).to_le_bytes());
    number(learned.bias);
    number(scale);
    number(WORDLESS);
    THRESHOLDS.into_iter().for_each(&mut number);
    (0..MAX_RULES).for_each(|rule| number(learned.rules.get(rule).copied().unwrap_or(0.0)));
    let weights = learned.words.iter().map(|weight| (weight / scale).round() as i8);
    bytes.extend(weights.map(i8::cast_unsigned));
    std::fs::write(out, bytes).map_err(|error| format!("{out}: {error}"))
}

fn read(folder: &str) -> Result<Vec<Row>, String> {
    let rows = crate::eval::rows(&Path::new(folder).join("prompt_injection/dev.jsonl"))?;
    let detector = Detector::new();
    let rows = rows.iter().filter(|row| row["label"] != 2).map(|row: &Value| Row {
        evidence: detector.evidence(row["text"].as_str().unwrap_or_default()),
        attack: row["label"] == 1,
        learned: row["train"] == true,
        source: row["source"].as_str().unwrap_or_default().to_owned(),
    });
    Ok(rows.collect())
}

/// The score of each row by a model that has not seen it.
fn cross(rows: &[Row]) -> Vec<f64> {
    let learned: Vec<usize> = (0..rows.len()).filter(|at| rows[*at].learned).collect();
    let all = fit(rows.iter().filter(|row| row.learned));
    let mut scores: Vec<f64> = rows.iter().map(|row| all.score(row)).collect();
    for fold in 0..FOLDS {
        let others = learned.iter().enumerate().filter(|(place, _)| place % FOLDS != fold);
        let model = fit(others.map(|(_, at)| &rows[*at]));
        for at in learned.iter().skip(fold).step_by(FOLDS) {
            scores[*at] = model.score(&rows[*at]);
        }
    }
    scores
}

fn report(rows: &[Row], scores: &[f64]) {
    let mut counts: BTreeMap<(bool, String), (u32, [u32; 3])> = BTreeMap::new();
    for (row, score) in rows.iter().zip(scores) {
        let group =
            if row.attack && crate::eval::is_visible(&row.source) { "VISIBLE" } else { "ALL" };
        for name in [row.source.as_str(), group] {
            let count = counts.entry((row.attack, name.to_owned())).or_default();
            count.0 += 1;
            for (slot, least) in count.1.iter_mut().zip(THRESHOLDS) {
                *slot += u32::from(*score >= least);
            }
        }
    }
    let mut harmless: Vec<f64> =
        rows.iter().zip(scores).filter(|(row, _)| !row.attack).map(|(_, score)| *score).collect();
    harmless.sort_by(|one, other| other.total_cmp(one));
    for share in [0.02, 0.01, 0.008, 0.005, 0.002, 0.0015, 0.001] {
        let at = (harmless.len() as f64 * share) as usize;
        println!("{:.2} % of the harmless rows are above {:.2}", 100.0 * share, harmless[at]);
    }
    println!("not seen in training: share above the thresholds {THRESHOLDS:?}");
    for ((attack, name), (count, above)) in counts {
        let share = above.map(|above| 100.0 * f64::from(above) / f64::from(count));
        println!(
            "{} {name:<24} {count:>6} {:>7.1}% {:>7.1}% {:>7.1}%",
            u8::from(attack),
            share[0],
            share[1],
            share[2]
        );
    }
}

fn rules_table(rows: &[Row], learned: &Learned) {
    println!("rules: weight, attacks and harmless rows that fit");
    for (number, rule) in RULES.iter().enumerate() {
        let fits = |attack: bool| {
            rows.iter()
                .filter(|row| row.attack == attack && row.evidence.rules >> number & 1 == 1)
                .count()
        };
        println!(
            "{:<26} {:>5.2} {:>5} {:>5}",
            rule.name,
            learned.rules[number],
            fits(true),
            fits(false)
        );
    }
}

impl Learned {
    fn of_rules(&self, row: &Row) -> f64 {
        let fits = |rule: &(usize, &f64)| row.evidence.rules >> rule.0 & 1 == 1;
        self.rules.iter().enumerate().filter(fits).map(|(_, weight)| weight).sum()
    }

    fn of_words(&self, row: &Row) -> f64 {
        let words = &row.evidence.words;
        if words.len() < FEWEST {
            return WORDLESS;
        }
        let sum: f64 = words.iter().map(|word| self.words[*word]).sum();
        sum / (words.len() as f64).sqrt()
    }

    fn score(&self, row: &Row) -> f64 {
        self.of_rules(row) + self.of_words(row) + self.bias
    }
}

fn fit<'a>(rows: impl Iterator<Item = &'a Row>) -> Learned {
    let rows: Vec<&Row> = rows.collect();
    let mut learned =
        Learned { bias: -2.0, rules: vec![0.0; RULES.len()], words: vec![0.0; WEIGHTS] };
    let mut order: Vec<usize> = (0..rows.len()).collect();
    let mut state = 1_u64;
    let mut shuffle = |order: &mut Vec<usize>| {
        // The same every time.
        for at in (1..order.len()).rev() {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            order.swap(at, (state >> 33) as usize % (at + 1));
        }
    };
    for epoch in 0..RULE_EPOCHS {
        shuffle(&mut order);
        let rate = 0.05 / (1.0 + 0.05 * f64::from(epoch));
        for at in &order {
            let row = rows[*at];
            let error = wrong(row, learned.of_rules(row) + learned.bias);
            for (rule, weight) in learned.rules.iter_mut().enumerate() {
                if row.evidence.rules >> rule & 1 == 1 {
                    *weight = (*weight + rate * (error - RULE_DECAY * *weight)).max(0.0);
                }
            }
            learned.bias += rate * error;
        }
    }
    for epoch in 0..EPOCHS {
        shuffle(&mut order);
        let rate = RATE / (1.0 + 0.1 * f64::from(epoch));
        for at in &order {
            let row = rows[*at];
            let words = &row.evidence.words;
            let error = wrong(row, learned.score(row));
            learned.bias += rate * error * 0.1;
            if words.len() < FEWEST {
                continue;
            }
            let step = rate * error / (words.len() as f64).sqrt();
            for word in words {
                let weight = &mut learned.words[*word];
                *weight += step - rate * DECAY * *weight;
            }
        }
    }
    learned.words.iter_mut().for_each(|weight| *weight *= TRUST);
    for (rule, weight) in RULES.iter().zip(&mut learned.rules) {
        *weight += if rule.name == CERTAIN.0 { CERTAIN.1 } else { 0.0 };
    }
    learned
}

/// How far off a score is.
fn wrong(row: &Row, score: f64) -> f64 {
    f64::from(u8::from(row.attack)) - 1.0 / (1.0 + (-score).exp())
}
