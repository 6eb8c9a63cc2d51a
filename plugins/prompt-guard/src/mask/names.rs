//! Placeholders: `[EMAIL_1]`, the kind and a number.

/// Longest placeholder, in bytes.
pub const MAX_LEN: usize = 48;

/// The placeholders in a text, as they look, whoever wrote them: where each begins and ends.
pub fn find_all(text: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    memchr::memchr_iter(b'[', text.as_bytes()).filter_map(|start| {
        let len = length(text.as_bytes().get(start..)?)?;
        Some((start, start + len))
    })
}

/// The length of the placeholder that the text begins with.
pub fn length(text: &[u8]) -> Option<usize> {
    let window = text.get(..text.len().min(MAX_LEN))?;
    let close = memchr::memchr(b']', window)?;
    matches(window.get(1..close)?).then_some(close + 1)
}

/// Whether the text, which begins with `[` and has no `]`, may become a placeholder when more of it
/// comes.
pub fn may_begin(text: &[u8]) -> bool {
    let inner = text.get(1..).unwrap_or_default();
    let name = inner.iter().take_while(|byte| is_name(**byte)).count();
    text.len() < MAX_LEN && inner.first().is_none_or(u8::is_ascii_uppercase) && name == inner.len()
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_'
}

/// `EMAIL_1`: capital letters, digits and underscores, a number at the end.
fn matches(inner: &[u8]) -> bool {
    let Some(under) = inner.iter().rposition(|byte| *byte == b'_') else { return false };
    let (name, number) = inner.split_at(under);
    let number = number.get(1..).unwrap_or_default();
    name.first().is_some_and(u8::is_ascii_uppercase)
        && name.iter().all(|byte| is_name(*byte))
        && (1..=6).contains(&number.len())
        && number.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
#[allow(clippy::string_slice)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_one_is_one() {
        let text = "a [EMAIL_1] [b] [[CN_ID_12] [EMAIL] [_1] [X_1234567] [Email_1]";
        let found: Vec<&str> = find_all(text).map(|(start, end)| &text[start..end]).collect();
        assert_eq!(found, ["[EMAIL_1]", "[CN_ID_12]"]);
        for (text, may) in
            [("[", true), ("[EM", true), ("[EMAIL_", true), ("[e", false), ("[A b", false)]
        {
            assert_eq!(may_begin(text.as_bytes()), may, "{text}");
        }
    }
}
