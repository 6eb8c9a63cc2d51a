//! A provider's answer on its way to the client.

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use shared::errors::{ApiError, ErrorKind};
use shared::filter::{BodyKind, Interest, ResponseHead};
use shared::follow::Said;
use shared::host::Host;
use shared::json::parse;
use shared::protocol::anthropic::{Chunk, Event};
use shared::protocol::{Vendor, openai_chat};
use shared::usage::{Report, Usage};

use crate::asked::{Asked, Operation};
use crate::attempt::Attempt;
use crate::config::Protocol;
use crate::document::Document;
use crate::keys::KeyPool;
use crate::objects::answer::Sealing;
use crate::pieces::{self, Pieces};
use crate::provider::{Cloud, Provider};
use crate::service::Compiled;
use crate::translate::client::{Client, Context, Send, StreamWriter};
use crate::translate::count;
use crate::translate::ir::{Choice, Delta, Response, StopReason};
use crate::translate::lost::{self, Lost};
use crate::translate::provider::{self, StreamReader};

/// What came of an attempt.
#[derive(Debug)]
pub struct Answer {
    provider: String,
    model: String,
    /// Of the request.
    dropped: Vec<String>,
    /// Of the answer.
    lost: Lost,
    status: u16,
    kind: BodyKind,
    vendor: Vendor,
    client: Option<Client>,
    protocol: Protocol,
    form: Form,
    report: Report,
    /// Number of the provider's key; none if it was the client's own.
    key: Option<usize>,
    passthrough: bool,
    /// Events stand in events of Amazon's.
    wrapped: bool,
    /// The client has not asked for the token counts and is not to see them.
    hide_usage: bool,
    /// The client wants a JSON array of one answer.
    array: bool,
    headers: Vec<(String, String)>,
    /// What the stream has shown to be so far.
    begun: Begun,
    pieces: Pieces,
    /// Reads the beginning of a stream that passes as it is.
    probe: Option<Box<dyn StreamReader>>,
    /// The model or its filter has refused to answer.
    filtered: bool,
    /// An error goes out as the provider has put it.
    error_passes: bool,
    /// Seals the objects that it names.
    sealing: Option<Sealing>,
    /// Says where its counts stand, and what they are.
    counts: Option<(Rc<Compiled>, Option<Usage>)>,
}

/// What the beginning of a streamed answer has shown it to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Begun {
    /// Nothing yet: greetings and signs of life.
    #[default]
    Waiting,
    /// An answer.
    Content,
    /// The provider gives up before it has said anything.
    Failed {
        /// What went wrong.
        kind: ErrorKind,
        /// The provider's own name of it.
        code: String,
        /// In words.
        message: String,
    },
}

impl Begun {
    /// A step has been read.
    fn see(&mut self, delta: &Delta<'_>) {
        if *self != Begun::Waiting {
            return;
        }
        *self = match delta {
            Delta::Start { .. } | Delta::Lost(_) => return,
            Delta::Text(text) | Delta::Thinking(text) | Delta::ToolArguments(text)
                if text.is_empty() =>
            {
                return;
            }
            Delta::Error { kind, code, message } => {
                Begun::Failed { kind: *kind, code: code.clone(), message: message.clone() }
            }
            _ => Begun::Content,
        };
    }
}

#[derive(Debug)]
enum Form {
    /// The provider speaks the client's protocol.
    Same {
        /// Its stream must come to an end that the protocol knows; false once it has, or if it
        /// need not.
        unfinished: bool,
    },
    /// It speaks another.
    Translated { reader: Box<dyn StreamReader>, writer: Box<dyn StreamWriter>, context: Context },
    /// The same, of what is no chat: one document.
    Document(Document),
}

