//! Vectors and token counts by example.
//!
//! - `services/embed/requests/<client>/<case>/request.json` is what a client sends, `<dialect>.json`
//!   beside it what each provider gets, or the refusal.
//! - `services/embed/answers/<dialect>/<case>/answer.json` is what a provider answers to a request for
//!   as many vectors as the case's name begins with, `answer.<client>.json` beside it what each client
//!   gets. The answers are those of the vendors' documentation, their vectors shortened.
//! - `services/count/<client>/<case>/request.json` is a request whose tokens a client wants counted,
//!   `<counter>.json` beside it what each provider gets.
//!
//! To add a case, add its first file and run with `UPDATE=1`, which writes what comes out; read it
//! before you commit it.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stderr)]

use std::fs;
use std::path::{Path, PathBuf};

use ai_proxy::presets;
use ai_proxy::provider::Cloud;
use ai_proxy::translate::count::{self, Counter, Failed};
use ai_proxy::translate::embed::{self, Dialect, Field, Pending, Purpose, Request, Truncate};
use ai_proxy::translate::ir::Unsupported;
use ai_proxy::translate::provider::Options;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use proptest::prelude::*;
use serde_json::{Value, json};

/// `VertexPredict` is `vertex_predict`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.replace("OpenAi", "Openai").chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// A model that is asked in this form.
fn model(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAi => "text-embedding-3-small",
        Dialect::Gemini => "gemini-embedding-001",
        Dialect::VertexPredict => "text-embedding-005",
        Dialect::VertexEmbed => "gemini-embedding-2",
        Dialect::Cohere => "embed-v4.0",
        Dialect::BedrockCohere => "cohere.embed-english-v3",
        Dialect::Titan => "amazon.titan-embed-text-v2:0",
        Dialect::TitanG1 => "amazon.titan-embed-text-v1",
        Dialect::Nova => "amazon.nova-2-multimodal-embeddings-v1:0",
    }
}

fn vectors_request(client: embed::Client, dialect: Dialect, text: &str) -> Value {
    let mut request = match client.read(text) {
        Ok(request) => request,
        Err(error) => return json!({ "status": error.status, "error": error.message }),
    };
    match dialect.write(&mut request, model(dialect)) {
        Ok(body) => {
            let mut body: Value = serde_json::from_str(&body).unwrap();
            let mut dropped = request.dropped;
            dropped.extend(request.unsupported.iter().map(|f| client.name_of(*f).to_owned()));
            if !dropped.is_empty() {
                body["x-ai-dropped"] = json!(dropped);
            }
            body
        }
        Err(refusal) => json!({ "refused": format!("{refusal:?}") }),
    }
}

/// What a client gets that asked for so many vectors; of a client of Gemini's one alone with
/// `embedContent`.
fn vectors_answer(client: embed::Client, dialect: Dialect, wanted: usize, text: &str) -> Value {
    let request = (0..wanted).map(|_| json!({"content": {"parts": [{"text": "x"}]}}));
    let request = match (client, wanted) {
        (embed::Client::OpenAi, _) => json!({ "input": vec!["x"; wanted] }),
        (embed::Client::Gemini, 1) => json!({"content": {"parts": [{"text": "x"}]}}),
        (embed::Client::Gemini, _) => json!({ "requests": request.collect::<Vec<_>>() }),
    };
    let request = request.to_string();
    let request = client.read(&request).unwrap();
    let pending = Pending::new(client, dialect, model(dialect), &request);
    match pending.answer(text) {
        Ok((text, usage)) => {
            let mut answer: Value = serde_json::from_str(&text).unwrap();
            answer["usage stated"] = json!(usage.map(|usage| usage.prompt_tokens));
            answer
        }
        Err(error) => json!({ "unreadable": error.to_string() }),
    }
}

