//! Amazon Bedrock Converse as the provider's protocol.

use shared::json::BadJson;
use shared::usage::Report;

use crate::translate::ir::{Delta, Request, Response, Unsupported};
use crate::translate::provider::{self, Options, Progress};

/// Writes the request. Names what has no place in it in `request.unsupported`.
pub fn write(_: &mut Request<'_>, _: &Options<'_>) -> Result<String, Unsupported> {
    Err(Unsupported("anything yet"))
}

/// Reads the answer.
pub fn read(_: &str) -> Result<Response<'_>, BadJson> {
    Err(BadJson { path: String::new(), message: "not yet".into() })
}

/// The code and the words of an error's body.
pub fn read_error(_: &str) -> Option<(String, String)> {
    None
}

/// Reads the token counts, of a whole answer or of an event.
pub fn observe(_: &str, _: &mut Report) {}

/// What is known between the events of one stream.
#[derive(Debug, Default)]
pub struct StreamReader {
    progress: Progress,
}

impl provider::StreamReader for StreamReader {
    fn progress(&mut self) -> &mut Progress {
        &mut self.progress
    }

    fn read<'a>(
        &mut self,
        _: Option<&str>,
        _: &'a str,
        _: &mut dyn FnMut(Delta<'a>),
    ) -> Result<(), BadJson> {
        Ok(())
    }
}
