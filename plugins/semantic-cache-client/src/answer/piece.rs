//! Events that do nothing but add a piece to a text.
//!
//! Most of a stream are such; what a run of them adds up to is one of them with the whole text.

use shared::protocol::Endpoint;

/// Where the piece of such an event is; `None` if it may be another kind of event.
///
/// An event that also adds to a list, as log probabilities do, is another: done once it is not the same as
/// done for each piece.
pub(super) fn of(endpoint: Endpoint, data: &str) -> Option<&str> {
    // What comes before the piece, what after it, and the lists that lead to it.
    let (before, after, lists): (&[&str], &str, usize) = match endpoint {
        Endpoint::OpenAiChat => {
            (&["\"delta\":{\"content\":\"", "\"delta\":{\"reasoning_content\":\""], "\"}", 1)
        }
        Endpoint::OpenAiCompletions => (&["\"text\":\""], "\"", 1),
        Endpoint::AnthropicMessages => (
            &[
                "\"delta\":{\"type\":\"text_delta\",\"text\":\"",
                "\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"",
                "\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"",
            ],
            "\"}",
            0,
        ),
        Endpoint::Gemini => (&["\"parts\":[{\"text\":\""], "\"}]", 2),
        _ => return None,
    };
    let (head, tail) = before.iter().find_map(|before| {
        let at = data.find(before)?.checked_add(before.len())?;
        data.split_at_checked(at)
    })?;
    let (piece, tail) = tail.split_at_checked(tail.find('"')?)?;
    let brackets = head.bytes().chain(tail.bytes()).filter(|byte| *byte == b'[').count();
    let alone = brackets == lists && tail.starts_with(after) && !tail.contains("\"delta\":{");
    (alone && shared::json::is_plain(piece)).then_some(piece)
}