fn count_request(client: count::Client, counter: Counter, text: &str) -> Value {
    let options = Options {
        model: match counter {
            Counter::BedrockConverse | Counter::BedrockInvoke => "eu.anthropic.claude-x-v1:0",
            _ => "the-model",
        },
        default_max_tokens: 4096,
        quirks: presets::find("openai").unwrap().quirks,
        cloud: match counter {
            Counter::VertexAnthropic | Counter::VertexGemini => Cloud::Vertex,
            Counter::BedrockInvoke => Cloud::Bedrock,
            _ => Cloud::Own,
        },
    };
    match counter.write(client, text, &options) {
        Err(Failed::Mistake(error)) => json!({ "status": error.status, "error": error.message }),
        Err(Failed::Unsupported(Unsupported(what))) => json!({ "unsupported": what }),
        Ok(written) => {
            let mut body: Value = serde_json::from_str(&written.body).unwrap();
            let encoded = body.pointer("/input/invokeModel/body").and_then(Value::as_str);
            if let Some(encoded) = encoded {
                let decoded = BASE64.decode(encoded).unwrap();
                body = json!({ "base64 of": serde_json::from_slice::<Value>(&decoded).unwrap() });
            }
            if !written.dropped.is_empty() {
                body["x-ai-dropped"] = json!(written.dropped);
            }
            body
        }
    }
}

fn cases(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/services").join(folder);
    let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
    let mut cases: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

#[derive(Default)]
struct Outcome {
    compared: usize,
    failed: Vec<PathBuf>,
}

impl Outcome {
    fn expect(&mut self, path: PathBuf, found: &Value) {
        let found = serde_json::to_string_pretty(found).unwrap() + "\n";
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &found).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        self.compared += 1;
        if expected != found {
            eprintln!("{}: expected\n{expected}\nfound\n{found}", path.display());
            self.failed.push(path);
        }
    }

    fn check(self, least: usize) {
        assert!(self.compared > least, "cases are missing: {}", self.compared);
        assert!(self.failed.is_empty(), "{:#?}", self.failed);
    }
}

#[test]
fn every_request_for_vectors_reaches_every_provider_as_written_down() {
    let mut outcome = Outcome::default();
    for client in embed::Client::ALL {
        for case in cases(&format!("embed/requests/{}", snake(&format!("{client:?}")))) {
            let text = fs::read_to_string(case.join("request.json")).unwrap();
            for dialect in Dialect::ALL {
                let path = case.join(snake(&format!("{dialect:?}")) + ".json");
                outcome.expect(path, &vectors_request(client, dialect, &text));
            }
        }
    }
    outcome.check(70);
}

#[test]
fn every_answer_with_vectors_reaches_every_client_as_written_down() {
    let mut outcome = Outcome::default();
    for dialect in Dialect::ALL {
        for case in cases(&format!("embed/answers/{}", snake(&format!("{dialect:?}")))) {
            let text = fs::read_to_string(case.join("answer.json")).unwrap();
            let name = case.file_name().unwrap().to_str().unwrap();
            let wanted = name.split('_').next().unwrap().parse().unwrap();
            for client in embed::Client::ALL {
                let path = case.join(format!("answer.{}.json", snake(&format!("{client:?}"))));
                outcome.expect(path, &vectors_answer(client, dialect, wanted, &text));
            }
        }
    }
    outcome.check(15);
}

#[test]
fn every_request_is_counted_by_every_provider_as_written_down() {
    let mut outcome = Outcome::default();
    for client in count::Client::ALL {
        for case in cases(&format!("count/{}", snake(&format!("{client:?}")))) {
            let text = fs::read_to_string(case.join("request.json")).unwrap();
            for counter in Counter::ALL {
                let path = case.join(snake(&format!("{counter:?}")) + ".json");
                outcome.expect(path, &count_request(client, counter, &text));
            }
        }
    }
    outcome.check(20);
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(".{0,20}", 1..5)
}

fn finite() -> impl Strategy<Value = f32> {
    any::<f32>().prop_filter("JSON has no other numbers", |number| number.is_finite())
}

