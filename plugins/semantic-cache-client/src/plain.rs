//! Requests that each API can make, in one form that none of them has.
//!
//! Texts of a conversation that ends with the user's, and settings that all APIs know: what asks for no
//! more than that asks the same whichever API it came by. A request that says anything else, and be it only
//! something that nobody here knows, is of its own API.

use serde_json::value::RawValue;
use shared::json::{Document, Read, Reader, Stop};
use shared::protocol::Endpoint;

use crate::ask::Member;
use crate::canonical::Canonical;

/// What a member of a body is.
#[derive(Clone, Copy, PartialEq)]
enum Is {
    /// A setting, by its place.
    Setting(usize),
    Stop,
    System,
    Turns,
    /// An object with settings.
    Settings,
    /// An object with the end user.
    EndUser,
    /// Whether the provider keeps the answer: it must not.
    Kept,
}

const TEMPERATURE: Is = Is::Setting(0);
const TOP_P: Is = Is::Setting(1);
const MOST: Is = Is::Setting(2);
const USER: Is = Is::Setting(3);

const CHAT: &[(&str, Is)] = &[
    ("messages", Is::Turns),
    ("temperature", TEMPERATURE),
    ("top_p", TOP_P),
    ("max_tokens", MOST),
    ("max_completion_tokens", MOST),
    ("stop", Is::Stop),
    ("user", USER),
];

const RESPONSES: &[(&str, Is)] = &[
    ("input", Is::Turns),
    ("instructions", Is::System),
    ("temperature", TEMPERATURE),
    ("top_p", TOP_P),
    ("max_output_tokens", MOST),
    ("user", USER),
    ("store", Is::Kept),
];

const MESSAGES: &[(&str, Is)] = &[
    ("messages", Is::Turns),
    ("system", Is::System),
    ("temperature", TEMPERATURE),
    ("top_p", TOP_P),
    ("max_tokens", MOST),
    ("stop_sequences", Is::Stop),
    ("metadata", Is::EndUser),
];

const GEMINI: &[(&str, Is)] = &[
    ("contents", Is::Turns),
    ("systemInstruction", Is::System),
    ("system_instruction", Is::System),
    ("generationConfig", Is::Settings),
    ("generation_config", Is::Settings),
];

const GEMINI_SETTINGS: &[(&str, Is)] = &[
    ("temperature", TEMPERATURE),
    ("topP", TOP_P),
    ("top_p", TOP_P),
    ("maxOutputTokens", MOST),
    ("max_output_tokens", MOST),
    ("stopSequences", Is::Stop),
    ("stop_sequences", Is::Stop),
];

/// How a turn is spelt; what an API has no spelling for is not its own.
const CONTENT: u8 = 1;
const PARTS: u8 = 2;
const TEXT: u8 = 4;
const INPUT_TEXT: u8 = 8;
const OUTPUT_TEXT: u8 = 16;
const MESSAGE: u8 = 32;

/// A request in the one form.
#[derive(Debug, Default)]
pub(crate) struct Plain<'a> {
    settings: [Option<&'a str>; 4],
    stop: Option<Vec<&'a str>>,
    system: Option<Turn<'a>>,
    turns: Vec<Turn<'a>>,
}

/// What one says.
#[derive(Debug, Default)]
struct Turn<'a> {
    /// As it is written; empty where it is not.
    role: &'a str,
    /// With their quotes.
    texts: Vec<&'a str>,
    spelling: u8,
}

impl<'a> Plain<'a> {
    /// Reads a body's members, without those that change nothing.
    pub(crate) fn read(
        endpoint: Endpoint,
        body: Document<'a>,
        members: &[&Member<'a>],
    ) -> Option<Plain<'a>> {
        let known = match endpoint {
            Endpoint::OpenAiChat => CHAT,
            Endpoint::OpenAiResponses => RESPONSES,
            Endpoint::AnthropicMessages => MESSAGES,
            Endpoint::Gemini => GEMINI,
            _ => return None,
        };
        let of = |name: &str| known.iter().find(|(known, _)| *known == name).map(|(_, is)| *is);
        // What is not known is seen before anything is read.
        if !members.iter().all(|(name, _)| name == "model" || of(name).is_some()) {
            return None;
        }
        let mut plain = Plain::default();
        for (name, value) in members {
            match of(name) {
                Some(is) => plain.add(endpoint, is, body, value)?,
                // Gemini's is in the path.
                None if endpoint == Endpoint::Gemini => return None,
                None => {}
            }
        }
        (plain.turns.last()?.role == USERS).then_some(plain)
    }

