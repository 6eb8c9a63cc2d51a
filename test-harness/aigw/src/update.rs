//! Brings in another module, checked, beside the one that runs; and says which one that is.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::yaml::Yaml;

/// Largest module that is fetched, in bytes.
const MAX_MODULE: u64 = 64 << 20;
/// What a module begins with.
const MAGIC: &[u8] = b"\0asm";

/// Fetches a module, checks it, writes it into the folder under a name with its hash, and then names it in
/// the files where another one stood. If anything goes wrong, nothing has changed. Gives its path.
///
/// The hash says what it must be, so that where it comes from need not be trusted.
pub fn update(url: &str, sha256: &str, folder: &str, files: &[String]) -> Result<PathBuf, String> {
    let sha256 = sha256.to_ascii_lowercase();
    if sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("--sha256 must be 64 hexadecimal digits".into());
    }
    let module = fetch(url)?;
    if !module.starts_with(MAGIC) {
        return Err(format!("{url}: no WebAssembly module"));
    }
    let found = hash(&module);
    if found != sha256 {
        return Err(format!("{url}: its sha256 is {found}, not {sha256}; nothing was changed"));
    }
    let path = Path::new(folder).join(format!("ai-gateway-{}.wasm", &sha256[..12]));
    let texts = files
        .iter()
        .map(|file| {
            let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
            renamed(&text, &path).map_err(|error| format!("{file}: {error}"))
        })
        .collect::<Result<Vec<_>, _>>()?;
    replace(&path, &module)?;
    for (file, text) in files.iter().zip(texts) {
        replace(Path::new(file), text.as_bytes())?;
    }
    Ok(path)
}

fn fetch(url: &str) -> Result<Vec<u8>, String> {
    let mut answer = ureq::get(url).call().map_err(|error| format!("{url}: {error}"))?;
    let body = answer.body_mut().with_config().limit(MAX_MODULE).read_to_vec();
    body.map_err(|error| format!("{url}: {error}"))
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The text with another file name of the module: that of each `filename: ....wasm`.
fn renamed(text: &str, module: &Path) -> Result<String, String> {
    const KEY: &str = "filename: ";
    let mut out = String::new();
    let mut rest = text;
    let mut found = false;
    while let Some((before, after)) = rest.split_once(KEY) {
        let end = after.find(['\n', ' ', ',', '}']).unwrap_or(after.len());
        let (old, tail) = after.split_at(end);
        out.push_str(before);
        out.push_str(KEY);
        if old.trim_matches('"').ends_with(".wasm") {
            out.push_str(&module.display().to_string());
            found = true;
        } else {
            out.push_str(old);
        }
        rest = tail;
    }
    out.push_str(rest);
    if found { Ok(out) } else { Err("names no module (`filename: ....wasm`)".into()) }
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
    }
}
