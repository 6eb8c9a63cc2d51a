//! Gemini: an event and a whole answer have one form.

use shared::protocol::gemini::Usage;

use super::{Finish, Watch};
use crate::scan::Scan;

pub(super) fn body(watch: &mut Watch, text: &str) {
    let mut scan = Scan::new(text);
    // A list is what a stream without `alt=sse` is.
    let _ = match scan.peek() {
        Some(b'[') => scan.array(&mut |scan| one(watch, scan)),
        _ => one(watch, &mut scan),
    };
}

fn one<'a>(watch: &mut Watch, scan: &mut Scan<'a>) -> Option<()> {
    scan.object(&mut |scan, key| match key {
        "candidates" => scan.array(&mut |scan| candidate(watch, scan)),
        "promptFeedback" => scan.object(&mut |scan, key| {
            if scan.some()?.is_some() && key == "blockReason" {
                watch.finished(Finish::ContentFilter);
                watch.ended = true;
            }
            Some(())
        }),
        "usageMetadata" => {
            let usage = scan.some()?.and_then(|usage| shared::json::parse::<Usage<'_>>(usage).ok());
            if let Some(usage) = usage {
                watch.report.gemini(&usage);
            }
            Some(())
        }
        "error" => {
            watch.failed |= scan.some()?.is_some();
            Some(())
        }
        _ => scan.skip(),
    })
}

fn candidate<'a>(watch: &mut Watch, scan: &mut Scan<'a>) -> Option<()> {
    let mut reason = None;
    scan.object(&mut |scan, key| match key {
        "content" => scan.object(&mut |scan, key| match key {
            "parts" => scan.array(&mut |scan| part(watch, scan)),
            _ => scan.skip(),
        }),
        "finishReason" => {
            reason = scan.some()?;
            Some(())
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
    Some(())
}

fn part<'a>(watch: &mut Watch, scan: &mut Scan<'a>) -> Option<()> {
    let (mut text, mut thought) = (None, false);
    scan.object(&mut |scan, key| match key {
        "text" => {
            text = scan.piece()?;
            Some(())
        }
        "thought" => {
            thought = scan.value()? == "true";
            Some(())
        }
        "functionCall" => {
            let mut arguments = None;
            scan.object(&mut |scan, key| {
                let value = scan.some()?;
                arguments = if key == "args" { value } else { arguments };
                Some(())
            })?;
            watch.called(arguments);
            Some(())
        }
        _ => scan.skip(),
    })?;
    if let Some(text) = text {
        watch.wrote(text, !thought);
    }
    Some(())
}
