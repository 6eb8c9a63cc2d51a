//! What a message says: a string, or a list of parts.

use serde::de::{Deserialize, Deserializer, Error as _};
use serde_json::value::RawValue;

use crate::json::{BadJson, JsonStr, parse, unexpected};

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
    pub fn form<P: Deserialize<'a>>(self) -> Result<Form<'a, P>, BadJson> {
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

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?;
        if raw.get().starts_with(['"', '[']) {
            Ok(Content(raw))
        } else {
            Err(D::Error::custom(unexpected(raw, "a string or an array")))
        }
    }
}
