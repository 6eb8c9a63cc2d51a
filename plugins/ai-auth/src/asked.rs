//! What a request's body asks for, as far as a consumer may be denied it.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::value::RawValue;
use shared::json::{JsonStr, fields, parse};
use shared::percent;
use shared::protocol::{Endpoint, GooglePath};
use shared::request::RequestBody;

/// Most tools whose names are read.
const MAX_TOOLS: usize = 4096;

/// What is asked for.
#[derive(Debug, Default)]
pub struct Asked {
    /// The model; `None` if none is named.
    pub model: Option<String>,
    /// Those that the requests of a batch name.
    pub more_models: Vec<String>,
    /// Names of functions and kinds of built-in tools.
    pub tools: Vec<String>,
    /// Most tokens of the answer, if it is said.
    pub max_tokens: Option<u64>,
    /// Where a limit of tokens can be put if there is none, and the text before it and after it.
    insert: Option<(Range<usize>, &'static str, &'static str)>,
}

/// Why a body cannot be judged: a provider might read it in another way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(pub String);

impl Asked {
    /// Reads a JSON body and, for Google's APIs, the path.
    pub fn of(
        endpoint: Option<Endpoint>,
        path: &str,
        body: &RequestBody,
    ) -> Result<Asked, Unreadable> {
        let text = body.text();
        let mut asked = Asked::default();
        if let Some(google) = GooglePath::of(path).filter(|google| !google.model.is_empty()) {
            asked.model = Some(percent::decode(google.model));
        }
        if text.trim().is_empty() {
            return Ok(asked);
        }
        let found = body.document().fields().map_err(|error| Unreadable(error.to_string()))?;
        let mut seen: Vec<&str> = Vec::new();
        let (mut config, mut null) = (None, None);
        for (key, value) in &found {
            let known = name(key);
            let Some(known) = known else { continue };
            if seen.contains(&known) {
                return Err(Unreadable(format!("the field `{known}` is there twice")));
            }
            seen.push(known);
            match known {
                // Google's model stands in the path, whatever the body says.
                "model" if asked.model.is_none() => asked.model = text_of(value),
                "tools" => tools(value, &mut asked.tools)?,
                "functions" => functions(value, &mut asked.tools)?,
                "generationConfig" => config = Some(*value),
                "requests" => asked.batch(value)?,
                "model" => {}
                _ if value.get() != "null" => asked.limit(value),
                _ if limit_of(endpoint) == Some(known) => null = body.range_of(value.get()),
                _ => {}
            }
        }
        if let Some(config) = config {
            null = null.or(asked.generation_config(body, config)?);
        }
        if asked.max_tokens.is_none() {
            // Beside a `null` it would be there twice.
            let there = null.map(|range| (range, "", ""));
            asked.insert = there.or_else(|| place(endpoint, body, config));
        }
        Ok(asked)
    }

    /// A request that asks for a model, and whose body has nothing else to be judged.
    pub fn of_model(model: Option<String>) -> Asked {
        Asked { model, ..Asked::default() }
    }

    /// Whether nothing was said of how many tokens it asks for, and there is a place to say it.
    pub fn can_be_limited(&self) -> bool {
        self.insert.is_some()
    }

    /// Asks for at most so many tokens, where nothing was said of it.
    pub fn limit_tokens(&self, body: &mut RequestBody, most: u64) {
        let Some((range, before, after)) = self.insert.clone() else { return };
        let edit = format!("{before}{most}{after}");
        let _ = body.edit(&[(range, &edit)]);
    }

    fn limit(&mut self, value: &RawValue) {
        // Google takes numbers as strings too.
        let text = value.get().trim_matches('"');
        let number = text.parse::<f64>().ok().filter(|number| *number >= 0.0);
        // A float beyond the range of an integer is its end. What is no number is no limit either: some
        // servers take -1 for as many as they can.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let number = number.map_or(u64::MAX, |number| number as u64);
        self.max_tokens = self.max_tokens.max(Some(number));
    }

