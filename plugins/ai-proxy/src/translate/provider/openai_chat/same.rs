//! A Chat Completions request as another server of that protocol takes it. Clients write them for OpenAI, or for the
//! server that a conversation began with; each refuses something else. What need not change stays as it
//! stands, to the byte, and what is not known here passes.

mod messages;

use std::borrow::Cow;

use serde_json::value::RawValue;
use shared::json::{self, Document, JsonStr};
use shared::write::JsonWriter;

use super::request::{one_answer, write_parameters};
use crate::overrides::{Edit, Overrides};
use crate::presets::{Quirks, Switch};
use crate::translate::client::Client;
use crate::translate::ir::Unsupported;
use crate::translate::provider::{Options, openai_model};

/// What changes in a request.
#[derive(Debug, Default)]
pub struct Fit {
    /// Of its members.
    pub members: Overrides,
    /// Within its messages.
    pub edits: Vec<Edit>,
    /// What is left out, under the client's names.
    pub dropped: Vec<String>,
}

type Members<'a> = [(Cow<'a, str>, &'a RawValue)];

/// Fits a request. `renamed`: the client has not named the model itself. Of OpenAI's own models only those that it has
/// not are fitted to: who names one gets what OpenAI says to that.
#[inline(never)]
pub fn fit(
    document: Document<'_>,
    options: &Options<'_>,
    renamed: bool,
) -> Result<Fit, Unsupported> {
    let mut fit = Fit::default();
    let particular = || openai_model::is_particular(options.model);
    if options.quirks.are_openais() && !(renamed && particular()) {
        return Ok(fit);
    }
    let Ok(members) = document.fields() else { return Ok(fit) };
    if particular() || members.iter().any(|(name, _)| !is_taken(name, &options.quirks)) {
        fit.parameters(&members, options)?;
    }
    let messages = members.iter().find(|(name, _)| name == "messages");
    if let Some((_, messages)) = messages
        && messages::may_change(messages.get(), &options.quirks)
    {
        let messages = document.value(messages);
        messages::fit(messages, document.text(), &options.quirks, &mut fit);
    }
    Ok(fit)
}

/// Whether a server takes a member whatever it says, as far as it is quick to see.
fn is_taken(name: &str, quirks: &Quirks) -> bool {
    match name {
        "model" | "messages" | "stream" | "tools" | "top_p" => true,
        "max_tokens" => !quirks.max_completion_tokens,
        "temperature" => !quirks.temperature_to_one && !quirks.no_zero_temperature,
        _ => false,
    }
}

/// The names of the longest answer, as it was and as it is for OpenAI.
const MAX_TOKENS: [&str; 2] = ["max_tokens", "max_completion_tokens"];

impl Fit {
    /// Everything but the messages. What a translation to this server writes differently than one to a server that
    /// takes all is changed, so that there is one list of what a server takes.
    fn parameters(
        &mut self,
        members: &Members<'_>,
        options: &Options<'_>,
    ) -> Result<(), Unsupported> {
        let text = without_messages(members);
        let (Ok(mut plain), Ok(mut fitted)) =
            (Client::OpenAiChat.read(&text), Client::OpenAiChat.read(&text))
        else {
            // Its server says what is wrong with it.
            return Ok(());
        };
        one_answer(&fitted, &options.quirks)?;
        self.max_tokens(members, &options.quirks);
        let any = Options { quirks: Quirks::NONE, model: "", ..*options };
        let write = |request: &mut _, options| {
            let mut w = JsonWriter::with_capacity(256);
            w.open('{');
            write_parameters(&mut w, request, options);
            w.close('}');
            w.finish()
        };
        let (before, after) = (write(&mut plain, &any), write(&mut fitted, options));
        let before = json::fields(&before).unwrap_or_default();
        let after = json::fields(&after).unwrap_or_default();
        let find = |name: &str| after.iter().find(|(other, _)| other == name).map(|it| it.1);
        for (name, value) in &before {
            match find(name) {
                Some(other) if other.get() == value.get() => {}
                Some(other) => self.set(name, other),
                None => self.members.remove.push(name.to_string()),
            }
        }
        for (name, value) in &after {
            if !before.iter().any(|(other, _)| other == name)
                && let Ok(value) = json::tree(value.get())
            {
                // What the client has said in the server's own words holds.
                self.members.default.insert(name.to_string(), value);
            }
        }
        for (name, value) in members {
            if find(name).is_some() || !is_refused(name, &options.quirks) {
                continue;
            }
            self.members.remove.push(name.to_string());
            // What a translation leaves out has its name there.
            if UNREAD.contains(&&**name) && says(value.get()) {
                self.dropped.push(name.to_string());
            }
        }
        let left_out = fitted.unsupported.iter().filter(|f| !plain.unsupported.contains(f));
        self.dropped.extend(left_out.map(|field| Client::OpenAiChat.name_of(*field).to_owned()));
        Ok(())
    }

