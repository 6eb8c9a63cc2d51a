//! Regular expressions of a configuration.
//!
//! The engine takes about a thousand instructions for every character, which is fifty times what all else
//! costs. Most expressions have letters that any match must have, and most texts do not have them; so these are
//! looked for first.

use regex_lite::{Match, Regex};
use shared::config::ConfigError;

/// A regular expression.
#[derive(Clone, Debug)]
pub struct Expression {
    regex: Regex,
    needs: Needs,
}

/// What every text that fits an expression has.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Needs {
    /// Nothing that is known.
    Nothing,
    /// A digit of ASCII.
    Digit,
    /// These letters, of ASCII in any case.
    Text(Box<[u8]>),
}

impl Expression {
    /// Compiles one; `path` is where it stands in the configuration.
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn new(text: &str, path: &str) -> Result<Expression, ConfigError> {
        let regex = Regex::new(text).map_err(|error| {
            ConfigError::new(path, format!("is not a regular expression: {error}"))
        })?;
        Ok(Expression { regex, needs: needs(text) })
    }

    /// Compiles a list.
    ///
    /// # Errors
    ///
    /// The first that is none.
    pub fn list(texts: &[String], path: &str) -> Result<Vec<Expression>, ConfigError> {
        let texts = texts.iter().enumerate();
        texts.map(|(index, text)| Expression::new(text, &format!("{path}[{index}]"))).collect()
    }

    /// Whether it fits anywhere in a text.
    pub fn is_match(&self, text: &str) -> bool {
        self.may_fit(text) && self.regex.is_match(text)
    }

    /// Where it fits, from left to right, without overlaps.
    pub fn find_iter<'t>(&self, text: &'t str) -> impl Iterator<Item = Match<'t>> {
        self.may_fit(text).then(|| self.regex.find_iter(text)).into_iter().flatten()
    }

    fn may_fit(&self, text: &str) -> bool {
        match &self.needs {
            Needs::Nothing => true,
            Needs::Digit => text.bytes().any(|byte| byte.is_ascii_digit()),
            Needs::Text(letters) => has(text.as_bytes(), letters),
        }
    }
}

/// Whether a text has these letters, in any case.
fn has(text: &[u8], letters: &[u8]) -> bool {
    // By the least frequent of them: a sign, else one far down the list.
    let rank = |byte: &u8| b" etaoinsrhldcumfpgwybvkxjqz".iter().position(|one| one == byte);
    let rare = letters.iter().enumerate().max_by_key(|(_, byte)| rank(byte).unwrap_or(100));
    let Some((at, byte)) = rare else { return true };
    memchr::memchr2_iter(*byte, byte.to_ascii_uppercase(), text).any(|found| {
        let start = found.checked_sub(at);
        let shown = start.and_then(|start| text.get(start..start + letters.len()));
        shown.is_some_and(|shown| shown.eq_ignore_ascii_case(letters))
    })
}

/// What every text has that an expression fits. Knows the common forms, outside of groups; of others, and of
/// alternatives, it knows nothing.
fn needs(expression: &str) -> Needs {
    let mut rest = expression;
    if let Some((flags, tail)) = rest.strip_prefix("(?").and_then(|rest| rest.split_once(')'))
        && flags.bytes().all(|flag| b"imsU".contains(&flag))
    {
        rest = tail;
    }
    let mut best = String::new();
    let mut run = String::new();
    let mut digit = false;
    while let Some(first) = rest.chars().next() {
        let (item, length) = match item(rest, first) {
            Some(known) => known,
            None => return Needs::Nothing,
        };
        rest = rest.get(length..).unwrap_or_default();
        let (least, length) = repeated(rest);
        rest = rest.get(length..).unwrap_or_default();
        match item {
            Item::Letter(letter) if least > 0 => run.push(letter.to_ascii_lowercase()),
            Item::Digit if least > 0 => digit = true,
            _ => {}
        }
        let ends = !matches!(item, Item::Letter(_)) || length > 0;
        if ends || rest.is_empty() {
            if run.len() > best.len() {
                best.clone_from(&run);
            }
            run.clear();
        }
    }
    match (best.len(), digit) {
        (0, false) => Needs::Nothing,
        (0 | 1, true) => Needs::Digit,
        _ => Needs::Text(best.into_bytes().into()),
    }
}

enum Item {
    Letter(char),
    Digit,
    Other,
}

