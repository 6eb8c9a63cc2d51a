//! Reads DER, ITU-T X.690 section 10: what is not in its one form is refused.

/// Elements that follow each other.
pub(super) struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    pub(super) const INTEGER: u8 = 0x02;
    pub(super) const OCTET_STRING: u8 = 0x04;
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const CONTEXT_0_CONSTRUCTED: u8 = 0xa0;
    pub(super) const CONTEXT_1: u8 = 0x81;

    /// The elements of a document that is one sequence and nothing else.
    pub(super) fn whole(document: &'a [u8]) -> Option<Der<'a>> {
        let mut outer = Der(document);
        let inner = outer.take(Der::SEQUENCE)?;
        outer.is_empty().then_some(Der(inner))
    }

    /// Whether no element is left.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The content of the next element if it has this tag; else it stays the next.
    pub(super) fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (&[found, first], rest) = self.0.split_first_chunk()?;
        if found != tag {
            return None;
        }
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // The shortest form only. No key has more than 65,535 bytes.
            0x81 => match rest {
                [length @ 0x80..=0xff, rest @ ..] => (usize::from(*length), rest),
                _ => return None,
            },
            0x82 => match rest {
                [high @ 1..=0xff, low, rest @ ..] => {
                    (usize::from(*high) << 8 | usize::from(*low), rest)
                }
                _ => return None,
            },
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(content)
    }

    /// The next element if it is an integer that is not negative: its bytes without a leading zero.
    pub(super) fn unsigned(&mut self) -> Option<&'a [u8]> {
        match self.take(Der::INTEGER)? {
            // The zero in front is there only to say that the number is not negative.
            [0, rest @ ..] if rest.first().is_none_or(|first| *first >= 0x80) => Some(rest),
            number @ [1..0x80, ..] => Some(number),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::Der;

    #[test]
    fn an_element_is_taken_only_in_its_shortest_form() {
        let long = |head: &[u8], length: usize| [head, &vec![7; length]].concat();
        for (document, length) in [
            (long(&[4, 0], 0), Some(0)),
            (long(&[4, 0x7f], 0x7f), Some(0x7f)),
            (long(&[4, 0x81, 0x80], 0x80), Some(0x80)),
            (long(&[4, 0x82, 1, 0], 0x100), Some(0x100)),
            // Longer forms than need be, endless, cut, of another kind, none.
            (long(&[4, 0x81, 0x7f], 0x7f), None),
            (long(&[4, 0x82, 0, 0xff], 0xff), None),
            (long(&[4, 0x83, 0, 1, 0], 0x100), None),
            (long(&[4, 0x80, 1, 0, 0], 0), None),
            (long(&[4, 2], 1), None),
            (long(&[4, 0x82, 1], 0), None),
            (long(&[4], 0), None),
            (long(&[5, 0], 0), None),
            (Vec::new(), None),
        ] {
            let mut der = Der(&document);
            assert_eq!(der.take(Der::OCTET_STRING).map(<[u8]>::len), length, "{document:?}");
            assert_eq!(der.is_empty(), length.is_some() || document.is_empty());
        }
    }

    #[test]
    fn a_number_is_taken_only_in_its_shortest_form_and_if_it_is_not_negative() {
        for (content, number) in [
            (&[0][..], Some(&[][..])),
            (&[1], Some(&[1])),
            (&[0x7f, 0], Some(&[0x7f, 0])),
            (&[0, 0x80], Some(&[0x80])),
            (&[], None),
            (&[0, 0], None),
            (&[0, 0x7f], None),
            (&[0x80], None),
            (&[0xff, 0xff], None),
        ] {
            let document = [&[2, content.len() as u8], content].concat();
            assert_eq!(Der(&document).unsigned(), number, "{content:?}");
        }
    }

    #[test]
    fn nothing_may_follow_a_document() {
        assert!(Der::whole(&[0x30, 2, 5, 0]).is_some());
        assert!(Der::whole(&[0x30, 2, 5, 0, 0]).is_none());
        assert!(Der::whole(&[0x31, 2, 5, 0]).is_none());
    }
}