impl Answer {
    /// The answer that is expected to this attempt.
    pub fn new(
        host: &dyn Host,
        provider: &Provider,
        model: &str,
        asked: &Asked,
        attempt: &Attempt,
        passthrough: bool,
    ) -> Answer {
        let protocol = attempt.wire.protocol;
        let form = match (asked.operation, &attempt.document) {
            (_, Some(document)) => Form::Document(document.clone()),
            (Operation::Chat(client), _) if !attempt.wire.same => {
                let context = Context {
                    model: model.to_owned(),
                    created: host.now_nanos() / 1_000_000_000,
                    id: host.random(),
                    include_usage: asked.include_usage,
                    echo: attempt.echo.clone(),
                    custom_tools: attempt.custom_tools.clone(),
                };
                Form::Translated {
                    reader: provider::stream(protocol),
                    writer: client.stream(context.clone()),
                    context,
                }
            }
            (operation, _) => Form::Same { unfinished: matches!(operation, Operation::Chat(_)) },
        };
        Answer {
            provider: provider.name.clone(),
            model: model.into(),
            dropped: attempt.dropped.clone(),
            lost: Lost::default(),
            status: 0,
            kind: BodyKind::Other,
            vendor: asked.vendor,
            client: asked.client(),
            protocol,
            form,
            report: Report::default(),
            key: attempt.key.filter(|_| !passthrough),
            passthrough,
            wrapped: provider.cloud == Cloud::Bedrock && protocol == Protocol::Anthropic,
            hide_usage: attempt.usage_added,
            array: asked.array,
            headers: provider.response_headers.clone(),
            begun: Begun::default(),
            pieces: Pieces::default(),
            probe: asked.client().map(|_| provider::stream(protocol)),
            filtered: false,
            error_passes: false,
            sealing: None,
            counts: None,
        }
    }

    /// Whether the answer is a streamed chat whose beginning tells whether it is one.
    pub fn can_be_held(&self) -> bool {
        (200..300).contains(&self.status)
            && self.kind.is_stream()
            && self.client.is_some()
            && !self.array
    }

    /// What the stream has shown to be.
    pub fn begun(&self) -> &Begun {
        &self.begun
    }

    /// Whether the model, or its provider's filter, has refused to answer and said nothing else.
    pub fn filtered(&self) -> bool {
        self.filtered
    }

    /// Its status, as the provider gave it.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// With what says where its counts stand.
    pub fn counted(self, service: Option<Rc<Compiled>>) -> Answer {
        Answer { counts: service.map(|service| (service, None)), ..self }
    }

    /// With the names of objects sealed.
    pub fn sealed(self, sealing: Option<Sealing>) -> Answer {
        let sealing = sealing.filter(|_| matches!(self.form, Form::Same { .. }));
        Answer { sealing, ..self }
    }

    /// The head has come: sets what the client is to know, and says what is wanted of the body.
    pub fn head(&mut self, head: &mut ResponseHead<'_>) -> Interest {
        self.kind = head.kind;
        self.status = head.status;
        head.headers.set("x-ai-provider", &self.provider);
        head.headers.set("x-ai-model", &printable(&self.model));
        self.tell_dropped(head);
        for (name, value) in &self.headers {
            head.headers.set(name, value);
        }
        if self.refused_our_key() {
            // The client's key is not what is wrong, and another provider may do.
            head.set_status(502);
        }
        if !(200..300).contains(&self.status) {
            let same = matches!(self.form, Form::Same { .. });
            let readable = self.kind == BodyKind::Json && same;
            if readable && !self.refused_our_key() {
                self.error_passes = true;
                return Interest::Ignore;
            }
            json_headers(head);
            return Interest::Rewrite;
        }
        if let Form::Document(Document::Vectors(pending)) = &mut self.form {
            pending.head(head.headers);
        }
        match (&self.form, self.kind) {
            (Form::Same { .. }, BodyKind::Encoded | BodyKind::Other) => Interest::Ignore,
            (Form::Same { .. }, BodyKind::Json) if !self.array && self.sealing.is_none() => {
                Interest::Observe
            }
            (Form::Same { .. }, BodyKind::EventStream)
                if !self.hide_usage && self.sealing.is_none() =>
            {
                Interest::Observe
            }
            (_, kind) if kind.is_stream() => {
                head.headers.set("content-type", "text/event-stream");
                Interest::Rewrite
            }
            (_, _) => {
                json_headers(head);
                Interest::Rewrite
            }
        }
    }

    /// Names what the client's request, and so far the answer, lost on the way.
    pub fn tell_dropped(&self, head: &mut ResponseHead<'_>) {
        let mut named = String::new();
        let mut names: Vec<&str> = self.dropped.iter().map(String::as_str).collect();
        self.lost.names().for_each(|name| names.push(name));
        for name in names {
            let name = printable(name);
            if named.len() + name.len() > MOST_DROPPED {
                named.push_str(",...");
                break;
            }
            if !named.is_empty() {
                named.push(',');
            }
            named.push_str(&name);
        }
        if !named.is_empty() {
            head.headers.set("x-ai-dropped", &named);
        }
    }

