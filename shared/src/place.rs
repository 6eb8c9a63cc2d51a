//! Where in a JSON document an error is.
//!
//! serde_json tells a line and a column. To turn them into a path (`messages[3].content`) the document
//! is walked once more, without a type: a second, path-keeping deserializer for each type would double
//! the code of all views.

/// A container that the place is in.
enum Within {
    /// An object, and the key that has come last.
    Object(Option<String>),
    /// An array, and the number of the element.
    Array(usize),
}

/// The path of the innermost value that serde_json was at when it gave up, empty for the document
/// itself. `line` and `column` are serde_json's.
pub fn path(text: &str, line: usize, column: usize) -> String {
    let start = line.checked_sub(2).map_or(0, |breaks| {
        text.bytes()
            .enumerate()
            .filter(|(_, byte)| *byte == b'\n')
            .nth(breaks)
            .map_or(0, |(at, _)| at + 1)
    });
    path_at(text, start.saturating_add(column))
}

/// The same for the number of bytes that were read.
pub fn path_at(text: &str, end: usize) -> String {
    let mut stack: Vec<Within> = Vec::new();
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        if at >= end {
            break;
        }
        match byte {
            // At its own bracket it is the container that is wrong, not what is in it.
            b'{' | b'[' if at + 1 >= end => {}
            b'{' => stack.push(Within::Object(None)),
            b'[' => stack.push(Within::Array(0)),
            b'}' | b']' => {
                stack.pop();
            }
            b',' => match stack.last_mut() {
                Some(Within::Array(index)) => *index = index.saturating_add(1),
                Some(Within::Object(key)) => *key = None,
                None => {}
            },
            b'"' => {
                let close = skip_string(&mut bytes).unwrap_or(text.len());
                if let Some(Within::Object(key @ None)) = stack.last_mut() {
                    let quoted = text.get(at..=close).unwrap_or_default();
                    *key = serde_json::from_str(quoted).ok();
                }
            }
            _ => {}
        }
    }
    let mut path = String::new();
    for within in stack {
        match within {
            Within::Object(Some(key)) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&key);
            }
            Within::Object(None) => {}
            Within::Array(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}

/// Goes on to the quote that ends the string; where that is.
fn skip_string(bytes: &mut impl Iterator<Item = (usize, u8)>) -> Option<usize> {
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'"' => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Thing {
        name: Option<String>,
        count: Option<u8>,
        list: Option<Vec<Thing>>,
        pair: Option<(u8, bool)>,
    }

    #[test]
    fn the_innermost_value_is_named() {
        for (text, expected) in [
            (r#"{"name": 5}"#, "name"),
            (r#"{"name": [5]}"#, "name"),
            (r#"{"name": {"a": 5}}"#, "name"),
            (r#"{"count":300,"name":"a"}"#, "count"),
            (r#"{"count":3.5}"#, "count"),
            (r#"{"count":-1 }"#, "count"),
            (r#"{"count":"x\"]"}"#, "count"),
            (r#"{"list":[{}, {"count" :null}, {"count": true}]}"#, "list[2].count"),
            (r#"{"list":[{}, 7]}"#, "list[1]"),
            (r#"{"list":7}"#, "list"),
            ("{\"list\":[{},\n {\"list\":\n  [{\"name\":1}]}]}", "list[1].list[0].name"),
            (r#"{"other": 1}"#, "other"),
            (r#"{"list":[{"a\"b": 1}]}"#, "list[0].a\"b"),
            (r#"{"pair":[1]}"#, "pair"),
            (r#"{"pair":[1,2]}"#, "pair[1]"),
            ("7", ""),
            ("[", ""),
            ("", ""),
        ] {
            let error = serde_json::from_str::<Thing>(text).err().unwrap();
            assert_eq!(path(text, error.line(), error.column()), expected, "{text}: {error}");
        }
    }

    #[test]
    fn any_place_has_a_path() {
        let text = "{\"a\\\"\": [1, {\"b\n\": \"x\"}], \"c";
        for line in 0..4 {
            for column in 0..40 {
                path(text, line, column);
            }
        }
    }
}
