//! Writes a whole answer as a Response object.

use shared::json::JsonStr;
use shared::write::JsonWriter;

use super::names::Names;
use super::object::{Head, Status};
use super::{items, seal};
use crate::translate::client::Context;
use crate::translate::ir::{Arguments, Body, Choice, Part, Response, Source, StopReason};

/// Writes the answer, the first if there are several.
pub fn write(response: &Response<'_>, context: &Context) -> String {
    let choice = response.choices.first();
    let status = status(choice);
    let parts = choice.map(|choice| choice.parts.as_slice()).unwrap_or_default();
    let mut output = Output {
        context,
        names: Names::new(context),
        last: status.of_item(),
        list: String::new(),
        next: 0,
        logprobs: String::new(),
    };
    if let Some(choice) = choice {
        items::logprobs(&mut output.logprobs, &choice.logprobs);
    }
    output.write(parts);
    let mut w = JsonWriter::with_capacity(output.list.len() + context.echo.len() + 512);
    let head = Head::new(response.id.as_ref(), response.model.as_ref(), context);
    head.write(&mut w, status, &output.list, response.usage.as_ref(), context);
    w.finish()
}

/// An answer that is not there was blocked.
fn status(choice: Option<&Choice<'_>>) -> Status<'static> {
    let Some(choice) = choice else { return Status::of(StopReason::Filter, false) };
    let refused = choice.parts.iter().any(|part| matches!(part.body, Body::Refusal(_)));
    Status::of(choice.stop.unwrap_or(StopReason::End), refused)
}

/// The items of an answer in the making.
struct Output<'c> {
    context: &'c Context,
    names: Names,
    /// The status of the last item; those before it are completed.
    last: &'static str,
    list: String,
    next: u32,
    /// Those of the first text.
    logprobs: String,
}

impl Output<'_> {
    /// Texts that follow each other are parts of one message.
    fn write(&mut self, parts: &[Part<'_>]) {
        let mut rest = parts;
        while let [first, others @ ..] = rest {
            let texts = rest.iter().take_while(|part| is_said(&part.body)).count();
            if let Some((said, others)) = rest.split_at_checked(texts.max(1)).filter(|_| texts > 0)
            {
                self.message(said, others.is_empty());
                rest = others;
            } else {
                self.item(&first.body, others.is_empty());
                rest = others;
            }
        }
    }

    fn message(&mut self, parts: &[Part<'_>], last: bool) {
        let mut content = String::new();
        for part in parts {
            let (refusal, text) = match &part.body {
                Body::Text(text) => (false, text),
                Body::Refusal(text) => (true, text),
                _ => continue,
            };
            let logprobs = if refusal { String::new() } else { std::mem::take(&mut self.logprobs) };
            let mut w = JsonWriter::with_capacity(text.escaped().len() + 96);
            items::part(&mut w, refusal, text.escaped(), &logprobs);
            items::add(&mut content, &w.finish());
        }
        let id = self.id("msg");
        let status = self.status(last);
        self.add(|w| items::message(w, &id, status, &content));
    }

    fn item(&mut self, body: &Body<'_>, last: bool) {
        let status = self.status(last);
        match body {
            Body::Thinking { text, signature } => {
                let sealed = signature.as_ref().map(seal::seal);
                let id = self.id("rs");
                self.add(|w| items::reasoning(w, &id, text.escaped(), sealed.as_deref()));
            }
            Body::RedactedThinking(data) => {
                let sealed = seal::seal_redacted(data);
                let id = self.id("rs");
                self.add(|w| items::reasoning(w, &id, "", Some(&sealed)));
            }
            Body::ToolCall { id, name, arguments } => self.call(id, name, arguments, status),
            Body::Image(Source::Base64 { data, .. }) => {
                let id = self.id("ig");
                self.add(|w| items::image(w, &id, "completed", Some(data)));
            }
            // Providers do not say these.
            Body::Text(_)
            | Body::Refusal(_)
            | Body::Image(Source::Url(_))
            | Body::Audio(_)
            | Body::Video(_)
            | Body::Document { .. }
            | Body::ToolResult { .. } => {}
        }
    }

    fn call(
        &mut self,
        call_id: &JsonStr<'_>,
        name: &JsonStr<'_>,
        arguments: &Arguments<'_>,
        status: &str,
    ) {
        let called = name.decode();
        let custom = self.names.of(&called).custom;
        let arguments = match (arguments, custom) {
            (Arguments::Text(text), false) => text.escaped().to_owned(),
            (Arguments::Json(json), false) => JsonStr::encode(json.get()).escaped().to_owned(),
            (Arguments::Text(text), true) => items::custom_input(&text.decode()),
            (Arguments::Json(json), true) => items::custom_input(json.get()),
        };
        let id = self.id(if custom { "ctc" } else { "fc" });
        let mut w = JsonWriter::with_capacity(arguments.len() + 160);
        let name = self.names.of(&called);
        let call_id = call_id.escaped();
        items::call(&mut w, status, &items::Call { id: &id, call_id, name, arguments: &arguments });
        items::add(&mut self.list, &w.finish());
    }

    fn status(&self, last: bool) -> &'static str {
        if last { self.last } else { "completed" }
    }

    fn id(&mut self, prefix: &str) -> String {
        let id = items::id(prefix, self.next, self.context);
        self.next = self.next.saturating_add(1);
        id
    }

    fn add(&mut self, write: impl FnOnce(&mut JsonWriter)) {
        let mut w = JsonWriter::with_capacity(256);
        write(&mut w);
        items::add(&mut self.list, &w.finish());
    }
}

fn is_said(body: &Body<'_>) -> bool {
    matches!(body, Body::Text(_) | Body::Refusal(_))
}