    /// Tells the provider's keys how this one has fared. `rest` is for how many seconds nothing is left
    /// of its limits, as the provider says.
    pub fn tell_keys(
        &self,
        keys: &KeyPool,
        retry_after: Option<&str>,
        rest: Option<u64>,
        now: u64,
    ) {
        if let Some(key) = self.key {
            keys.answered(key, self.status, retry_after, now);
            if let Some(seconds) = rest {
                keys.rest(key, seconds, now);
            }
        }
    }

    /// Number of the provider's key that it was asked with.
    pub fn key(&self) -> Option<usize> {
        self.key
    }

    fn refused_our_key(&self) -> bool {
        matches!(self.status, 401 | 403) && !self.passthrough
    }

    /// The whole body has come; `Some` replaces it.
    pub fn body(&mut self, head: &mut ResponseHead<'_>, body: &[u8]) -> Option<Vec<u8>> {
        if !(200..300).contains(&self.status) {
            return (!self.error_passes).then(|| self.error(head, body));
        }
        let text = std::str::from_utf8(body).unwrap_or_default();
        let translated = match &self.form {
            Form::Same { .. } => {
                self.observe(text);
                if self.client.is_some() && may_be_filtered(text) {
                    let read = provider::read(self.protocol, text);
                    self.filtered = read.is_ok_and(|response| is_filtered(&response));
                }
                if let Some(sealing) = &self.sealing {
                    return sealing.body(text).map(String::into_bytes);
                }
                return self.array.then(|| format!("[{text}]").into_bytes());
            }
            Form::Translated { context, .. } => {
                provider::read(self.protocol, text).map(|response| {
                    self.filtered = is_filtered(&response);
                    let client = self.client.unwrap_or(Client::OpenAiChat);
                    self.lost = lost::answer(client, &response);
                    let text = client.write(&response, context);
                    let text = if self.array { format!("[{text}]") } else { text };
                    (text, response.usage)
                })
            }
            Form::Document(Document::Vectors(pending)) => pending.answer(text),
            // A count of tokens costs none.
            Form::Document(Document::Count(client)) => {
                count::read(text).map(|tokens| (client.write(tokens), None))
            }
        };
        match translated {
            Ok((text, usage)) => {
                self.report.set(usage);
                if !self.lost.is_empty() {
                    self.tell_dropped(head);
                }
                Some(text.into_bytes())
            }
            Err(error) => {
                log::warn!("provider {} sent no readable answer: {error}", self.provider);
                let message = format!("provider `{}` sent no readable answer", self.provider);
                Some(self.fail(head, &ApiError::new(ErrorKind::BadGateway, message)))
            }
        }
    }

    fn error(&self, head: &mut ResponseHead<'_>, body: &[u8]) -> Vec<u8> {
        let name = &self.provider;
        if self.refused_our_key() {
            // Its words may quote the key.
            log::error!("provider {name} refused the configured key (status {})", self.status);
            let message = format!("provider `{name}` refused the gateway's key");
            return self.fail(head, &ApiError::new(ErrorKind::BadGateway, message));
        }
        let text = std::str::from_utf8(body).unwrap_or_default();
        let told = match self.form {
            Form::Translated { .. } | Form::Document(_) => {
                provider::read_error(self.protocol, text)
            }
            Form::Same { .. } => None,
        };
        let kind = ErrorKind::of_status(self.status);
        let error = match told {
            Some((code, message)) => {
                ApiError::new(kind, format!("provider `{name}`: {message}")).code(&code)
            }
            None => {
                let status = self.status;
                ApiError::new(kind, format!("provider `{name}` answered with status {status}"))
            }
        };
        self.fail(head, &error.status(self.status))
    }

    /// One event of a stream has come. `send` gets the data of what goes out instead; false if the
    /// event is to go out as it is.
    pub fn event(&mut self, name: Option<&str>, data: &str, send: Send<'_>) -> bool {
        if self.wrapped && name == Some("chunk") {
            return match unwrap(data) {
                Some(data) => {
                    if !self.inner_event(None, &data, send) {
                        send(event_type(&data).as_deref(), &data);
                    }
                    true
                }
                // Not of the form that is documented; nothing can be made of it.
                None => true,
            };
        }
        self.inner_event(name, data, send)
    }