    fn set(&mut self, name: &str, value: &RawValue) {
        if let Ok(value) = json::tree(value.get()) {
            self.members.set.insert(name.to_owned(), value);
        }
    }

    /// Gives the longest answer the name that the server knows.
    fn max_tokens(&mut self, members: &Members<'_>, quirks: &Quirks) {
        let [old, new] =
            MAX_TOKENS.map(|name| members.iter().find(|(other, _)| other == name).map(|it| it.1));
        let value = new.filter(|new| new.get() != "null").or(old);
        let [keep, gone] = match quirks.max_completion_tokens {
            true => [MAX_TOKENS[1], MAX_TOKENS[0]],
            false => MAX_TOKENS,
        };
        let is_there = if quirks.max_completion_tokens { old } else { new };
        if let (Some(value), Some(_)) = (value, is_there) {
            self.members.remove.push(gone.to_owned());
            self.set(keep, value);
        }
    }
}

/// Members that a translation to a server of this protocol passes on as they are, or not at all.
const UNREAD: [&str; 6] = [
    "service_tier",
    "prompt_cache_retention",
    "prompt_cache_options",
    "logit_bias",
    "modalities",
    "web_search_options",
];

/// Whether a server refuses a member whatever it says.
fn is_refused(name: &str, quirks: &Quirks) -> bool {
    match name {
        "top_k" => quirks.no_top_k,
        "seed" => quirks.no_seed || quirks.random_seed,
        "frequency_penalty" | "presence_penalty" => quirks.no_penalties,
        "logprobs" | "top_logprobs" => quirks.no_logprobs,
        "reasoning_effort" => quirks.no_reasoning_effort && quirks.thinking == Switch::None,
        "parallel_tool_calls" => quirks.no_parallel_tool_calls,
        "n" => quirks.no_n,
        "stream_options" => quirks.no_stream_options,
        "user" | "safety_identifier" | "store" | "metadata" | "prompt_cache_key" | "verbosity" => {
            quirks.no_notes
        }
        "service_tier" | "prompt_cache_retention" | "prompt_cache_options" => quirks.no_notes,
        "logit_bias" | "modalities" | "web_search_options" => quirks.strict,
        _ => false,
    }
}

/// Whether a value says more than that there is none.
fn says(value: &str) -> bool {
    !matches!(value, "null" | "\"\"" | "false" | "[]" | "{}")
}

/// A request with the same parameters, of which a message and a function say no more than that there are some.
fn without_messages(members: &Members<'_>) -> String {
    let mut text = String::from(r#"{"messages":[{"role":"user","content":"."}]"#);
    for (name, value) in members {
        let value = match &**name {
            "messages" => continue,
            "tools" if !says(value.get()) => continue,
            "tools" => r#"[{"type":"function","function":{"name":"f"}}]"#,
            _ => value.get(),
        };
        text.push(',');
        text.push_str(JsonStr::encode(name).quoted());
        text.push(':');
        text.push_str(value);
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests;
