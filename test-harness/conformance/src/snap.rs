//! Reads a `.snap` file: two parts of notes, each begun by a line `---`, and then what was recorded.

use serde_json::Value;

/// What was recorded.
#[derive(Debug, PartialEq)]
pub(crate) enum Recorded {
    /// A document.
    Whole(Value),
    /// The text of an event stream.
    Stream(String),
}

/// Reads the file's text. `key` names the document, beside which only that project's own bookkeeping
/// stands; a stream has its bookkeeping behind it.
pub(crate) fn read(text: &str, key: &str) -> Result<Recorded, String> {
    let mut lines = text.split_inclusive('\n');
    if lines.by_ref().filter(|line| line.trim_end() == "---").nth(1).is_none() {
        return Err("there are no two lines `---`".into());
    }
    let recorded: String = lines.collect();
    if recorded.starts_with("data:") || recorded.starts_with("event:") {
        return Ok(Recorded::Stream(without_notes(&recorded)));
    }
    let mut document: Value = serde_json::from_str(&recorded).map_err(|error| error.to_string())?;
    match document.get_mut(key) {
        Some(value) => Ok(Recorded::Whole(value.take())),
        None => Err(format!("there is no `{key}`")),
    }
}

/// No line of an event is a lone brace.
fn without_notes(stream: &str) -> String {
    stream.split_inclusive('\n').take_while(|line| line.trim_end() != "{").collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_stands_behind_the_notes() {
        let text =
            "---\nsource: x\ninfo:\n  a: \"---\"\n---\n{\"request\":{\"a\":1},\"parsed\":{}}\n";
        assert_eq!(read(text, "request"), Ok(Recorded::Whole(json!({ "a": 1 }))));
        assert_eq!(read(text, "response"), Err("there is no `response`".into()));
    }

    #[test]
    fn a_stream_ends_before_the_notes() {
        let text =
            "---\nsource: x\n---\ndata: {\"a\":{}}\n\ndata: [DONE]\n\n\n\n{\n  \"a\": 1\n}\n";
        let stream = "data: {\"a\":{}}\n\ndata: [DONE]\n\n\n\n";
        assert_eq!(read(text, "response"), Ok(Recorded::Stream(stream.into())));
        let text = "---\n---\nevent:a\ndata:{}\n\n";
        assert_eq!(read(text, "response"), Ok(Recorded::Stream("event:a\ndata:{}\n\n".into())));
    }

    #[test]
    fn what_is_no_snap_is_an_error() {
        assert!(read("{}", "request").is_err());
        assert!(read("---\nsource: x\n", "request").is_err());
        assert!(read("---\n---\nnot JSON", "request").is_err());
    }
}
