//! A provider's answer on its way to the client.

use shared::errors::{ApiError, ErrorKind};
use shared::filter::{BodyKind, Interest, ResponseHead};
use shared::host::Host;
use shared::protocol::Vendor;
use shared::usage::{Report, Usage};

use crate::asked::Asked;
use crate::attempt::Attempt;
use crate::config::Protocol;
use crate::gateway::Provider;
use crate::translate::client::{Client, Context, Send, StreamWriter};
use crate::translate::ir::Delta;
use crate::translate::provider::{self, StreamReader};

/// What came of an attempt.
#[derive(Debug)]
pub struct Answer {
    provider: String,
    model: String,
    dropped: Vec<String>,
    status: u16,
    kind: BodyKind,
    client: Client,
    protocol: Protocol,
    form: Form,
    report: Report,
}

#[derive(Debug)]
enum Form {
    /// The provider speaks the client's protocol.
    Same,
    /// It speaks another.
    Translated { reader: Box<dyn StreamReader>, writer: Box<dyn StreamWriter>, context: Context },
}

impl Answer {
    /// The answer that is expected to this attempt.
    pub fn new(
        host: &dyn Host,
        provider: &Provider,
        model: &str,
        asked: &Asked,
        attempt: &Attempt,
    ) -> Answer {
        let client = asked.client;
        let protocol = provider.protocol;
        let form = if protocol.is_that_of(client) {
            Form::Same
        } else {
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
        };
        Answer {
            provider: provider.name.clone(),
            model: model.into(),
            dropped: attempt.dropped.clone(),
            status: 0,
            kind: BodyKind::Other,
            client,
            protocol,
            form,
            report: Report::default(),
        }
    }

    /// The head has come: sets what the client is to know, and says what is wanted of the body.
    pub fn head(&mut self, head: &mut ResponseHead<'_>) -> Interest {
        self.kind = head.kind;
        self.status = head.status;
        head.headers.set("x-ai-provider", &self.provider);
        head.headers.set("x-ai-model", &printable(&self.model));
        if !self.dropped.is_empty() {
            head.headers.set("x-ai-dropped", &printable(&self.dropped.join(",")));
        }
        if self.refused_our_key() {
            // The client's key is not what is wrong, and another provider may do.
            head.set_status(502);
        }
        if !(200..300).contains(&self.status) {
            let readable = self.kind == BodyKind::Json && matches!(self.form, Form::Same);
            if readable && !self.refused_our_key() {
                return Interest::Ignore;
            }
            json_headers(head);
            return Interest::Rewrite;
        }
        match (&self.form, self.kind) {
            (Form::Same, BodyKind::Encoded | BodyKind::Other) => Interest::Ignore,
            (Form::Same, _) => Interest::Observe,
            (Form::Translated { .. }, kind) if kind.is_stream() => {
                head.headers.set("content-type", "text/event-stream");
                Interest::Rewrite
            }
            (Form::Translated { .. }, _) => {
                json_headers(head);
                Interest::Rewrite
            }
        }
    }

    fn refused_our_key(&self) -> bool {
        matches!(self.status, 401 | 403)
    }

    /// The whole body has come; `Some` replaces it.
    pub fn body(&mut self, head: &mut ResponseHead<'_>, body: &[u8]) -> Option<Vec<u8>> {
        if !(200..300).contains(&self.status) {
            return Some(self.error(head, body));
        }
        let text = std::str::from_utf8(body).unwrap_or_default();
        match &self.form {
            Form::Same => {
                self.observe(text);
                None
            }
            Form::Translated { context, .. } => match provider::read(self.protocol, text) {
                Ok(response) => {
                    self.report.set(response.usage);
                    Some(self.client.write(&response, context).into_bytes())
                }
                Err(error) => {
                    log::warn!("provider {} sent no readable answer: {error}", self.provider);
                    let message = format!("provider `{}` sent no readable answer", self.provider);
                    Some(self.fail(head, &ApiError::new(ErrorKind::BadGateway, message)))
                }
            },
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
            Form::Translated { .. } => provider::read_error(self.protocol, text),
            Form::Same => None,
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
        match &mut self.form {
            Form::Same => {
                self.observe(data);
                false
            }
            Form::Translated { reader, writer, .. } => {
                if reader.progress().ended {
                    return true;
                }
                let read = reader.read(name, data, &mut |delta| writer.write(&delta, send));
                if let Err(error) = read {
                    log::warn!("provider {} sent an unreadable event: {error}", self.provider);
                    reader.progress().ended = true;
                    broken(writer.as_mut(), &self.provider, send);
                }
                self.report = reader.progress().report;
                true
            }
        }
    }

    /// The stream is over.
    pub fn end(&mut self, send: Send<'_>) {
        let Form::Translated { reader, writer, .. } = &mut self.form else { return };
        let ended = reader.progress().ended;
        if !ended && !reader.finish(&mut |delta| writer.write(&delta, send)) {
            log::warn!("provider {} ended its stream too early", self.provider);
            reader.progress().ended = true;
            broken(writer.as_mut(), &self.provider, send);
        }
        self.report = reader.progress().report;
    }

    /// Reads the token counts of an answer that passes as it is.
    fn observe(&mut self, text: &str) {
        provider::observe(self.protocol, text, &mut self.report);
    }

    fn fail(&self, head: &mut ResponseHead<'_>, error: &ApiError) -> Vec<u8> {
        if head.status != error.status {
            head.set_status(error.status);
        }
        json_headers(head);
        error.body(self.vendor()).into_bytes()
    }

    fn vendor(&self) -> Vendor {
        self.client.vendor()
    }

    /// The tokens reported so far.
    pub fn usage(&self) -> Option<Usage> {
        self.report.usage()
    }

    /// The provider's name.
    pub fn provider(&self) -> &str {
        &self.provider
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
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() { c } else { '_' }).take(256).collect()
}
