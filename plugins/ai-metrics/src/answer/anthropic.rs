//! Anthropic Messages.

use shared::json::{Document, Reader};
use shared::protocol::anthropic::Usage;

use super::{Finish, Watch};
use crate::scan::{Next, array, document, object, some};

pub(super) fn event(watch: &mut Watch, event: Document<'_>) {
    let _ = document(event, &mut |scan, key| match &*key {
        "type" => {
            match scan.raw()?.get() {
                "\"error\"" => watch.failed = true,
                "\"message_stop\"" => watch.ended = true,
                _ => {}
            }
            Ok(())
        }
        "delta" | "content_block" => block(watch, scan),
        "message" => message(watch, scan),
        "usage" => usage(watch, scan),
        _ => scan.skip(),
    });
}

pub(super) fn body(watch: &mut Watch, body: Document<'_>) {
    let _ = message(watch, &mut body.reader());
}

fn message<'a>(watch: &mut Watch, scan: &mut Reader<'a>) -> Next {
    let mut reason = None;
    object(scan, &mut |scan, key| match &*key {
        "content" => array(scan, &mut |scan| block(watch, scan)),
        "stop_reason" => {
            reason = some(scan)?;
            Ok(())
        }
        "usage" => usage(watch, scan),
        _ => scan.skip(),
    })?;
    watch.stopped(reason.map(finish));
    Ok(())
}

/// A block of a message, or a piece of one.
fn block<'a>(watch: &mut Watch, scan: &mut Reader<'a>) -> Next {
    let (mut call, mut input, mut reason) = (false, None, None);
    object(scan, &mut |scan, key| match &*key {
        "type" => {
            call = scan.raw()?.get() == "\"tool_use\"";
            Ok(())
        }
        "text" => watch.write(scan, true),
        "thinking" => watch.write(scan, false),
        "partial_json" => {
            watch.called(some(scan)?);
            Ok(())
        }
        "input" => {
            input = some(scan)?;
            Ok(())
        }
        "stop_reason" => {
            reason = some(scan)?;
            Ok(())
        }
        _ => scan.skip(),
    })?;
    if call {
        // The block that starts a streamed call has an empty input.
        watch.called(input);
    }
    watch.stopped(reason.map(finish));
    Ok(())
}

fn usage<'a>(watch: &mut Watch, scan: &mut Reader<'a>) -> Next {
    let usage = some(scan)?.and_then(|usage| shared::json::parse::<Usage<'_>>(usage).ok());
    if let Some(usage) = usage {
        watch.report.anthropic(&usage);
    }
    Ok(())
}

fn finish(reason: &str) -> Finish {
    match reason {
        "\"end_turn\"" | "\"stop_sequence\"" => Finish::Stop,
        "\"max_tokens\"" | "\"model_context_window_exceeded\"" => Finish::Length,
        "\"tool_use\"" => Finish::ToolCalls,
        "\"refusal\"" => Finish::Refusal,
        _ => Finish::Other,
    }
}
