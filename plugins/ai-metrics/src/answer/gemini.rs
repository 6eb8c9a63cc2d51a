//! Gemini: an event and a whole answer have one form.

use shared::json::{Document, Reader};
use shared::protocol::gemini::Usage;

use super::{Finish, Watch};
use crate::scan::{Next, array, object, piece, some};

pub(super) fn body(watch: &mut Watch, body: Document<'_>) {
    let scan = &mut body.reader();
    // A list is what a stream without `alt=sse` is.
    let _ = match scan.peek() {
        Some(b'[') => array(scan, &mut |scan| one(watch, scan)),
        _ => one(watch, scan),
    };
}

fn one<'a>(watch: &mut Watch, scan: &mut Reader<'a>) -> Next {
    object(scan, &mut |scan, key| match &*key {
        "candidates" => array(scan, &mut |scan| candidate(watch, scan)),
        "promptFeedback" => object(scan, &mut |scan, key| {
            if some(scan)?.is_some() && key == "blockReason" {
                watch.finished(Finish::ContentFilter);
                watch.ended = true;
            }
            Ok(())
        }),
        "usageMetadata" => {
            let usage = some(scan)?.and_then(|usage| shared::json::parse::<Usage<'_>>(usage).ok());
            if let Some(usage) = usage {
                watch.report.gemini(&usage);
            }
            Ok(())
        }
        "error" => {
            watch.failed |= some(scan)?.is_some();
            Ok(())
        }
        _ => scan.skip(),
    })
}

fn candidate<'a>(watch: &mut Watch, scan: &mut Reader<'a>) -> Next {
    let mut reason = None;
    object(scan, &mut |scan, key| match &*key {
        "content" => object(scan, &mut |scan, key| match &*key {
            "parts" => array(scan, &mut |scan| part(watch, scan)),
            _ => scan.skip(),
        }),
        "finishReason" => {
            reason = some(scan)?;
            Ok(())
        }
        _ => scan.skip(),
    })?;
    if let Some(reason) = reason {
        watch.finished(match reason {
            "\"STOP\"" if watch.tool_call => Finish::ToolCalls,
            "\"STOP\"" => Finish::Stop,
            "\"MAX_TOKENS\"" => Finish::Length,
            "\"SAFETY\""
            | "\"RECITATION\""
            | "\"BLOCKLIST\""
            | "\"PROHIBITED_CONTENT\""
            | "\"SPII\""
            | "\"IMAGE_SAFETY\"" => Finish::ContentFilter,
            _ => Finish::Other,
        });
        watch.ended = true;
    }
    Ok(())
}

fn part<'a>(watch: &mut Watch, scan: &mut Reader<'a>) -> Next {
    let (mut text, mut thought) = (None, false);
    object(scan, &mut |scan, key| match &*key {
        "text" => {
            text = piece(scan)?;
            Ok(())
        }
        "thought" => {
            thought = scan.raw()?.get() == "true";
            Ok(())
        }
        "functionCall" => {
            let mut arguments = None;
            object(scan, &mut |scan, key| {
                let value = some(scan)?;
                arguments = if key == "args" { value } else { arguments };
                Ok(())
            })?;
            watch.called(arguments);
            Ok(())
        }
        _ => scan.skip(),
    })?;
    if let Some(text) = text {
        watch.wrote(text, !thought);
    }
    Ok(())
}
