//! The two ends of `make bench`.
//!
//! - `load serve ADDRESS`: a provider that answers at once unless told otherwise, in OpenAI's or Anthropic's format by the
//!   path. Header `x-load` asks for a stream: `tokens=500 gap_us=2000`, or `hold` for one that never
//!   ends; `after_us=5000` for one that the provider thinks about for about so long. HTTP/1.1 and, with prior knowledge, HTTP/2.
//! - `load run key=value...`: clients that ask again and again, see [`run::Options`]. Prints what they
//!   saw as one line of JSON.
//! - `load idle ADDRESS STREAMS BODY [HEADER...]`: opens streams over HTTP/2, says when each has begun, and
//!   holds them until its input ends.

mod answers;
mod idle;
mod mark;
mod run;
mod serve;
mod think;

use std::process::ExitCode;

/// Runs what a connection needs on this thread.
#[derive(Clone)]
struct Local;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// How long the provider has thought, in microseconds: what is left of an answer's time is the proxy's.
const TOOK: &str = "x-load-took";

type Error = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let local = tokio::task::LocalSet::new();
    let done = match *arguments.as_slice() {
        ["serve", address] => local.block_on(&runtime, serve::serve(address)),
        ["run", ref options @ ..] => local.block_on(&runtime, run::run(options)),
        ["idle", address, streams, body, ref headers @ ..] => {
            local.block_on(&runtime, idle::idle(address, streams, body, headers))
        }
        _ => Err("usage: load serve|run|idle ...; see the head of its main.rs".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

#[allow(clippy::print_stderr, reason = "a tool")]
fn failed(error: &Error) -> ExitCode {
    eprintln!("load: {error}");
    ExitCode::FAILURE
}
