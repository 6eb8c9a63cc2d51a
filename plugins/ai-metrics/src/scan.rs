//! Goes through a JSON document once, byte by byte, and keeps nothing of it.
//!
//! For what is only counted a reader that checks every value and lists every member is too dear: it goes
//! over each byte once for each level that it lies in. This one knows strings, lists and objects, and
//! leaves what stands in a number to whoever uses it. A document that it cannot follow has nothing to
//! say here; those who must not misread it have readers of their own.

/// Deepest nesting.
const MAX_DEPTH: u8 = 100;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;
const QUOTES: u64 = ONES * b'"' as u64;
const SLASHES: u64 = ONES * b'\\' as u64;

/// A document, and how far one has come.
#[derive(Clone, Debug)]
pub(crate) struct Scan<'a> {
    text: &'a str,
    at: usize,
    depth: u8,
}

/// A string as it stands in the document, without its quotes.
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
    /// A string without escapes.
    pub(crate) fn plain(text: &'a str) -> Piece<'a> {
        let all = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
        let ascii = text.bytes().filter(u8::is_ascii).count();
        let ascii = u64::try_from(ascii).unwrap_or(u64::MAX);
        Piece { escaped: text, ascii, other: all.saturating_sub(ascii) }
    }
}

/// What reads a member of an object: it is given the key, and must read the value.
pub(crate) type Member<'f, 'a> = dyn FnMut(&mut Scan<'a>, &'a str) -> Option<()> + 'f;

