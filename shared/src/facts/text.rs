//! Facts as text: a fact is its name, `=`, the length of its value in bytes, `:` and the value; the next
//! follows at once. A plugin of another version keeps those whose names it does not know.

use crate::text::Part;

/// Of a length in bytes.
const MOST_DIGITS: usize = 10;

/// The facts in a text, by their names; what is no fact ends it.
pub fn all(text: &str) -> impl Iterator<Item = (&str, &str)> {
    written(text).map(|(name, value, _)| (name, value))
}

/// The same, with each fact as it is written.
pub(super) fn written(text: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let bytes = rest.as_bytes();
        let equals = bytes.iter().position(|byte| *byte == b'=')?;
        let mut length = 0_usize;
        let mut at = equals + 1;
        // Read by hand, as it is written: several of these are passed in each exchange.
        while let Some(digit @ b'0'..=b'9') = bytes.get(at) {
            length = length.checked_mul(10)?.checked_add(usize::from(digit - b'0'))?;
            at += 1;
        }
        if bytes.get(at) != Some(&b':') {
            return None;
        }
        let end = at.checked_add(1)?.checked_add(length)?;
        let fact = (rest.get(..equals)?, rest.get(at + 1..end)?, rest.get(..end)?);
        rest = rest.get(end..)?;
        Some(fact)
    })
}

/// The value of the fact of this name in a text.
pub fn stated<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    all(text).find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// Appends a fact to a text.
pub fn state(text: &mut String, name: &str, value: &str) {
    text.reserve(name.len() + value.len() + "=:".len() + MOST_DIGITS);
    text.push_str(name);
    text.push('=');
    value.len().put(text);
    text.push(':');
    text.push_str(value);
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const TEN: &str = "0123456789";
    const LONG: &str = "a value of 10 bytes and more, so that its length has several digits";

    #[test]
    fn a_text_of_facts_is_read_as_it_was_written() {
        let facts = [
            ("consumer", "anna"),
            ("tags", ""),
            ("of_later", "a=1:b\n"),
            ("x", "日本"),
            ("long", LONG),
            ("ten", TEN),
        ];
        let mut text = String::new();
        for (name, value) in facts {
            state(&mut text, name, value);
        }
        assert_eq!(all(&text).collect::<Vec<_>>(), facts);
        for length in 0..text.len() {
            // Whatever is cut off: no panic, and nothing that was not there.
            let cut = text.get(..length).unwrap_or_default();
            assert!(all(cut).zip(facts).all(|(found, fact)| found == fact), "{cut}");
        }
        for bad in
            ["a", "a=", "a=:", "a=x:y", "a=-1:y", "a=99999999999999999999:y", "a=2:é1", "=", ""]
        {
            assert!(all(bad).count() <= 1, "{bad}");
        }
    }
}
