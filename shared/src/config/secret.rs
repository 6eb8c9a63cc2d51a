//! Secrets: given as they are or by the name of an environment variable, and never shown.

use std::fmt;

use super::{Mistake, Node, Setting};

/// Marks a secret that is to be read from the environment. On Envoy the variables are those of
/// `vm_config.environment_variables`; APISIX resolves the same form itself, from 3.17 on.
const ENV: &str = "$env://";

const VISIBLE: &str = "a secret may have visible ASCII characters only (no line break)";

/// A key, token or password, or a whole header's value.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret from elsewhere.
    pub fn new(value: impl Into<String>) -> Secret {
        Secret(value.into())
    }

    /// The secret itself; to be sent to whom it belongs and nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Compares in a time that depends on the lengths only.
    pub fn matches(&self, other: &[u8]) -> bool {
        let own = self.0.as_bytes();
        let differ = own.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b));
        std::hint::black_box(differ) == 0 && own.len() == other.len()
    }

    fn resolve(text: &str) -> Result<Secret, String> {
        let value = resolve(text)?;
        // It ends up in a header, where nothing else is legal. A whole value, as `Basic ...`, has a space in it.
        if !value.bytes().all(|byte| (0x20..0x7f).contains(&byte)) || value.trim() != value {
            return Err(VISIBLE.into());
        }
        Ok(Secret(value))
    }
}

/// The text itself, or the environment variable that it names.
fn resolve(text: &str) -> Result<String, String> {
    let value = match text.strip_prefix(ENV) {
        None => text.to_owned(),
        Some(name) => std::env::var(name).map_err(|_| {
            format!(
                "environment variable {name} is not set; on Envoy add it to \
                 `vm_config.environment_variables`, on APISIX 3.16 or older write the value"
            )
        })?,
    };
    if value.is_empty() {
        return Err("a secret must not be empty; leave the field out if there is none".into());
    }
    Ok(value)
}

/// A secret that may have any characters, such as a key file. It is not sent as it is.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Setting for SecretText {
    fn blank() -> SecretText {
        SecretText(String::new())
    }

    fn read(&mut self, node: &Node<'_>) -> Result<(), Mistake> {
        let text = node.text("a string or `$env://NAME`")?;
        self.0 = resolve(&text).map_err(Mistake::here)?;
        Ok(())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// One secret or several that are valid at the same time, so that they can be rotated without a gap.
/// Where one is sent rather than compared, it is the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secrets(Vec<Secret>);

impl Secrets {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Secret> {
        self.0.iter()
    }

    /// The one to send.
    pub fn first(&self) -> Option<&Secret> {
        self.0.first()
    }

    /// Whether one of them is this; as slow for a wrong one as for the right one.
    pub fn any_matches(&self, other: &[u8]) -> bool {
        self.0.iter().fold(false, |found, secret| secret.matches(other) | found)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Setting for Secret {
    fn blank() -> Secret {
        Secret(String::new())
    }

    fn read(&mut self, node: &Node<'_>) -> Result<(), Mistake> {
        let text = node.text("a string or `$env://NAME`")?;
        *self = Secret::resolve(&text).map_err(Mistake::here)?;
        Ok(())
    }
}

impl Setting for Secrets {
    fn blank() -> Secrets {
        Secrets(Vec::new())
    }

    fn read(&mut self, node: &Node<'_>) -> Result<(), Mistake> {
        let list = node.is_list();
        if list {
            self.0.read(node)?;
        } else {
            let text = node.text("a string, `$env://NAME`, or a list of them")?;
            self.0 = vec![Secret::resolve(&text).map_err(Mistake::here)?];
        }
        // A key has no space in it: that would be `Bearer ...` with what is put before it anyway.
        match self.0.iter().position(|key| key.0.contains(' ')) {
            Some(at) if list => Err(Mistake::new(format!("[{at}]"), VISIBLE)),
            Some(_) => Err(Mistake::here(VISIBLE.into())),
            None => Ok(()),
        }
    }
}

#[cfg(feature = "schema")]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::{Secret, SecretText, Secrets};

    impl JsonSchema for Secret {
        fn schema_name() -> Cow<'static, str> {
            "Secret".into()
        }
        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "description": "The secret itself, or `$env://NAME` for an environment variable.",
                "type": "string",
                "minLength": 1,
            })
        }
    }

    impl JsonSchema for SecretText {
        fn schema_name() -> Cow<'static, str> {
            "SecretText".into()
        }
        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "description": "The text itself, or `$env://NAME` for an environment variable.",
                "type": "string",
                "minLength": 1,
            })
        }
    }

    impl JsonSchema for Secrets {
        fn schema_name() -> Cow<'static, str> {
            "Secrets".into()
        }
        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            let one = generator.subschema_for::<Secret>();
            json_schema!({
                "description": "One secret, or several that are valid at the same time.",
                "anyOf": [one, { "type": "array", "items": one }],
            })
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn only_the_whole_secret_matches() {
        let secrets = Secrets(vec![Secret::new("old-key"), Secret::new("new-key")]);
        assert!(secrets.any_matches(b"old-key") && secrets.any_matches(b"new-key"));
        for wrong in [&b""[..], b"new-ke", b"new-key1", b"New-key"] {
            assert!(!secrets.any_matches(wrong));
        }
        assert!(!Secrets::default().any_matches(b""));
    }

    #[test]
    fn what_cannot_be_in_a_header_is_refused() {
        for bad in ["", " ", " a", "a ", "a\n", "a\tb", "a\r\nx: y", "ключ"] {
            assert!(Secret::resolve(bad).is_err(), "{bad:?}");
        }
        for good in ["Bearer abc", "Basic dXNlcjpwYXNz"] {
            assert_eq!(Secret::resolve(good).unwrap().expose(), good);
        }
    }
}
