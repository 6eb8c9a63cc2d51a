//! Vectors of texts (embeddings): from each client's form to each provider's and back, through one hub.
//!
//! Texts and vectors are copied as they stand in their documents. What a vector means depends on its
//! length and its model, so a length that a model does not have is refused and never dropped.

pub mod client;
pub mod provider;
pub mod purpose;
pub mod vector;

use serde_json::value::RawValue;
use shared::errors::ApiError;
use shared::filter::Headers;
use shared::json::{BadJson, JsonStr};
use shared::usage::Usage;

pub use provider::Dialect;
pub use purpose::Purpose;

/// A form in which clients ask for vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// `POST /v1/embeddings`.
    OpenAi,
    /// `:embedContent` and `:batchEmbedContents`.
    Gemini,
}

/// A request for vectors.
#[derive(Debug, Default)]
pub struct Request<'a> {
    /// What they are wanted of, in order; at least one.
    pub inputs: Vec<Input<'a>>,
    /// How many numbers each is to have.
    pub dimensions: Option<u64>,
    /// Their numbers are wanted in Base64.
    pub base64: bool,
    /// The answer is to have one vector and no list.
    pub single: bool,
    /// What they are for.
    pub purpose: Option<Purpose>,
    /// Whether a text that is too long is cut.
    pub truncate: Option<Truncate>,
    /// Who asks.
    pub user: Option<JsonStr<'a>>,
    /// Fields of the client's, under its names, that have no place here.
    pub dropped: Vec<String>,
    /// Fields that the provider has nothing for.
    pub unsupported: Vec<Field>,
}

/// What a vector is wanted of.
#[derive(Debug)]
pub struct Input<'a> {
    /// A text or tokens.
    pub what: What<'a>,
    /// The title of the document that the text is of.
    pub title: Option<JsonStr<'a>>,
}

/// A text or tokens.
#[derive(Debug)]
pub enum What<'a> {
    /// A text.
    Text(JsonStr<'a>),
    /// Numbers of tokens, a list as written.
    Tokens(&'a RawValue),
}

/// What happens to a text that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truncate {
    /// The request fails.
    No,
    /// Its beginning is left out.
    Start,
    /// Its end is left out.
    End,
}

/// A field that not every provider has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// [`Request::purpose`].
    Purpose,
    /// [`Input::title`].
    Title,
    /// [`Request::truncate`].
    Truncate,
    /// [`Request::user`].
    User,
}

/// Why a provider cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It takes no more texts at once.
    AtMost(usize),
    /// It has nothing for this, which cannot be left out.
    Unsupported(&'static str),
    /// The model's vectors have these lengths only.
    Dimensions(&'static [u64]),
}

/// An answer.
#[derive(Debug, Default)]
pub struct Response<'a> {
    /// The vectors, in the order of the inputs.
    pub vectors: Vec<&'a RawValue>,
    /// The model that made them.
    pub model: Option<JsonStr<'a>>,
    /// Tokens of the texts.
    pub tokens: Option<u64>,
}

impl Client {
    /// All of them.
    pub const ALL: [Client; 2] = [Client::OpenAi, Client::Gemini];

    /// Reads a request; every mistake is named with its place in the client's document.
    pub fn read(self, text: &str) -> Result<Request<'_>, ApiError> {
        match self {
            Client::OpenAi => client::openai::read(text),
            Client::Gemini => client::gemini::read(text),
        }
    }

    /// Its name of a field.
    pub fn name_of(self, field: Field) -> &'static str {
        match (self, field) {
            (Client::OpenAi, Field::Purpose) => "input_type",
            (Client::OpenAi, Field::Truncate) => "truncate",
            (Client::Gemini, Field::Purpose) => "taskType",
            (Client::Gemini, Field::Truncate) => "autoTruncate",
            (_, Field::Title) => "title",
            (_, Field::User) => "user",
        }
    }

    /// Where its texts stand.
    pub fn name_of_inputs(self) -> &'static str {
        match self {
            Client::OpenAi => "input",
            Client::Gemini => "requests",
        }
    }

    /// Its name of [`Request::dimensions`].
    pub fn name_of_dimensions(self) -> &'static str {
        match self {
            Client::OpenAi => "dimensions",
            Client::Gemini => "outputDimensionality",
        }
    }
}

/// An answer that is on its way.
#[derive(Clone, Debug)]
pub struct Pending {
    client: Client,
    dialect: Dialect,
    /// The provider's name of the model.
    model: String,
    inputs: usize,
    base64: bool,
    single: bool,
    /// The count of tokens that a header told.
    tokens: Option<u64>,
}

impl Pending {
    /// The answer to this request.
    pub fn new(client: Client, dialect: Dialect, model: &str, request: &Request<'_>) -> Pending {
        Pending {
            client,
            dialect,
            model: model.to_owned(),
            inputs: request.inputs.len(),
            base64: request.base64,
            single: request.single,
            tokens: None,
        }
    }

    /// Reads what the headers tell.
    pub fn head(&mut self, headers: &dyn Headers) {
        self.tokens = self.dialect.tokens_header().and_then(|name| headers.get(name)?.parse().ok());
    }

    /// Puts the answer into the client's form, and tells what it has cost.
    pub fn answer(&self, text: &str) -> Result<(String, Option<Usage>), BadJson> {
        let mut response = self.dialect.read(text);
        if response.vectors.len() != self.inputs {
            // To give a client another text's vector is worse than to give it none.
            let message = format!("has {} vectors of {}", response.vectors.len(), self.inputs);
            return Err(BadJson { path: String::new(), message });
        }
        for vector in &response.vectors {
            vector::check(vector)?;
        }
        response.tokens = response.tokens.or(self.tokens);
        let usage =
            response.tokens.map(|prompt_tokens| Usage { prompt_tokens, ..Usage::default() });
        let text = match self.client {
            Client::OpenAi => client::openai::write(&response, &self.model, self.base64)?,
            Client::Gemini => client::gemini::write(&response, self.single),
        };
        Ok((text, usage))
    }
}
