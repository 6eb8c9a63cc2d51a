//! Mistakes in a request, named with their place.

use shared::errors::{ApiError, ErrorKind};
use shared::json::BadJson;

/// What is wrong at this place of the client's document.
pub(crate) fn invalid(path: &str, message: &str) -> ApiError {
    let colon = if path.is_empty() { "" } else { ": " };
    ApiError::new(ErrorKind::InvalidRequest, format!("{path}{colon}{message}")).param(path)
}

/// A field that must be there.
pub(crate) fn required(path: &str, field: &str) -> ApiError {
    let dot = if path.is_empty() { "" } else { "." };
    invalid(&format!("{path}{dot}{field}"), "is required")
}

/// A value below `prefix` that could not be read.
pub(crate) fn bad(prefix: &str, error: &BadJson) -> ApiError {
    // `[2].text` follows its prefix without a dot, a field's name with one.
    let dot = if error.path.is_empty() || error.path.starts_with('[') { "" } else { "." };
    let path = format!("{prefix}{dot}{}", error.path);
    invalid(path.trim_start_matches('.'), &error.message)
}
