//! A provider's answer on its way to the client.

use shared::errors::{ApiError, ErrorKind};
use shared::filter::{BodyKind, Interest, ResponseHead};
use shared::json::parse;
use shared::protocol::{Vendor, anthropic, openai_chat};
use shared::usage::{Report, Usage};

use crate::asked::Asked;
use crate::config::Protocol;
use crate::translate::client::{Client, Send, StreamWriter};
use crate::translate::ir::Delta;
use crate::translate::provider::{self, StreamReader};

/// What came of an attempt.
#[derive(Debug)]
pub struct Answer {
    provider: String,
    model: String,
    created: u64,
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
    Translated { reader: StreamReader, writer: StreamWriter },
}

impl Answer {
    /// An answer that is expected of this provider; `now` in seconds since the Unix epoch.
    pub fn new(
        provider: &str,
        protocol: Protocol,
        model: &str,
        asked: &Asked,
        dropped: Vec<String>,
        now: u64,
    ) -> Answer {
        let client = asked.client;
        let form = if protocol.is_that_of(client) {
            Form::Same
        } else {
            Form::Translated {
                reader: StreamReader::new(protocol),
                writer: client.stream(model, now, asked.include_usage),
            }
        };
        Answer {
            provider: provider.into(),
            model: model.into(),
            created: now,
            dropped,
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
            (Form::Same, BodyKind::Json | BodyKind::EventStream) => Interest::Observe,
            (Form::Same, _) => Interest::Ignore,
            (Form::Translated { .. }, BodyKind::EventStream) => Interest::Rewrite,
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
            Form::Translated { .. } => match provider::read(self.protocol, text) {
                Ok(response) => {
                    self.report.set(response.usage);
                    let body = self.client.write(&response, &self.model, self.created);
                    Some(body.into_bytes())
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
    pub fn event(&mut self, data: &str, send: Send<'_>) -> bool {
        match &mut self.form {
            Form::Same => {
                self.observe(data);
                false
            }
            Form::Translated { reader, writer } => {
                if reader.ended() {
                    return true;
                }
                let read = reader.read(data, &mut |delta| writer.write(&delta, send));
                if let Err(error) = read {
                    log::warn!("provider {} sent an unreadable event: {error}", self.provider);
                    reader.stop();
                    broken(writer, &self.provider, send);
                }
                self.report = *reader.report();
                true
            }
        }
    }

    /// The stream is over.
    pub fn end(&mut self, send: Send<'_>) {
        let Form::Translated { reader, writer } = &mut self.form else { return };
        if !reader.ended() && !reader.finish(&mut |delta| writer.write(&delta, send)) {
            log::warn!("provider {} ended its stream too early", self.provider);
            reader.stop();
            broken(writer, &self.provider, send);
        }
        self.report = *reader.report();
    }

    /// Reads the token counts of an answer that passes as it is.
    fn observe(&mut self, text: &str) {
        // Most events have none, and are not looked into.
        if !text.contains("\"usage\"") {
            return;
        }
        match self.protocol {
            Protocol::Openai => {
                if let Ok(openai_chat::Response { usage: Some(usage), .. }) = parse(text) {
                    self.report.openai_chat(&usage);
                }
            }
            Protocol::Anthropic => {
                let Ok(anthropic::Event { message, usage, .. }) = parse(text) else { return };
                let started = message.and_then(|message| message.usage);
                [started, usage].iter().flatten().for_each(|usage| self.report.anthropic(usage));
            }
        }
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
fn broken(writer: &mut StreamWriter, provider: &str, send: Send<'_>) {
    let message = format!("the stream of provider `{provider}` broke off; send the request again");
    writer.write(&Delta::Error { kind: "server_error".into(), message }, send);
}

fn json_headers(head: &mut ResponseHead<'_>) {
    head.headers.set("content-type", "application/json");
    head.headers.remove("content-encoding");
}

/// A header's value may not have just anything.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() { c } else { '_' }).take(256).collect()
}
