//! Writes a Chat Completions request.

use shared::json::JsonStr;
use shared::write::JsonWriter;

use super::thinking::write_thinking;
use crate::presets::{Quirks, Switch};
use crate::routing::order::hash;
use crate::translate::ir::{
    Arguments, Body, Effort, Field, Format, Part, Request, Role, Source, Thinking, Tool,
    ToolChoice, Turn, Unsupported,
};
use crate::translate::provider::{Options, openai_model};

/// OpenAI's own limit of `stop`.
const MAX_STOPS: usize = 4;

/// OpenAI's own limit of a call's name, in characters.
const MAX_CALL_ID: usize = 40;

/// As good as 0, for servers that refuse that.
const COLDEST: f64 = 0.01;

/// Writes the request. A stream is always asked for its token counts. Names what has no place in it in
/// `request.unsupported`.
pub fn write(request: &mut Request<'_>, options: &Options<'_>) -> Result<String, Unsupported> {
    check(request, &options.quirks)?;
    if options.quirks.no_n && request.n.is_some_and(|n| n != 1) {
        return Err(Unsupported("more than one answer to a request (`n`, `candidateCount`)"));
    }
    let mut w = JsonWriter::with_capacity(1024);
    w.open('{');
    w.key("model");
    let model = options.model;
    w.text(model);
    w.key("messages");
    w.open('[');
    write_system(&mut w, &request.system);
    let mut messages = Messages { quirks: &options.quirks, after_results: false };
    request.turns.iter().for_each(|turn| messages.write_turn(&mut w, turn));
    w.close(']');
    if let Some(max) = request.max_tokens {
        // Newer models of OpenAI refuse the older name, other servers may not know the newer one.
        let new = options.quirks.max_completion_tokens;
        w.key(if new { "max_completion_tokens" } else { "max_tokens" });
        w.value(max);
    }
    leave_out(request, &options.quirks);
    // OpenAI itself, by what only it demands.
    if options.quirks.max_completion_tokens && !request.tools.is_empty() && cannot_think(model) {
        think_not(request);
    }
    openai_model::fit(request, model, options.quirks.are_openais());
    write_tools(&mut w, request);
    write_sampling(&mut w, request, &options.quirks);
    write_thinking(&mut w, request.thinking.effort(), &options.quirks);
    write_format(&mut w, request.format.as_ref());
    write_notes(&mut w, request, &options.quirks);
    if request.stream {
        w.key("stream");
        w.raw("true");
        if !options.quirks.no_stream_options {
            w.key("stream_options");
            w.raw(r#"{"include_usage":true}"#);
        }
    }
    w.close('}');
    Ok(w.finish())
}

fn check(request: &Request<'_>, quirks: &Quirks) -> Result<(), Unsupported> {
    let several = request.n.is_some_and(|n| n != 1);
    if several && request.stream {
        return Err(Unsupported("a stream of more than one answer"));
    }
    let parts = request.turns.iter().flat_map(|turn| &turn.parts);
    for part in parts {
        match &part.body {
            Body::Audio(source) if audio(source).is_none() => {
                return Err(Unsupported("audio other than WAV or MP3, sent inline,"));
            }
            // OpenAI itself, by what only it demands, takes them in Responses only; other servers
            // take addresses.
            Body::Document { source: Source::Url(_), .. } if quirks.max_completion_tokens => {
                return Err(Unsupported("documents by URL"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether OpenAI's model refuses to think where there are functions, which from GPT-5.4 on only its
/// Responses API allows. From GPT-5.6 on it must even be told not to.
/// <https://github.com/openai/openai-openapi/issues/541>
fn cannot_think(model: &str) -> bool {
    let Some((_, version)) = model.split_once("gpt-") else { return false };
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(5)), Some(Ok(minor))) => (4..100).contains(&minor),
        (Some(Ok(major)), _) => (6..100).contains(&major),
        _ => false,
    }
}

fn think_not(request: &mut Request<'_>) {
    if !matches!(request.thinking.effort(), None | Some(Effort::None)) {
        request.unsupported.push(Field::Thinking);
    }
    request.thinking = Thinking { effort: Some(Effort::None), ..Thinking::default() };
}

/// What this server has nothing for.
fn leave_out(request: &mut Request<'_>, quirks: &Quirks) {
    let mut out = |given: bool, field: Field| {
        if given {
            request.unsupported.push(field);
        }
        given
    };
    if out(quirks.no_top_k && request.top_k.is_some(), Field::TopK) {
        request.top_k = None;
    }
    if out(quirks.no_seed && request.seed.is_some(), Field::Seed) {
        request.seed = None;
    }
    if out(quirks.no_penalties && request.frequency_penalty.is_some(), Field::FrequencyPenalty) {
        request.frequency_penalty = None;
    }
    if out(quirks.no_penalties && request.presence_penalty.is_some(), Field::PresencePenalty) {
        request.presence_penalty = None;
    }
    if out(quirks.no_logprobs && request.logprobs.is_some(), Field::Logprobs) {
        request.logprobs = None;
    }
    let effort = request.thinking.effort().is_some();
    let unswitched = quirks.no_reasoning_effort && quirks.thinking == Switch::None;
    if out(unswitched && effort, Field::Thinking) {
        request.thinking = Thinking::default();
    }
    let above = request.temperature.is_some_and(|temperature| temperature > 1.0);
    if out(quirks.temperature_to_one && above, Field::Temperature) {
        request.temperature = Some(1.0);
    }
    if quirks.no_zero_temperature && request.temperature == Some(0.0) {
        request.temperature = Some(COLDEST);
    }
    if out(quirks.one_stop && request.stop.len() > 1, Field::Stop) {
        request.stop.truncate(1);
    }
    // One call at a time is a wish; several are what most servers do anyway.
    if quirks.no_parallel_tool_calls && request.parallel_tool_calls.take() == Some(false) {
        request.unsupported.push(Field::ParallelToolCalls);
    }
    let forced = matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
    if quirks.no_forced_tool && forced {
        request.unsupported.push(Field::ToolChoice);
        request.tool_choice = None;
    }
    if quirks.no_json_schema && matches!(request.format, Some(Format::Schema { .. })) {
        // The nearest that there is; the schema itself must then stand in the prompt.
        request.unsupported.push(Field::Format);
        request.format = Some(Format::Json);
    }
    if quirks.no_notes {
        for (given, field) in [
            (request.user.is_some(), Field::User),
            (request.cache_key.is_some(), Field::CacheKey),
            (request.store == Some(true), Field::Store),
            (request.metadata.is_some(), Field::Metadata),
            (request.verbosity.is_some(), Field::Verbosity),
        ] {
            if given {
                request.unsupported.push(field);
            }
        }
        (request.user, request.cache_key, request.store, request.metadata) =
            (None, None, None, None);
        request.verbosity = None;
        let turns = request.turns.iter_mut().flat_map(|turn| &mut turn.parts);
        for part in request.system.iter_mut().chain(turns) {
            if part.breakpoint.take().is_some() && !request.unsupported.contains(&Field::Breakpoint)
            {
                request.unsupported.push(Field::Breakpoint);
            }
        }
    }
}

/// The format's name and the data.
fn audio<'s>(source: &'s Source<'_>) -> Option<(&'static str, &'s str)> {
    match source {
        Source::Base64 { media_type: "audio/wav" | "audio/x-wav" | "audio/wave", data } => {
            Some(("wav", data))
        }
        Source::Base64 { media_type: "audio/mp3" | "audio/mpeg", data } => Some(("mp3", data)),
        _ => None,
    }
}

fn write_system(w: &mut JsonWriter, parts: &[Part<'_>]) {
    if parts.is_empty() {
        return;
    }
    w.open('{');
    w.field("role", "system");
    write_content(w, parts.iter().collect::<Vec<_>>().as_slice());
    w.close('}');
}

/// The messages as they are written.
struct Messages<'q> {
    quirks: &'q Quirks,
    /// The last one is the result of a call.
    after_results: bool,
}

impl Messages<'_> {
    fn write_turn(&mut self, w: &mut JsonWriter, turn: &Turn<'_>) {
        match turn.role {
            Role::Assistant => self.write_assistant(w, &turn.parts),
            Role::User => self.write_user(w, &turn.parts),
            Role::System => write_system(w, &turn.parts),
        }
    }

    /// Results are messages of their own, which must follow the calls at once; what else the user says
    /// comes after them, pictures among the results included, which a result has no place for.
    fn write_user(&mut self, w: &mut JsonWriter, parts: &[Part<'_>]) {
        let mut said: Vec<&Part<'_>> = Vec::new();
        for part in parts {
            let Body::ToolResult { id, parts, is_error } = &part.body else {
                said.push(part);
                continue;
            };
            let (texts, others): (Vec<_>, Vec<_>) =
                parts.iter().partition(|part| matches!(part.body, Body::Text(_)));
            w.open('{');
            w.field("role", "tool");
            self.write_id(w, "tool_call_id", id);
            match (texts.as_slice(), is_error) {
                ([], true) => w.field("content", "error"),
                ([], false) => w.field("content", ""),
                (texts, _) => write_content(w, texts),
            }
            w.close('}');
            self.after_results = true;
            said.extend(others);
        }
        if !said.is_empty() {
            if self.quirks.strict_calls && self.after_results {
                w.raw(r#"{"role":"assistant","content":"OK"}"#);
            }
            w.open('{');
            w.field("role", "user");
            write_content(w, &said);
            w.close('}');
            self.after_results = false;
        }
    }

    fn write_assistant(&mut self, w: &mut JsonWriter, parts: &[Part<'_>]) {
        let said = |part: &&Part<'_>| matches!(part.body, Body::Text(_) | Body::Refusal(_));
        let texts: Vec<_> = parts.iter().filter(said).collect();
        let calls = || parts.iter().filter(|part| matches!(part.body, Body::ToolCall { .. }));
        // Thoughts alone say nothing to another provider.
        if texts.is_empty() && calls().next().is_none() {
            return;
        }
        self.after_results = false;
        w.open('{');
        w.field("role", "assistant");
        if self.quirks.wants_thoughts {
            write_thoughts(w, parts, calls().next().is_some());
        }
        if texts.is_empty() {
            w.key("content");
            w.raw("null");
        } else {
            write_content(w, &texts);
        }
        if calls().next().is_some() {
            w.key("tool_calls");
            w.open('[');
            calls().for_each(|call| self.write_call(w, &call.body));
            w.close(']');
        }
        w.close('}');
    }

    fn write_call(&self, w: &mut JsonWriter, call: &Body<'_>) {
        let Body::ToolCall { id, name, arguments } = call else { return };
        w.open('{');
        self.write_id(w, "id", id);
        w.field("type", "function");
        w.key("function");
        w.open('{');
        string(w, "name", name);
        w.key("arguments");
        match arguments {
            Arguments::Text(text) => w.string(text),
            Arguments::Json(json) => w.text(json.get()),
        }
        w.close('}');
        w.close('}');
    }

    /// A call's name. Other providers' names, which stand in a conversation that has failed over, and those
    /// that the gateway gives become a hash where they are not taken, so that a call and its result
    /// still have the same. Those that are too long for OpenAI end with a hash of the whole.
    fn write_id(&self, w: &mut JsonWriter, key: &str, id: &JsonStr<'_>) {
        if id.escaped().len() > MAX_CALL_ID && self.quirks.are_openais() {
            let name = id.decode();
            let head: String = name.chars().take(MAX_CALL_ID - 17).collect();
            w.key(key);
            return w.text(&format!("{head}_{:016x}", hash(name.as_bytes())));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric();
        if !self.quirks.strict_calls || (id.escaped().len() == 9 && id.escaped().bytes().all(plain))
        {
            return string(w, key, id);
        }
        w.key(key);
        w.text(&format!("{:09x}", hash(id.decode().as_bytes()) >> 28));
    }
}

/// What was thought; of calls even if that is not known any more.
fn write_thoughts(w: &mut JsonWriter, parts: &[Part<'_>], calls: bool) {
    let thoughts = parts.iter().filter_map(|part| match &part.body {
        Body::Thinking { text, .. } => Some(text.decode()),
        _ => None,
    });
    let thoughts: Vec<_> = thoughts.collect();
    if calls || !thoughts.is_empty() {
        w.key("reasoning_content");
        w.text(&thoughts.join("\n\n"));
    }
}

fn write_content(w: &mut JsonWriter, parts: &[&Part<'_>]) {
    w.key("content");
    if let [Part { body: Body::Text(text), breakpoint: None, .. }] = parts {
        return w.string(text);
    }
    w.open('[');
    for part in parts {
        write_part(w, part);
    }
    w.close(']');
}

fn write_part(w: &mut JsonWriter, part: &Part<'_>) {
    match &part.body {
        Body::Text(text) => {
            w.open('{');
            w.field("type", "text");
            string(w, "text", text);
            write_breakpoint(w, part);
            w.close('}');
        }
        Body::Image(source) => {
            w.open('{');
            w.field("type", "image_url");
            w.key("image_url");
            w.open('{');
            w.key("url");
            write_url(w, source);
            match &part.detail {
                // The nearest that there is here.
                Some(detail) if *detail == *"original" => w.field("detail", "high"),
                Some(detail) => string(w, "detail", detail),
                None => {}
            }
            w.close('}');
            write_breakpoint(w, part);
            w.close('}');
        }
        Body::Document { source, title } => {
            w.open('{');
            w.field("type", "file");
            w.key("file");
            w.open('{');
            match title {
                Some(title) => string(w, "filename", title),
                None => w.field("filename", "document.pdf"),
            }
            w.key("file_data");
            write_url(w, source);
            w.close('}');
            write_breakpoint(w, part);
            w.close('}');
        }
        Body::Audio(source) => {
            let Some((format, data)) = audio(source) else { return };
            w.open('{');
            w.field("type", "input_audio");
            w.key("input_audio");
            w.open('{');
            w.field("data", data);
            w.field("format", format);
            w.raw_tail("}}");
        }
        // Not OpenAI's own; vLLM, Qwen and others take it.
        Body::Video(source) => {
            w.open('{');
            w.field("type", "video_url");
            w.key("video_url");
            w.open('{');
            w.key("url");
            write_url(w, source);
            w.raw_tail("}}");
        }
        Body::Refusal(text) => {
            w.open('{');
            w.field("type", "refusal");
            string(w, "refusal", text);
            w.close('}');
        }
        // Each has its own place, or none with another provider.
        Body::ToolCall { .. }
        | Body::ToolResult { .. }
        | Body::Thinking { .. }
        | Body::RedactedThinking(_) => {}
    }
}

/// A mark for OpenAI's prompt cache, where there is one.
pub(in crate::translate::provider) fn write_breakpoint(w: &mut JsonWriter, part: &Part<'_>) {
    if let Some(breakpoint) = part.breakpoint {
        w.key("prompt_cache_breakpoint");
        w.raw(breakpoint.get());
    }
}

fn write_url(w: &mut JsonWriter, source: &Source<'_>) {
    match source {
        Source::Base64 { media_type, data } => {
            w.escaped(&["data:", media_type, ";base64,", data].concat());
        }
        Source::Url(url) => w.string(url),
    }
}

fn write_tools(w: &mut JsonWriter, request: &Request<'_>) {
    if request.tools.is_empty() {
        return;
    }
    w.key("tools");
    w.open('[');
    request.tools.iter().for_each(|tool| write_tool(w, tool));
    w.close(']');
    if let Some(choice) = &request.tool_choice {
        w.key("tool_choice");
        match choice {
            ToolChoice::Auto => w.raw("\"auto\""),
            ToolChoice::None => w.raw("\"none\""),
            ToolChoice::Required => w.raw("\"required\""),
            ToolChoice::Named(name) => {
                w.open('{');
                w.field("type", "function");
                w.key("function");
                w.open('{');
                string(w, "name", name);
                w.close('}');
                w.close('}');
            }
        }
    }
    if let Some(parallel) = request.parallel_tool_calls {
        w.key("parallel_tool_calls");
        w.value(parallel);
    }
}

fn write_tool(w: &mut JsonWriter, tool: &Tool<'_>) {
    w.open('{');
    w.field("type", "function");
    w.key("function");
    w.open('{');
    string(w, "name", &tool.name);
    if let Some(description) = &tool.description {
        string(w, "description", description);
    }
    w.key("parameters");
    w.raw(&tool.object_schema());
    if let Some(strict) = tool.strict {
        w.key("strict");
        w.value(strict);
    }
    w.close('}');
    w.close('}');
}

fn write_sampling(w: &mut JsonWriter, request: &mut Request<'_>, quirks: &Quirks) {
    if let Some(temperature) = request.temperature {
        w.key("temperature");
        w.value(temperature);
    }
    if let Some(top_p) = request.top_p {
        w.key("top_p");
        w.value(top_p);
    }
    for (key, value) in [
        ("frequency_penalty", request.frequency_penalty),
        ("presence_penalty", request.presence_penalty),
    ] {
        if let Some(value) = value {
            w.key(key);
            w.value(value);
        }
    }
    if let Some(seed) = request.seed {
        w.key(if quirks.random_seed { "random_seed" } else { "seed" });
        w.value(seed);
    }
    if let Some(n) = request.n.filter(|n| *n != 1) {
        w.key("n");
        w.value(n);
    }
    if let Some(top) = request.logprobs {
        w.key("logprobs");
        w.raw("true");
        w.key("top_logprobs");
        w.value(top);
    }
    if let Some(top_k) = request.top_k {
        w.key("top_k");
        w.value(top_k);
    }
    if request.stop.len() > MAX_STOPS {
        request.unsupported.push(Field::Stop);
    }
    if !request.stop.is_empty() {
        w.key("stop");
        w.open('[');
        request.stop.iter().take(MAX_STOPS).for_each(|stop| w.string(stop));
        w.close(']');
    }
    if let Some(verbosity) = &request.verbosity {
        string(w, "verbosity", verbosity);
    }
}

fn write_format(w: &mut JsonWriter, format: Option<&Format<'_>>) {
    match format {
        None => {}
        Some(Format::Json) => {
            w.key("response_format");
            w.raw(r#"{"type":"json_object"}"#);
        }
        Some(Format::Schema { name, description, schema, strict }) => {
            w.key("response_format");
            w.raw(r#"{"type":"json_schema","json_schema":{"name":"#);
            w.string(name.as_ref().unwrap_or(&JsonStr::encode("answer")));
            if let Some(description) = description {
                string(w, "description", description);
            }
            // Left out it is false, which takes schemas of any form.
            if let Some(strict) = *strict {
                w.key("strict");
                w.value(strict);
            }
            w.key("schema");
            w.raw(schema.get());
            w.raw_tail("}}");
        }
    }
}

fn write_notes(w: &mut JsonWriter, request: &Request<'_>, quirks: &Quirks) {
    if let Some(user) = &request.user {
        string(w, "user", user);
    }
    if let Some(key) = &request.cache_key {
        string(w, "prompt_cache_key", key);
    }
    if let Some(store) = request.store {
        w.key("store");
        w.value(store);
    }
    if let Some(metadata) = request.metadata {
        w.key("metadata");
        w.raw(metadata.get());
    }
    for (key, value) in request.openai.iter().filter(|_| !quirks.no_notes) {
        w.key(key);
        w.raw(value.get());
    }
}

fn string(w: &mut JsonWriter, key: &str, value: &JsonStr<'_>) {
    w.key(key);
    w.string(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presets;
    use crate::provider::Cloud;
    use crate::translate::client::Client;

    #[test]
    fn openais_newest_models_call_functions_without_thinking() {
        let tool = r#"{"name":"f","input_schema":{"type":"object"}}"#;
        let quirks = presets::find("openai").unwrap().quirks;
        for (model, tools, effort, written, left_out) in [
            ("gpt-5.6", tool, "high", Some("none"), true),
            ("gpt-5.6-terra", "", "high", Some("high"), false),
            ("ft:gpt-5.4-mini-2026-03-05:x", tool, "high", Some("none"), true),
            ("gpt-6", tool, "high", Some("none"), true),
            ("gpt-5.1", tool, "high", Some("high"), false),
            ("gpt-5-2025-08-07", tool, "high", Some("high"), false),
            ("gpt-4.1", tool, "high", Some("high"), false),
            ("o4-mini", tool, "high", Some("high"), false),
        ] {
            let text = format!(
                r#"{{"max_tokens":9,"messages":[{{"role":"user","content":"a"}}],
                "tools":[{tools}],"output_config":{{"effort":"{effort}"}}}}"#
            );
            let mut request = Client::Anthropic.read(&text).unwrap();
            let options = Options { model, default_max_tokens: 9, quirks, cloud: Cloud::Own };
            let body = write(&mut request, &options).unwrap();
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(body["reasoning_effort"].as_str(), written, "{model}");
            assert_eq!(request.unsupported == [Field::Thinking], left_out, "{model}");
        }
    }

    #[test]
    fn mistral_gets_calls_by_names_that_it_takes_and_an_answer_to_each_result() {
        let text = r#"{"max_tokens":9,"messages":[
            {"role":"user","content":"a"},
            {"role":"assistant","content":[{"type":"tool_use","id":"toolu_01A","name":"f","input":{}},
                {"type":"tool_use","id":"D681PevKs","name":"f","input":{}}]},
            {"role":"user","content":[
                {"type":"tool_result","tool_use_id":"toolu_01A","content":"1"},
                {"type":"tool_result","tool_use_id":"D681PevKs","content":"2"},
                {"type":"text","text":"b"}]},
            {"role":"assistant","content":[{"type":"tool_use","id":"toolu_01B","name":"f","input":{}}]},
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_01B","content":"3"}]}]}"#;
        for (preset, roles, fit) in [
            ("mistral", "user assistant tool tool assistant user assistant tool", true),
            ("vllm", "user assistant tool tool user assistant tool", false),
        ] {
            let mut request = Client::Anthropic.read(text).unwrap();
            let quirks = presets::find(preset).unwrap().quirks;
            let options = Options { model: "m", default_max_tokens: 9, quirks, cloud: Cloud::Own };
            let body = write(&mut request, &options).unwrap();
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            let messages = body["messages"].as_array().unwrap();
            let said: Vec<_> = messages.iter().map(|m| m["role"].as_str().unwrap()).collect();
            assert_eq!(said.join(" "), roles);
            let calls: Vec<_> = messages
                .iter()
                .flat_map(|m| m["tool_calls"].as_array().into_iter().flatten())
                .map(|call| call["id"].as_str().unwrap())
                .collect();
            let results: Vec<_> =
                messages.iter().filter_map(|m| m["tool_call_id"].as_str()).collect();
            assert_eq!(calls, results);
            assert_eq!(calls[1], "D681PevKs");
            assert_ne!(calls[0], calls[2]);
            let taken = |id: &&str| id.len() == 9 && id.bytes().all(|b| b.is_ascii_alphanumeric());
            assert_eq!(calls.iter().all(taken), fit, "{calls:?}");
        }
    }

    #[test]
    fn those_who_demand_them_get_the_thoughts_before_calls() {
        let text = r#"{"max_tokens":9,"messages":[
            {"role":"user","content":"a"},
            {"role":"assistant","content":[
                {"type":"thinking","thinking":"Hm.","signature":""},{"type":"text","text":"b"},
                {"type":"tool_use","id":"c1","name":"f","input":{}}]},
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":"1"}]},
            {"role":"assistant","content":[{"type":"tool_use","id":"c2","name":"f","input":{}}]},
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"c2","content":"2"}]},
            {"role":"assistant","content":"c"},
            {"role":"user","content":"d"}]}"#;
        for (preset, thoughts) in [
            ("deepseek", [Some("Hm."), Some(""), None]),
            ("moonshot", [Some("Hm."), Some(""), None]),
            ("vllm", [None; 3]),
        ] {
            let mut request = Client::Anthropic.read(text).unwrap();
            let quirks = presets::find(preset).unwrap().quirks;
            let options = Options { model: "m", default_max_tokens: 9, quirks, cloud: Cloud::Own };
            let protocol = crate::config::Protocol::Openai;
            let body = crate::translate::provider::write(protocol, &mut request, &options).unwrap();
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            let said = body["messages"].as_array().unwrap().iter();
            let said = said.filter(|message| message["role"] == "assistant");
            let found: Vec<_> = said.map(|message| message["reasoning_content"].as_str()).collect();
            assert_eq!(found, thoughts, "{preset}");
            assert_eq!(request.unsupported == [Field::Thoughts], preset == "vllm");
        }
    }

    #[test]
    fn openais_open_models_get_efforts_that_they_know() {
        let quirks = presets::find("groq").unwrap().quirks;
        for (model, effort, written) in [
            ("openai/gpt-oss-120b", "none", "low"),
            ("openai/gpt-oss-120b", "minimal", "low"),
            ("openai/gpt-oss-120b", "medium", "medium"),
            ("openai/gpt-oss-20b", "xhigh", "high"),
            ("qwen/qwen3-32b", "none", "none"),
        ] {
            let text = format!(
                r#"{{"messages":[{{"role":"user","content":"a"}}],"reasoning_effort":"{effort}"}}"#
            );
            let mut request = Client::OpenAiChat.read(&text).unwrap();
            let options = Options { model, default_max_tokens: 9, quirks, cloud: Cloud::Own };
            let body = write(&mut request, &options).unwrap();
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(body["reasoning_effort"], written, "{model} {effort}");
        }
    }
}