proptest! {
    #[test]
    fn no_text_is_lost_or_changed_on_its_way(texts in texts()) {
        let body = json!({ "model": "m", "input": texts }).to_string();
        for (dialect, place) in [
            (Dialect::OpenAi, "/input/{}"),
            (Dialect::Gemini, "/requests/{}/content/parts/0/text"),
            (Dialect::VertexPredict, "/instances/{}/content"),
            (Dialect::Cohere, "/texts/{}"),
        ] {
            let mut request = embed::Client::OpenAi.read(&body).unwrap();
            let written = dialect.write(&mut request, model(dialect)).unwrap();
            let written: Value = serde_json::from_str(&written).unwrap();
            for (index, text) in texts.iter().enumerate() {
                let found = written.pointer(&place.replace("{}", &index.to_string()));
                prop_assert_eq!(found.and_then(Value::as_str), Some(text.as_str()));
            }
        }
    }

    #[test]
    fn a_client_of_geminis_has_its_texts_in_order_too(texts in texts()) {
        let requests: Vec<_> =
            texts.iter().map(|text| json!({"content": {"parts": [{"text": text}]}})).collect();
        let body = json!({ "requests": requests }).to_string();
        let mut request = embed::Client::Gemini.read(&body).unwrap();
        let written = Dialect::OpenAi.write(&mut request, "m").unwrap();
        let written: Value = serde_json::from_str(&written).unwrap();
        prop_assert_eq!(&written["input"], &json!(texts));
    }

    #[test]
    fn numbers_reach_the_client_to_the_last_bit(
        vectors in prop::collection::vec(prop::collection::vec(finite(), 0..9), 1..4),
    ) {
        // Written as Google's, which are single precision.
        let list = |vector: &Vec<f32>| {
            let numbers: Vec<_> = vector.iter().map(f32::to_string).collect();
            format!(r#"{{"values":[{}]}}"#, numbers.join(","))
        };
        let lists: Vec<_> = vectors.iter().map(list).collect();
        let answer = format!(r#"{{"embeddings":[{}]}}"#, lists.join(","));
        for format in ["base64", "float"] {
            let body = json!({"input": vec!["x"; vectors.len()], "encoding_format": format});
            let body = body.to_string();
            let request = embed::Client::OpenAi.read(&body).unwrap();
            let pending = Pending::new(embed::Client::OpenAi, Dialect::Gemini, "m", &request);
            let (text, _) = pending.answer(&answer).unwrap();
            let out: Value = serde_json::from_str(&text).unwrap();
            for (index, vector) in vectors.iter().enumerate() {
                let got = &out["data"][index]["embedding"];
                let got: Vec<u32> = match got.as_str() {
                    Some(encoded) => BASE64.decode(encoded).unwrap().chunks(4)
                        .map(|four| u32::from_le_bytes(four.try_into().unwrap())).collect(),
                    None => got.as_array().unwrap().iter()
                        .map(|number| (number.as_f64().unwrap() as f32).to_bits()).collect(),
                };
                let sent: Vec<u32> = vector.iter().map(|number| number.to_bits()).collect();
                prop_assert_eq!(got, sent);
            }
        }
    }

    #[test]
    fn what_clients_and_providers_send_is_read_or_refused(
        text in r#"[\[\]{}",:a-z0-9. -]{0,40}"#,
        key in prop::sample::select(vec![
            "input", "requests", "content", "dimensions", "data", "embeddings", "predictions",
            "embedding", "encoding_format", "truncate", "taskType", "input_type", "usage", "meta",
            "messages", "contents", "generateContentRequest",
        ]),
        value in prop::sample::select(vec![
            "null", "[]", "{}", "[[]]", "[1,[2]]", "[\"a\",1]", "\"x\"", "-1", "1e400", "[{}]",
            "{\"float\":[1]}", "[[1],2]", "[{\"values\":3}]", "[{\"content\":{\"parts\":[{}]}}]",
        ]),
    ) {
        for text in [text, format!(r#"{{"{key}":{value}}}"#)] {
            for client in embed::Client::ALL {
                if let Ok(mut request) = client.read(&text) {
                    for dialect in Dialect::ALL {
                        if let Ok(body) = dialect.write(&mut request, model(dialect)) {
                            prop_assert!(serde_json::from_str::<Value>(&body).is_ok(), "{}", body);
                        }
                        let pending = Pending::new(client, dialect, "m", &request);
                        let _ = pending.answer(&text);
                    }
                }
            }
            // What is no object has been refused before.
            let object = serde_json::from_str::<serde_json::Map<_, _>>(&text).is_ok();
            for client in count::Client::ALL.into_iter().filter(|_| object) {
                for counter in Counter::ALL {
                    let _ = count_request(client, counter, &text);
                }
            }
            let _ = count::read(&text);
        }
    }
}

#[test]
fn an_answer_with_fewer_vectors_than_texts_is_none() {
    let text = r#"{"embeddings":{"float":[[1,2]]}}"#;
    let answer = vectors_answer(embed::Client::OpenAi, Dialect::Cohere, 2, text);
    assert_eq!(answer, json!({ "unreadable": "has 1 vectors of 2" }));
}

#[test]
fn a_vector_that_is_no_list_is_none() {
    let text = r#"{"embedding":"abc","inputTextTokenCount":1}"#;
    let answer = vectors_answer(embed::Client::OpenAi, Dialect::Titan, 1, text);
    assert_eq!(answer, json!({ "unreadable": "embedding: is no list of numbers" }));
}

#[test]
fn each_model_has_its_most_texts() {
    let most = |dialect: Dialect, model: &str| {
        let fits = |count: usize| {
            let body = json!({ "input": vec!["x"; count] }).to_string();
            let mut request = embed::Client::OpenAi.read(&body).unwrap();
            dialect.write(&mut request, model).is_ok()
        };
        (1..3000).take_while(|count| fits(*count)).last().unwrap()
    };
    for (dialect, model, expected) in [
        (Dialect::OpenAi, "m", 2048),
        (Dialect::Gemini, "gemini-embedding-001", 100),
        (Dialect::VertexPredict, "text-embedding-005", 250),
        (Dialect::VertexPredict, "gemini-embedding-001", 1),
        (Dialect::VertexEmbed, "gemini-embedding-2", 1),
        (Dialect::Cohere, "embed-v4.0", 96),
        (Dialect::Titan, "amazon.titan-embed-text-v2:0", 1),
    ] {
        assert_eq!(most(dialect, model), expected, "{model}");
    }
}

#[test]
fn a_length_that_a_model_does_not_have_is_refused_and_the_only_one_is_left_out() {
    let written = |dialect: Dialect, model: &str, dimensions: u64| {
        let mut request = Request { dimensions: Some(dimensions), ..Request::default() };
        let body = json!({ "input": "x" }).to_string();
        request.inputs = embed::Client::OpenAi
            .read(&body)
            .unwrap()
            .inputs
            .drain(..)
            .map(|_| embed::Input {
                what: embed::What::Text(shared::json::JsonStr::encode("x")),
                title: None,
            })
            .collect();
        dialect.write(&mut request, model).map(|body| body.contains("imension"))
    };
    for (dialect, model, length) in [
        (Dialect::Cohere, "embed-english-v3.0", 1024),
        (Dialect::Cohere, "embed-english-light-v3.0", 384),
        (Dialect::TitanG1, "amazon.titan-embed-text-v1", 1536),
    ] {
        assert_eq!(written(dialect, model, length), Ok(false), "{model}");
        assert!(written(dialect, model, 512).is_err(), "{model}");
    }
    assert_eq!(written(Dialect::Cohere, "embed-v4.0", 512), Ok(true));
    assert_eq!(written(Dialect::Titan, "amazon.titan-embed-text-v2:0", 512), Ok(true));
}

#[test]
fn what_vectors_are_for_is_said_in_each_vendors_words() {
    let with = |purpose: Purpose, dialect: Dialect| {
        let mut request = embed::Client::OpenAi.read(r#"{"input":"x"}"#).unwrap();
        request.purpose = Some(purpose);
        request.truncate = Some(Truncate::No);
        let body = dialect.write(&mut request, model(dialect)).unwrap();
        (body, request.unsupported.contains(&Field::Purpose))
    };
    for (dialect, word) in [
        (Dialect::Gemini, r#""taskType":"RETRIEVAL_DOCUMENT""#),
        (Dialect::VertexPredict, r#""task_type":"RETRIEVAL_DOCUMENT""#),
        (Dialect::Cohere, r#""input_type":"search_document""#),
        (Dialect::Nova, r#""embeddingPurpose":"GENERIC_INDEX""#),
    ] {
        let (body, unsupported) = with(Purpose::Document, dialect);
        assert!(body.contains(word) && !unsupported, "{body}");
    }
    for dialect in [Dialect::OpenAi, Dialect::Titan, Dialect::VertexEmbed] {
        let (body, unsupported) = with(Purpose::Document, dialect);
        assert!(!body.contains("DOCUMENT") && !body.contains("document") && unsupported, "{body}");
    }
    assert!(with(Purpose::Similarity, Dialect::Cohere).1);
}
