//! Words next to a number that say what it is.

/// So many bytes before and after are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    /// Before.
    pub before: usize,
    /// After.
    pub after: usize,
}

/// Whether one of the words, which are in small letters, stands near `start..end`. A word of ASCII
/// must begin where a word begins, and if it has fewer than five letters end where one ends.
pub(super) fn near(text: &[u8], start: usize, end: usize, reach: Reach, words: &[&str]) -> bool {
    let ahead = text.get(start.saturating_sub(reach.before)..start).unwrap_or_default();
    let after = end.saturating_add(reach.after).min(text.len());
    let behind = text.get(end..after).unwrap_or_default();
    let open = before_window(text, start.saturating_sub(reach.before));
    any(ahead, open, words) || any(behind, false, words)
}

/// Whether the window begins within a word.
fn before_window(text: &[u8], start: usize) -> bool {
    super::bytes::before(text, start).is_ascii_alphabetic()
}

fn any(window: &[u8], open: bool, words: &[&str]) -> bool {
    if window.is_empty() {
        return false;
    }
    let small = window.to_ascii_lowercase();
    words.iter().any(|word| has(&small, open, word.as_bytes()))
}

fn has(window: &[u8], open: bool, word: &[u8]) -> bool {
    // A window is some forty bytes long, and there are dozens of words: to prepare a searcher for each
    // takes longer than to look.
    let Some(first) = word.first() else { return false };
    let places = window.iter().enumerate().filter(|(_, byte)| *byte == first).map(|(at, _)| at);
    places.filter(|at| window.get(*at..).is_some_and(|rest| rest.starts_with(word))).any(|at| {
        let ascii = word.first().is_some_and(u8::is_ascii_alphabetic);
        let left = match at.checked_sub(1) {
            Some(at) => window.get(at).is_some_and(u8::is_ascii_alphabetic),
            None => open,
        };
        let right = window.get(at + word.len()).is_some_and(u8::is_ascii_alphabetic);
        !ascii || (!left && (word.len() >= 5 || !right))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_counts_only_as_a_word() {
        let reach = Reach { before: 12, after: 8 };
        for (text, found) in [
            ("Tel: 1", true),
            ("hotel 1", false),
            ("telly 1", false),
            ("电话1", true),
            ("a phones 1", true),
            ("1 (phone)", true),
            ("phone, but far away from it: 1", false),
        ] {
            let at = text.find('1').unwrap();
            let words = ["tel", "phone", "电话"];
            assert_eq!(near(text.as_bytes(), at, at + 1, reach, &words), found, "{text}");
        }
    }
}
