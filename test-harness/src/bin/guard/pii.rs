//! `guard pii`: adds `spans` (offsets in code points) and `masked` to every line.

use prompt_guard::mask::Masks;
use prompt_guard::pii::{Entities, Scanner};
use serde_json::{Value, json};

/// Runs it on standard input.
pub fn run(args: &[&str]) -> Result<(), String> {
    if let Some(arg) = args.first() {
        return Err(format!("guard pii takes no argument, found {arg}"));
    }
    let scanner = Scanner::new(Entities::all());
    crate::each_line(|text, row| {
        let (spans, masked) = scan(&scanner, text);
        row.insert("spans".into(), Value::Array(spans));
        row.insert("masked".into(), masked.into());
    })
}

fn scan(scanner: &Scanner, text: &str) -> (Vec<Value>, String) {
    let (mut spans, mut masked, mut masks) = (Vec::new(), String::new(), Masks::default());
    // Bytes and code points that have been passed.
    let (mut done, mut points) = (0, 0);
    for found in scanner.scan(text) {
        let value = text.get(found.start..found.end).unwrap_or_default();
        let between = text.get(done..found.start).unwrap_or_default();
        let start = points + between.chars().count();
        let end = start + value.chars().count();
        masked.push_str(between);
        masked.push_str(&masks.placeholder(found.entity.name(), value));
        spans
            .push(json!({"type": found.entity.name(), "start": start, "end": end, "value": value}));
        (done, points) = (found.end, end);
    }
    masked.push_str(text.get(done..).unwrap_or_default());
    (spans, masked)
}
