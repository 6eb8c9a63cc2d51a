//! A stand-in for model providers: an HTTP server that speaks their protocols, answers as a script
//! says, is as strict about requests as they are, and remembers what it received.

mod control;
mod json;
mod output;
mod protocols;
mod record;
mod rng;
mod script;
mod server;
mod stream;
mod tokens;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str =
    "usage: mock-llm --listen NAME=ADDRESS [--listen ...] [--seed N] [--ready-file PATH]";

#[derive(Debug, Default, PartialEq)]
struct Args {
    listen: Vec<(String, String)>,
    seed: u64,
    ready_file: Option<PathBuf>,
}

impl Args {
    fn parse(args: impl IntoIterator<Item = String>) -> Result<Args, String> {
        let mut parsed = Args::default();
        let mut args = args.into_iter();
        while let Some(flag) = args.next() {
            let (flag, value) = match flag.split_once('=') {
                Some((flag, value)) if flag.starts_with("--") => {
                    (flag.to_owned(), Some(value.to_owned()))
                }
                _ => (flag, None),
            };
            let value = value.or_else(|| args.next()).ok_or(USAGE)?;
            match flag.as_str() {
                "--listen" => {
                    let (name, address) =
                        value.split_once('=').ok_or("--listen: expected NAME=ADDRESS")?;
                    if name.is_empty() || parsed.listen.iter().any(|(other, _)| other == name) {
                        return Err(format!("--listen: `{name}` is empty or used twice"));
                    }
                    parsed.listen.push((name.to_owned(), address.to_owned()));
                }
                "--seed" => parsed.seed = value.parse().map_err(|_| "--seed: not a number")?,
                "--ready-file" => parsed.ready_file = Some(value.into()),
                _ => return Err(USAGE.to_owned()),
            }
        }
        if parsed.listen.is_empty() { Err(USAGE.to_owned()) } else { Ok(parsed) }
    }
}

async fn run(args: Args) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    let mut listeners = Vec::new();
    let mut addresses = Map::new();
    for (name, address) in args.listen {
        let listener = TcpListener::bind(&address)
            .await
            .map_err(|error| io::Error::new(error.kind(), format!("{name}={address}: {error}")))?;
        addresses.insert(name.clone(), Value::from(listener.local_addr()?.to_string()));
        listeners.push((name, listener));
    }
    let names = listeners.iter().map(|(name, _)| name.clone());
    let state = Arc::new(server::State::new(args.seed, names));
    for (name, listener) in listeners {
        tokio::spawn(server::serve(state.clone(), name.into(), listener));
    }

    let ready = format!("{}\n", json!({ "listeners": addresses }));
    if let Some(path) = args.ready_file {
        // Renamed into place: whoever waits for the file never reads half of it.
        let partial = path.with_extension("partial");
        std::fs::write(&partial, &ready)?;
        std::fs::rename(&partial, &path)?;
    }
    let mut stdout = io::stdout();
    stdout.write_all(ready.as_bytes())?;
    stdout.flush()?;

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

fn main() -> ExitCode {
    let result = Args::parse(std::env::args().skip(1)).and_then(|args| {
        let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
        let result = runtime.block_on(run(args)).map_err(|error| error.to_string());
        // Answers under way are not waited for.
        runtime.shutdown_background();
        result
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nobody left to tell if this fails too.
            let _ = writeln!(io::stderr(), "mock-llm: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Args, String> {
        Args::parse(args.iter().map(|arg| (*arg).to_owned()))
    }

    #[test]
    fn reads_every_flag() {
        let args = parse(&[
            "--listen",
            "a=127.0.0.1:0",
            "--listen=b=[::1]:80",
            "--seed",
            "7",
            "--ready-file",
            "/r",
        ])
        .unwrap();
        assert_eq!(args.listen[1], ("b".to_owned(), "[::1]:80".to_owned()));
        assert_eq!((args.seed, args.ready_file), (7, Some(PathBuf::from("/r"))));
    }

    #[test]
    fn refuses_wrong_flags() {
        for args in [
            &[][..],
            &["--listen"],
            &["--listen", "127.0.0.1:0"],
            &["--listen", "a=:0", "--listen", "a=:1"],
            &["--listen", "a=:0", "--seed", "x"],
            &["--port", "1"],
        ] {
            assert!(parse(args).is_err(), "{args:?}");
        }
    }
}
