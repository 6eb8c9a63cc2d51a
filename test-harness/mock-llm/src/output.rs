//! What the model says, before a protocol puts it into its own words.

use serde_json::Value;

use crate::rng::Rng;
use crate::script::Script;
use crate::tokens;

/// Why the model stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It had said everything.
    End,
    /// The request's limit of tokens.
    Length,
    /// One of the request's stop sequences.
    Sequence(String),
    /// It wants tools to be called.
    Tools,
    /// It declines.
    Refusal,
}

/// One tool call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// Unique within the answer.
    pub(crate) id: String,
    /// The tool.
    pub(crate) name: String,
    /// JSON, unless the script wants something else.
    pub(crate) arguments: String,
}

/// The model's answer to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Output {
    /// What it thought.
    pub(crate) thinking: Option<String>,
    /// What it said; absent if it only calls tools.
    pub(crate) text: Option<String>,
    /// How it declined.
    pub(crate) refusal: Option<String>,
    /// The tools it calls.
    pub(crate) calls: Vec<Call>,
    /// Why it stopped.
    pub(crate) stop: Stop,
    /// All tokens it produced, with those of thinking.
    pub(crate) tokens: u64,
    /// The tokens of thinking.
    pub(crate) reasoning_tokens: u64,
}

/// The parts of a request that shape the answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wish {
    /// The text of the last user message.
    pub(crate) last_user: String,
    /// The most tokens the answer may have.
    pub(crate) max_tokens: Option<u64>,
    /// The text ends before any of these.
    pub(crate) stops: Vec<String>,
    /// The prefix of the ids of tool calls, and how many characters follow.
    pub(crate) call_id: (&'static str, usize),
}

impl Output {
    /// The answer of a script.
    pub(crate) fn new(script: &Script, listener: &str, wish: &Wish, rng: &mut Rng) -> Output {
        let calls: Vec<Call> = script
            .tool_calls
            .iter()
            .map(|call| Call {
                id: call.id.clone().unwrap_or_else(|| rng.id(wish.call_id.0, wish.call_id.1)),
                name: call.name.clone(),
                arguments: match &call.arguments {
                    Value::String(text) => text.clone(),
                    Value::Null => "{}".to_owned(),
                    arguments => arguments.to_string(),
                },
            })
            .collect();
        let mut stop = if calls.is_empty() { Stop::End } else { Stop::Tools };
        if script.refusal.is_some() {
            stop = Stop::Refusal;
        }
        let mut text = match (&script.text, script.tokens) {
            (Some(text), _) => Some(text.clone()),
            (None, Some(count)) => Some(tokens::lorem(rng, count)),
            (None, None) if !calls.is_empty() || script.refusal.is_some() => None,
            (None, None) => Some(format!("Hello from {listener}: {}", wish.last_user)),
        };

        let reasoning_tokens =
            script.reasoning_tokens.or(script.thinking.as_deref().map(tokens::count)).unwrap_or(0);
        if let Some(text) = &mut text {
            if let Some((at, sequence)) = first_match(text, &wish.stops) {
                text.truncate(at);
                stop = Stop::Sequence(sequence);
            }
            let left = wish.max_tokens.unwrap_or(u64::MAX).saturating_sub(reasoning_tokens);
            let (kept, cut) = tokens::truncate(text, left);
            if cut {
                *text = kept;
                stop = Stop::Length;
            }
        }
        let said = text.iter().chain(&script.refusal).map(|text| tokens::count(text)).sum::<u64>();
        let called: u64 = calls
            .iter()
            .map(|call| tokens::count(&call.name) + tokens::count(&call.arguments))
            .sum();
        Output {
            thinking: script.thinking.clone(),
            text,
            refusal: script.refusal.clone(),
            calls,
            stop,
            tokens: said + called + reasoning_tokens,
            reasoning_tokens,
        }
    }
}

fn first_match(text: &str, sequences: &[String]) -> Option<(usize, String)> {
    sequences
        .iter()
        .filter(|sequence| !sequence.is_empty())
        .filter_map(|sequence| text.find(sequence).map(|at| (at, sequence.clone())))
        .min_by_key(|(at, _)| *at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn output(script: Value, wish: &Wish) -> Output {
        Output::new(&Script::parse(script, "a").unwrap(), "a", wish, &mut Rng::new(1))
    }

    #[test]
    fn echoes_the_last_user_text() {
        let wish = Wish { last_user: "hi".to_owned(), ..Wish::default() };
        let output = output(json!({}), &wish);
        assert_eq!(output.text.as_deref(), Some("Hello from a: hi"));
        assert_eq!((output.stop, output.tokens), (Stop::End, 5));
    }

    #[test]
    fn stops_at_the_limit_or_a_sequence() {
        let wish = Wish { max_tokens: Some(2), stops: vec!["!".to_owned()], ..Wish::default() };
        let long = output(json!({"tokens": 9}), &wish);
        assert_eq!((long.tokens, long.stop), (2, Stop::Length));
        let stopped = output(json!({"text": "yes! no"}), &wish);
        assert_eq!(stopped.text.as_deref(), Some("yes"));
        assert_eq!(stopped.stop, Stop::Sequence("!".to_owned()));
    }

    #[test]
    fn tools_and_refusals_replace_the_text() {
        let calls = json!({"tool_calls": [
            {"name": "f", "arguments": {"a": 1}}, {"name": "g", "arguments": "{bad", "id": "x"},
        ]});
        let output = |script| output(script, &Wish { call_id: ("call_", 4), ..Wish::default() });
        let tools = output(calls);
        assert_eq!((tools.text, tools.stop), (None, Stop::Tools));
        assert!(tools.calls[0].id.starts_with("call_") && tools.calls[0].id.len() == 9);
        assert_eq!(tools.calls[0].arguments, r#"{"a":1}"#);
        assert_eq!((tools.calls[1].id.as_str(), tools.calls[1].arguments.as_str()), ("x", "{bad"));
        let refusal = output(json!({"refusal": "no"}));
        assert_eq!((refusal.text, refusal.stop, refusal.tokens), (None, Stop::Refusal, 1));
    }

    #[test]
    fn thinking_counts_as_output() {
        let output = output(json!({"text": "a b", "thinking": "c d e"}), &Wish::default());
        assert_eq!((output.tokens, output.reasoning_tokens), (5, 3));
    }
}
