//! Writes a Converse request; ConverseStream's is the same. The model stands in the path.

use shared::small_map::SmallMap;
use std::borrow::Cow;

use serde_json::value::RawValue;
use shared::json::JsonStr;
use shared::write::JsonWriter;

use super::content::{Blocks, cache_point, is_blank, messages, string};
use super::family::Family;
use super::tools;
use crate::translate::ir::{Body, Effort, Field, Format, Part, Request, Unsupported};
use crate::translate::provider::Options;
use crate::translate::provider::anthropic::{self, Generation};

/// Most entries of `requestMetadata`, and the most characters of a key or a value.
const MAX_METADATA: usize = 16;
const MAX_METADATA_TEXT: usize = 256;

/// Writes the request. Names what has no place in it in `request.unsupported`.
pub fn write(request: &mut Request<'_>, options: &Options<'_>) -> Result<String, Unsupported> {
    check(request)?;
    let family = Family::of(options.model);
    let thought = Thought::of(request, family, options);
    let mut w = JsonWriter::with_capacity(1024);
    let dropped = {
        let messages = messages(request, family)?;
        let mut blocks = Blocks::new(family);
        w.open('{');
        w.key("messages");
        w.open('[');
        messages.iter().try_for_each(|message| blocks.message(&mut w, message))?;
        w.close(']');
        write_system(&mut w, &request.system, family);
        tools::write(&mut w, request, &messages, family)
    };
    request.unsupported.extend(dropped);
    write_inference(&mut w, request, family, thought, options.default_max_tokens);
    write_additional(&mut w, request, family, thought);
    write_format(&mut w, request);
    if !write_metadata(&mut w, request.metadata) {
        request.unsupported.push(Field::Metadata);
    }
    w.close('}');
    Ok(w.finish())
}

fn check(request: &mut Request<'_>) -> Result<(), Unsupported> {
    if request.n.is_some_and(|n| n != 1) {
        return Err(Unsupported("more than one answer to a request (`n`, `candidateCount`)"));
    }
    for (given, field) in [
        (request.frequency_penalty.is_some(), Field::FrequencyPenalty),
        (request.presence_penalty.is_some(), Field::PresencePenalty),
        (request.seed.is_some(), Field::Seed),
        (request.logprobs.is_some(), Field::Logprobs),
        (request.verbosity.is_some(), Field::Verbosity),
        (request.user.is_some(), Field::User),
    ] {
        if given {
            request.unsupported.push(field);
        }
    }
    Ok(())
}

