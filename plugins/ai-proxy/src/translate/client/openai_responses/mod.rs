//! OpenAI Responses as the client's protocol.

use shared::errors::{ApiError, ErrorKind};

use crate::translate::client::{self, Context, Send};
use crate::translate::ir::{Delta, Field, Request, Response};

/// Where a field stands in a request.
pub fn name_of(_: Field) -> &'static str {
    ""
}

/// Reads the request.
pub fn read(_: &str) -> Result<Request<'_>, ApiError> {
    Err(ApiError::new(ErrorKind::NotFound, "not yet"))
}

/// Writes the answer.
pub fn write(_: &Response<'_>, _: &Context) -> String {
    "null".into()
}

/// The events of one answer.
#[derive(Debug)]
pub struct StreamWriter {}

impl StreamWriter {
    /// Nothing has been written.
    pub fn new(_: Context) -> StreamWriter {
        StreamWriter {}
    }
}

impl client::StreamWriter for StreamWriter {
    fn write(&mut self, _: &Delta<'_>, _: Send<'_>) {}
}
