//! Full-width digits and letters (`１３８`), which are read as their narrow twins.

/// Where the bytes of a narrowed text stood.
#[derive(Debug)]
pub(super) struct Places {
    /// Narrow offset and what is to be added to it, where that changes.
    shifts: Vec<(usize, usize)>,
}

impl Places {
    /// The place in the text as it was.
    pub(super) fn original(&self, place: usize) -> usize {
        let index = self.shifts.partition_point(|(at, _)| *at <= place);
        let shift = index.checked_sub(1).and_then(|index| self.shifts.get(index));
        place.saturating_add(shift.map_or(0, |(_, add)| *add))
    }
}

/// The text with full-width ASCII narrowed; `None` if it has no full-width digit or `＠`.
pub(super) fn narrow(text: &str) -> Option<(String, Places)> {
    let digit = |rest: &[u8]| matches!(rest, [0xef, 0xbc, 0x90..=0x99 | 0xa0, ..]);
    let mut finds = memchr::memchr_iter(0xef, text.as_bytes());
    finds.find(|at| text.as_bytes().get(*at..).is_some_and(digit))?;
    let mut out = String::with_capacity(text.len());
    let mut places = Places { shifts: Vec::new() };
    let mut shift = 0;
    for c in text.chars() {
        match c {
            '\u{ff01}'..='\u{ff5e}' => {
                let code = u32::from(c).saturating_sub(0xfee0);
                out.push(char::from_u32(code).unwrap_or(c));
                shift += 2;
                places.shifts.push((out.len(), shift));
            }
            _ => out.push(c),
        }
    }
    Some((out, places))
}

#[cfg(test)]
#[allow(clippy::string_slice)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_wide_text() {
        let text = "电话１３８，a＠b";
        let (narrow, places) = narrow(text).unwrap();
        assert_eq!(narrow, "电话138,a@b");
        let at = narrow.find("138").unwrap();
        let range = places.original(at)..places.original(at + 3);
        assert_eq!(&text[range], "１３８");
        let at = narrow.find('b').unwrap();
        assert_eq!(&text[places.original(at)..], "b");
        assert!(super::narrow("电话138，好").is_none());
    }
}
