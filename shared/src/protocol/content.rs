//! What a message says: a string, or a list of parts.

use serde_json::value::RawValue;

use crate::json::{BadJson, JsonStr, Read, Reader, Stop, parse};

/// A message's content as written. Most is a string, which is then never looked into; a list is
/// read when asked for.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a>(&'a RawValue);

/// The two forms of a content.
#[derive(Clone, Debug)]
pub enum Form<'a, P> {
    /// One text.
    Text(JsonStr<'a>),
    /// A list of parts.
    Parts(Vec<P>),
}

impl<'a> Content<'a> {
    /// Reads it. A path in the error is relative to the content (`[2].text`).
    pub fn form<P: Read<'a>>(self) -> Result<Form<'a, P>, BadJson> {
        if self.0.get().starts_with('"') {
            Ok(Form::Text(JsonStr::Borrowed(self.0)))
        } else {
            parse(self.0.get()).map(Form::Parts)
        }
    }

    /// The JSON as written.
    pub fn raw(self) -> &'a RawValue {
        self.0
    }
}

impl<'a> Read<'a> for Content<'a> {
    fn read(from: &mut Reader<'a>) -> Result<Self, Stop> {
        from.raw_if(b"\"[", "a string or an array").map(Content)
    }
}
