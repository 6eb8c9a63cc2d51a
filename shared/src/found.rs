//! What is found out about a body, once for all who ask.

use std::cell::{Cell, OnceCell};
use std::ops::Range;

use crate::json::{self, BadJson, Document, Ends};
use crate::texts::{At, Said};

/// What is known of a text as it stands.
#[derive(Debug, Default)]
pub(crate) struct Found {
    ends: OnceCell<Ends>,
    /// Where its texts stand.
    texts: OnceCell<Vec<(Range<usize>, At)>>,
    attachments: Cell<bool>,
}

impl Found {
    /// The text to be read as JSON.
    pub(crate) fn document<'a>(&'a self, text: &'a str) -> Document<'a> {
        Document::new(text, self.ends.get_or_init(|| Ends::of(text)))
    }

    /// The same, but it is not looked through if nobody has done so.
    pub(crate) fn as_far_as_known<'a>(&'a self, text: &'a str) -> Document<'a> {
        self.ends.get().map_or_else(|| Document::from(text), |ends| Document::new(text, ends))
    }

    /// What it says; `read` finds it out.
    pub(crate) fn said<'a>(
        &'a self,
        text: &'a str,
        read: fn(Document<'a>) -> Result<Said<'a>, BadJson>,
    ) -> Result<Said<'a>, BadJson> {
        if let Some(known) = self.texts.get() {
            let of = |(range, at): &(Range<usize>, At)| {
                Some(at.text(json::known(text.get(range.clone())?)?))
            };
            let texts = known.iter().filter_map(of).collect();
            return Ok(Said { texts, attachments: self.attachments.get() });
        }
        let said = read(self.document(text))?;
        let found = said
            .texts
            .iter()
            .filter_map(|part| Some((range_of(text, part.raw.get())?, At::of(part))));
        let _ = self.texts.set(found.collect());
        self.attachments.set(said.attachments);
        Ok(said)
    }
}

/// Where `part`, which was borrowed from `text`, stands in it.
pub(crate) fn range_of(text: &str, part: &str) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let end = start.checked_add(part.len())?;
    (end <= text.len()).then_some(start..end)
}
