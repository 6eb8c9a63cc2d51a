//! Messages that the gateway adds to requests: those of rules, and templates that clients fill.
//!
//! The client's own messages stay as they stand, to the byte.

use shared::small_map::SmallMap;
use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use shared::config::ConfigError;
use shared::errors::{ApiError, ErrorKind};
use shared::json::{JsonStr, deserialize, fields, parse};
use shared::request::RequestBody;

use crate::routing::config::{Message, Messages, Role, Template};
use crate::translate::client::Client;

/// Most bytes of all values of a template's variables together.
const MOST_VARIABLES: usize = 256 << 10;

/// The member of a request's body that names a template.
const TEMPLATE: &str = "template";

/// Checks templates.
pub fn check(templates: &SmallMap<String, Template>) -> Result<(), ConfigError> {
    for (name, template) in templates {
        let path = format!("templates.{name}");
        if template.messages.is_empty() {
            return Err(ConfigError::new(path, "needs at least one of `messages`"));
        }
        for (index, message) in template.messages.iter().enumerate() {
            if let Err(word) = pieces(&message.content) {
                let message = format!("`{{{{{word}` has no `}}}}`, or is no name");
                let path = format!("{path}.messages[{index}].content");
                return Err(ConfigError::new(path, message));
            }
        }
    }
    Ok(())
}

/// What a client asks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(default, borrow)]
    variables: SmallMap<Cow<'a, str>, Cow<'a, str>>,
}

/// Fills the template that the body names, if it does, and adds a rule's messages around.
pub fn prepare(
    client: Client,
    templates: &SmallMap<String, Template>,
    rule: Option<&Messages>,
    body: &mut RequestBody,
) -> Result<(), ApiError> {
    let text = body.text();
    let names_one = !templates.is_empty() && text.contains("\"template\"");
    if rule.is_none() && !names_one {
        return Ok(());
    }
    // What is wrong with it is told where it is read.
    let Ok(members) = body.document().fields() else { return Ok(()) };
    let wanted = members.iter().find(|(key, _)| key == TEMPLATE).filter(|_| names_one);
    let filled = match wanted {
        Some((_, value)) => Some(fill(templates, value.get())?),
        None => None,
    };
    let mut added = Added::default();
    if let Some(rule) = rule {
        added.first.extend(rule.replace.iter().cloned());
        added.first.extend(rule.prepend.iter().cloned());
        added.last.extend(rule.append.iter().cloned());
        added.gone = rule.replace.iter().map(|message| message.role).collect();
    }
    added.first.extend(filled.unwrap_or_default());
    let changes = added.changes(client, &members)?;
    let new = write(&members, changes, wanted.is_some());
    body.replace(new);
    Ok(())
}

fn bad(path: &str, message: String) -> ApiError {
    ApiError::new(ErrorKind::InvalidRequest, format!("{path}: {message}")).param(path)
}

fn fill(templates: &SmallMap<String, Template>, wanted: &str) -> Result<Vec<Message>, ApiError> {
    let wanted: Wanted<'_> = deserialize(wanted).map_err(|error| {
        let dot = if error.path.is_empty() { "" } else { "." };
        bad(&format!("{TEMPLATE}{dot}{}", error.path), error.message)
    })?;
    let Some(template) = templates.get(wanted.name.as_ref()) else {
        let known: Vec<_> = templates.keys().take(10).map(String::as_str).collect();
        let message = format!("there is no such template; there are {}", known.join(", "));
        return Err(bad("template.name", message));
    };
    let size: usize = wanted.variables.values().map(|value| value.len()).sum();
    if size > MOST_VARIABLES {
        let message = format!("have more than {MOST_VARIABLES} bytes together");
        return Err(bad("template.variables", message));
    }
    let value = |name: &str| {
        let given = wanted.variables.get(name).map(|value| value.as_ref());
        given.or_else(|| template.defaults.get(name).map(String::as_str))
    };
    let mut messages = Vec::with_capacity(template.messages.len());
    for message in &template.messages {
        let mut content = String::new();
        for piece in pieces(&message.content).unwrap_or_default() {
            match piece {
                Piece::Text(text) => content.push_str(text),
                Piece::Variable(name) => match value(name) {
                    Some(value) => content.push_str(value),
                    None => {
                        let path = format!("template.variables.{name}");
                        return Err(bad(&path, "is required".into()));
                    }
                },
            }
        }
        messages.push(Message { role: message.role, content });
    }
    Ok(messages)
}