    /// Whether it is to end before some text.
    pub(crate) fn stops(&self) -> bool {
        self.stop.is_some()
    }

    /// Whether it says how words are chosen.
    pub(crate) fn samples(&self) -> bool {
        let [temperature, top_p, ..] = self.settings;
        temperature.or(top_p).is_some()
    }

    fn add(
        &mut self,
        endpoint: Endpoint,
        is: Is,
        body: Document<'a>,
        raw: &'a RawValue,
    ) -> Option<()> {
        let (value, document) = (raw.get(), body.value(raw));
        match is {
            Is::Setting(at) => {
                let expected = if is == USER { value.starts_with('"') } else { number(value) };
                return put(self.settings.get_mut(at)?, value).filter(|()| expected);
            }
            Is::Stop => {
                let Strings(texts) = document.read()?;
                // Of OpenAI's it may be one text.
                let fits = value.starts_with('[') || endpoint == Endpoint::OpenAiChat;
                return put(&mut self.stop, texts).filter(|()| fits);
            }
            Is::Settings => {
                for (name, value) in document.fields().ok()? {
                    let (_, is) = GEMINI_SETTINGS.iter().find(|(known, _)| *known == name)?;
                    self.add(endpoint, *is, body, value)?;
                }
            }
            Is::EndUser => {
                let members = document.fields().ok()?;
                let [(name, user)] = members.as_slice() else { return None };
                return self.add(endpoint, USER, body, user).filter(|()| name == "user_id");
            }
            Is::Kept => return (value == "false").then_some(()),
            Is::System => {
                let turn = match endpoint {
                    Endpoint::Gemini => allowed(endpoint, document.read()?)?,
                    Endpoint::OpenAiResponses if !value.starts_with('"') => return None,
                    _ => {
                        let System(turn) = document.read()?;
                        allowed(endpoint, turn)?
                    }
                };
                return put(&mut self.system, turn);
            }
            Is::Turns if value.starts_with('"') && endpoint == Endpoint::OpenAiResponses => {
                self.turns.push(Turn { role: USERS, texts: vec![value], spelling: 0 });
            }
            Is::Turns => {
                for turn in document.read::<Vec<Turn<'a>>>()? {
                    let turn = allowed(endpoint, turn)?;
                    let role = role(endpoint, turn.role)?;
                    self.turns.push(Turn { role, ..turn });
                }
            }
        }
        Some(())
    }

    /// Writes it.
    pub(crate) fn write(&self, form: &mut Canonical) {
        for (at, setting) in self.settings.iter().enumerate() {
            match setting {
                Some(user) if USER == Is::Setting(at) => form.string(user),
                Some(number) => form.out.extend_from_slice(number.as_bytes()),
                None => {}
            }
            form.out.push(b';');
        }
        if let Some(stop) = &self.stop {
            write(form, "stop", stop);
        }
        if let Some(system) = &self.system {
            write(form, "\"system\"", &system.texts);
        }
        for turn in &self.turns {
            write(form, turn.role, &turn.texts);
        }
    }
}

/// Each text has quotes, and so has an end.
fn write(form: &mut Canonical, role: &str, texts: &[&str]) {
    form.out.extend_from_slice(role.as_bytes());
    form.out.push(b'[');
    texts.iter().for_each(|text| form.string(text));
    form.out.push(b']');
}

/// What is there twice, under two names, has no place in the form.
fn put<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

fn number(value: &str) -> bool {
    value.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

const USERS: &str = "\"user\"";

/// A role as it stands in the form. Instructions of the developer are not those of the system: which APIs
/// make one of the other depends on the model.
fn role(endpoint: Endpoint, written: &str) -> Option<&'static str> {
    let openai = matches!(endpoint, Endpoint::OpenAiChat | Endpoint::OpenAiResponses);
    let gemini = endpoint == Endpoint::Gemini;
    Some(match written {
        USERS => USERS,
        "" if gemini => USERS,
        "\"model\"" if gemini => "\"assistant\"",
        "\"assistant\"" if !gemini => "\"assistant\"",
        "\"system\"" if openai => "\"system\"",
        "\"developer\"" if openai => "\"developer\"",
        _ => return None,
    })
}