    fn inner_event(&mut self, name: Option<&str>, data: &str, send: Send<'_>) -> bool {
        match &mut self.form {
            Form::Same { unfinished } => {
                // What has been seen of the one before holds for it as well.
                if self.pieces.passed(data) {
                    return false;
                }
                *unfinished = *unfinished && !provider::is_last(self.protocol, data);
                self.observe(data);
                self.begin(name, data);
                if let Some(data) = self.sealing.as_ref().and_then(|sealing| sealing.event(data)) {
                    send(name, &data);
                    return true;
                }
                if self.hide_usage && only_usage(data) {
                    return true;
                }
                if self.probe.is_none() && self.sealing.is_none() && self.counts.is_none() {
                    self.pieces.passes(data);
                }
                false
            }
            Form::Translated { reader, writer, .. } => {
                if reader.progress().ended {
                    return true;
                }
                let client = self.client.unwrap_or(Client::OpenAiChat);
                let mut said = Said::default();
                let mut pass = |delta| {
                    see(&mut self.begun, &mut self.filtered, &delta);
                    lost::pass(client, &mut self.lost, &delta, writer.as_mut(), send);
                };
                let read = match self.pieces.next(data) {
                    Some(text) => {
                        pass(Delta::Text(text));
                        Ok(())
                    }
                    None => {
                        let read = reader.read(name, data, &mut |delta| {
                            pieces::add(&mut said, &delta);
                            pass(delta);
                        });
                        self.pieces.learn(data, said);
                        read
                    }
                };
                if let Err(error) = read {
                    log::warn!("provider {} sent an unreadable event: {error}", self.provider);
                    reader.progress().ended = true;
                    no_answer(&mut self.begun, &self.provider);
                    broken(writer.as_mut(), &self.provider, send);
                }
                self.report = reader.progress().report;
                true
            }
            // None was asked for.
            Form::Document(_) => true,
        }
    }

    /// Looks into the beginning of a stream that passes as it is.
    fn begin(&mut self, name: Option<&str>, data: &str) {
        if self.begun != Begun::Waiting {
            self.probe = None;
            return;
        }
        let Some(probe) = &mut self.probe else { return };
        let (begun, filtered) = (&mut self.begun, &mut self.filtered);
        if probe.read(name, data, &mut |delta| see(begun, filtered, &delta)).is_err() {
            no_answer(begun, &self.provider);
        }
    }

    /// The stream is over.
    pub fn end(&mut self, send: Send<'_>) {
        let (reader, writer) = match &mut self.form {
            Form::Translated { reader, writer, .. } => (reader, writer),
            Form::Same { unfinished } => {
                if std::mem::replace(unfinished, false)
                    && let Some(client) = self.client
                {
                    log::warn!("provider {} ended its stream too early", self.provider);
                    no_answer(&mut self.begun, &self.provider);
                    let mut writer = client.stream(Context::default());
                    broken(writer.as_mut(), &self.provider, send);
                }
                return;
            }
            Form::Document(_) => return,
        };
        let ended = reader.progress().ended;
        let client = self.client.unwrap_or(Client::OpenAiChat);
        let mut pass = |delta| lost::pass(client, &mut self.lost, &delta, writer.as_mut(), send);
        if !ended && !reader.finish(&mut pass) {
            log::warn!("provider {} ended its stream too early", self.provider);
            reader.progress().ended = true;
            no_answer(&mut self.begun, &self.provider);
            broken(writer.as_mut(), &self.provider, send);
        }
        self.report = reader.progress().report;
    }

    /// Reads the token counts of an answer that passes as it is.
    fn observe(&mut self, text: &str) {
        match &mut self.counts {
            Some((service, usage)) => *usage = service.usage(text).or(*usage),
            None => provider::observe(self.protocol, text, &mut self.report),
        }
    }

    /// The comment that ends a stream, see [`lost::comment`]. Once.
    pub fn comment(&mut self) -> Option<String> {
        let Form::Translated { reader, .. } = &mut self.form else { return None };
        if self.lost.is_empty() || !reader.progress().ended {
            return None;
        }
        lost::comment(self.client?, std::mem::take(&mut self.lost))
    }

    fn fail(&self, head: &mut ResponseHead<'_>, error: &ApiError) -> Vec<u8> {
        if head.status != error.status {
            head.set_status(error.status);
        }
        json_headers(head);
        error.body(self.vendor).into_bytes()
    }

    /// The tokens reported so far.
    pub fn usage(&self) -> Option<Usage> {
        match &self.counts {
            Some((_, usage)) => *usage,
            None => self.report.usage(),
        }
    }

    /// The provider's name.
    pub fn provider(&self) -> &str {
        &self.provider
    }
}