/// What reads an element of a list.
pub(crate) type Element<'f, 'a> = dyn FnMut(&mut Scan<'a>) -> Option<()> + 'f;

impl<'a> Scan<'a> {
    pub(crate) fn new(text: &'a str) -> Scan<'a> {
        Scan { text, at: 0, depth: 0 }
    }

    /// The first byte of what comes next.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = self.text.as_bytes().get(self.at).copied()?;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at = self.at.saturating_add(1);
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at = self.at.saturating_add(usize::from(found));
        found
    }

    /// A string; `None` if something else comes next.
    #[inline(never)]
    pub(crate) fn string(&mut self) -> Option<Piece<'a>> {
        if !self.eat(b'"') {
            return None;
        }
        let start = self.at;
        let rest = self.text.as_bytes().get(start..)?;
        let (mut at, mut other, mut further) = (0_usize, 0_u64, 0_u64);
        loop {
            // Eight bytes at once, as long as there is nothing but ASCII without quotes and escapes.
            while let Some(eight) = rest.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
                let word = u64::from_le_bytes(*eight);
                let (quote, slash) = (word ^ QUOTES, word ^ SLASHES);
                let zero = |word: u64| word.wrapping_sub(ONES) & !word;
                if (zero(quote) | zero(slash) | word) & HIGH != 0 {
                    break;
                }
                at = at.saturating_add(8);
            }
            // The rest of them one by one.
            let until = at.saturating_add(8);
            while at < until {
                match rest.get(at).copied()? {
                    b'"' => {
                        self.at = start.saturating_add(at).saturating_add(1);
                        let escaped = self.text.get(start..start.saturating_add(at))?;
                        let all = u64::try_from(at).unwrap_or(u64::MAX);
                        let ascii = all.saturating_sub(other).saturating_sub(further);
                        return Some(Piece { escaped, ascii, other });
                    }
                    b'\\' => at = at.saturating_add(1),
                    0x80..=0xbf => further = further.saturating_add(1),
                    0xc0.. => other = other.saturating_add(1),
                    _ => {}
                }
                at = at.saturating_add(1);
            }
        }
    }

    /// Reads the members of an object. Of another value nothing is read but its end.
    #[inline(never)]
    pub(crate) fn object(&mut self, each: &mut Member<'_, 'a>) -> Option<()> {
        if self.peek()? != b'{' {
            return self.skip();
        }
        self.enter()?;
        if !self.eat(b'}') {
            loop {
                self.peek();
                let key = self.string()?.escaped;
                if !self.eat(b':') {
                    return None;
                }
                each(self, key)?;
                if self.eat(b'}') {
                    break;
                }
                if !self.eat(b',') {
                    return None;
                }
            }
        }
        self.depth = self.depth.saturating_sub(1);
        Some(())
    }

    /// Reads the elements of a list. Of another value nothing is read but its end.
    #[inline(never)]
    pub(crate) fn array(&mut self, each: &mut Element<'_, 'a>) -> Option<()> {
        if self.peek()? != b'[' {
            return self.skip();
        }
        self.enter()?;
        if !self.eat(b']') {
            loop {
                each(self)?;
                if self.eat(b']') {
                    break;
                }
                if !self.eat(b',') {
                    return None;
                }
            }
        }
        self.depth = self.depth.saturating_sub(1);
        Some(())
    }

    fn enter(&mut self) -> Option<()> {
        self.at = self.at.saturating_add(1);
        self.depth = self.depth.saturating_add(1);
        (self.depth < MAX_DEPTH).then_some(())
    }

    /// Any value, as it stands in the document.
    #[inline(never)]
    pub(crate) fn value(&mut self) -> Option<&'a str> {
        let first = self.peek()?;
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match self.text.as_bytes().get(self.at).copied()? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth = depth.saturating_add(1);
                    self.at = self.at.saturating_add(1);
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at = self.at.saturating_add(1);
                }
                _ if matches!(first, b'{' | b'[' | b'"') => self.at = self.at.saturating_add(1),
                _ => {
                    // A number or a word.
                    let rest = self.text.as_bytes().get(self.at..)?;
                    let word = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
                    let length = rest.iter().take_while(|byte| word(byte)).count();
                    self.at = self.at.saturating_add(length);
                    if length == 0 {
                        return None;
                    }
                }
            }
            if depth == 0 {
                return self.text.get(start..self.at);
            }
        }
    }

    /// Any value; nothing if it is `null`.
    pub(crate) fn some(&mut self) -> Option<Option<&'a str>> {
        self.value().map(|value| Some(value).filter(|value| *value != "null"))
    }

    /// A string, if one comes next; of another value nothing.
    pub(crate) fn piece(&mut self) -> Option<Option<Piece<'a>>> {
        match self.peek()? {
            b'"' => self.string().map(Some),
            _ => self.value().map(|_| None),
        }
    }

    /// Passes over a value.
    pub(crate) fn skip(&mut self) -> Option<()> {
        self.value().map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Option<Vec<(String, u64, u64)>> {
        let mut scan = Scan::new(text);
        let mut all = Vec::new();
        scan.array(&mut |scan| {
            match scan.string() {
                Some(piece) => all.push((piece.escaped.to_owned(), piece.ascii, piece.other)),
                None => all.push((scan.value()?.to_owned(), 0, 0)),
            }
            Some(())
        })?;
        scan.peek().is_none().then_some(all)
    }

    #[test]
    fn strings_end_where_they_end_wherever_their_escapes_are() {
        for length in 0..40 {
            let plain = "x".repeat(length);
            for (tail, other) in [("", 0), ("\\\"", 0), ("\\\\", 0), ("é", 1), ("法\\n", 1)] {
                let text = format!("[\"{plain}{tail}\", 1.5e-3 , {{\"a\":[\"}}]\"]}}, null]");
                let found = pieces(&text).unwrap();
                let count = u64::try_from(length).unwrap();
                let ascii =
                    count + u64::try_from(tail.chars().filter(char::is_ascii).count()).unwrap();
                assert_eq!(found[0], (format!("{plain}{tail}"), ascii, other), "{text}");
                let values: Vec<_> = found[1..].iter().map(|one| one.0.as_str()).collect();
                assert_eq!(values, ["1.5e-3", "{\"a\":[\"}]\"]}", "null"], "{text}");
            }
        }
    }

    #[test]
    fn what_cannot_be_followed_is_nothing() {
        for text in ["", "[", "[\"a", "[\"a\\", "[1,", "[1 2]", "[}]", "[1]x", "[,]"] {
            assert_eq!(pieces(text), None, "{text}");
        }
        let deep = "[".repeat(500) + &"]".repeat(500);
        fn down(scan: &mut Scan<'_>) -> Option<()> {
            scan.array(&mut |scan| down(scan))
        }
        assert_eq!(down(&mut Scan::new(&deep)), None);
        assert_eq!(pieces(&format!("[{deep}]")).map(|all| all.len()), Some(1), "passed over");
    }

    proptest::proptest! {
        #[test]
        fn what_serde_reads_is_read_alike(value in value()) {
            let text = value.to_string();
            let mut scan = Scan::new(&text);
            let mut keys = Vec::new();
            scan.object(&mut |scan, key| {
                keys.push((key.to_owned(), scan.value()?.to_owned()));
                Some(())
            }).unwrap();
            proptest::prop_assert_eq!(scan.peek(), None);
            let members: serde_json::Map<String, serde_json::Value> = keys
                .iter()
                .map(|(key, value)| {
                    let key: String = serde_json::from_str(&format!("\"{key}\"")).unwrap();
                    (key, serde_json::from_str(value).unwrap())
                })
                .collect();
            proptest::prop_assert_eq!(serde_json::Value::Object(members), value);
        }

        #[test]
        fn nothing_makes_it_panic(text in "[\\[\\]{}\",:\\\\ a1é-]{0,60}") {
            let mut scan = Scan::new(&text);
            let _ = scan.object(&mut |scan, _| scan.value().map(|_| ()));
        }
    }

    fn value() -> impl proptest::strategy::Strategy<Value = serde_json::Value> {
        use proptest::prelude::*;
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            ".{0,20}".prop_map(Into::into),
        ];
        let any = leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::hash_map(".{0,5}", inner, 0..4)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        });
        prop::collection::hash_map(".{0,5}", any, 0..4)
            .prop_map(|map| serde_json::Value::Object(map.into_iter().collect()))
    }
}