    /// Anthropic's batches have whole requests within them.
    fn batch(&mut self, value: &RawValue) -> Result<(), Unreadable> {
        let unreadable = |error: shared::json::BadJson| Unreadable(format!("requests: {error}"));
        let requests: Vec<&RawValue> = parse(value.get()).map_err(unreadable)?;
        for request in requests {
            let request = fields(request.get()).map_err(unreadable)?;
            for (_, params) in request.iter().filter(|(key, _)| key == "params") {
                for (key, value) in fields(params.get()).map_err(unreadable)? {
                    match name(&key) {
                        Some("model") => self.more_models.extend(text_of(value)),
                        Some("tools") => tools(value, &mut self.tools)?,
                        Some("max_tokens") if value.get() != "null" => self.limit(value),
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }

    /// Where a limit stands that is `null`.
    fn generation_config(
        &mut self,
        body: &RequestBody,
        config: &RawValue,
    ) -> Result<Option<Range<usize>>, Unreadable> {
        let found = fields(config.get()).map_err(|error| Unreadable(error.to_string()))?;
        let mut null = None;
        for (key, value) in &found {
            match key.as_ref() {
                "maxOutputTokens" | "max_output_tokens" if value.get() == "null" => {
                    null = body.range_of(value.get());
                }
                "maxOutputTokens" | "max_output_tokens" => self.limit(value),
                _ => {}
            }
        }
        Ok(null)
    }
}

/// One name for each field that is looked at.
fn name(key: &str) -> Option<&'static str> {
    Some(match key {
        "model" => "model",
        "tools" => "tools",
        "functions" => "functions",
        "requests" => "requests",
        "max_tokens" => "max_tokens",
        "max_completion_tokens" => "max_completion_tokens",
        "max_output_tokens" => "max_output_tokens",
        "generationConfig" | "generation_config" => "generationConfig",
        _ => return None,
    })
}

fn text_of(value: &RawValue) -> Option<String> {
    parse::<JsonStr<'_>>(value.get()).ok().map(|text| text.decode().into_owned())
}

fn items(value: &RawValue) -> Result<Vec<&RawValue>, Unreadable> {
    // Google takes one object where a list is meant.
    let items = match value.get().starts_with('[') {
        true => parse::<Vec<&RawValue>>(value.get()).map_err(|e| Unreadable(e.to_string()))?,
        false if value.get() == "null" => Vec::new(),
        false => vec![value],
    };
    if items.len() > MAX_TOOLS {
        return Err(Unreadable(format!("there are more than {MAX_TOOLS} tools")));
    }
    Ok(items)
}

fn functions(value: &RawValue, out: &mut Vec<String>) -> Result<(), Unreadable> {
    for item in items(value)? {
        let found = members(item)?;
        let name = found.iter().filter(|(key, _)| key == "name");
        out.extend(name.filter_map(|(_, value)| text_of(value)));
    }
    Ok(())
}

/// Names of tools: of Chat Completions they stand in `function` or `custom`, of Responses and
/// Anthropic beside `type`, of Google in `functionDeclarations`, where any other key is a built-in tool.
fn tools(value: &RawValue, out: &mut Vec<String>) -> Result<(), Unreadable> {
    for item in items(value)? {
        let found = members(item)?;
        let get = |name: &str| found.iter().find(|(key, _)| key == name).map(|(_, value)| *value);
        if let Some(kind) = get("type").and_then(text_of) {
            let inner = get("function").or_else(|| get("custom"));
            match (inner, get("name").and_then(text_of)) {
                (Some(inner), _) => functions(inner, out)?,
                // A built-in tool of Anthropic has both: `{"type": "bash_20250124", "name": "bash"}`.
                (None, Some(name)) => out.push(name),
                (None, None) => out.push(kind),
            }
            continue;
        }
        if let Some(name) = get("name").and_then(text_of) {
            out.push(name);
            continue;
        }
        for (key, value) in &found {
            match key.as_ref() {
                "functionDeclarations" | "function_declarations" => functions(value, out)?,
                other => out.push(other.to_owned()),
            }
        }
    }
    Ok(())
}

fn members(item: &RawValue) -> Result<Vec<(Cow<'_, str>, &RawValue)>, Unreadable> {
    fields(item.get()).map_err(|error| Unreadable(format!("tools: {error}")))
}

/// The name of an API's limit of tokens, where it stands in the body itself.
fn limit_of(endpoint: Option<Endpoint>) -> Option<&'static str> {
    Some(match endpoint? {
        Endpoint::OpenAiChat => "max_completion_tokens",
        Endpoint::OpenAiCompletions | Endpoint::AnthropicMessages => "max_tokens",
        Endpoint::OpenAiResponses => "max_output_tokens",
        _ => return None,
    })
}

/// Where a limit of tokens belongs in the API's request.
fn place(
    endpoint: Option<Endpoint>,
    body: &RequestBody,
    config: Option<&RawValue>,
) -> Option<(Range<usize>, &'static str, &'static str)> {
    let whole = body.text();
    // A body has other members, or there would be nothing to answer.
    let top = whole.find('{')?.checked_add(1)?;
    let (at, before, after) = match endpoint? {
        Endpoint::OpenAiChat => (top, "\"max_completion_tokens\":", ","),
        Endpoint::OpenAiCompletions | Endpoint::AnthropicMessages => (top, "\"max_tokens\":", ","),
        Endpoint::OpenAiResponses => (top, "\"max_output_tokens\":", ","),
        Endpoint::Gemini => match config {
            None => (top, "\"generationConfig\":{\"maxOutputTokens\":", "},"),
            Some(config) => {
                let at = body.range_of(config.get())?.start.checked_add(1)?;
                let empty = fields(config.get()).is_ok_and(|fields| fields.is_empty());
                (at, "\"maxOutputTokens\":", if empty { "" } else { "," })
            }
        },
        _ => return None,
    };
    Some((at..at, before, after))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(endpoint: Endpoint, path: &str, body: &Value) -> (Asked, RequestBody) {
        let body = RequestBody::new(body.to_string().into_bytes()).unwrap();
        (Asked::of(Some(endpoint), path, &body).unwrap(), body)
    }

    #[test]
    fn names_of_tools_are_found_in_every_api() {
        for (body, names) in [
            (
                json!({"tools": [{"type": "function", "function": {"name": "f"}},
                {"type": "custom", "custom": {"name": "g"}}], "functions": [{"name": "h"}]}),
                vec!["f", "g", "h"],
            ),
            (
                json!({"tools": [{"type": "function", "name": "f"}, {"type": "web_search"}]}),
                vec!["f", "web_search"],
            ),
            (
                json!({"tools": [{"name": "f", "input_schema": {}},
                {"type": "bash_20250124", "name": "bash"}]}),
                vec!["f", "bash"],
            ),
            (
                json!({"tools": [{"functionDeclarations": [{"name": "f"}, {"name": "g"}]},
                {"googleSearch": {}}]}),
                vec!["f", "g", "googleSearch"],
            ),
            (json!({"tools": {"function_declarations": [{"name": "f"}]}}), vec!["f"]),
            (json!({"tools": null}), vec![]),
        ] {
            let (mut asked, _) = read(Endpoint::OpenAiChat, "/v1/chat/completions", &body);
            asked.tools.sort();
            let mut names: Vec<_> = names.into_iter().map(str::to_owned).collect();
            names.sort();
            assert_eq!(asked.tools, names, "{body}");
        }
    }

    #[test]
    fn a_limit_is_put_where_the_api_has_it() {
        let google = "/v1beta/models/m:generateContent";
        for (endpoint, path, body, pointer) in [
            (
                Endpoint::OpenAiChat,
                "/v1/chat/completions",
                json!({"model": "m"}),
                "/max_completion_tokens",
            ),
            (
                Endpoint::OpenAiResponses,
                "/v1/responses",
                json!({"model": "m"}),
                "/max_output_tokens",
            ),
            (Endpoint::OpenAiCompletions, "/v1/completions", json!({"model": "m"}), "/max_tokens"),
            (
                Endpoint::Gemini,
                google,
                json!({"contents": []}),
                "/generationConfig/maxOutputTokens",
            ),
            (
                Endpoint::Gemini,
                google,
                json!({"generationConfig": {}}),
                "/generationConfig/maxOutputTokens",
            ),
            (
                Endpoint::Gemini,
                google,
                json!({"generationConfig": {"topK": 1}}),
                "/generationConfig/maxOutputTokens",
            ),
        ] {
            let (asked, mut body) = read(endpoint, path, &body);
            assert_eq!(asked.max_tokens, None);
            asked.limit_tokens(&mut body, 77);
            let after: Value = serde_json::from_str(body.text()).unwrap();
            assert_eq!(after.pointer(pointer), Some(&json!(77)), "{after}");
            let (asked, mut body) = read(endpoint, path, &after);
            assert_eq!(asked.max_tokens, Some(77));
            asked.limit_tokens(&mut body, 5);
            assert_eq!(body.text(), after.to_string(), "what was asked for stays");
        }
    }

    #[test]
    fn a_limit_is_never_there_twice() {
        let google = "/v1beta/models/m:generateContent";
        for (endpoint, path, body, after) in [
            (
                Endpoint::OpenAiChat,
                "/v1/chat/completions",
                r#"{"model":"m","max_completion_tokens": null}"#,
                r#"{"model":"m","max_completion_tokens": 77}"#,
            ),
            (
                Endpoint::OpenAiChat,
                "/v1/chat/completions",
                r#"{"model":"m","max_tokens":null}"#,
                r#"{"max_completion_tokens":77,"model":"m","max_tokens":null}"#,
            ),
            (
                Endpoint::OpenAiResponses,
                "/v1/responses",
                r#"{"model":"m","max_output_tokens":null}"#,
                r#"{"model":"m","max_output_tokens":77}"#,
            ),
            (
                Endpoint::Gemini,
                google,
                r#"{"generationConfig":{"maxOutputTokens":null,"topK":1}}"#,
                r#"{"generationConfig":{"maxOutputTokens":77,"topK":1}}"#,
            ),
        ] {
            let mut body = RequestBody::new(body.as_bytes().to_vec()).unwrap();
            let asked = Asked::of(Some(endpoint), path, &body).unwrap();
            asked.limit_tokens(&mut body, 77);
            assert_eq!(body.text(), after);
        }
        let text = json!({"generationConfig": {"maxOutputTokens": "9999"}});
        assert_eq!(read(Endpoint::Gemini, google, &text).0.max_tokens, Some(9999));
        let all = json!({"model": "m", "max_completion_tokens": -1});
        let (asked, _) = read(Endpoint::OpenAiChat, "/v1/chat/completions", &all);
        assert_eq!(asked.max_tokens, Some(u64::MAX), "as many as there can be are too many");
    }

    #[test]
    fn googles_model_stands_in_the_path() {
        let path = "/v1beta/models/gemini%2D2.5:generateContent?alt=sse";
        let (asked, _) = read(Endpoint::Gemini, path, &json!({"model": "other"}));
        assert_eq!(asked.model.as_deref(), Some("gemini-2.5"));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for bad in
            [r#"{"model":"a","model":"b"}"#, r#"{"tools":[1]}"#, "[]", "{", r#"{"model":"a"}{}"#]
        {
            let body = RequestBody::new(bad.as_bytes().to_vec()).unwrap();
            assert!(
                Asked::of(Some(Endpoint::OpenAiChat), "/v1/chat/completions", &body).is_err(),
                "{bad}"
            );
        }
    }
}
