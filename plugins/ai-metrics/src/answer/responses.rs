//! OpenAI Responses.

use shared::protocol::openai_responses::Usage;

use super::{Finish, Watch};
use crate::scan::Scan;

pub(super) fn event(watch: &mut Watch, text: &str) {
    let (mut kind, mut delta, mut raw, mut call, mut response) = ("", None, None, false, None);
    let whole = Scan::new(text).object(&mut |scan, key| match key {
        "type" => {
            kind = scan.value()?.trim_matches('"');
            Some(())
        }
        "delta" => {
            raw = scan.clone().some()?;
            delta = scan.piece()?;
            Some(())
        }
        "item" => scan.object(&mut |scan, key| {
            let value = scan.value()?;
            call |= key == "type" && is_call(value);
            Some(())
        }),
        "response" => {
            response = scan.some()?;
            Some(())
        }
        _ => scan.skip(),
    });
    if whole.is_none() {
        return;
    }
    match (kind, delta) {
        ("error", _) => watch.failed = true,
        ("response.output_text.delta", Some(delta)) => watch.wrote(delta, true),
        ("response.refusal.delta", Some(delta)) => {
            watch.refusal = true;
            watch.wrote(delta, false);
        }
        ("response.function_call_arguments.delta" | "response.custom_tool_call_input.delta", _) => {
            watch.called(raw);
        }
        (_, Some(delta)) if kind.starts_with("response.reasoning") => watch.wrote(delta, false),
        ("response.completed" | "response.incomplete" | "response.failed", _) => {
            watch.ended = true;
            // Its output has been seen piece by piece.
            if let Some(response) = response {
                read(watch, response, false);
            }
        }
        _ => {}
    }
    if call {
        watch.called(None);
    }
}

pub(super) fn body(watch: &mut Watch, text: &str) {
    read(watch, text, true);
}

/// A response; its output is counted only if that is asked for.
fn read(watch: &mut Watch, text: &str, count: bool) {
    let (mut status, mut reason) = (None, None);
    let _ = Scan::new(text).object(&mut |scan, key| match key {
        "status" => {
            status = scan.some()?;
            Some(())
        }
        "incomplete_details" => scan.object(&mut |scan, key| {
            let value = scan.some()?;
            reason = if key == "reason" { value } else { reason };
            Some(())
        }),
        "output" => scan.array(&mut |scan| item(watch, scan, count)),
        "usage" => {
            let usage = scan.some()?.and_then(|usage| shared::json::parse::<Usage<'_>>(usage).ok());
            if let Some(usage) = usage {
                watch.report.openai_responses(&usage);
            }
            Some(())
        }
        _ => scan.skip(),
    });
    match (status, reason) {
        (Some("\"failed\""), _) => watch.failed = true,
        (_, Some("\"max_output_tokens\"")) => watch.finished(Finish::Length),
        (_, Some("\"content_filter\"")) => watch.finished(Finish::ContentFilter),
        (_, Some(_)) => watch.finished(Finish::Other),
        (Some("\"completed\""), None) => {
            let finish = if watch.tool_call { Finish::ToolCalls } else { Finish::Stop };
            watch.finished(finish);
        }
        _ => {}
    }
}

fn item<'a>(watch: &mut Watch, scan: &mut Scan<'a>, count: bool) -> Option<()> {
    let (mut call, mut arguments) = (false, None);
    scan.object(&mut |scan, key| match key {
        "type" => {
            call = is_call(scan.value()?);
            Some(())
        }
        "content" | "summary" => {
            let answer = key == "content";
            scan.array(&mut |scan| {
                scan.object(&mut |scan, key| {
                    if !matches!(key, "text" | "refusal") {
                        return scan.skip();
                    }
                    if let Some(piece) = scan.piece()? {
                        watch.refusal |= key == "refusal";
                        if count {
                            watch.wrote(piece, answer);
                        }
                    }
                    Some(())
                })
            })
        }
        "arguments" | "input" => {
            arguments = scan.some()?.or(arguments);
            Some(())
        }
        _ => scan.skip(),
    })?;
    if call {
        watch.called(arguments.filter(|_| count));
    }
    Some(())
}

fn is_call(kind: &str) -> bool {
    matches!(kind, "\"function_call\"" | "\"custom_tool_call\"")
}
