//! Redis through Webdis, <https://webd.is>: a command's words are parts of a path, which may be sent as a
//! body too.

use serde_json::Value;

use crate::remote::Request;

/// A command. Its words may have any bytes.
pub fn command<S: AsRef<str>>(words: &[S]) -> Request {
    let mut body = String::new();
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            body.push('/');
        }
        escape(word.as_ref(), &mut body);
    }
    Request {
        method: "POST",
        path: "/".into(),
        headers: vec![("content-type", "application/x-www-form-urlencoded".into())],
        body: body.into_bytes(),
    }
}

/// The value of a command's answer, which is an object with the command's name.
pub fn value(body: &[u8]) -> Option<Value> {
    let answer = shared::json::object_of(body)?;
    answer.into_iter().next().map(|(_, value)| value)
}

/// What Redis says to what it does not do, in an answer whose status is 200 all the same.
pub fn refusal(body: &[u8]) -> Option<String> {
    match value(body)?.as_array()?.as_slice() {
        [Value::Bool(false), Value::String(why)] => Some(why.clone()),
        _ => None,
    }
}

/// Whether it will do it later: it is starting, a replica, cut off from others or out of room.
pub fn is_passing(refusal: &str) -> bool {
    const PASSING: [&str; 8] = [
        "LOADING ",
        "READONLY ",
        "BUSY ",
        "MASTERDOWN ",
        "CLUSTERDOWN ",
        "MISCONF ",
        "NOREPLICAS ",
        "OOM ",
    ];
    // Before Redis 7 what a script meets stands within a mistake of the script.
    PASSING.iter().any(|word| refusal.contains(word))
}

fn escape(word: &str, out: &mut String) {
    for byte in word.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~' | b':') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                out.push(
                    char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase(),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_may_have_any_bytes() {
        let request = command(&["SET", "a:b", "x/y.z %é\n"]);
        assert_eq!(request.body, b"SET/a:b/x%2Fy%2Ez%20%25%C3%A9%0A");
        assert_eq!(value(br#"{"GET":"x"}"#), Some(Value::from("x")));
        assert_eq!(value(b"[]"), None);
    }
}
