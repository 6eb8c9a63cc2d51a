//! A streamed answer, event by event.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use shared::errors::ErrorKind;
use shared::filter::BodyKind;
use shared::follow::Said;
use shared::json::parse;
use shared::protocol::anthropic::{Chunk, Event};
use shared::protocol::openai_chat;

use super::begun::{Begun, no_answer, see};
use super::{Answer, Form};
use crate::config::Protocol;
use crate::pieces;
use crate::provider::Cloud;
use crate::translate::client::{Client, Context, Send, StreamWriter};
use crate::translate::ir::Delta;
use crate::translate::lost;
use crate::translate::provider;

impl Answer {
    /// One event of a stream has come. `send` gets the data of what goes out instead; false if the
    /// event is to go out as it is.
    pub fn event(&mut self, name: Option<&str>, data: &str, send: Send<'_>) -> bool {
        if self.cloud != Cloud::Bedrock || self.kind != BodyKind::AwsEventStream {
            return self.inner_event(name, data, send);
        }
        if name != Some("chunk") {
            self.exception(name, data, send);
        } else if let Some(data) = unwrap(data)
            && !self.inner_event(None, &data, send)
        {
            send(event_type(&data).as_deref(), &data);
        }
        // What is not of the form that is documented nothing can be made of.
        true
    }

    /// What is no event of Anthropic's in Amazon's framing is an exception, as Converse has them, if anything.
    fn exception(&mut self, name: Option<&str>, data: &str, send: Send<'_>) {
        let mut error = None;
        let mut step = |delta| {
            if matches!(delta, Delta::Error { .. }) {
                error = Some(delta);
            }
        };
        let read = provider::stream(Protocol::Bedrock).read(name, data, &mut step);
        let (Ok(()), Some(error)) = (read, error) else { return };
        see(&mut self.begun, &mut self.filtered, &error);
        let open = match &mut self.form {
            Form::Same { unfinished } => std::mem::replace(unfinished, false),
            Form::Translated { reader, .. } => {
                !std::mem::replace(&mut reader.progress().ended, true)
            }
            Form::Document(_) => false,
        };
        match (&mut self.form, self.client) {
            _ if !open => {}
            (Form::Translated { writer, .. }, _) => writer.write(&error, send),
            (_, Some(client)) => client.stream(Context::default()).write(&error, send),
            _ => {}
        }
    }

    fn inner_event(&mut self, name: Option<&str>, data: &str, send: Send<'_>) -> bool {
        match &mut self.form {
            Form::Same { unfinished } => {
                // What has been seen of the one before holds for it as well.
                if self.pieces.passed(data) {
                    return false;
                }
                *unfinished = *unfinished && !provider::is_last(self.protocol, data);
                self.observe(data.into());
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

    /// The comment that ends a stream, see [`lost::comment`]. Once.
    pub fn comment(&mut self) -> Option<String> {
        let Form::Translated { reader, .. } = &mut self.form else { return None };
        if self.lost.is_empty() || !reader.progress().ended {
            return None;
        }
        lost::comment(self.client?, std::mem::take(&mut self.lost))
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

/// A stream that breaks off must not look like one that is complete.
fn broken(writer: &mut dyn StreamWriter, provider: &str, send: Send<'_>) {
    let message = format!("the stream of provider `{provider}` broke off; send the request again");
    let (kind, code) = (ErrorKind::BadGateway, "stream_interrupted".into());
    writer.write(&Delta::Error { kind, code, message }, send);
}