/// What an expression begins with, and its length; nothing if it is a form that is not known here.
fn item(text: &str, first: char) -> Option<(Item, usize)> {
    Some(match first {
        '\\' => match text.chars().nth(1)? {
            'd' => (Item::Digit, 2),
            'D' | 's' | 'S' | 'w' | 'W' | 'b' | 'B' | 'A' | 'z' => (Item::Other, 2),
            c if c.is_ascii_punctuation() && !matches!(c, '<' | '>') => (Item::Letter(c), 2),
            _ => return None,
        },
        '[' => (Item::Other, class(text)?),
        '.' | '^' | '$' => (Item::Other, 1),
        '(' | ')' | '|' | '*' | '+' | '?' | '{' => return None,
        letter => (Item::Letter(letter), letter.len_utf8()),
    })
}

/// The length of a class of characters, `[^]a-z[:digit:]\]]`.
fn class(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 1 + usize::from(bytes.get(1) == Some(&b'^'));
    // One that comes first is a character of it.
    at += usize::from(bytes.get(at) == Some(&b']'));
    loop {
        match bytes.get(at)? {
            b']' => return Some(at + 1),
            b'\\' => at += 2,
            // `[:alpha:]`; others do not lie within each other.
            b'[' => {
                let named = text.get(at..)?.strip_prefix("[:")?.split_once(":]")?.0;
                at += named.len() + 4;
            }
            _ => at += 1,
        }
    }
}

/// How often at least what stands before is repeated, and the length of what says so.
fn repeated(text: &str) -> (u32, usize) {
    let (least, length) = match text.as_bytes().first() {
        Some(b'?' | b'*') => (0, 1),
        Some(b'+') => (1, 1),
        Some(b'{') => {
            let inner = text.split_once('}').map_or("", |(inner, _)| inner);
            let least = inner.trim_start_matches('{').split(',').next().unwrap_or_default();
            (least.trim().parse().unwrap_or(0), inner.len() + 1)
        }
        _ => return (1, 0),
    };
    // `+?`: as few as will do.
    (least, length + usize::from(text.as_bytes().get(length) == Some(&b'?')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(letters: &str) -> Needs {
        Needs::Text(letters.as_bytes().into())
    }

    #[test]
    fn what_a_match_must_have_is_told() {
        for (expression, expected) in [
            (r"(?i)Project\s+X", text("project")),
            (r"\bEMP-\d{6}\b", text("emp-")),
            (r"[A-Z]{2}\d{6}", Needs::Digit),
            (r"a?bc*", text("b")),
            (r"ab{0,2}cd{2}e", text("cd")),
            (r"x+@[^]@]+\.corp\.example", text(".corp.example")),
            ("内部", text("内部")),
            (r"\d*", Needs::Nothing),
            (r"\d?x", text("x")),
            (r"a|b", Needs::Nothing),
            (r"(ab)+c", Needs::Nothing),
            (r"(?x) a b", Needs::Nothing),
            (r"\x41bc", Needs::Nothing),
            (r"\<word", Needs::Nothing),
            (".*", Needs::Nothing),
            ("", Needs::Nothing),
        ] {
            assert_eq!(needs(expression), expected, "{expression}");
        }
    }

    #[test]
    fn letters_are_found_in_any_case_at_any_place() {
        for found in ["project", "a PROJECT", "xprojecT!", "prproject"] {
            assert!(has(found.as_bytes(), b"project"), "{found}");
        }
        for other in ["", "projec", "roject", "pro ject"] {
            assert!(!has(other.as_bytes(), b"project"), "{other}");
        }
    }

    #[cfg(not(target_arch = "wasm32"))]
    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2_000))]
        #[test]
        fn it_finds_what_the_engine_finds(
            expression in r"(\(\?i\))?([abK1]|\\d|\\\.|\\b|\.|\[a\]b\]|\[\^\]a\]|\[a1\]){1,6}([?*+]|\{0,2\}|\{2\}|\+\?)?[ab1|(]?[ab]?\)?",
            text in "[abAkK1. ]{0,12}",
        ) {
            if let Ok(regex) = Regex::new(&expression) {
                let ours = Expression::new(&expression, "").unwrap();
                proptest::prop_assert_eq!(ours.is_match(&text), regex.is_match(&text));
                let all = |found: &mut dyn Iterator<Item = Match<'_>>| {
                    found.map(|one| one.range()).collect::<Vec<_>>()
                };
                let expected = all(&mut regex.find_iter(&text));
                proptest::prop_assert_eq!(all(&mut ours.find_iter(&text)), expected);
            }
        }
    }
}
