//! Forms: no input is a panic, and the value of a field that is put into a form is found there.
//!
//! The input is the `content-type` up to the first line break, then the body.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::multipart::field;

fuzz_target!(|input: &[u8]| {
    let cut = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (content_type, body) = input.split_at(cut);
    let body = body.get(1..).unwrap_or_default();
    if let Ok(content_type) = std::str::from_utf8(content_type)
        && let Ok(Some(range)) = field(body, content_type, "model")
    {
        assert!(body.get(range).is_some());
    }
    // The body as a file, which may hold anything but the boundary.
    let boundary = b"\r\n--b-1";
    if body.windows(boundary.len()).any(|window| window == boundary) {
        return;
    }
    let head =
        b"--b-1\r\ncontent-disposition: form-data; name=\"file\"; filename=\"model\"\r\n\r\n";
    let next = b"\r\n--b-1\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n";
    let form = [&head[..], body, next, b"whisper-1", b"\r\n--b-1--\r\n"].concat();
    let found = field(&form, "multipart/form-data; boundary=b-1", "model");
    let range = found.expect("a good form").expect("has the field");
    assert_eq!(&form[range], b"whisper-1");
});
