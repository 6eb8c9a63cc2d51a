//! The command `aigw`. Exit status: 0 all is well, 1 there is something to be told, 2 it could not be done.
// A tool for people talks to its terminal.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::Path;
use std::process::ExitCode;

use aigw::check::{Checked, check};
use aigw::hosts::{File, Host, render};
use aigw::yaml::Yaml;
use aigw::{diff, doctor, live};

const USAGE: &str = "\
aigw: one policy file, every host

  aigw check [--host HOST] POLICY            is it right, and what can a host not do of it
  aigw render --host HOST [--patch] [--out FOLDER] POLICY
                                             what the host reads; --patch: only what is to be merged
  aigw diff --host HOST POLICY --against FILE|POLICY
  aigw diff --host HOST POLICY --live URL [--key KEY]
                                             what would change, compared with a rendered file, another
                                             policy, Envoy's admin interface or APISIX's Admin API
  aigw doctor --host envoy|apisix (--live URL [--key KEY] | FILE)
                                             what would hurt in a configuration

HOST: envoy, apisix, istio, envoy-gateway, higress. KEY also from APISIX_ADMIN_KEY.
Exit status: 0 nothing to tell, 1 mistakes, differences or findings, 2 it could not be done.";

/// What is on the command line.
#[derive(Default)]
struct Arguments {
    host: Option<String>,
    patch: bool,
    out: Option<String>,
    against: Option<String>,
    live: Option<String>,
    key: Option<String>,
    file: Option<String>,
}

impl Arguments {
    fn read(mut given: impl Iterator<Item = String>) -> Result<Arguments, String> {
        let mut read = Arguments::default();
        while let Some(argument) = given.next() {
            let place = match argument.as_str() {
                "--patch" => {
                    read.patch = true;
                    continue;
                }
                "--host" => &mut read.host,
                "--out" => &mut read.out,
                "--against" => &mut read.against,
                "--live" => &mut read.live,
                "--key" => &mut read.key,
                other if other.starts_with('-') => return Err(format!("unknown option {other}")),
                _ => {
                    if read.file.replace(argument).is_some() {
                        return Err("one file at a time".into());
                    }
                    continue;
                }
            };
            *place = Some(given.next().ok_or_else(|| format!("{argument} needs a value"))?);
        }
        if read.key.is_none() {
            read.key = std::env::var("APISIX_ADMIN_KEY").ok();
        }
        Ok(read)
    }

    fn host(&self) -> Result<Host, String> {
        Host::named(self.host.as_deref().ok_or("--host is missing")?)
    }

    fn policy(&self) -> Result<Checked, String> {
        let path = self.file.as_deref().ok_or("the policy file is missing")?;
        check(&text(path)?).map_err(|error| format!("{path}: {error}"))
    }
}

fn main() -> ExitCode {
    let mut given = std::env::args().skip(1);
    let command = given.next().unwrap_or_default();
    let done = Arguments::read(given).and_then(|arguments| match command.as_str() {
        "check" => check_policy(&arguments),
        "render" => render_policy(&arguments),
        "diff" => compare(&arguments),
        "doctor" => examine(&arguments),
        "" | "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(true)
        }
        other => Err(format!("unknown command {other}\n\n{USAGE}")),
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn text(path: &str) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}

fn check_policy(arguments: &Arguments) -> Result<bool, String> {
    let path = arguments.file.as_deref().ok_or("the policy file is missing")?;
    let checked = match check(&text(path)?) {
        Ok(checked) => checked,
        Err(error) => {
            println!("{path}: {error}");
            return Ok(false);
        }
    };
    let hosts = match &arguments.host {
        Some(name) => vec![Host::named(name)?],
        None => Host::ALL.to_vec(),
    };
    println!("{path}: the plugins take it");
    for note in &checked.notes {
        println!("  note: {note}");
    }
    for host in hosts {
        for limit in checked.limits(host) {
            println!("  {}: {limit}", host.name());
        }
    }
    Ok(true)
}

fn render_policy(arguments: &Arguments) -> Result<bool, String> {
    let host = arguments.host()?;
    let checked = arguments.policy()?;
    let files = render(host, &checked, arguments.patch);
    match &arguments.out {
        Some(folder) => {
            for file in &files {
                let path = Path::new(folder).join(file.name);
                std::fs::create_dir_all(folder)
                    .and_then(|()| std::fs::write(&path, file.text()))
                    .map_err(|error| format!("{}: {error}", path.display()))?;
                println!("{}", path.display());
            }
        }
        None => print!("{}", files.iter().map(File::text).collect::<Vec<_>>().join("---\n")),
    }
    for limit in checked.limits(host) {
        eprintln!("note: {limit}");
    }
    Ok(true)
}

fn compare(arguments: &Arguments) -> Result<bool, String> {
    let host = arguments.host()?;
    let wanted = whole(host, &arguments.policy()?);
    let there = match (&arguments.live, &arguments.against, host) {
        (Some(url), None, Host::Envoy) => live::envoy(url)?,
        (Some(url), None, Host::Apisix) => live::apisix(url, arguments.key.as_deref())?,
        (Some(_), None, _) => {
            return Err("--live asks Envoy or APISIX; on Kubernetes use `kubectl diff -f`".into());
        }
        (None, Some(path), _) => {
            let text = text(path)?;
            match check(&text) {
                Ok(other) => whole(host, &other),
                Err(_) => documents(&text).map_err(|error| format!("{path}: {error}"))?,
            }
        }
        _ => return Err("give one of --against and --live".into()),
    };
    let lines = diff::diff(&there, &wanted);
    lines.iter().for_each(|line| println!("{line}"));
    if lines.is_empty() {
        println!("no difference");
    }
    Ok(lines.is_empty())
}

/// What is compared: the last of the files, which has the routes.
fn whole(host: Host, checked: &Checked) -> Yaml {
    let mut files = render(host, checked, false);
    match files.pop() {
        Some(file) if file.documents.len() == 1 => {
            file.documents.into_iter().next().unwrap_or(Yaml::Null)
        }
        Some(file) => Yaml::List(file.documents),
        None => Yaml::Null,
    }
}

fn documents(text: &str) -> Result<Yaml, String> {
    let mut all: Vec<Yaml> =
        serde_saphyr::from_multiple(text).map_err(|error| error.to_string())?;
    Ok(if all.len() == 1 { all.remove(0) } else { Yaml::List(all) })
}

fn examine(arguments: &Arguments) -> Result<bool, String> {
    let host = arguments.host()?;
    let config = match (&arguments.live, &arguments.file, host) {
        (Some(url), None, Host::Envoy) => live::envoy(url)?,
        (Some(url), None, Host::Apisix) => live::apisix(url, arguments.key.as_deref())?,
        (None, Some(path), _) => documents(&text(path)?).map_err(|error| format!("{path}: {error}"))?,
        _ => return Err("give a file or --live".into()),
    };
    let found = match host {
        Host::Envoy => doctor::envoy(&config),
        Host::Apisix => doctor::apisix(&config),
        _ => return Err("doctor reads Envoy and APISIX; of Kubernetes ask the proxy with --live".into()),
    };
    found.iter().for_each(|line| println!("{line}"));
    if found.is_empty() {
        println!("nothing found");
    }
    Ok(found.is_empty())
}
