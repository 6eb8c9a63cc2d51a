//! What is kept of an answer: facts about it, then the answer as its API has it whole.
//!
//! A stream is put together before it is kept, and taken apart again where one is asked for, so the
//! form in which an answer came does not matter.

use crate::key::{Key, hex, of_digits};

/// The form of entries; one of another form is as good as none.
const FORM: u8 = b'4';

/// Hexadecimal digits of a number.
const NUMBER: usize = 16;

/// An answer that is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What is known of it.
    pub head: Head,
    /// The answer, JSON.
    pub body: Vec<u8>,
}

/// What is known of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Head {
    /// Its name, in hexadecimal digits.
    pub(crate) key: String,
    /// The letter of the API that the answer is of.
    pub(crate) api: u8,
    /// The beginnings of the names of its tenant, of the consumer that asked and of its end user.
    pub owners: [u64; 3],
    /// When it came, in seconds since the Unix epoch.
    pub created: u64,
    /// Until when it is used.
    pub expires: u64,
    /// Until when it is kept, to be served when providers fail.
    pub stale_until: u64,
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    pub completion_tokens: u64,
    /// What it cost, in billionths of a US dollar.
    pub cost: u64,
    /// The model that answered.
    pub model: String,
    /// Where the question can be compared with others: the question, and the name of all else in
    /// hexadecimal digits.
    pub question: Option<(String, String)>,
}

/// How fresh an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// It can be used.
    Fresh,
    /// Only if there is nothing better.
    Stale,
    /// Not any more.
    Dead,
}

impl Entry {
    /// An entry of this name.
    pub fn new(key: &Key, head: Head, body: Vec<u8>) -> Entry {
        Entry { head: Head { key: key.hex(), ..head }, body }
    }

    /// Its bytes: text, as Webdis gives nothing else back. First the form, the API, the name and the numbers, all of
    /// a fixed length; then, each after its length, the model and the question with its partition; then the
    /// answer.
    pub fn write(&self) -> Vec<u8> {
        let head = &self.head;
        let question = head.question.as_ref();
        let texts = head.model.len() + question.map_or(0, |(text, of)| text.len() + of.len());
        let mut out = Vec::with_capacity(2 + 64 + 12 * NUMBER + texts + self.body.len());
        out.push(FORM);
        out.push(head.api);
        out.extend_from_slice(head.key.as_bytes());
        let [tenant, consumer, user] = head.owners;
        let times = [head.created, head.expires, head.stale_until];
        let counts = [head.prompt_tokens, head.completion_tokens, head.cost];
        for number in [tenant, consumer, user].into_iter().chain(times).chain(counts) {
            hex(&number.to_be_bytes(), &mut out);
        }
        let (text, of) = question.map_or(("", ""), |(text, of)| (text, of));
        for text in [head.model.as_str(), of, text] {
            hex(&(text.len() as u64).to_be_bytes(), &mut out);
            out.extend_from_slice(text.as_bytes());
        }
        out.extend_from_slice(&self.body);
        out
    }

    /// Reads bytes; `None` if they are no entry of this form.
    pub fn read(mut bytes: Vec<u8>) -> Option<Entry> {
        let (api, mut rest) = bytes.strip_prefix(&[FORM])?.split_first()?;
        let key = text(&mut rest, 64)?;
        let owners = [number(&mut rest)?, number(&mut rest)?, number(&mut rest)?];
        let mut head = Head { key, api: *api, owners, ..Head::default() };
        for field in [
            &mut head.created,
            &mut head.expires,
            &mut head.stale_until,
            &mut head.prompt_tokens,
            &mut head.completion_tokens,
            &mut head.cost,
        ] {
            *field = number(&mut rest)?;
        }
        let mut sized = || {
            let size = usize::try_from(number(&mut rest)?).ok()?;
            text(&mut rest, size)
        };
        head.model = sized()?;
        let (of, question) = (sized()?, sized()?);
        head.question = (!of.is_empty()).then_some((question, of));
        let start = bytes.len() - rest.len();
        bytes.drain(..start);
        Some(Entry { head, body: bytes })
    }

    /// Whether it is the one of this name.
    pub fn is(&self, key: &Key) -> bool {
        self.head.key == key.hex()
    }

    /// Its name.
    pub fn key(&self) -> Option<Key> {
        Key::of_hex(&self.head.key)
    }

    /// How fresh it is at this second.
    pub fn age(&self, now: u64) -> Age {
        if now < self.head.expires {
            Age::Fresh
        } else if now < self.head.stale_until {
            Age::Stale
        } else {
            Age::Dead
        }
    }
}

fn text(rest: &mut &[u8], size: usize) -> Option<String> {
    let (text, after) = rest.split_at_checked(size)?;
    *rest = after;
    String::from_utf8(text.to_vec()).ok()
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let (digits, after) = rest.split_first_chunk::<NUMBER>()?;
    *rest = after;
    let (high, low) = digits.split_first_chunk::<8>()?;
    let (high, low) = (of_digits(*high)?, of_digits(*low.first_chunk()?)?);
    Some(u64::from(high) << 32 | u64::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let key = Key::of("x");
        let question = Some(("a\nb é".to_owned(), Key::of("p").hex()));
        for question in [None, question] {
            let head = Head {
                api: b'c',
                owners: [1, u64::MAX, 3],
                created: 5,
                expires: 10,
                stale_until: 20,
                prompt_tokens: 6,
                completion_tokens: 7,
                cost: 8,
                model: "größer".into(),
                question,
                ..Head::default()
            };
            let entry = Entry::new(&key, head, b"{\n}".to_vec());
            let read = Entry::read(entry.write()).unwrap();
            assert_eq!(read, entry);
            assert!(read.is(&key) && !read.is(&Key::of("y")));
            assert_eq!(
                [9, 10, 19, 20].map(|now| read.age(now)),
                [Age::Fresh, Age::Stale, Age::Stale, Age::Dead]
            );
        }
    }

    #[test]
    fn what_is_no_entry_is_not_read() {
        let whole = Entry::new(&Key::of("x"), Head::default(), Vec::new()).write();
        for size in 0..whole.len() {
            assert_eq!(Entry::read(whole[..size].to_vec()), None, "{size}");
        }
        for at in [0, 71, whole.len() - 1] {
            let mut other = whole.clone();
            other[at] = b'~';
            assert_eq!(Entry::read(other), None, "{at}");
        }
        assert_eq!(Entry::read(b"{}\n".to_vec()), None);
    }
}
