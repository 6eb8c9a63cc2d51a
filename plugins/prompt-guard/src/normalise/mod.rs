//! Texts as a model would read them: without what hides words from a comparison.
//!
//! [`plain`] undoes what leaves a text readable: compatibility forms, look-alikes from other scripts,
//! invisible characters. [`readings`] adds what a model would have to decode first, to a bounded depth
//! and length.

mod alike;
mod codes;
mod readings;

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::decompose_canonical;

use alike::look_alike;
pub use readings::{Reading, readings};

/// A text without compatibility forms, look-alikes, accents and invisible characters, in small letters
/// but for those of ASCII. A text of ASCII stays as it is.
pub fn plain(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut alike = false;
    let mut rest = text;
    while !rest.is_empty() {
        let same = stable(rest);
        let (stable, more) = rest.split_at_checked(same).unwrap_or((rest, ""));
        out.push_str(stable);
        let odd = more.find(is_stable).unwrap_or(more.len());
        let (odd, more) = more.split_at_checked(odd).unwrap_or((more, ""));
        rest = more;
        if odd.chars().all(|c| matches!(c, '\u{ff01}'..='\u{ff5e}')) {
            // Full width, as the commas of Chinese texts.
            out.extend(odd.chars().filter_map(|c| char::from_u32(c as u32 - 0xfee0)));
            continue;
        }
        for c in odd.nfkc() {
            alike |= keep(c, &mut out);
        }
    }
    if alike && mixes_scripts(&out) {
        out = out.chars().map(look_alike).collect();
    }
    Cow::Owned(out)
}

/// The length of what a text begins with that is the same in every form.
fn stable(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            0..=0x7f => at += 1,
            // U+4000 to U+9FFF.
            0xe4..=0xe9 => at += 3,
            _ => match text.get(at..).and_then(|rest| rest.chars().next()) {
                Some(c) if is_stable(c) => at += c.len_utf8(),
                _ => return at,
            },
        }
    }
    at
}

/// What is the same in every form: ASCII and the letters of Chinese, Japanese and Korean.
fn is_stable(c: char) -> bool {
    matches!(c, '\0'..='\u{7f}' | '\u{2018}'..='\u{201d}' | '\u{3001}'..='\u{3011}'
        | '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fe}' | '\u{3400}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7a3}')
}

/// Adds a character of a normalised text; true if it looks like a Latin letter.
fn keep(c: char, out: &mut String) -> bool {
    match c {
        // Zero-width, direction marks, variation selectors, soft hyphen.
        '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2064}'
        | '\u{2066}'..='\u{206f}'
        | '\u{feff}'
        | '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{e0100}'..='\u{e01ef}'
        | '\u{180b}'..='\u{180e}' => {}
        // Combining marks that were strewn over letters.
        '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{20d0}'..='\u{20ff}' => {}
        // Tags mirror ASCII.
        '\u{e0020}'..='\u{e007e}' => out.extend(char::from_u32(c as u32 - 0xe_0000)),
        '\u{e0000}'..='\u{e007f}' => {}
        c if c.is_ascii() => out.push(c),
        // Accents are left out as often as not, and strewn over letters to hide them.
        '\u{c0}'..='\u{24f}'
        | '\u{386}'..='\u{3ce}'
        | '\u{400}'..='\u{45f}'
        | '\u{1e00}'..='\u{1fff}' => {
            let mut base = None;
            decompose_canonical(c, |part| base = base.or(Some(part)));
            let base = base.unwrap_or(c);
            out.extend(base.to_lowercase());
            return look_alike(base) != base;
        }
        // The automaton knows the case of ASCII only.
        c => {
            out.extend(c.to_lowercase());
            return look_alike(c) != c;
        }
    }
    false
}

/// Whether a word has ASCII letters and look-alikes of such; a text that is all in one script is what it
/// is.
fn mixes_scripts(text: &str) -> bool {
    let mut ascii = false;
    let mut alike = false;
    for c in text.chars() {
        if c.is_alphabetic() {
            ascii |= c.is_ascii_alphabetic();
            alike |= look_alike(c) != c;
            if ascii && alike {
                return true;
            }
        } else {
            (ascii, alike) = (false, false);
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_words_is_undone() {
        for (hidden, shown) in [
            ("ｉｇｎｏｒｅ", "ignore"),
            ("ig\u{200b}no\u{200d}re", "ignore"),
            ("іgnоrе аll", "ignore all"),
            ("ig\u{336}no\u{335}re", "ignore"),
            ("\u{e0069}\u{e0067}\u{e006e}", "ign"),
            ("Oublie les précédentes", "Oublie les precedentes"),
            ("ìgnórê", "ignore"),
            ("忽略，之前", "忽略,之前"),
        ] {
            assert_eq!(plain(hidden), shown);
        }
        assert_eq!(plain("Игнорирую"), "игнорирую", "a text in its own script keeps its letters");
    }
}
