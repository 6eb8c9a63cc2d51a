//! Chat Completions and Completions: a chunk and a whole answer differ in one member's name.
//! Embeddings have the same counts.

use shared::protocol::openai_chat::Usage;

use super::{Finish, Watch};
use crate::scan::Scan;

pub(super) fn body(watch: &mut Watch, text: &str) {
    let _ = Scan::new(text).object(&mut |scan, key| match key {
        "choices" => scan.array(&mut |scan| choice(watch, scan)),
        "usage" => {
            let usage = scan.some()?.and_then(|usage| shared::json::parse::<Usage<'_>>(usage).ok());
            if let Some(usage) = usage {
                watch.report.openai_chat(&usage);
            }
            Some(())
        }
        "error" => {
            watch.failed |= scan.some()?.is_some();
            Some(())
        }
        _ => scan.skip(),
    });
}

fn choice<'a>(watch: &mut Watch, scan: &mut Scan<'a>) -> Option<()> {
    let mut reason = None;
    scan.object(&mut |scan, key| match key {
        "delta" | "message" => message(watch, scan),
        "text" => watch.write(scan, true),
        "finish_reason" => {
            reason = scan.some()?;
            Some(())
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
    Some(())
}

fn message<'a>(watch: &mut Watch, scan: &mut Scan<'a>) -> Option<()> {
    // Some send a thought under both names.
    let mut thought = false;
    scan.object(&mut |scan, key| match key {
        "content" => watch.write(scan, true),
        "reasoning_content" | "reasoning" => match scan.piece()? {
            Some(piece) if !std::mem::replace(&mut thought, true) => {
                watch.wrote(piece, false);
                Some(())
            }
            _ => Some(()),
        },
        "refusal" => {
            if let Some(piece) = scan.piece()? {
                watch.refusal = true;
                watch.wrote(piece, false);
            }
            Some(())
        }
        "tool_calls" => scan.array(&mut |scan| {
            let mut arguments = None;
            scan.object(&mut |scan, key| match key {
                "function" => scan.object(&mut |scan, key| match key {
                    "arguments" => {
                        arguments = scan.some()?;
                        Some(())
                    }
                    _ => scan.skip(),
                }),
                _ => scan.skip(),
            })?;
            watch.called(arguments);
            Some(())
        }),
        _ => scan.skip(),
    })
}
