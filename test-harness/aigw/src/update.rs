//! Brings in another module, checked, beside the one that runs, and takes it back if the proxy does not take
//! it; and says which one runs.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::live;
use crate::yaml::Yaml;

/// Largest module that is fetched, in bytes.
const MAX_MODULE: u64 = 64 << 20;
/// By this a host knows a Proxy-Wasm module of the version that ours are.
const ABI: &str = "proxy_abi_version_0_2_1";

/// What is to be brought in, and where.
#[derive(Debug)]
pub struct Update<'a> {
    /// Where the module is.
    pub url: &'a str,
    /// What its SHA-256 must be, so that where it comes from need not be trusted.
    pub sha256: &'a str,
    /// Where it is kept, under a name with its hash.
    pub folder: &'a str,
    /// Envoy's files that name a module.
    pub files: &'a [String],
    /// Envoy's admin interface, if it is to be asked whether it has taken the module.
    pub admin: Option<&'a str>,
    /// For how long it may take to.
    pub wait: Duration,
}

/// Fetches a module, checks it, writes it into the folder, and then names it in the files where another one
/// stood. If anything goes wrong, nothing has changed, or is changed back. Gives its path.
pub fn update(wanted: &Update<'_>) -> Result<PathBuf, String> {
    let (url, sha256) = (wanted.url, wanted.sha256.to_ascii_lowercase());
    if !crate::check::is_sha256(&sha256) {
        return Err("--sha256 must be 64 hexadecimal digits".into());
    }
    let module = fetch(url)?;
    let found = hash(&module);
    if found != sha256 {
        return Err(format!("{url}: its sha256 is {found}, not {sha256}; nothing was changed"));
    }
    is_plugin(&module).map_err(|error| format!("{url}: {error}; nothing was changed"))?;
    let path = Path::new(wanted.folder).join(format!("ai-gateway-{}.wasm", &sha256[..12]));
    let mut before = Vec::new();
    let mut after = Vec::new();
    for file in wanted.files {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
        after.push(renamed(&text, &path).map_err(|error| format!("{file}: {error}"))?);
        before.push(text);
    }
    replace(&path, &module)?;
    let write = |texts: &[String]| {
        let mut files = wanted.files.iter().zip(texts);
        files.try_for_each(|(file, text)| replace(Path::new(file), text.as_bytes()))
    };
    let taken = write(&after).and_then(|()| match wanted.admin {
        Some(admin) => taken(admin, &path, wanted),
        None => Ok(()),
    });
    if let Err(error) = taken {
        write(&before)?;
        return Err(format!("{error}; the files name the module of before again"));
    }
    Ok(path)
}

