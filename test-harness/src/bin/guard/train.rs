//! `guard train FOLDER OUT`: the weights of prompt-guard's linear model, from the rows that may be
//! learned from (`"train": true`). The same rows give the same weights.
//!
//! Logistic regression by stochastic gradient descent. The thresholds are those at which, in
//! cross-validation, so many of the harmless rows would be taken for attacks.

use std::path::Path;

use prompt_guard::detect::features;
use prompt_guard::normalise;

const WEIGHTS: usize = 1 << 16;
const EPOCHS: u32 = 40;
const RATE: f64 = 0.3;
const DECAY: f64 = 2e-5;
const FOLDS: usize = 5;
/// Share of harmless rows above the threshold of each profile.
const ALARMS: [f64; 3] = [0.008, 0.0015, 0.0003];

struct Row {
    features: Vec<usize>,
    attack: bool,
}

/// Runs it.
pub fn run(args: &[&str]) -> Result<(), String> {
    let [folder, out] = args else { return Err("usage: guard train FOLDER OUT".into()) };
    let rows = crate::eval::rows(&Path::new(folder).join("prompt_injection/dev.jsonl"))?;
    let rows: Vec<Row> = rows
        .iter()
        .filter(|row| row["train"] == true && row["label"] != 2)
        .map(|row| {
            let mut found = Vec::new();
            let text = normalise::plain(row["text"].as_str().unwrap_or_default());
            features(&text, |feature| found.push(feature));
            Row { features: found, attack: row["label"] == 1 }
        })
        .collect();
    let mut harmless = Vec::new();
    for fold in 0..FOLDS {
        let (weights, bias) =
            fit(rows.iter().enumerate().filter(|(at, _)| at % FOLDS != fold).map(|(_, row)| row));
        let held = rows.iter().enumerate().filter(|(at, row)| at % FOLDS == fold && !row.attack);
        harmless.extend(held.map(|(_, row)| score(row, &weights, bias)));
    }
    harmless.sort_by(f64::total_cmp);
    let (weights, bias) = fit(rows.iter());
    let largest = weights.iter().fold(0.0_f64, |most, weight| most.max(weight.abs()));
    let scale = 127.0 / largest.max(1e-9);
    let mut bytes = Vec::with_capacity(16 + WEIGHTS);
    bytes.extend(((bias * scale) as f32).to_le_bytes());
    for share in ALARMS {
        let above = (harmless.len() as f64 * share).ceil() as usize;
        let least = harmless[harmless.len().saturating_sub(above + 1)];
        bytes.extend(((least * scale + 1e-3) as f32).to_le_bytes());
    }
    bytes.extend(weights.iter().map(|weight| ((weight * scale).round() as i8).cast_unsigned()));
    std::fs::write(out, bytes).map_err(|error| format!("{out}: {error}"))
}

fn score(row: &Row, weights: &[f64], bias: f64) -> f64 {
    let sum: f64 = row.features.iter().map(|feature| weights[*feature]).sum();
    sum / (row.features.len().max(1) as f64).sqrt() + bias
}

fn fit<'a>(rows: impl Iterator<Item = &'a Row>) -> (Vec<f64>, f64) {
    let rows: Vec<&Row> = rows.collect();
    let (mut weights, mut bias) = (vec![0.0; WEIGHTS], 0.0);
    let mut order: Vec<usize> = (0..rows.len()).collect();
    let mut state = 1_u64;
    for epoch in 0..EPOCHS {
        // A shuffle that is the same every time.
        for at in (1..order.len()).rev() {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            order.swap(at, (state >> 33) as usize % (at + 1));
        }
        let rate = RATE / (1.0 + 0.1 * f64::from(epoch));
        for at in &order {
            let row = rows[*at];
            if row.features.is_empty() {
                continue;
            }
            let wanted = f64::from(u8::from(row.attack));
            let error = wanted - 1.0 / (1.0 + (-score(row, &weights, bias)).exp());
            let step = rate * error / (row.features.len() as f64).sqrt();
            for feature in &row.features {
                let weight = &mut weights[*feature];
                *weight += step - rate * DECAY * *weight;
            }
            bias += rate * error * 0.1;
        }
    }
    (weights, bias)
}
