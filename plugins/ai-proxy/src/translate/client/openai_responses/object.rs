//! Writes the Response object, <https://platform.openai.com/docs/api-reference/responses/object>.

use shared::errors::ErrorKind;
use shared::json::JsonStr;
use shared::usage::Usage;
use shared::write::JsonWriter;

use crate::translate::client::Context;
use crate::translate::ir::StopReason;

/// What an answer is called and who gave it.
#[derive(Debug)]
pub(super) struct Head {
    /// Its name, between quotes.
    id: String,
    /// The model, with quotes.
    model: String,
}

/// How far an answer has come.
#[derive(Clone, Copy, Debug)]
pub(super) enum Status<'s> {
    /// It is being made.
    InProgress,
    /// It is whole.
    Completed,
    /// It was cut short, and why.
    Incomplete(&'static str),
    /// There is none.
    Failed { code: &'s str, message: &'s str },
}

impl Status<'_> {
    /// That of an answer that ended in this way. A refusal is an answer like any other.
    pub(super) fn of(stop: StopReason, refused: bool) -> Status<'static> {
        match stop {
            StopReason::Length => Status::Incomplete("max_output_tokens"),
            StopReason::Filter if !refused => Status::Incomplete("content_filter"),
            _ => Status::Completed,
        }
    }

    /// That of the last item of such an answer.
    pub(super) fn of_item(self) -> &'static str {
        match self {
            Status::InProgress => "in_progress",
            Status::Completed => "completed",
            Status::Incomplete(_) | Status::Failed { .. } => "incomplete",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Status::InProgress => "in_progress",
            Status::Completed => "completed",
            Status::Incomplete(_) => "incomplete",
            Status::Failed { .. } => "failed",
        }
    }
}

impl Head {
    /// The head of an answer with the provider's names for itself and the model.
    pub(super) fn new(
        id: Option<&JsonStr<'_>>,
        model: Option<&JsonStr<'_>>,
        context: &Context,
    ) -> Head {
        let id = match id.map(JsonStr::escaped) {
            Some(own) if own.starts_with("resp_") => own.to_owned(),
            Some(other) => ["resp_", other].concat(),
            None => format!("resp_{:016x}", context.id),
        };
        let model = match model {
            Some(model) => model.quoted().to_owned(),
            None => JsonStr::encode(&context.model).quoted().to_owned(),
        };
        Head { id, model }
    }

    /// Writes the object. `output` is a list of items without its brackets.
    pub(super) fn write(
        &self,
        w: &mut JsonWriter,
        status: Status<'_>,
        output: &str,
        usage: Option<&Usage>,
        context: &Context,
    ) {
        w.open('{');
        w.field("id", &self.id);
        w.field("object", "response");
        w.key("created_at");
        w.value(context.created);
        w.field("status", status.name());
        w.key("error");
        match status {
            Status::Failed { code, message } => {
                w.open('{');
                w.field("code", code);
                w.key("message");
                w.text(message);
                w.close('}');
            }
            _ => w.raw("null"),
        }
        w.key("incomplete_details");
        match status {
            Status::Incomplete(reason) => {
                w.open('{');
                w.field("reason", reason);
                w.close('}');
            }
            _ => w.raw("null"),
        }
        w.key("model");
        w.raw(&self.model);
        w.key("output");
        w.open('[');
        w.raw_tail(output);
        w.close(']');
        // SDKs demand some of what an answer repeats.
        w.raw(if context.echo.is_empty() { DEFAULT_ECHO } else { &context.echo });
        w.key("usage");
        match usage {
            Some(usage) => write_usage(w, usage),
            None => w.raw("null"),
        }
        w.close('}');
    }
}

/// The least that an answer repeats of its request.
const DEFAULT_ECHO: &str = r#""parallel_tool_calls":true,"tool_choice":"auto","tools":[]"#;

fn write_usage(w: &mut JsonWriter, usage: &Usage) {
    let all = [
        ("{\"input_tokens\":", usage.prompt_tokens),
        (",\"input_tokens_details\":{\"cached_tokens\":", usage.cached_tokens),
        (",\"cache_write_tokens\":", usage.cache_creation_tokens),
        ("},\"output_tokens\":", usage.completion_tokens),
        (",\"output_tokens_details\":{\"reasoning_tokens\":", usage.reasoning_tokens),
        ("},\"total_tokens\":", usage.total_tokens()),
    ];
    for (before, count) in all {
        w.raw_tail(before);
        w.raw_tail(&count.to_string());
    }
    w.close('}');
}

/// The codes that the reference names and another provider's error can have. SDKs know no others but
/// the last two, which Codex acts on.
const CODES: [&str; 5] = [
    "server_error",
    "rate_limit_exceeded",
    "invalid_prompt",
    "context_length_exceeded",
    "insufficient_quota",
];

/// The code of an error, in the words of Responses.
pub(super) fn error_code(kind: ErrorKind, code: &str) -> &'static str {
    let known = CODES.iter().find(|known| **known == code);
    match (known, kind) {
        (Some(known), _) => known,
        (None, ErrorKind::RateLimit) => "rate_limit_exceeded",
        (None, ErrorKind::InvalidRequest | ErrorKind::TooLarge) => "invalid_prompt",
        (None, _) => "server_error",
    }
}
