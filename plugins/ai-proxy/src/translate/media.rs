//! What a web address points at, by its ending; some providers want to be told.

use shared::json::JsonStr;

/// The media type, if the address has a known ending.
pub(crate) fn type_of(url: &JsonStr<'_>) -> Option<&'static str> {
    let url = url.decode();
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    let (_, ending) = name.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "bmp" => "image/bmp",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "md" => "text/markdown",
        "html" | "htm" => "text/html",
        "csv" => "text/csv",
        "xml" => "text/xml",
        "json" => "application/json",
        "wav" => "audio/wav",
        "mp3" => "audio/mpeg",
        "flac" => "audio/flac",
        "ogg" => "audio/ogg",
        "aac" => "audio/aac",
        "m4a" => "audio/m4a",
        "mp4" => "video/mp4",
        "mov" => "video/quicktime",
        "mpeg" | "mpg" => "video/mpeg",
        "webm" => "video/webm",
        "avi" => "video/x-msvideo",
        "wmv" => "video/wmv",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_tells() {
        let of = |url: &str| type_of(&JsonStr::encode(url));
        assert_eq!(of("https://a.example/b/c.JPG?size=1.png#x.gif"), Some("image/jpeg"));
        assert_eq!(of("https://a.example/paper.pdf"), Some("application/pdf"));
        assert_eq!(of("https://a.example/b.c/picture"), None);
        assert_eq!(of("https://a.example"), None);
        assert_eq!(of(""), None);
    }
}
