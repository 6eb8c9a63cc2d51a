//! OpenAI Responses.

use shared::json::{Document, Reader};
use shared::protocol::openai_responses::Usage;

use super::{Finish, Watch};
use crate::scan::{Next, Piece, array, document, object, piece, some};

pub(super) fn event(watch: &mut Watch, event: Document<'_>) {
    let (mut kind, mut delta, mut call, mut response) = ("", None, false, None);
    let whole = document(event, &mut |scan, key| match &*key {
        "type" => {
            kind = scan.raw()?.get().trim_matches('"');
            Ok(())
        }
        "delta" => {
            delta = some(scan)?;
            Ok(())
        }
        "item" => object(scan, &mut |scan, key| {
            let value = scan.raw()?.get();
            call |= key == "type" && is_call(value);
            Ok(())
        }),
        "response" => {
            response = some(scan)?;
            Ok(())
        }
        _ => scan.skip(),
    });
    if whole.is_err() {
        return;
    }
    match (kind, delta.and_then(Piece::of_string)) {
        ("error", _) => watch.failed = true,
        ("response.output_text.delta", Some(delta)) => watch.wrote(delta, true),
        ("response.refusal.delta", Some(delta)) => {
            watch.refusal = true;
            watch.wrote(delta, false);
        }
        ("response.function_call_arguments.delta" | "response.custom_tool_call_input.delta", _) => {
            watch.called(delta);
        }
        (_, Some(delta)) if kind.starts_with("response.reasoning") => watch.wrote(delta, false),
        ("response.completed" | "response.incomplete" | "response.failed", _) => {
            watch.ended = true;
            // Its output has been seen piece by piece.
            if let Some(response) = response {
                read(watch, response.into(), false);
            }
        }
        _ => {}
    }
    if call {
        watch.called(None);
    }
}

pub(super) fn body(watch: &mut Watch, body: Document<'_>) {
    read(watch, body, true);
}

/// A response; its output is counted only if that is asked for.
fn read(watch: &mut Watch, body: Document<'_>, count: bool) {
    let (mut status, mut reason) = (None, None);
    let _ = document(body, &mut |scan, key| match &*key {
        "status" => {
            status = some(scan)?;
            Ok(())
        }
        "incomplete_details" => object(scan, &mut |scan, key| {
            let value = some(scan)?;
            reason = if key == "reason" { value } else { reason };
            Ok(())
        }),
        "output" => array(scan, &mut |scan| item(watch, scan, count)),
        "usage" => {
            let usage = some(scan)?.and_then(|usage| shared::json::parse::<Usage<'_>>(usage).ok());
            if let Some(usage) = usage {
                watch.report.openai_responses(&usage);
            }
            Ok(())
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

fn item<'a>(watch: &mut Watch, scan: &mut Reader<'a>, count: bool) -> Next {
    let (mut call, mut arguments) = (false, None);
    object(scan, &mut |scan, key| match &*key {
        "type" => {
            call = is_call(scan.raw()?.get());
            Ok(())
        }
        "content" | "summary" => {
            let answer = key == "content";
            array(scan, &mut |scan| {
                object(scan, &mut |scan, key| {
                    if !matches!(&*key, "text" | "refusal") {
                        return scan.skip();
                    }
                    if let Some(piece) = piece(scan)? {
                        watch.refusal |= key == "refusal";
                        if count {
                            watch.wrote(piece, answer);
                        }
                    }
                    Ok(())
                })
            })
        }
        "arguments" | "input" => {
            arguments = some(scan)?.or(arguments);
            Ok(())
        }
        _ => scan.skip(),
    })?;
    if call {
        watch.called(arguments.filter(|_| count));
    }
    Ok(())
}

fn is_call(kind: &str) -> bool {
    matches!(kind, "\"function_call\"" | "\"custom_tool_call\"")
}
