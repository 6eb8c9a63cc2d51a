//! A provider's answer on its way to the client.

use std::rc::Rc;

use shared::answer::AnswerBody;
use shared::errors::{ApiError, ErrorKind};
use shared::filter::{BodyKind, Interest, ResponseHead};
use shared::host::Host;
use shared::json;
use shared::pick;
use shared::protocol::Vendor;
use shared::usage::{Report, Usage};

use crate::asked::{Asked, Operation};
use crate::attempt::Attempt;
use crate::config::Protocol;
use crate::document::Document;
use crate::keys::KeyPool;
use crate::objects::answer::Sealing;
use crate::pieces::Pieces;
use crate::provider::{Cloud, Provider};
use crate::routing::failure;
use crate::service::Compiled;
use crate::translate::client::{Client, Context, StreamWriter};
use crate::translate::count;
use crate::translate::lost::{self, Lost};
use crate::translate::provider::{self, StreamReader};

mod begun;
mod filtered;
mod stream;

pub use begun::Begun;
use filtered::{is_filtered, may_be_filtered};

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
    /// The cloud that Anthropic's models run on, if that is another's: its errors are in its own form, and on
    /// Amazon's events stand in events of Amazon's.
    cloud: Cloud,
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
            cloud: match protocol {
                Protocol::Anthropic => provider.cloud,
                _ => Cloud::Own,
            },
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

    /// Whether this whole body says that the model, or its provider's filter, has refused, and nothing else.
    pub fn says_nothing(&self, text: &str) -> bool {
        self.client.is_some()
            && may_be_filtered(text)
            && provider::read(self.protocol, text).is_ok_and(|response| is_filtered(&response))
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

    /// The form that it has before it is made the client's: its protocol if that is another, `sealed` if
    /// only names in it are changed.
    pub fn form_before(&self) -> Option<&'static str> {
        match self.form {
            Form::Same { .. } => self.sealing.is_some().then_some("sealed"),
            Form::Translated { .. } | Form::Document(_) => Some(self.protocol.name()),
        }
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
            let same = matches!(self.form, Form::Same { .. }) && self.cloud == Cloud::Own;
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
    pub fn body(&mut self, head: &mut ResponseHead<'_>, body: &AnswerBody<'_>) -> Option<Vec<u8>> {
        let text = body.text().unwrap_or_default();
        if !(200..300).contains(&self.status) {
            let passes = self.error_passes || self.is_in_the_clients_form(text);
            return (!passes).then(|| self.error(head, text));
        }
        let translated = match &self.form {
            Form::Same { .. } => {
                // Each of a service's counts is looked up by itself.
                self.observe(match &self.counts {
                    Some(_) => body.document(),
                    None => body.document_in_one_go(),
                });
                self.filtered = self.says_nothing(text);
                if let Some(sealing) = &self.sealing {
                    return sealing.body(text).map(String::into_bytes);
                }
                return self.array.then(|| format!("[{text}]").into_bytes());
            }
            Form::Translated { context, .. } => {
                provider::read(self.protocol, body.document_in_one_go()).map(|response| {
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

    fn error(&self, head: &mut ResponseHead<'_>, text: &str) -> Vec<u8> {
        let name = &self.provider;
        if self.refused_our_key() {
            // Its words may quote the key.
            log::error!("provider {name} refused the configured key (status {})", self.status);
            let message = format!("provider `{name}` refused the gateway's key");
            return self.fail(head, &ApiError::new(ErrorKind::BadGateway, message));
        }
        let told = match (&self.form, self.cloud) {
            (Form::Same { .. }, Cloud::Own) => None,
            (_, cloud) => provider::read_error(self.protocol, text).or_else(|| match cloud {
                Cloud::Own => None,
                Cloud::Vertex => provider::read_error(Protocol::Gemini, text),
                Cloud::Bedrock => provider::read_error(Protocol::Bedrock, text),
            }),
        };
        let kind = ErrorKind::of_status(self.status);
        let error = match told {
            Some((code, message)) => {
                let class = failure::of_error(self.status, &format!("{code} {message}"));
                ApiError::new(kind, format!("provider `{name}`: {message}"))
                    .code(failure::code_of(class, &code))
            }
            None => {
                let status = self.status;
                ApiError::new(kind, format!("provider `{name}` answered with status {status}"))
            }
        };
        self.fail(head, &error.status(self.status))
    }

    /// Whether an error that comes through another's cloud is Anthropic's own, for a client of Anthropic's.
    fn is_in_the_clients_form(&self, text: &str) -> bool {
        matches!(self.form, Form::Same { .. })
            && self.cloud != Cloud::Own
            && !self.refused_our_key()
            && pick::at(text, &["type"]).is_some_and(|kind| kind.get() == "\"error\"")
    }

    /// Reads the token counts of an answer that passes as it is.
    fn observe(&mut self, said: json::Document<'_>) {
        match &mut self.counts {
            Some((service, usage)) => *usage = service.usage(said).or(*usage),
            None => provider::observe(self.protocol, said, &mut self.report),
        }
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

/// Longest `x-ai-dropped`, in bytes.
const MOST_DROPPED: usize = 1024;

fn json_headers(head: &mut ResponseHead<'_>) {
    head.headers.set("content-type", "application/json");
    head.headers.remove("content-encoding");
}

/// Longest name in a header, in characters.
const MOST_PRINTED: usize = 256;

/// A header's value may not have just anything.
pub fn printable(text: &str) -> String {
    if text.len() <= MOST_PRINTED && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return text.to_owned();
    }
    text.chars().map(|c| if c.is_ascii_graphic() { c } else { '_' }).take(MOST_PRINTED).collect()
}
