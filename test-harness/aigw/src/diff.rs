//! What would change: two configurations, value by value.

use std::collections::BTreeMap;

use crate::yaml::Yaml;

/// Members whose values are not shown.
const SECRETS: [&str; 14] = [
    "api_key",
    "admin_key",
    "feedback_key",
    "test_key",
    "hash",
    "pepper",
    "secret",
    "secret_access_key",
    "service_account",
    "hash_key",
    "object_secret",
    "access_key_id",
    "session_token",
    "audit_salt",
];
/// By these the items of a list are told apart.
const NAMES: [&str; 5] = ["name", "id", "cluster_name", "tag_name", "uri"];

/// A line for each value that differs: `- ` only in the first, `+ ` only in the second, `~ ` in both.
pub fn diff(before: &Yaml, after: &Yaml) -> Vec<String> {
    let (before, after) = (flat(before), flat(after));
    let mut lines = Vec::new();
    for (path, old) in &before {
        match after.get(path) {
            None => lines.push(format!("- {path}: {}", shown(path, old))),
            Some(new) if new != old => {
                lines.push(format!("~ {path}: {} -> {}", shown(path, old), shown(path, new)));
            }
            Some(_) => (),
        }
    }
    let added = after.iter().filter(|(path, _)| !before.contains_key(*path));
    lines.extend(added.map(|(path, new)| format!("+ {path}: {}", shown(path, new))));
    lines.sort_by(|a, b| a[2..].cmp(&b[2..]));
    lines
}

/// Never a secret; that it differs is seen all the same.
fn shown(path: &str, value: &str) -> String {
    let secret = path.split(['.', '[', ']']).any(|part| SECRETS.contains(&part));
    let header = path.contains("headers.") && !path.contains("early_header");
    if (secret || header) && !value.starts_with("$env://") { "***".into() } else { value.into() }
}

fn flat(value: &Yaml) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    flatten(value, "", &mut found);
    found
}

fn flatten(value: &Yaml, path: &str, found: &mut BTreeMap<String, String>) {
    match value {
        Yaml::Map(map) if !map.is_empty() => {
            for (key, value) in map.iter() {
                let dot = if path.is_empty() { "" } else { "." };
                flatten(value, &format!("{path}{dot}{key}"), found);
            }
        }
        Yaml::List(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                let name = NAMES.iter().find_map(|key| item.get(key).and_then(Yaml::text));
                let name = name.map_or_else(|| index.to_string(), str::to_owned);
                flatten(item, &format!("{path}[{name}]"), found);
            }
        }
        // A plugin's configuration is JSON in a text.
        Yaml::Text(text) if text.trim_start().starts_with('{') => {
            match serde_json::from_str::<Yaml>(text) {
                Ok(inner) => flatten(&inner, path, found),
                Err(_) => drop(found.insert(path.to_owned(), text.clone())),
            }
        }
        Yaml::Text(text) => drop(found.insert(path.to_owned(), text.clone())),
        // 1 and 1.0 are the same.
        Yaml::Int(number) => drop(found.insert(path.to_owned(), number.to_string())),
        Yaml::Float(number) => drop(found.insert(path.to_owned(), number.to_string())),
        // What is empty is as good as not there.
        Yaml::Map(_) | Yaml::List(_) | Yaml::Null => (),
        Yaml::Bool(value) => drop(found.insert(path.to_owned(), value.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yaml(text: &str) -> Yaml {
        serde_saphyr::from_str(text).unwrap()
    }

    #[test]
    fn what_differs_is_named_by_its_place() {
        let before = yaml("clusters: [{name: a, port: 1}, {name: b, port: 2}]\nold: 1");
        let after = yaml("clusters: [{name: b, port: 3}, {name: a, port: 1.0}]\nnew: x");
        assert_eq!(diff(&before, &after), ["~ clusters[b].port: 2 -> 3", "+ new: x", "- old: 1"]);
    }

    #[test]
    fn a_plugins_configuration_is_compared_inside_and_no_secret_is_shown() {
        let before = yaml(r#"value: '{"api_key": "sk-1", "mode": "off"}'"#);
        let after = yaml(r#"value: '{"mode": "enforce", "api_key": "sk-2"}'"#);
        assert_eq!(
            diff(&before, &after),
            ["~ value.api_key: *** -> ***", "~ value.mode: off -> enforce"]
        );
    }
}