/// Anthropic's event within Amazon's: `{"bytes": "<base64>"}`.
/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_PayloadPart.html>
fn unwrap(data: &str) -> Option<String> {
    let wrapped: Chunk<'_> = parse(data).ok()?;
    let bytes = BASE64.decode(wrapped.bytes?.decode().as_bytes()).ok()?;
    String::from_utf8(bytes).ok()
}

fn event_type(data: &str) -> Option<String> {
    let event: Event<'_> = parse(data).ok()?;
    event.kind.map(|kind| kind.decode().into_owned())
}

/// Whether this is the chunk of a stream that has the token counts and nothing else.
fn only_usage(data: &str) -> bool {
    // Most events have none, and are not looked into.
    data.contains("\"usage\"")
        && parse::<openai_chat::Response<'_>>(data).is_ok_and(|chunk| {
            chunk.usage.is_some() && chunk.choices.is_none_or(|choices| choices.is_empty())
        })
}

/// Longest `x-ai-dropped`, in bytes.
const MOST_DROPPED: usize = 1024;

/// Whether something stands in an answer that stands in each that a filter has kept back. `"refusal":null`,
/// which every answer of OpenAI's has, does not count.
fn may_be_filtered(text: &str) -> bool {
    memchr::memchr_iter(b'"', text.as_bytes()).any(|quote| {
        let string = text.get(quote + 1..).unwrap_or_default();
        match string.as_bytes().first() {
            Some(b'c') => string.starts_with("content_filter"),
            Some(b'S') => string.starts_with("SAFETY"),
            Some(b'b') => string.starts_with("blockReason"),
            Some(b'P') => string.starts_with("PROHIBITED"),
            Some(b'r') => string.strip_prefix("refusal\"").is_some_and(|rest| {
                let value = rest.trim_start().strip_prefix(':').map(str::trim_start);
                !value.is_some_and(|value| value.starts_with("null"))
            }),
            _ => false,
        }
    })
}

fn is_filtered(response: &Response<'_>) -> bool {
    let refused =
        |choice: &Choice<'_>| choice.stop == Some(StopReason::Filter) && choice.parts.is_empty();
    response.choices.iter().all(refused)
}

fn see(begun: &mut Begun, filtered: &mut bool, delta: &Delta<'_>) {
    *filtered |= *begun == Begun::Waiting && matches!(delta, Delta::Stop(StopReason::Filter));
    begun.see(delta);
}

/// The stream was over or unreadable before it had begun.
fn no_answer(begun: &mut Begun, provider: &str) {
    if *begun == Begun::Waiting {
        *begun = Begun::Failed {
            kind: ErrorKind::BadGateway,
            code: "stream_interrupted".into(),
            message: format!("the stream of provider `{provider}` broke off before it began"),
        };
    }
}

/// A stream that breaks off must not look like one that is complete.
fn broken(writer: &mut dyn StreamWriter, provider: &str, send: Send<'_>) {
    let message = format!("the stream of provider `{provider}` broke off; send the request again");
    let (kind, code) = (ErrorKind::BadGateway, "stream_interrupted".into());
    writer.write(&Delta::Error { kind, code, message }, send);
}

fn json_headers(head: &mut ResponseHead<'_>) {
    head.headers.set("content-type", "application/json");
    head.headers.remove("content-encoding");
}

/// A header's value may not have just anything.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() { c } else { '_' }).take(256).collect()
}

#[cfg(test)]
mod tests {
    use super::may_be_filtered;

    #[test]
    fn an_answer_is_read_for_a_refusal_only_if_it_may_have_one() {
        for text in [
            r#"{"choices":[{"message":{"content":null},"finish_reason":"content_filter"}]}"#,
            r#"{"choices":[{"message":{"refusal": "I cannot"}}]}"#,
            r#"{"stop_reason":"refusal"}"#,
            r#"{"candidates":[{"finishReason":"SAFETY"}]}"#,
            r#"{"candidates":[{"finishReason":"PROHIBITED_CONTENT"}]}"#,
            r#"{"promptFeedback":{"blockReason":"OTHER"}}"#,
        ] {
            assert!(may_be_filtered(text), "{text}");
        }
        for text in [
            r#"{"choices":[{"message":{"content":"Safety first","refusal":null}}]}"#,
            r#"{"choices":[{"message":{"content":"hi", "refusal" : null}}]}"#,
            "",
        ] {
            assert!(!may_be_filtered(text), "{text}");
        }
    }
}
