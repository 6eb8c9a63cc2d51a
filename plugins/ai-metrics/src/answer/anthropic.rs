//! Anthropic Messages.

use shared::protocol::anthropic::Usage;

use super::{Finish, Watch};
use crate::scan::Scan;

pub(super) fn event(watch: &mut Watch, text: &str) {
    let _ = Scan::new(text).object(&mut |scan, key| match key {
        "type" => {
            match scan.value()? {
                "\"error\"" => watch.failed = true,
                "\"message_stop\"" => watch.ended = true,
                _ => {}
            }
            Some(())
        }
        "delta" | "content_block" => block(watch, scan),
        "message" => message(watch, scan),
        "usage" => usage(watch, scan),
        _ => scan.skip(),
    });
}

pub(super) fn body(watch: &mut Watch, text: &str) {
    let _ = message(watch, &mut Scan::new(text));
}

fn message<'a>(watch: &mut Watch, scan: &mut Scan<'a>) -> Option<()> {
    let mut reason = None;
    scan.object(&mut |scan, key| match key {
        "content" => scan.array(&mut |scan| block(watch, scan)),
        "stop_reason" => {
            reason = scan.some()?;
            Some(())
        }
        "usage" => usage(watch, scan),
        _ => scan.skip(),
    })?;
    watch.stopped(reason.map(finish));
    Some(())
}

/// A block of a message, or a piece of one.
fn block<'a>(watch: &mut Watch, scan: &mut Scan<'a>) -> Option<()> {
    let (mut call, mut input, mut reason) = (false, None, None);
    scan.object(&mut |scan, key| match key {
        "type" => {
            call = scan.value()? == "\"tool_use\"";
            Some(())
        }
        "text" => watch.write(scan, true),
        "thinking" => watch.write(scan, false),
        "partial_json" => {
            watch.called(scan.some()?);
            Some(())
        }
        "input" => {
            input = scan.some()?;
            Some(())
        }
        "stop_reason" => {
            reason = scan.some()?;
            Some(())
        }
        _ => scan.skip(),
    })?;
    if call {
        // The block that starts a streamed call has an empty input.
        watch.called(input);
    }
    watch.stopped(reason.map(finish));
    Some(())
}

fn usage<'a>(watch: &mut Watch, scan: &mut Scan<'a>) -> Option<()> {
    let usage = scan.some()?.and_then(|usage| shared::json::parse::<Usage<'_>>(usage).ok());
    if let Some(usage) = usage {
        watch.report.anthropic(&usage);
    }
    Some(())
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
