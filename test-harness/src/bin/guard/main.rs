//! prompt-guard on the command line: `guard detect | pii < in.jsonl > out.jsonl`, `guard eval FOLDER`,
//! `guard train FOLDER OUT`.
// A tool for people talks to its terminal; its figures are small and its data its own.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod detect;
mod eval;
mod pii;
mod train;

use std::io::{BufRead, BufWriter, Write};
use std::process::ExitCode;

use serde_json::{Map, Value};

const USAGE: &str =
    "usage: guard detect [--profile NAME] | guard pii | guard eval FOLDER | guard train FOLDER OUT";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.split_first() {
        Some((&"detect", rest)) => detect::run(rest),
        Some((&"pii", rest)) => pii::run(rest),
        Some((&"eval", rest)) => eval::run(rest),
        Some((&"train", rest)) => train::run(rest),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Adds to every line of standard input what `add` says of its `text`.
fn each_line(mut add: impl FnMut(&str, &mut Map<String, Value>)) -> Result<(), String> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    for (number, line) in (1..).zip(std::io::stdin().lock().lines()) {
        let line = line.map_err(|error| format!("line {number}: {error}"))?;
        if line.trim().is_empty() {
            continue;
        }
        let mut row: Map<String, Value> =
            serde_json::from_str(&line).map_err(|error| format!("line {number}: {error}"))?;
        let text = row.get("text").and_then(Value::as_str).map(str::to_owned);
        let text = text.ok_or_else(|| format!("line {number}: no \"text\""))?;
        add(&text, &mut row);
        let written = serde_json::to_writer(&mut out, &row).map_err(|error| error.to_string());
        written.and_then(|()| writeln!(out).map_err(|error| error.to_string()))?;
    }
    out.flush().map_err(|error| error.to_string())
}
