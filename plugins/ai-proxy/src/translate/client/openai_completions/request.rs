//! Reads a Completions request.

use serde_json::value::RawValue;
use shared::errors::ApiError;
use shared::json::{Document, JsonStr, parse};
use shared::protocol::openai_completions::Request as ApiRequest;

use crate::translate::client::bad::{bad, invalid};
use crate::translate::client::left::left;
use crate::translate::client::openai_chat::padding;
use crate::translate::ir::{Body, Request, Role, Turn};

/// Reads the request: the prompt becomes what the user says.
pub fn read<'a>(body: impl Into<Document<'a>>) -> Result<Request<'a>, ApiError> {
    let api: ApiRequest<'_> = body.into().parse().map_err(|error| bad("", &error))?;
    let refused = [
        ("suffix", api.suffix.is_some_and(|suffix| !suffix.is_empty())),
        ("echo", api.echo == Some(true)),
        ("best_of", api.best_of.is_some_and(|best_of| best_of > api.n.unwrap_or(1))),
    ];
    if let Some((field, _)) = refused.iter().find(|(_, given)| *given) {
        return Err(invalid(field, "this model's provider has nothing for it; leave it out"));
    }
    let prompt = read_prompt(api.prompt)?;
    let mut request = Request {
        turns: vec![Turn { role: Role::User, parts: vec![Body::Text(prompt).into()] }],
        max_tokens: api.max_tokens,
        temperature: api.temperature,
        top_p: api.top_p,
        top_k: api.top_k,
        frequency_penalty: api.frequency_penalty,
        presence_penalty: api.presence_penalty,
        seed: api.seed,
        n: api.n,
        stop: api.stop.map(read_stop).transpose()?.unwrap_or_default(),
        stream: api.stream.unwrap_or(false),
        user: api.user,
        ..Request::default()
    };
    if let Some(options) = api.stream_options {
        padding(&mut request.dropped, &options);
    }
    left(&mut request.dropped, "", "", &api.rest);
    Ok(request)
}

fn read_prompt(prompt: Option<&RawValue>) -> Result<JsonStr<'_>, ApiError> {
    let prompt = prompt.ok_or_else(|| invalid("prompt", "is required"))?.get();
    let one = if prompt.starts_with('[') {
        let mut list: Vec<JsonStr<'_>> = parse(prompt)
            .map_err(|_| invalid("prompt", "this model's provider takes text, not tokens"))?;
        match (list.pop(), list.is_empty()) {
            (Some(one), true) => one,
            _ => return Err(invalid("prompt", "send one prompt per request")),
        }
    } else {
        parse(prompt).map_err(|error| bad("prompt", &error))?
    };
    if one.is_empty() { Err(invalid("prompt", "must not be empty")) } else { Ok(one) }
}

fn read_stop(stop: &RawValue) -> Result<Vec<JsonStr<'_>>, ApiError> {
    if let Ok(one) = parse::<JsonStr<'_>>(stop.get()) {
        return Ok(vec![one]);
    }
    parse(stop.get()).map_err(|error| bad("stop", &error))
}
