//! AWS event stream.
