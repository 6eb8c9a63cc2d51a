//! The clients' side: reads requests, writes answers.

pub mod gemini;
pub mod openai;

use shared::errors::ApiError;
use shared::json::JsonStr;
use shared::view::Unknown;

use super::{Purpose, Request};
use crate::translate::client::bad::invalid;

/// What vectors are for, in any vendor's word.
fn purpose(word: &JsonStr<'_>, path: &str) -> Result<Option<Purpose>, ApiError> {
    let word = word.decode();
    if word == "TASK_TYPE_UNSPECIFIED" || word.is_empty() {
        return Ok(None);
    }
    Purpose::of_word(&word).map(Some).ok_or_else(|| {
        let message = "expected search_query, search_document, classification or clustering, or one \
                       of Gemini's task types";
        invalid(path, message)
    })
}

/// Names what is not read.
fn note_dropped(request: &mut Request<'_>, rest: &[Unknown<'_>]) {
    for (key, _) in rest.iter().filter(|(_, value)| value.get() != "null") {
        if !request.dropped.iter().any(|known| *known == **key) {
            request.dropped.push(key.clone().into_owned());
        }
    }
}
