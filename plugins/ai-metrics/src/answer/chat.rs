//! Chat Completions and Completions: a chunk and a whole answer differ in one member's name.
//! Embeddings have the same counts.

use shared::json::{Document, Reader};
use shared::protocol::openai_chat::Usage;

use super::{Finish, Watch};
use crate::scan::{Next, array, document, object, piece, some};

pub(super) fn body(watch: &mut Watch, body: Document<'_>) {
    let _ = document(body, &mut |scan, key| match &*key {
        "choices" => array(scan, &mut |scan| choice(watch, scan)),
        "usage" => {
            let usage = some(scan)?.and_then(|usage| shared::json::parse::<Usage<'_>>(usage).ok());
            if let Some(usage) = usage {
                watch.report.openai_chat(&usage);
            }
            Ok(())
        }
        "error" => {
            watch.failed |= some(scan)?.is_some();
            Ok(())
        }
        _ => scan.skip(),
    });
}

fn choice<'a>(watch: &mut Watch, scan: &mut Reader<'a>) -> Next {
    let mut reason = None;
    object(scan, &mut |scan, key| match &*key {
        "delta" | "message" => message(watch, scan),
        "text" => watch.write(scan, true),
        "finish_reason" => {
            // Some servers write an empty one in the events before the last.
            reason = some(scan)?.filter(|reason| *reason != "\"\"");
            Ok(())
        }
        _ => scan.skip(),
    })?;
    if let Some(reason) = reason {
        watch.finished(match reason {
            "\"stop\"" => Finish::Stop,
            "\"length\"" => Finish::Length,
            "\"tool_calls\"" | "\"function_call\"" => Finish::ToolCalls,
            "\"content_filter\"" => Finish::ContentFilter,
            _ => Finish::Other,
        });
        watch.ended = true;
    }
    Ok(())
}

fn message<'a>(watch: &mut Watch, scan: &mut Reader<'a>) -> Next {
    // Some send a thought under both names.
    let mut thought = false;
    object(scan, &mut |scan, key| match &*key {
        "content" => watch.write(scan, true),
        "reasoning_content" | "reasoning" => match piece(scan)? {
            Some(piece) if !std::mem::replace(&mut thought, true) => {
                watch.wrote(piece, false);
                Ok(())
            }
            _ => Ok(()),
        },
        "refusal" => {
            if let Some(piece) = piece(scan)? {
                watch.refusal = true;
                watch.wrote(piece, false);
            }
            Ok(())
        }
        "tool_calls" => array(scan, &mut |scan| {
            let mut arguments = None;
            object(scan, &mut |scan, key| match &*key {
                "function" => object(scan, &mut |scan, key| match &*key {
                    "arguments" => {
                        arguments = some(scan)?;
                        Ok(())
                    }
                    _ => scan.skip(),
                }),
                _ => scan.skip(),
            })?;
            watch.called(arguments);
            Ok(())
        }),
        _ => scan.skip(),
    })
}
