//! Pictures, documents, sounds and films: the names of their formats, and where they are.
//!
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html>

use shared::json::JsonStr;
use shared::write::JsonWriter;

use crate::translate::ir::{Body, Source, Unsupported};

/// Media types and endings of file names, and Bedrock's name of the format.
type Formats = &'static [(&'static str, &'static str)];

const IMAGES: Formats = &[
    ("image/png", "png"),
    ("png", "png"),
    ("image/jpeg", "jpeg"),
    ("image/jpg", "jpeg"),
    ("jpeg", "jpeg"),
    ("jpg", "jpeg"),
    ("image/gif", "gif"),
    ("gif", "gif"),
    ("image/webp", "webp"),
    ("webp", "webp"),
];
const DOCUMENTS: Formats = &[
    ("application/pdf", "pdf"),
    ("pdf", "pdf"),
    ("text/csv", "csv"),
    ("csv", "csv"),
    ("application/msword", "doc"),
    ("doc", "doc"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
    ("docx", "docx"),
    ("application/vnd.ms-excel", "xls"),
    ("xls", "xls"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
    ("xlsx", "xlsx"),
    ("text/html", "html"),
    ("html", "html"),
    ("htm", "html"),
    ("text/plain", "txt"),
    ("txt", "txt"),
    ("text/markdown", "md"),
    ("md", "md"),
];
const VIDEOS: Formats = &[
    ("video/x-matroska", "mkv"),
    ("mkv", "mkv"),
    ("video/quicktime", "mov"),
    ("mov", "mov"),
    ("video/mp4", "mp4"),
    ("mp4", "mp4"),
    ("video/webm", "webm"),
    ("webm", "webm"),
    ("video/x-flv", "flv"),
    ("flv", "flv"),
    ("video/mpeg", "mpeg"),
    ("mpeg", "mpeg"),
    ("mpg", "mpg"),
    ("video/x-ms-wmv", "wmv"),
    ("wmv", "wmv"),
    ("video/3gpp", "three_gp"),
    ("3gp", "three_gp"),
];
const SOUNDS: Formats = &[
    ("audio/mpeg", "mp3"),
    ("audio/mp3", "mp3"),
    ("mp3", "mp3"),
    ("audio/wav", "wav"),
    ("audio/x-wav", "wav"),
    ("audio/wave", "wav"),
    ("wav", "wav"),
    ("audio/flac", "flac"),
    ("flac", "flac"),
    ("audio/ogg", "ogg"),
    ("ogg", "ogg"),
    ("audio/opus", "opus"),
    ("opus", "opus"),
    ("audio/aac", "aac"),
    ("aac", "aac"),
    ("audio/mp4", "mp4"),
    ("audio/x-m4a", "m4a"),
    ("m4a", "m4a"),
    ("audio/webm", "webm"),
];

/// The kind, the format and the place of what is neither said nor called; `None` for the rest.
pub(super) struct Media<'b, 'a> {
    /// The name of the block.
    pub(super) kind: &'static str,
    format: &'static str,
    source: &'b Source<'a>,
}

impl<'b, 'a> Media<'b, 'a> {
    /// Of this body, if it is one of the kind.
    pub(super) fn of(body: &'b Body<'a>) -> Result<Option<Media<'b, 'a>>, Unsupported> {
        let (kind, source, title, formats, by_url, other) = match body {
            Body::Image(source) => {
                let other = "images other than PNG, JPEG, GIF or WebP";
                ("image", source, None, IMAGES, "images by URL", other)
            }
            Body::Document { source, title } => {
                let other = "documents of this media type";
                ("document", source, title.as_ref(), DOCUMENTS, "documents by URL", other)
            }
            Body::Video(source) => {
                ("video", source, None, VIDEOS, "video by URL", "video of this media type")
            }
            Body::Audio(source) => {
                ("audio", source, None, SOUNDS, "audio by URL", "audio of this media type")
            }
            _ => return Ok(None),
        };
        if let Source::Url(url) = source
            && !url.decode().starts_with("s3://")
        {
            return Err(Unsupported(by_url));
        }
        let format = format(formats, source, title).ok_or(Unsupported(other))?;
        Ok(Some(Media { kind, format, source }))
    }

    /// Writes the fields that all of them have.
    pub(super) fn write(&self, w: &mut JsonWriter) {
        w.field("format", self.format);
        w.key("source");
        w.open('{');
        match self.source {
            Source::Base64 { data, .. } => w.field("bytes", data),
            Source::Url(uri) => {
                w.key("s3Location");
                w.open('{');
                w.key("uri");
                w.string(uri);
                w.close('}');
            }
        }
        w.close('}');
    }
}

fn format(
    formats: Formats,
    source: &Source<'_>,
    title: Option<&JsonStr<'_>>,
) -> Option<&'static str> {
    let find = |name: &str| {
        let found = formats.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, format)| *format)
    };
    let by_ending = |name: &str| find(name.rsplit_once('.')?.1);
    match source {
        Source::Base64 { media_type, .. } => {
            // PHP writes `image\/png`.
            let media_type = media_type.replace('\\', "");
            let plain = media_type.split(';').next().unwrap_or_default().trim();
            find(plain).or_else(|| by_ending(&title?.decode()))
        }
        Source::Url(uri) => by_ending(&uri.decode()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(body: &Body<'_>) -> Result<String, &'static str> {
        let media = Media::of(body).map_err(|error| error.0)?.unwrap();
        let mut w = JsonWriter::default();
        w.open('{');
        media.write(&mut w);
        w.close('}');
        Ok(w.finish())
    }

    fn inline(media_type: &str) -> Source<'_> {
        Source::Base64 { media_type, data: "AA==".into() }
    }

    #[test]
    fn the_media_type_tells_the_format() {
        for (media_type, format) in [
            ("image/png", "png"),
            ("image/JPEG", "jpeg"),
            ("image/jpg", "jpeg"),
            (r"image\/webp", "webp"),
            ("image/gif; charset=binary", "gif"),
        ] {
            let text = format!(r#"{{"format":"{format}","source":{{"bytes":"AA=="}}}}"#);
            assert_eq!(written(&Body::Image(inline(media_type))), Ok(text));
        }
        let odd = written(&Body::Image(inline("image/tiff")));
        assert_eq!(odd, Err("images other than PNG, JPEG, GIF or WebP"));
    }

    #[test]
    fn a_title_tells_where_the_media_type_does_not() {
        let title = Some(JsonStr::encode("report.2026.XLSX"));
        let source = inline("application/octet-stream");
        let text = written(&Body::Document { source: source.clone(), title }).unwrap();
        assert!(text.starts_with(r#"{"format":"xlsx""#), "{text}");
        let untitled = Body::Document { source, title: None };
        assert_eq!(written(&untitled), Err("documents of this media type"));
    }

    #[test]
    fn only_s3_is_fetched_from() {
        let s3 = Body::Video(Source::Url(JsonStr::encode("s3://bucket/a/film.MP4")));
        let text = r#"{"format":"mp4","source":{"s3Location":{"uri":"s3://bucket/a/film.MP4"}}}"#;
        assert_eq!(written(&s3), Ok(text.into()));
        let url = || Source::Url(JsonStr::encode("https://x/a.png"));
        assert_eq!(written(&Body::Image(url())), Err("images by URL"));
        assert_eq!(written(&Body::Audio(url())), Err("audio by URL"));
    }
}