enum Piece<'t> {
    Text(&'t str),
    Variable(&'t str),
}

/// The pieces of a template; an error names what is left open.
fn pieces(text: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let shown = || after.chars().take(20).collect::<String>();
        let (name, behind) = after.split_once("}}").ok_or_else(shown)?;
        let name = name.trim();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.is_empty() || !name.chars().all(plain) {
            return Err(shown());
        }
        pieces.push(Piece::Text(before));
        pieces.push(Piece::Variable(name));
        rest = behind;
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

/// What comes before and after the client's messages, and which of these go.
#[derive(Default)]
struct Added {
    first: Vec<Message>,
    last: Vec<Message>,
    gone: Vec<Role>,
}

type Members<'a> = [(Cow<'a, str>, &'a RawValue)];

/// Members of the body and their new values.
type Changes = Vec<(&'static str, String)>;

impl Added {
    fn changes(&self, client: Client, members: &Members<'_>) -> Result<Changes, ApiError> {
        let get = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, v)| v.get());
        match client {
            Client::OpenAiChat => {
                let list = self.list("messages", get("messages"), "system", chat_message)?;
                Ok(vec![("messages", list)])
            }
            Client::OpenAiResponses => {
                let input = get("input");
                // A text is one message of the user's.
                let text = input.filter(|input| input.starts_with('"'));
                let wrapped = text.map(|text| format!(r#"[{{"role":"user","content":{text}}}]"#));
                let input = wrapped.as_deref().or(input);
                let list = self.list("input", input, "system", chat_message)?;
                let mut changes = vec![("input", list)];
                // Another place of what the system says.
                if self.gone.contains(&Role::System) && get("instructions").is_some() {
                    changes.push(("instructions", "null".into()));
                }
                Ok(changes)
            }
            Client::Anthropic => {
                let list = self.list("messages", get("messages"), "", chat_message)?;
                let mut changes = vec![("messages", list)];
                let block = |text: &str| format!(r#"{{"type":"text","text":{text}}}"#);
                if let Some(system) = self.system("system", get("system"), block)? {
                    changes.push(("system", format!("[{system}]")));
                }
                Ok(changes)
            }
            Client::Gemini => {
                let list = self.list("contents", get("contents"), "", gemini_message)?;
                let mut changes = vec![("contents", list)];
                let snake = get("system_instruction");
                let name = if snake.is_some() { "system_instruction" } else { "systemInstruction" };
                let given = snake.or_else(|| get("systemInstruction"));
                let parts = given.map(parts_of).transpose()?;
                let block = |text: &str| format!(r#"{{"text":{text}}}"#);
                if let Some(system) = self.system(name, parts.flatten(), block)? {
                    changes.push((name, format!(r#"{{"parts":[{system}]}}"#)));
                }
                Ok(changes)
            }
            // One text without roles.
            Client::OpenAiCompletions => {
                let message = "messages cannot be added to `/completions`; send a chat";
                Err(ApiError::new(ErrorKind::InvalidRequest, message))
            }
        }
    }

    /// The list of messages. `system` is the role that system messages have in it; empty if they stand
    /// elsewhere.
    fn list(
        &self,
        name: &str,
        given: Option<&str>,
        system: &str,
        write: fn(&str, &str) -> String,
    ) -> Result<String, ApiError> {
        let given = given.filter(|given| *given != "null").unwrap_or("[]");
        let list: Vec<&RawValue> = parse(given).map_err(|error| bad(name, error.message))?;
        let in_list = |message: &&Message| message.role != Role::System || !system.is_empty();
        let put = |message: &Message| {
            let role = match message.role {
                Role::System => system,
                Role::User => "user",
                Role::Assistant => "assistant",
            };
            write(role, JsonStr::encode(&message.content).quoted())
        };
        let mut all: Vec<String> = self.first.iter().filter(in_list).map(put).collect();
        for message in list {
            let role = role_of(message.get());
            if !role.is_some_and(|role| self.gone.contains(&role)) {
                all.push(message.get().to_owned());
            }
        }
        all.extend(self.last.iter().filter(in_list).map(put));
        Ok(format!("[{}]", all.join(",")))
    }

    /// The blocks of the system prompt where that stands by itself; none if it does not change.
    fn system(
        &self,
        name: &str,
        given: Option<&str>,
        block: impl Fn(&str) -> String,
    ) -> Result<Option<String>, ApiError> {
        let is_system = |message: &&Message| message.role == Role::System;
        let put = |message: &Message| block(JsonStr::encode(&message.content).quoted());
        let gone = self.gone.contains(&Role::System);
        if !gone && !self.first.iter().chain(&self.last).any(|message| is_system(&message)) {
            return Ok(None);
        }
        let mut blocks: Vec<String> = self.first.iter().filter(is_system).map(put).collect();
        match given.filter(|given| !gone && *given != "null") {
            Some(text) if text.starts_with('"') => blocks.push(block(text)),
            Some(list) => {
                let list: Vec<&RawValue> = parse(list).map_err(|error| bad(name, error.message))?;
                blocks.extend(list.into_iter().map(|block| block.get().to_owned()));
            }
            None => {}
        }
        blocks.extend(self.last.iter().filter(is_system).map(put));
        Ok(Some(blocks.join(",")))
    }
}

fn chat_message(role: &str, text: &str) -> String {
    format!(r#"{{"role":"{role}","content":{text}}}"#)
}

fn gemini_message(role: &str, text: &str) -> String {
    let role = if role == "assistant" { "model" } else { role };
    format!(r#"{{"role":"{role}","parts":[{{"text":{text}}}]}}"#)
}

fn role_of(message: &str) -> Option<Role> {
    let members = fields(message).ok()?;
    let role: JsonStr<'_> = parse(members.iter().find(|(key, _)| key == "role")?.1.get()).ok()?;
    match &*role.decode() {
        "system" | "developer" => Some(Role::System),
        "user" => Some(Role::User),
        "assistant" | "model" => Some(Role::Assistant),
        _ => None,
    }
}

fn parts_of(content: &str) -> Result<Option<&str>, ApiError> {
    if content.starts_with('"') {
        return Ok(Some(content));
    }
    let members = fields(content).map_err(|error| bad("systemInstruction", error.message))?;
    let parts = members.into_iter().find(|(key, _)| key == "parts");
    Ok(parts.map(|(_, value)| {
        let value: &RawValue = value;
        value.get()
    }))
}

/// The body with its changes; the template's name goes.
fn write(members: &Members<'_>, changes: Changes, template: bool) -> String {
    let mut out = Vec::with_capacity(members.len() + 1);
    for (key, value) in members {
        if template && key == TEMPLATE {
            continue;
        }
        let changed = changes.iter().find(|(name, _)| key == name);
        let value = changed.map_or(value.get(), |(_, new)| new.as_str());
        out.push(format!("{}:{value}", JsonStr::encode(key).quoted()));
    }
    for (name, value) in &changes {
        if !members.iter().any(|(key, _)| key == name) {
            out.push(format!("\"{name}\":{value}"));
        }
    }
    format!("{{{}}}", out.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(client: Client, rule: &str, body: &str) -> Result<String, String> {
        let templates: SmallMap<String, Template> = shared::config::document(
            r#"{"translate":{"messages":[{"role":"system","content":"Translate to {{ to }}."},
                {"role":"user","content":"{{text}}"}],"defaults":{"to":"English"}}}"#,
        )
        .unwrap();
        let rule: Option<Messages> =
            (!rule.is_empty()).then(|| shared::config::document(rule).unwrap());
        let mut body = RequestBody::new(body.as_bytes().to_vec()).unwrap();
        prepare(client, &templates, rule.as_ref(), &mut body)
            .map(|()| body.text().to_owned())
            .map_err(|error| error.message)
    }

    const AROUND: &str = r#"{"prepend":[{"role":"system","content":"Be \"kind\"."}],
        "append":[{"role":"user","content":"Thanks"}]}"#;

    #[test]
    fn messages_are_put_around_in_each_clients_form() {
        for (client, body, out) in [
            (
                Client::OpenAiChat,
                r#"{"model":"m","messages":[{"role":"user","content":"hi","x":1.50}],"n":1}"#,
                r#"{"model":"m","messages":[{"role":"system","content":"Be \"kind\"."},{"role":"user","content":"hi","x":1.50},{"role":"user","content":"Thanks"}],"n":1}"#,
            ),
            (
                Client::Anthropic,
                r#"{"system":"old","messages":[]}"#,
                r#"{"system":[{"type":"text","text":"Be \"kind\"."},{"type":"text","text":"old"}],"messages":[{"role":"user","content":"Thanks"}]}"#,
            ),
            (
                Client::OpenAiResponses,
                r#"{"input":"hi"}"#,
                r#"{"input":[{"role":"system","content":"Be \"kind\"."},{"role":"user","content":"hi"},{"role":"user","content":"Thanks"}]}"#,
            ),
            (
                Client::Gemini,
                r#"{"contents":[{"parts":[{"text":"hi"}]}]}"#,
                r#"{"contents":[{"parts":[{"text":"hi"}]},{"role":"user","parts":[{"text":"Thanks"}]}],"systemInstruction":{"parts":[{"text":"Be \"kind\"."}]}}"#,
            ),
        ] {
            assert_eq!(prepared(client, AROUND, body).unwrap(), out, "{client:?}");
        }
    }

    #[test]
    fn what_is_replaced_is_gone() {
        let rule = r#"{"replace":[{"role":"system","content":"ours"}]}"#;
        let chat =
            r#"{"messages":[{"role":"developer","content":"x"},{"role":"user","content":"y"}]}"#;
        assert_eq!(
            prepared(Client::OpenAiChat, rule, chat).unwrap(),
            r#"{"messages":[{"role":"system","content":"ours"},{"role":"user","content":"y"}]}"#
        );
        let anthropic = r#"{"system":[{"type":"text","text":"x"}],"messages":[]}"#;
        assert_eq!(
            prepared(Client::Anthropic, rule, anthropic).unwrap(),
            r#"{"system":[{"type":"text","text":"ours"}],"messages":[]}"#
        );
    }

    #[test]
    fn what_is_replaced_is_gone_wherever_and_however_it_is_written() {
        let rule = r#"{"replace":[{"role":"system","content":"ours"}]}"#;
        assert_eq!(
            prepared(Client::OpenAiResponses, rule, r#"{"instructions":"theirs","input":"hi"}"#)
                .unwrap(),
            r#"{"instructions":null,"input":[{"role":"system","content":"ours"},{"role":"user","content":"hi"}]}"#
        );
        let escaped = r#"{"messages":[{"role":"s\u0079stem","content":"theirs"}]}"#;
        assert_eq!(
            prepared(Client::OpenAiChat, rule, escaped).unwrap(),
            r#"{"messages":[{"role":"system","content":"ours"}]}"#
        );
    }

    #[test]
    fn a_template_is_filled_and_its_name_is_gone() {
        let body = r#"{"model":"m","template":{"name":"translate","variables":{"text":"a \"b\" {{to}}"}}}"#;
        assert_eq!(
            prepared(Client::OpenAiChat, "", body).unwrap(),
            r#"{"model":"m","messages":[{"role":"system","content":"Translate to English."},{"role":"user","content":"a \"b\" {{to}}"}]}"#
        );
        for (body, message) in [
            (r#"{"template":{"name":"x"}}"#, "template.name: there is no such template"),
            (r#"{"template":{"name":"translate"}}"#, "template.variables.text: is required"),
            (r#"{"template":{"name":"translate","vars":1}}"#, "template"),
        ] {
            let error = prepared(Client::OpenAiChat, "", body).unwrap_err();
            assert!(error.starts_with(message), "{error}");
        }
        let without = r#"{"messages":[{"role":"user","content":"the \"template\""}]}"#;
        assert_eq!(prepared(Client::OpenAiChat, "", without).unwrap(), without);
    }

    #[test]
    fn a_template_that_is_left_open_is_refused() {
        let templates = r#"{"t":{"messages":[{"role":"user","content":"{{a"}]}}"#;
        let error = check(&shared::config::document(templates).unwrap()).unwrap_err();
        assert!(error.to_string().starts_with("templates.t.messages[0].content: "), "{error}");
    }
}
