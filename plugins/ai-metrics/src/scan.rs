//! Reads of an answer what is counted, and passes over the rest.
//!
//! An answer that is not in the form that was expected has nothing to say here: another value than an object
//! or a list is passed over where one was looked for. What is no JSON is read as far as it can be; those who
//! must not misread it have readers of their own.

use shared::json::{Document, Member, Reader, Stop};

use crate::tokens::characters;

/// Reading goes on, or stops.
pub(crate) type Next = Result<(), Stop>;

/// A string as it stands in a document, without its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    /// What stands between the quotes.
    pub(crate) escaped: &'a str,
    /// Characters of ASCII, those of escapes included.
    pub(crate) ascii: u64,
    /// Other characters.
    pub(crate) other: u64,
}

impl<'a> Piece<'a> {
    /// That of a value, if it is a string.
    pub(crate) fn of_string(value: &'a str) -> Option<Piece<'a>> {
        value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).map(Piece::of)
    }

    /// What stands between quotes.
    pub(crate) fn of(escaped: &'a str) -> Piece<'a> {
        let (ascii, other) = characters(escaped);
        Piece { escaped, ascii, other }
    }
}

/// Reads the members of a document that is an object.
pub(crate) fn document<'a>(document: Document<'a>, each: &mut Member<'_, 'a>) -> Next {
    object(&mut document.reader(), each)
}

/// Reads the members of an object. Another value is passed over.
#[inline(never)]
pub(crate) fn object<'a>(reader: &mut Reader<'a>, each: &mut Member<'_, 'a>) -> Next {
    if reader.peek() == Some(b'{') { reader.object(each) } else { reader.skip() }
}

/// Reads the elements of a list. Another value is passed over.
#[inline(never)]
pub(crate) fn array<'a>(
    reader: &mut Reader<'a>,
    each: &mut dyn FnMut(&mut Reader<'a>) -> Next,
) -> Next {
    if reader.peek() == Some(b'[') { reader.array(each) } else { reader.skip() }
}

/// Any value as it stands; nothing if it is `null`.
pub(crate) fn some<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a str>, Stop> {
    reader.raw().map(|value| Some(value.get()).filter(|value| *value != "null"))
}

/// A string; of another value nothing.
#[inline(never)]
pub(crate) fn piece<'a>(reader: &mut Reader<'a>) -> Result<Option<Piece<'a>>, Stop> {
    reader.raw().map(|value| Piece::of_string(value.get()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_counted_and_escapes_as_they_stand() {
        for (text, ascii, other) in [
            ("", 0, 0),
            ("plain", 5, 0),
            (r"a\n\u00e9", 9, 0),
            ("é法x😀", 1, 3),
            ("0123456é法 😀", 8, 3),
        ] {
            let piece = Piece::of(text);
            assert_eq!((piece.ascii, piece.other), (ascii, other), "{text}");
        }
    }

    #[test]
    fn what_is_not_as_expected_is_passed_over() {
        let mut found = Vec::new();
        let text = r#"{"a":[1,{"x":"y"}],"b":{"c":"d"},"n":null,"s":"x\"y"}"#;
        let whole = document(text.into(), &mut |reader, key| match &*key {
            "a" => object(reader, &mut |_, _| Err(Stop)),
            "b" => array(reader, &mut |_| Err(Stop)),
            "n" => {
                assert_eq!(some(reader)?, None);
                Ok(())
            }
            _ => {
                found.extend(piece(reader)?.map(|piece| piece.escaped.to_owned()));
                Ok(())
            }
        });
        assert_eq!((whole, found), (Ok(()), vec![r#"x\"y"#.to_owned()]));
        assert_eq!(document("[1]".into(), &mut |_, _| Err(Stop)), Ok(()));
        assert!(document(r#"{"a":"#.into(), &mut |reader, _| reader.skip()).is_err());
    }
}