/// How the model is told to think, which each family has its own words for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thought {
    /// As it does by itself.
    Default,
    /// Claude: as Anthropic itself is told.
    /// <https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html>
    Claude(anthropic::Thought, Generation),
    /// Nova: so hard.
    /// <https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html>
    Nova(&'static str),
    /// OpenAI's: so hard.
    /// <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-openai.html>
    OpenAi(&'static str),
}

impl Thought {
    fn of(request: &mut Request<'_>, family: Family, options: &Options<'_>) -> Thought {
        if family == Family::Claude {
            let generation = Generation::of(options.model);
            generation.leave_sampling_out(request);
            let thought = anthropic::Thought::of(request, generation, options.default_max_tokens);
            return Thought::Claude(thought, generation);
        }
        let Some(effort) = request.thinking.effort() else { return Thought::Default };
        match (family, effort) {
            // Where Nova may think much, its answer may not be limited.
            (Family::Nova2, Effort::High | Effort::ExtraHigh) if request.max_tokens.is_none() => {
                Thought::Nova("high")
            }
            (Family::Nova2, Effort::Low) => Thought::Nova("low"),
            (Family::Nova2, Effort::Medium | Effort::High | Effort::ExtraHigh) => {
                Thought::Nova("medium")
            }
            (Family::OpenAi, Effort::None | Effort::Minimal | Effort::Low) => {
                Thought::OpenAi("low")
            }
            (Family::OpenAi, Effort::Medium) => Thought::OpenAi("medium"),
            (Family::OpenAi, Effort::High | Effort::ExtraHigh) => Thought::OpenAi("high"),
            (_, Effort::None | Effort::Minimal) => Thought::Default,
            _ => {
                request.unsupported.push(Field::Thinking);
                Thought::Default
            }
        }
    }
}

fn write_system(w: &mut JsonWriter, parts: &[Part<'_>], family: Family) {
    let texts = parts.iter().filter_map(|part| match &part.body {
        Body::Text(text) if !is_blank(text) => Some((text, part.cache_control)),
        _ => None,
    });
    let mut texts = texts.peekable();
    if texts.peek().is_none() {
        return;
    }
    w.key("system");
    w.open('[');
    for (text, mark) in texts {
        w.open('{');
        string(w, "text", text);
        w.close('}');
        cache_point(w, family, mark);
    }
    w.close(']');
}

fn write_inference(
    w: &mut JsonWriter,
    request: &mut Request<'_>,
    family: Family,
    thought: Thought,
    default_max_tokens: u64,
) {
    let mut members = Vec::new();
    let max_tokens = request.max_tokens.or(match thought {
        // Must be more than what is thought.
        Thought::Claude(anthropic::Thought::Budget(budget), _) => {
            Some(default_max_tokens.saturating_add(budget))
        }
        _ => None,
    });
    if let Some(max) = max_tokens {
        members.push(format!(r#""maxTokens":{max}"#));
    }
    // A thinking Claude's must be left alone, and so must that of a Nova which thinks much.
    let fixed = match thought {
        Thought::Claude(thought, _) => thought.is_on(),
        thought => thought == Thought::Nova("high"),
    };
    if let Some(temperature) = request.temperature {
        if fixed || !(0.0..=1.0).contains(&temperature) {
            request.unsupported.push(Field::Temperature);
        }
        if !fixed {
            members.push(format!(r#""temperature":{}"#, temperature.clamp(0.0, 1.0)));
        }
    }
    if let Some(top_p) = request.top_p {
        // Claude takes a little of it.
        if fixed && (family != Family::Claude || top_p < 0.95) {
            request.unsupported.push(Field::TopP);
        } else {
            members.push(format!(r#""topP":{top_p}"#));
        }
    }
    // Claude refuses white space, Bedrock what is empty.
    let legal = |stop: &&JsonStr<'_>| match family {
        Family::Claude => !is_blank(stop),
        _ => !stop.is_empty(),
    };
    let stops: Vec<_> = request.stop.iter().filter(legal).map(JsonStr::quoted).collect();
    if stops.len() < request.stop.len() {
        request.unsupported.push(Field::Stop);
    }
    if !stops.is_empty() {
        members.push(format!(r#""stopSequences":[{}]"#, stops.join(",")));
    }
    write_object(w, "inferenceConfig", &members);
}

/// What is not common to all models. Bedrock hands it to the model as it is.
fn write_additional(
    w: &mut JsonWriter,
    request: &mut Request<'_>,
    family: Family,
    thought: Thought,
) {
    let mut members = Vec::new();
    match thought {
        Thought::Default => {}
        Thought::Claude(thought, generation) => {
            members.extend(thought.json(generation).map(|json| format!(r#""thinking":{json}"#)));
            let effort = thought.effort();
            let config = effort.map(|e| format!(r#""output_config":{{"effort":"{e}"}}"#));
            members.extend(config);
            if !request.betas.is_empty() {
                let names = request.betas.join("\",\"");
                members.push(format!(r#""anthropic_beta":["{names}"]"#));
            }
        }
        Thought::Nova(effort) => members.push(format!(
            r#""reasoningConfig":{{"type":"enabled","maxReasoningEffort":"{effort}"}}"#
        )),
        Thought::OpenAi(effort) => members.push(format!(r#""reasoning_effort":"{effort}""#)),
    }
    if let Some(top_k) = request.top_k {
        let thinks = matches!(thought, Thought::Claude(thought, _) if thought.is_on());
        match family {
            Family::Claude if !thinks => {
                members.push(format!(r#""top_k":{top_k}"#));
            }
            Family::Nova | Family::Nova2 if thought != Thought::Nova("high") => {
                members.push(format!(r#""inferenceConfig":{{"topK":{top_k}}}"#));
            }
            _ => request.unsupported.push(Field::TopK),
        }
    }
    write_object(w, "additionalModelRequestFields", &members);
}

fn write_object(w: &mut JsonWriter, key: &str, members: &[String]) {
    if members.is_empty() {
        return;
    }
    w.key(key);
    w.open('{');
    members.iter().for_each(|member| w.raw(member));
    w.close('}');
}

/// The schema goes as a string.
/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_JsonSchemaDefinition.html>
fn write_format(w: &mut JsonWriter, request: &mut Request<'_>) {
    match &request.format {
        None => {}
        // The prompt must ask for JSON as well, so the answer is most often what was wanted.
        Some(Format::Json) => request.unsupported.push(Field::Format),
        Some(Format::Schema { name, description, schema, .. }) => {
            w.key("outputConfig");
            w.raw(r#"{"textFormat":{"type":"json_schema","structure":{"jsonSchema":{"schema":"#);
            w.raw_tail(JsonStr::encode(schema.get()).quoted());
            if let Some(name) = name {
                string(w, "name", name);
            }
            if let Some(description) = description {
                string(w, "description", description);
            }
            w.raw_tail("}}}}");
        }
    }
}

/// The client's notes, by which the provider's logs can be filtered. What Bedrock would refuse is
/// left out, and false.
fn write_metadata(w: &mut JsonWriter, metadata: Option<&RawValue>) -> bool {
    let Some(metadata) = metadata else { return true };
    let notes = serde_json::from_str::<SmallMap<Cow<'_, str>, &RawValue>>(metadata.get());
    let legal = |text: &str| {
        text.chars().count() <= MAX_METADATA_TEXT
            && text.chars().all(|c| c.is_ascii_alphanumeric() || " \t\n\r:_@$#=/+,-.".contains(c))
    };
    let notes = notes.unwrap_or_default();
    let given = notes.iter().count();
    let notes: Vec<_> = notes
        .into_iter()
        .filter_map(|(key, value)| Some((key, serde_json::from_str::<String>(value.get()).ok()?)))
        .filter(|(key, value)| !key.is_empty() && legal(key) && legal(value))
        .take(MAX_METADATA)
        .collect();
    let whole = notes.len() == given;
    if notes.is_empty() {
        return whole;
    }
    w.key("requestMetadata");
    w.open('{');
    for (key, value) in notes {
        w.raw(JsonStr::encode(&key).quoted());
        w.raw_tail(":");
        w.text(&value);
    }
    w.close('}');
    whole
}
