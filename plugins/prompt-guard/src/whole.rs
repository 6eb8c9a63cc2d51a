//! Answers that come as a whole: documents, lists of events, plain text.

use serde_json::value::RawValue;
use shared::answer::AnswerBody;
use shared::errors::{ApiError, ErrorKind};
use shared::facts::Fact;
use shared::filter::{BodyKind, Cx, ResponseHead};
use shared::json::JsonStr;
use shared::protocol::{Endpoint, Service};
use shared::texts::{self, Kind, Text};

use crate::config::Uninspected;
use crate::filter::GuardFilter;
use crate::findings::Findings;

/// What the body of an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// One JSON document, or Gemini's list of them.
    Json,
    /// A JSON document in each line.
    Lines,
    /// Text, as a transcript or subtitles are.
    Text,
    /// It cannot be read.
    Unreadable,
}

impl Form {
    /// By its `content-type`; `None` if it is no language: pictures, sound, files.
    fn of(content_type: &str) -> Option<Form> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        match essence.to_ascii_lowercase().as_str() {
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => {
                Some(Form::Lines)
            }
            "application/x-subrip" => Some(Form::Text),
            text if text.starts_with("text/") => Some(Form::Text),
            _ => None,
        }
    }
}

impl GuardFilter {
    /// Whether an answer is one to look into.
    pub(crate) fn reads(&mut self, head: &ResponseHead<'_>) -> bool {
        self.form = match head.kind {
            BodyKind::EventStream | BodyKind::Json => Form::Json,
            // What cannot be read is not let out unread.
            BodyKind::Encoded if self.policy.uninspected == Uninspected::Refuse => Form::Unreadable,
            BodyKind::Encoded | BodyKind::AwsEventStream => return false,
            BodyKind::Other => {
                let content_type = head.headers.get("content-type").unwrap_or_default();
                let Some(form) = Form::of(&content_type) else { return false };
                form
            }
        };
        true
    }

    /// What becomes of an answer; `None` if it goes out as it is.
    pub(crate) fn whole(
        &mut self,
        cx: &mut Cx<'_>,
        head: &mut ResponseHead<'_>,
        body: &AnswerBody<'_>,
    ) -> Option<Vec<u8>> {
        let readable = body.text().filter(|_| self.form != Form::Unreadable);
        let Some(text) = readable else {
            let looks = self.watches() || self.judging.is_some();
            if !looks || self.policy.uninspected == Uninspected::Allow {
                return None;
            }
            let message = "the provider's answer is in a form that cannot be inspected";
            return self.withhold(cx, head, ErrorKind::BadGateway, message, "uninspected");
        };
        let list: Option<Vec<&RawValue>> = Some(text)
            .filter(|text| self.form == Form::Json && text.starts_with('['))
            .and_then(|_| body.document().read());
        let new = match (self.form, &list) {
            (_, Some(list)) => self.list(cx, list),
            (Form::Text, _) => self.stream.whole(&self.masks, text, false),
            (Form::Lines, _) => self.lines(text),
            _ => {
                let found = match cx.endpoint {
                    // Whatever else there is in other paths, it is no answer to what was looked at.
                    None | Some(Endpoint::OpenAiOther) if !self.looked => body.texts(),
                    // They say back what they were sent, wherever that is in each of them.
                    None
                    | Some(Endpoint::Generic | Endpoint::OpenAiOther)
                    | Some(Endpoint::Service(
                        Service::Images | Service::Transcriptions | Service::Rerank,
                    )) => texts::service(body.document()),
                    _ => body.texts(),
                };
                found.ok().and_then(|found| self.texts(text, &found))
            }
        };
        let ends = self.stream.seen().end.clone();
        self.judged(cx);
        match ends {
            // A list has an end of its own.
            Some(rule) if list.is_none() => {
                let message = "the answer was withheld by this gateway's content policy";
                self.withhold(cx, head, ErrorKind::InvalidRequest, message, &rule)
            }
            _ => new.filter(|_| self.enforces()).map(String::into_bytes),
        }
    }

    /// An error in place of an answer that may not get out.
    fn withhold(
        &self,
        cx: &mut Cx<'_>,
        head: &mut ResponseHead<'_>,
        kind: ErrorKind,
        message: &str,
        rule: &str,
    ) -> Option<Vec<u8>> {
        if self.stream.seen().end.is_none() {
            self.audit(cx, "block_answer", &Findings::default(), rule, None);
        }
        if !self.enforces() {
            return None;
        }
        cx.facts.set(cx.host, Fact::Guard, "block_answer");
        let reply =
            ApiError::new(kind, message).code("content_policy_violation").reply(cx.endpoint);
        head.set_status(reply.status);
        head.headers.remove("content-encoding");
        head.headers.set("content-type", "application/json");
        Some(reply.body)
    }

    /// A document with what comes back in these of its texts, or is replaced.
    fn texts(&mut self, text: &str, found: &[Text<'_>]) -> Option<String> {
        let mut out = String::with_capacity(text.len());
        let mut done = 0;
        for part in found {
            let raw = JsonStr::Borrowed(part.raw);
            let nested = part.kind == Kind::Arguments;
            let Some(new) = self.stream.whole(&self.masks, &raw.decode(), nested) else { continue };
            let start = (part.raw.get().as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
            out.push_str(text.get(done..start)?);
            out.push_str(JsonStr::encode(&new).quoted());
            done = start.checked_add(part.raw.get().len())?;
        }
        if done == 0 {
            return None;
        }
        out.push_str(text.get(done..)?);
        Some(out)
    }

    /// A document in each line, of which any string may be language. A line that is none is text.
    fn lines(&mut self, text: &str) -> Option<String> {
        let mut out = String::with_capacity(text.len());
        let mut changed = false;
        for line in text.split_inclusive('\n') {
            let new = match texts::any(line) {
                Ok(found) => self.texts(line, &found),
                Err(_) => self.stream.whole(&self.masks, line, false),
            };
            changed |= new.is_some();
            out.push_str(new.as_deref().unwrap_or(line));
        }
        changed.then_some(out)
    }

    /// Gemini's stream as one list of events.
    fn list(&mut self, cx: &Cx<'_>, events: &[&RawValue]) -> Option<String> {
        let mut out = Vec::new();
        let mut changed = false;
        for event in events {
            self.begun.note(cx.endpoint, None, event.get());
            match self.stream.event(&self.masks, None, event.get()) {
                Some(sent) => {
                    changed = true;
                    out.extend(sent.into_iter().map(|sent| sent.data));
                }
                None => out.push(event.get().to_owned()),
            }
            if self.stream.seen().end.is_some() {
                break;
            }
        }
        let held = self.stream.flush(&self.masks, None);
        changed |= !held.is_empty();
        out.extend(held.into_iter().map(|sent| sent.data));
        let seen = self.stream.seen();
        if seen.end.is_some() {
            changed = true;
            out.extend(self.begun.end(cx.endpoint, seen.said).into_iter().map(|sent| sent.data));
        }
        changed.then(|| format!("[{}]", out.join(",\n")))
    }
}
