//! The command `aigw`. Exit status: 0 all is well, 1 there is something to be told, 2 it could not be done.
// A tool for people talks to its terminal.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use aigw::check::{Checked, check};
use aigw::hosts::{File, Host, render};
use aigw::yaml::Yaml;
use aigw::{diff, doctor, live, update};

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
  aigw update URL --sha256 HEX --folder FOLDER [--live URL [--wait SECONDS]] FILE...
                                             fetches a module, checks it, and names it in Envoy's files;
                                             --live: the old one again unless Envoy takes it (60 s)
  aigw version --live URL                    which modules an Envoy runs

HOST: envoy, apisix, istio, envoy-gateway, higress, kubernetes (plain Deployment). KEY also from APISIX_ADMIN_KEY.
Exit status: 0 nothing to tell, 1 mistakes, differences or findings, 2 it could not be done.";

/// Writes a line.
macro_rules! say {
    ($($what:tt)*) => {
        write(format_args!("{}\n", format_args!($($what)*)))
    };
}

/// Writes to the standard output. Who reads it may have seen enough (`| head`), which is no mistake of ours.
fn write(what: std::fmt::Arguments<'_>) {
    let Err(error) = std::io::stdout().write_fmt(what) else { return };
    if error.kind() != std::io::ErrorKind::BrokenPipe {
        eprintln!("standard output: {error}");
    }
    std::process::exit(2);
}

/// What is on the command line.
#[derive(Default)]
struct Arguments {
    host: Option<String>,
    patch: bool,
    out: Option<String>,
    against: Option<String>,
    live: Option<String>,
    key: Option<String>,
    sha256: Option<String>,
    folder: Option<String>,
    wait: Option<String>,
    files: Vec<String>,
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
                "--sha256" => &mut read.sha256,
                "--folder" => &mut read.folder,
                "--wait" => &mut read.wait,
                other if other.starts_with('-') => return Err(format!("unknown option {other}")),
                _ => {
                    read.files.push(argument);
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

    /// The one file.
    fn file(&self) -> Result<&str, String> {
        match self.files.as_slice() {
            [file] => Ok(file),
            [] => Err("the file is missing".into()),
            _ => Err("one file at a time".into()),
        }
    }

    fn host(&self) -> Result<Host, String> {
        Host::named(self.host.as_deref().ok_or("--host is missing")?)
    }

    fn policy(&self) -> Result<Checked, String> {
        let path = self.file()?;
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
        "update" => bring_in(&arguments),
        "version" => tell_version(&arguments),
        "" | "help" | "--help" | "-h" => {
            say!("{USAGE}");
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
    let path = arguments.file()?;
    let checked = match check(&text(path)?) {
        Ok(checked) => checked,
        Err(error) => {
            say!("{path}: {error}");
            return Ok(false);
        }
    };
    let hosts = match &arguments.host {
        Some(name) => vec![Host::named(name)?],
        None => Host::ALL.to_vec(),
    };
    say!("{path}: the plugins take it");
    for note in &checked.notes {
        say!("  note: {note}");
    }
    let mut taken = true;
    for host in hosts {
        for refused in checked.refused(host) {
            say!("  {}: refuses all of it: {refused}", host.name());
            taken = arguments.host.is_none();
        }
        for limit in checked.limits(host) {
            say!("  {}: {limit}", host.name());
        }
    }
    Ok(taken)
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
                say!("{}", path.display());
            }
        }
        None => write(format_args!(
            "{}",
            files.iter().map(File::text).collect::<Vec<_>>().join("---\n")
        )),
    }
    let refused = checked.refused(host);
    refused.iter().for_each(|refused| eprintln!("{} refuses all of it: {refused}", host.name()));
    for limit in checked.limits(host) {
        eprintln!("note: {limit}");
    }
    Ok(refused.is_empty())
}

fn compare(arguments: &Arguments) -> Result<bool, String> {
    let host = arguments.host()?;
    let mut wanted = whole(host, &arguments.policy()?);
    if host == Host::Apisix && arguments.live.is_some() {
        wanted = live::comparable(wanted);
    }
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
    lines.iter().for_each(|line| say!("{line}"));
    if lines.is_empty() {
        say!("no difference");
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
    let config = match (&arguments.live, arguments.file(), host) {
        (Some(url), Err(_), Host::Envoy) => live::envoy(url)?,
        (Some(url), Err(_), Host::Apisix) => live::apisix(url, arguments.key.as_deref())?,
        (None, Ok(path), _) => {
            documents(&text(path)?).map_err(|error| format!("{path}: {error}"))?
        }
        _ => return Err("give a file or --live".into()),
    };
    let found = match host {
        Host::Envoy => doctor::envoy(&config),
        Host::Apisix => doctor::apisix(&config),
        _ => {
            return Err(
                "doctor reads Envoy and APISIX; of Kubernetes ask the proxy with --live".into()
            );
        }
    };
    found.iter().for_each(|line| say!("{line}"));
    if found.is_empty() {
        say!("nothing found");
    }
    Ok(found.is_empty())
}

fn bring_in(arguments: &Arguments) -> Result<bool, String> {
    let (url, files) = arguments.files.split_first().ok_or("the module's URL is missing")?;
    let sha256 = arguments.sha256.as_deref().ok_or("--sha256 is missing")?;
    let folder = arguments.folder.as_deref().ok_or("--folder is missing")?;
    let seconds = match &arguments.wait {
        Some(text) => text.parse().map_err(|_| "--wait must be seconds")?,
        None => 60,
    };
    let path = update::update(&update::Update {
        url,
        sha256,
        folder,
        files,
        admin: arguments.live.as_deref(),
        wait: std::time::Duration::from_secs(seconds),
    })?;
    say!("fetched {}", path.display());
    Ok(true)
}

fn tell_version(arguments: &Arguments) -> Result<bool, String> {
    let url = arguments.live.as_deref().ok_or("--live is missing")?;
    let found = update::modules(&live::envoy(url)?);
    found.iter().for_each(|line| say!("{line}"));
    Ok(!found.is_empty())
}