/// Waits until the Envoy runs the module wherever the files name one.
fn taken(admin: &str, path: &Path, wanted: &Update<'_>) -> Result<(), String> {
    let until = Instant::now() + wanted.wait;
    let named = format!(": {} (", path.display());
    loop {
        let running = modules(&live::envoy(admin)?);
        if running.iter().filter(|line| line.contains(&named)).count() >= wanted.files.len() {
            return Ok(());
        }
        if Instant::now() >= until {
            let seconds = wanted.wait.as_secs();
            return Err(format!(
                "{admin}: has not taken the module within {seconds} s, see its log"
            ));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn fetch(url: &str) -> Result<Vec<u8>, String> {
    let mut answer = ureq::get(url).call().map_err(|error| format!("{url}: {error}"))?;
    let body = answer.body_mut().with_config().limit(MAX_MODULE).read_to_vec();
    body.map_err(|error| format!("{url}: {error}"))
}

/// Whether these bytes are a valid Proxy-Wasm module. Envoy would put one that is not in place, and answer 503
/// from then on.
fn is_plugin(module: &[u8]) -> Result<(), String> {
    wasmparser::validate(module).map_err(|error| format!("no WebAssembly module: {error}"))?;
    for payload in wasmparser::Parser::new(0).parse_all(module) {
        if let Ok(wasmparser::Payload::ExportSection(exports)) = payload
            && exports.into_iter().flatten().any(|export| export.name == ABI)
        {
            return Ok(());
        }
    }
    Err(format!("a module, but no plugin: it does not export {ABI}"))
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The text with another file name of the module: that of each `filename: ....wasm`. Where they name several
/// modules, which of them it is to replace cannot be told: ai-auth's must not become another plugin's.
fn renamed(text: &str, module: &Path) -> Result<String, String> {
    const KEY: &str = "filename: ";
    let mut out = String::new();
    let mut rest = text;
    let mut found: Vec<&str> = Vec::new();
    while let Some((before, after)) = rest.split_once(KEY) {
        let end = after.find(['\n', ' ', ',', '}']).unwrap_or(after.len());
        let (old, tail) = after.split_at(end);
        out.push_str(before);
        out.push_str(KEY);
        let name = old.trim_matches(['"', '\'']);
        if name.ends_with(".wasm") {
            out.push_str(&module.display().to_string());
            if !found.contains(&name) {
                found.push(name);
            }
        } else {
            out.push_str(old);
        }
        rest = tail;
    }
    out.push_str(rest);
    match found.as_slice() {
        [] => Err("names no module (`filename: ....wasm`)".into()),
        [_] => Ok(out),
        several => Err(format!("names several modules: {}", several.join(", "))),
    }
}

/// A new file renamed over the old one: who reads it sees one or the other, and Envoy notices.
fn replace(path: &Path, content: &[u8]) -> Result<(), String> {
    let new = path.with_extension("new");
    let told = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = std::fs::File::create(&new).map_err(told)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(told)?;
    std::fs::rename(&new, path).map_err(told)
}

/// Which modules a configuration runs, each with where it is used and, if its file is here, its hash.
pub fn modules(config: &Yaml) -> Vec<String> {
    let mut found = Vec::new();
    let resources = config.get("static_resources");
    for (kind, list) in
        [("listener", "listeners"), ("filter", "extensions"), ("cluster", "clusters")]
    {
        let items = resources.and_then(|all| all.get(list)).map(Yaml::items).unwrap_or_default();
        for item in items {
            let name = item.get("name").and_then(Yaml::text).unwrap_or("?");
            item.walk(&mut |value| {
                let file = value.at(&["code", "local", "filename"]).and_then(Yaml::text);
                if let Some(file) = file {
                    let hash = std::fs::read(file).map_or_else(
                        |_| "its file is not on this machine".into(),
                        |module| format!("sha256 {}", hash(&module)),
                    );
                    found.push(format!("{kind} {name}: {file} ({hash})"));
                }
                // Envoy has compared it.
                let text = |path: &[&str]| value.at(path).and_then(Yaml::text);
                if let Some(hash) = text(&["code", "remote", "sha256"]) {
                    let uri = text(&["code", "remote", "http_uri", "uri"]).unwrap_or("?");
                    found.push(format!("{kind} {name}: {uri} (sha256 {hash})"));
                }
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_modules_file_gets_another_name() {
        let text = "code: { local: { filename: dist/a.wasm } }\ntrusted_ca: { filename: ca.pem }\n";
        let new = renamed(text, Path::new("/x/b.wasm")).unwrap();
        assert_eq!(new, text.replace("dist/a.wasm", "/x/b.wasm"));
        assert!(renamed("filename: ca.pem", Path::new("b")).is_err());
        let quoted = renamed("filename: 'dist/a.wasm'\n", Path::new("/x/b.wasm")).unwrap();
        assert_eq!(quoted, "filename: /x/b.wasm\n");
        // One plugin must not take the places of the others.
        let chain = "filename: dist/ai-auth.wasm\nfilename: dist/ai-proxy.wasm\n";
        let error = renamed(chain, Path::new("/x/b.wasm")).unwrap_err();
        assert_eq!(error, "names several modules: dist/ai-auth.wasm, dist/ai-proxy.wasm");
    }

    /// The smallest module that looks like a plugin.
    fn plugin() -> Vec<u8> {
        let mut module =
            b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x1b\x01\x17".to_vec();
        module.extend_from_slice(ABI.as_bytes());
        module.extend_from_slice(b"\0\0\x0a\x04\x01\x02\0\x0b");
        module
    }

    #[test]
    fn what_the_proxy_does_not_take_is_taken_back() {
        use std::io::Read as _;
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/a.wasm", server.local_addr().unwrap());
        let served = std::thread::spawn(move || {
            for connection in server.incoming().take(2) {
                let mut connection = connection.unwrap();
                let _ = connection.read(&mut [0; 4096]);
                let body = plugin();
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                connection.write_all(&[head.as_bytes(), &body].concat()).unwrap();
            }
        });
        let folder = std::env::temp_dir().join(format!("aigw-update-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("filter.yaml");
        let text = "code: { local: { filename: old.wasm } }\n";
        std::fs::write(&file, text).unwrap();
        let sha256 = hash(&plugin());
        let files = [file.display().to_string()];
        let mut wanted = Update {
            url: &url,
            sha256: &sha256,
            folder: folder.to_str().unwrap(),
            files: &files,
            // Nobody listens there.
            admin: Some("http://127.0.0.1:1"),
            wait: Duration::ZERO,
        };
        let error = update(&wanted).unwrap_err();
        assert!(error.ends_with("the files name the module of before again"), "{error}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
        wanted.admin = None;
        let path = update(&wanted).unwrap();
        assert!(std::fs::read_to_string(&file).unwrap().contains(path.to_str().unwrap()));
        std::fs::remove_dir_all(&folder).unwrap();
        served.join().unwrap();
    }

    #[test]
    fn only_a_plugin_is_taken() {
        assert_eq!(is_plugin(&plugin()), Ok(()));
        let said = |bytes: &[u8]| is_plugin(bytes).unwrap_err();
        assert!(said(b"<html>").starts_with("no WebAssembly module"));
        assert!(said(b"\0asm\x01\0\0\0no module").starts_with("no WebAssembly module"));
        assert!(said(b"\0asm\x01\0\0\0").starts_with("a module, but no plugin"));
    }
}
