//! Reads a document once, borrowing from it.
//!
//! serde would do, but for each type that is read it makes a kilobyte of parser, and a module has two
//! hundred types; here the walk through objects and arrays is code that exists once. What a value is
//! made of is passed over by the scanner beside it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::document::Known;
use super::scan::{self, End};
use super::verbatim::verbatim;
use super::{JsonStr, kind};
use crate::view::Unknown;

/// Deepest nesting, that of serde_json.
const MAX_DEPTH: u8 = 128;

/// A document, and how far it has been read.
#[derive(Debug)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: u8,
    known: Known<'a>,
    fault: Option<Fault>,
}

/// What stops reading; what it is, the reader keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop;

/// Why a document that may well be JSON is not what was expected.
#[derive(Debug)]
pub(super) struct Fault {
    /// How many bytes of the document lead to it.
    pub(super) at: usize,
    /// Never quotes the document's values.
    pub(super) message: String,
}

/// What reads a member of an object: it is given the key, and must read the value.
pub type Member<'f, 'a> = dyn FnMut(&mut Reader<'a>, Cow<'a, str>) -> Result<(), Stop> + 'f;

/// A type that can be read from JSON by borrowing.
pub trait Read<'a>: Sized {
    /// Reads the next value.
    ///
    /// # Errors
    /// If there is no JSON, or another value than this type's; the reader knows more.
    fn read(from: &mut Reader<'a>) -> Result<Self, Stop>;
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Reader<'a> {
        Reader::knowing(text, Known::default())
    }

    /// A reader of a document whose long values' ends are known.
    pub(super) fn knowing(text: &'a str, known: Known<'a>) -> Reader<'a> {
        Reader { text, at: 0, depth: 0, known, fault: None }
    }

    /// The document.
    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    /// What was wrong with a value; `None`: it is no JSON.
    pub(super) fn into_fault(self) -> Option<Fault> {
        self.fault
    }

    /// The first byte of what comes next; it is not read yet.
    #[inline(always)]
    pub fn peek(&mut self) -> Option<u8> {
        match self.text.as_bytes().get(self.at) {
            Some(byte) if *byte > b' ' => Some(*byte),
            _ => self.peek_over_blanks(),
        }
    }

    #[inline(never)]
    fn peek_over_blanks(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        self.at = scan::blank(bytes, self.at);
        bytes.get(self.at).copied()
    }

    /// Reads this byte if it comes next.
    #[inline(always)]
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Nothing but blanks is left.
    pub(super) fn end(&mut self) -> Result<(), Stop> {
        if self.peek().is_none() { Ok(()) } else { Err(Stop) }
    }

    /// The next value. Of its own and never inlined, so that a module has the code once for each type and
    /// not once for each field.
    ///
    /// # Errors
    /// Those of the type.
    #[inline(never)]
    pub fn value<T: Read<'a>>(&mut self) -> Result<T, Stop> {
        T::read(self)
    }

    /// The next value as written.
    ///
    /// # Errors
    /// If there is none.
    #[inline(never)]
    pub fn raw(&mut self) -> Result<&'a RawValue, Stop> {
        self.peek();
        let end = match self.value_end() {
            End::At(end) => end,
            End::Broken => return Err(Stop),
            End::Deep => return self.deep(),
        };
        let raw = self.text.get(self.at..end).and_then(verbatim).ok_or(Stop)?;
        self.at = end;
        Ok(raw)
    }

    /// Passes over the next value.
    ///
    /// # Errors
    /// If there is none.
    #[inline(never)]
    pub fn skip(&mut self) -> Result<(), Stop> {
        self.peek();
        match self.value_end() {
            End::At(end) => self.at = end,
            End::Broken => return Err(Stop),
            End::Deep => return self.deep().map(|_| ()),
        }
        Ok(())
    }

    /// Where the value ends that begins here.
    fn value_end(&self) -> End {
        match self.known.end(self.at) {
            Some(end) => End::At(end),
            None => scan::value(self.text.as_bytes(), self.at),
        }
    }

    /// The next value, which only serde_json knows to pass over.
    #[cold]
    fn deep(&mut self) -> Result<&'a RawValue, Stop> {
        let rest = self.text.get(self.at..).ok_or(Stop)?;
        let mut scanner = serde_json::Deserializer::from_str(rest);
        let raw = <&RawValue>::deserialize(&mut scanner).map_err(|_| Stop)?;
        self.at += raw.get().len();
        Ok(raw)
    }

    /// The next value as written, if it begins with one of these bytes.
    ///
    /// # Errors
    /// If it does not; `expected` says what it should have been.
    #[inline(never)]
    pub fn raw_if(&mut self, first: &[u8], expected: &str) -> Result<&'a RawValue, Stop> {
        match self.peek() {
            Some(byte) if first.contains(&byte) => self.raw(),
            _ => Err(self.unexpected(expected)),
        }
    }

    /// The next value is not what was expected.
    #[inline(never)]
    pub fn unexpected(&mut self, expected: &str) -> Stop {
        self.peek();
        let at = self.at;
        // One that is no JSON at all has another error.
        if let Ok(raw) = self.raw() {
            let message = format!("expected {expected}, found {}", kind(raw.get()));
            self.fault = Some(Fault { at, message });
        }
        Stop
    }

    #[inline(never)]
    fn fault(&mut self, message: String) -> Stop {
        self.fault = Some(Fault { at: self.at, message });
        Stop
    }

    /// Whether the next value is `null`, which is then read.
    ///
    /// # Errors
    /// If it is no JSON.
    #[inline(never)]
    pub fn null(&mut self) -> Result<bool, Stop> {
        if self.peek() != Some(b'n') {
            return Ok(false);
        }
        self.raw().map(|_| true)
    }

    fn enter(&mut self) -> Result<(), Stop> {
        if self.depth >= MAX_DEPTH {
            return Err(self.fault("is nested too deeply".into()));
        }
        self.depth += 1;
        Ok(())
    }

    /// Reads the elements of an array, each by a call that must read it.
    ///
    /// # Errors
    /// If the next value is no array, and those of the calls.
    #[inline(never)]
    pub fn array(
        &mut self,
        each: &mut dyn FnMut(&mut Reader<'a>) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        if self.peek() != Some(b'[') {
            return Err(self.unexpected("an array"));
        }
        self.enter()?;
        self.at += 1;
        if !self.eat(b']') {
            loop {
                each(self)?;
                if self.eat(b']') {
                    break;
                }
                if !self.eat(b',') {
                    return Err(Stop);
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Reads the members of an object in their order, each value by a call that must read it.
    ///
    /// # Errors
    /// If the next value is no object, and those of the calls.
    #[inline(never)]
    pub fn object(&mut self, each: &mut Member<'_, 'a>) -> Result<(), Stop> {
        if self.peek() != Some(b'{') {
            return Err(self.unexpected("an object"));
        }
        self.enter()?;
        self.at += 1;
        if !self.eat(b'}') {
            loop {
                let key = self.key()?;
                if !self.eat(b':') {
                    return Err(Stop);
                }
                each(self, key)?;
                if self.eat(b'}') {
                    break;
                }
                if !self.eat(b',') {
                    return Err(Stop);
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// A member's key, borrowed unless it has escapes.
    fn key(&mut self) -> Result<Cow<'a, str>, Stop> {
        if self.peek() != Some(b'"') {
            return Err(Stop);
        }
        // Most have nothing that needs the scanner.
        let end = scan::plain(self.text.as_bytes(), self.at + 1);
        if self.text.as_bytes().get(end) == Some(&b'"') {
            let key = self.text.get(self.at + 1..end).ok_or(Stop)?;
            self.at = end + 1;
            return Ok(Cow::Borrowed(key));
        }
        let quoted = self.raw()?.get();
        if memchr::memchr(b'\\', quoted.as_bytes()).is_some() {
            return serde_json::from_str(quoted).map(Cow::Owned).map_err(|_| Stop);
        }
        quoted.get(1..quoted.len() - 1).map(Cow::Borrowed).ok_or(Stop)
    }

    /// Reads an object of which some members are known: those by a call with their number in `keys`,
    /// the others go to `rest`. A known one that is there twice is an error.
    ///
    /// # Errors
    /// As [`Reader::object`].
    #[inline(never)]
    pub fn view(
        &mut self,
        keys: &[(&str, u8)],
        mut rest: Option<&mut Vec<Unknown<'a>>>,
        known: &mut dyn FnMut(&mut Reader<'a>, u8) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let mut seen = 0u64;
        self.object(&mut |reader, key| {
            let Some((_, field)) = keys.iter().find(|(name, _)| *name == key) else {
                return match &mut rest {
                    Some(rest) => {
                        rest.push((key, reader.raw()?));
                        Ok(())
                    }
                    None => reader.skip(),
                };
            };
            let bit = 1u64.checked_shl(u32::from(*field)).unwrap_or(0);
            if seen & bit != 0 {
                // The first of its spellings.
                let name = keys.iter().find(|(_, of)| of == field).map_or("", |(name, _)| name);
                return Err(reader.fault(format!("duplicate field `{name}`")));
            }
            seen |= bit;
            // `null` is as good as nothing.
            if reader.null()? { Ok(()) } else { known(reader, *field) }
        })
    }

    /// The number that comes next.
    #[inline(never)]
    fn number(&mut self, expected: &str) -> Result<&'a str, Stop> {
        Ok(self.raw_if(b"-0123456789", expected)?.get())
    }
}

impl<'a> Read<'a> for &'a RawValue {
    fn read(from: &mut Reader<'a>) -> Result<Self, Stop> {
        from.raw()
    }
}

impl<'a> Read<'a> for JsonStr<'a> {
    fn read(from: &mut Reader<'a>) -> Result<Self, Stop> {
        from.raw_if(b"\"", "a string").map(JsonStr::Borrowed)
    }
}

impl<'a> Read<'a> for bool {
    fn read(from: &mut Reader<'a>) -> Result<Self, Stop> {
        from.raw_if(b"tf", "a boolean").map(|raw| raw.get() == "true")
    }
}

impl<'a> Read<'a> for f64 {
    fn read(from: &mut Reader<'a>) -> Result<Self, Stop> {
        let number = from.number("a number")?;
        match number.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => Err(from.fault("number out of range".into())),
        }
    }
}

/// Whole numbers.
macro_rules! whole {
    ($($type:ty)*) => { $(
        impl<'a> Read<'a> for $type {
            fn read(from: &mut Reader<'a>) -> Result<Self, Stop> {
                const EXPECTED: &str =
                    if <$type>::MIN == 0 { "a whole number from 0" } else { "a whole number" };
                let at = from.at;
                let number = from.number(EXPECTED)?;
                number.parse().map_err(|_| {
                    from.at = at;
                    let most = <$type>::MAX as u64;
                    from.fault(format!("expected {EXPECTED}, at most {most}"))
                })
            }
        }
    )* };
}
whole! { u16 u32 u64 i64 }

impl<'a, T: Read<'a>> Read<'a> for Vec<T> {
    fn read(from: &mut Reader<'a>) -> Result<Self, Stop> {
        let mut items = Vec::new();
        from.array(&mut |reader| {
            items.push(T::read(reader)?);
            Ok(())
        })?;
        Ok(items)
    }
}

impl<'a, T: Read<'a>> Read<'a> for Box<T> {
    fn read(from: &mut Reader<'a>) -> Result<Self, Stop> {
        T::read(from).map(Box::new)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::super::{fields, parse};

    crate::partial! {
        struct Nested<'a> {
            inner: Vec<Nested<'a>>,
            // Gives the type its lifetime.
            name: &'a serde_json::value::RawValue,
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["[1 2]", "[1,]", "[,1]", "[1", "[1}", "", "[01]", "[1]]"] {
            assert!(parse::<Vec<f64>>(text).is_err(), "{text}");
        }
        for text in
            [r#"{"a":1 "b":2}"#, r#"{"a" 1}"#, r#"{"a":1,}"#, "{,}", "{a:1}", r#"{"a":}"#, "{"]
        {
            assert!(fields(text).is_err(), "{text}");
        }
        assert_eq!(parse::<Vec<f64>>(" [ 1 , 2.5e1 ]\r\n").unwrap(), [1.0, 25.0]);
    }

    #[test]
    fn numbers_are_of_their_type_and_range() {
        assert_eq!(parse::<i64>("-3").unwrap(), -3);
        assert_eq!(parse::<u64>("18446744073709551615").unwrap(), u64::MAX);
        for text in ["-1", "1.0", "1e3", "4294967296", "\"1\"", "null", "true"] {
            assert!(parse::<u32>(text).is_err(), "{text}");
        }
        assert!(parse::<f64>("1e999").is_err());
        let error = parse::<Vec<u32>>("[1, -1]").unwrap_err();
        assert_eq!(error.to_string(), "[1]: expected a whole number from 0, at most 4294967295");
    }

    #[test]
    fn nesting_ends_before_the_stack_does() {
        let nested = |depth: usize| "{\"inner\":[".repeat(depth) + &"]}".repeat(depth);
        assert!(parse::<Nested<'_>>(&nested(64)).is_ok());
        let error = parse::<Nested<'_>>(&nested(100_000)).unwrap_err();
        assert_eq!(error.message, "is nested too deeply");
    }
}