/// A turn that is spelt as its API has it and says something.
fn allowed(endpoint: Endpoint, turn: Turn<'_>) -> Option<Turn<'_>> {
    let spellings = match endpoint {
        Endpoint::Gemini => PARTS,
        Endpoint::OpenAiResponses => CONTENT | INPUT_TEXT | OUTPUT_TEXT | MESSAGE,
        _ => CONTENT | TEXT,
    };
    (turn.spelling & !spellings == 0 && !turn.texts.is_empty()).then_some(turn)
}

impl<'a> Read<'a> for Turn<'a> {
    fn read(from: &mut Reader<'a>) -> Result<Turn<'a>, Stop> {
        const KEYS: &[(&str, u8)] = &[("role", 0), ("content", 1), ("parts", 2), ("type", 3)];
        let mut turn = Turn::default();
        let mut rest = Vec::new();
        from.view(KEYS, Some(&mut rest), &mut |reader, field| {
            match field {
                0 => turn.role = string(reader)?,
                3 if string(reader)? == "\"message\"" => turn.spelling |= MESSAGE,
                3 => return Err(Stop),
                field => {
                    // Both of them are not one.
                    if !turn.texts.is_empty() {
                        return Err(Stop);
                    }
                    turn.spelling |= if field == 1 { CONTENT } else { PARTS };
                    texts(&mut turn, reader, field == 1)?;
                }
            }
            Ok(())
        })?;
        if rest.iter().all(|(_, value)| value.get() == "null") { Ok(turn) } else { Err(Stop) }
    }
}

/// A list of parts that are texts and nothing else, each with its type or none; where it has one, a text
/// alone will do.
fn texts<'a>(turn: &mut Turn<'a>, from: &mut Reader<'a>, typed: bool) -> Result<(), Stop> {
    if typed && from.peek() == Some(b'"') {
        turn.texts.push(string(from)?);
        return Ok(());
    }
    from.array(&mut |reader| {
        let Part(text, spelling) = reader.value()?;
        if typed != (spelling != 0) {
            return Err(Stop);
        }
        turn.texts.push(text);
        turn.spelling |= spelling;
        Ok(())
    })
}

/// Instructions: texts without a role.
struct System<'a>(Turn<'a>);

impl<'a> Read<'a> for System<'a> {
    fn read(from: &mut Reader<'a>) -> Result<System<'a>, Stop> {
        let mut turn = Turn::default();
        texts(&mut turn, from, true)?;
        Ok(System(turn))
    }
}

/// A part's text and how it is spelt.
struct Part<'a>(&'a str, u8);

impl<'a> Read<'a> for Part<'a> {
    fn read(from: &mut Reader<'a>) -> Result<Part<'a>, Stop> {
        const KEYS: &[(&str, u8)] = &[("text", 0), ("type", 1)];
        let mut part = Part("", 0);
        let mut rest = Vec::new();
        from.view(KEYS, Some(&mut rest), &mut |reader, field| {
            let value = string(reader)?;
            match (field, value) {
                (0, text) => part.0 = text,
                (_, "\"text\"") => part.1 = TEXT,
                (_, "\"input_text\"") => part.1 = INPUT_TEXT,
                (_, "\"output_text\"") => part.1 = OUTPUT_TEXT,
                _ => return Err(Stop),
            }
            Ok(())
        })?;
        let only = rest.iter().all(|(_, value)| value.get() == "null");
        if only && !part.0.is_empty() { Ok(part) } else { Err(Stop) }
    }
}

/// A string, or a list of them.
struct Strings<'a>(Vec<&'a str>);

impl<'a> Read<'a> for Strings<'a> {
    fn read(from: &mut Reader<'a>) -> Result<Strings<'a>, Stop> {
        let mut texts = Vec::new();
        if from.peek() == Some(b'"') {
            texts.push(string(from)?);
        } else {
            from.array(&mut |reader| {
                texts.push(string(reader)?);
                Ok(())
            })?;
        }
        Ok(Strings(texts))
    }
}

fn string<'a>(from: &mut Reader<'a>) -> Result<&'a str, Stop> {
    Ok(from.raw_if(b"\"", "a string")?.get())
}
