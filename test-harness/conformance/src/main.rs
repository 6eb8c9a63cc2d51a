//! Compares our translators with recorded request/response pairs of other gateways, by meaning. How,
//! and what came out: docs/conformance.md.

mod adjudications;
mod diff;
mod framing;
mod gather;
mod normal;
mod ours;
mod report;
mod services;
mod snap;
mod vectors;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use adjudications::Adjudication;
use ai_proxy::asked::Operation;
use diff::Difference;
use report::{Report, Verdict};
use serde_json::{Value, json};
use vectors::{Case, Task, Work};

const USAGE: &str = "usage: conformance FOLDER [CASE]; with a case, both its documents are shown";

/// The place of a refusal of our gateway.
const REFUSED: &str = "refused";

const ADJUDICATIONS: &str = include_str!("../adjudications.json");

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (folder, case, none) = (args.next(), args.next(), args.next());
    let done = match (folder, none) {
        (Some(folder), None) => run(Path::new(&folder), case.as_deref(), &mut io::stdout().lock()),
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "conformance: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Compares all cases, or shows one; true if all could be read and no adjudication is stale.
fn run(folder: &Path, only: Option<&str>, out: &mut dyn Write) -> Result<bool, String> {
    let adjudications = adjudications::read(ADJUDICATIONS)?;
    let cases = vectors::all(folder)?;
    if let Some(name) = only {
        let case = cases.into_iter().find(|case| case.name == name);
        let case = case.ok_or_else(|| format!("there is no case {name}"))?;
        show(case, out)?;
        return Ok(true);
    }
    let mut report = Report::default();
    let known = |name: &str| cases.iter().any(|case| case.name == name);
    for one in adjudications.iter().filter(|one| !known(&one.case)) {
        report.stale(&one.case, "there is no such case");
    }
    for case in cases {
        let mine: Vec<_> = adjudications.iter().filter(|one| one.case == case.name).collect();
        let (verdict, stale) = judge(case.work, &mine);
        report.add(&case.name, &case.pair, verdict);
        stale.iter().for_each(|why| report.stale(&case.name, why));
    }
    report.write(out).map_err(|error| error.to_string())?;
    Ok(report.is_sound())
}

fn show(case: Case, out: &mut dyn Write) -> Result<(), String> {
    let Work::Compare(task) = case.work? else { return Err("it is not compared".into()) };
    let (ours, theirs) = compared(task)?;
    writeln!(out, "ours: {ours:#}\ntheirs: {theirs:#}").map_err(|error| error.to_string())
}

/// How a case comes out, and what is wrong with its adjudications.
fn judge(work: Result<Work, String>, adjudications: &[&Adjudication]) -> (Verdict, Vec<String>) {
    let task = match work {
        Err(error) => return (Verdict::Unreadable(error), Vec::new()),
        Ok(Work::Unsupported(why)) => return (Verdict::Unsupported(why), Vec::new()),
        Ok(Work::Compare(task)) => task,
    };
    let without: Vec<_> = adjudications.iter().flat_map(|one| &one.without).collect();
    let differences = match differences(task, &without) {
        Err(error) => return (Verdict::Unreadable(error), Vec::new()),
        Ok(differences) => differences,
    };
    let differed = !differences.is_empty();
    let (open, stale) = adjudications::settle(differences, adjudications);
    let verdict = match (open.is_empty(), differed) {
        (true, false) => Verdict::Equal,
        (true, true) => Verdict::Adjudicated,
        (false, _) => Verdict::Differs(open),
    };
    (verdict, stale)
}

/// Where it differs; where our gateway refuses the request, also without what it refuses.
fn differences(task: Task, without: &[&String]) -> Result<Vec<Difference>, String> {
    let (ours, theirs) = compared(task.clone())?;
    let whole = diff::differences(&ours, &theirs);
    let refused = whole.iter().find(|difference| difference.path == REFUSED).cloned();
    let Some(refused) = refused.filter(|_| !without.is_empty()) else { return Ok(whole) };
    let (ours, theirs) = compared(task.without(without))?;
    let mut found = diff::differences(&ours, &theirs);
    found.push(refused);
    Ok(found)
}

/// What our gateway makes of it and what was recorded, in the same form. A refusal is a document too.
fn compared(task: Task) -> Result<(Value, Value), String> {
    let refused = |why: String| Ok((json!({ REFUSED: why }), json!({})));
    Ok(match task {
        Task::Request { client, provider, body, mut expected } => {
            let configured = ours::configure(provider)?;
            let ours = ours::request(&configured, Operation::Chat(client), &body, None);
            let mut ours = match ours {
                Ok(ours) => ours,
                Err(why) => return refused(why),
            };
            normal::request(provider.protocol, &mut ours);
            normal::request(provider.protocol, &mut expected);
            (ours, expected)
        }
        Task::Answer { provider, client, body, mut expected } => {
            let mut ours = match ours::answer(provider, client, &body) {
                Ok(ours) => ours,
                Err(why) => return refused(why),
            };
            normal::answer(client, &mut ours);
            normal::answer(client, &mut expected);
            normal::drop_made_up_ids(&mut ours, &mut expected, &body);
            (ours, expected)
        }
        Task::Stream { provider, client, kind, body, expected } => {
            let events = match ours::stream(provider, client, kind, &body) {
                Ok(events) => events,
                Err(why) => return refused(why),
            };
            let mut ours = gather::gather(client, &events);
            let mut theirs = gather::gather(client, &gather::events(&expected));
            normal::answer(client, &mut ours);
            normal::answer(client, &mut theirs);
            let answer = String::from_utf8_lossy(&body);
            normal::drop_made_up_ids(&mut ours, &mut theirs, &answer);
            (ours, theirs)
        }
        Task::Asked { operation, provider, model, body, mut expected } => {
            let configured = ours::configure(provider)?;
            let ours = ours::request(&configured, operation, &body, Some(&model));
            let mut ours = match ours {
                Ok(ours) => ours,
                Err(why) => return refused(why),
            };
            for document in [&mut ours, &mut expected] {
                services::open(document);
                services::drop_usual_task(document);
            }
            (ours, expected)
        }
        Task::Vectors { dialect, model, body, expected } => {
            match ours::vectors(dialect, &model, &body) {
                Ok(ours) => (ours, expected),
                Err(why) => return refused(why),
            }
        }
        Task::Framing { kind, pieces, expected } => {
            (json!({ "events": framing::ours(kind, &pieces) }), json!({ "events": expected }))
        }
    })
}

/// What is in a folder, in order.
fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let place = |error: io::Error| format!("{}: {error}", folder.display());
    let entries = std::fs::read_dir(folder).map_err(place)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = paths.collect::<Result<Vec<_>, _>>().map_err(place)?;
    paths.sort();
    Ok(paths)
}
