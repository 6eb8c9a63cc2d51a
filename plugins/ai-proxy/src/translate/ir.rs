//! What all chat protocols have in common: the hub that each is read into and written from.
//!
//! Texts stay as they stand in their document ([`JsonStr`]), so that a prompt is copied once and
//! never decoded. What only one protocol knows is named in [`Request::dropped`], so that a client can
//! be told.

use std::borrow::Cow;

use serde_json::value::RawValue;
use shared::errors::ErrorKind;
use shared::json::{JsonStr, parse};
use shared::protocol::gemini::Members;
use shared::usage::Usage;

use super::lost::Lost;

/// A request for a chat completion.
#[derive(Debug, Default)]
pub struct Request<'a> {
    /// Instructions that come before all else, in order; text parts only.
    pub system: Vec<Part<'a>>,
    /// The conversation; neighbours differ in role, none is empty, and the first is no instruction.
    pub turns: Vec<Turn<'a>>,
    /// The functions that the model may call.
    pub tools: Vec<Tool<'a>>,
    /// Whether it must.
    pub tool_choice: Option<ToolChoice<'a>>,
    /// Whether it may call several at once.
    pub parallel_tool_calls: Option<bool>,
    /// Most tokens of the answer, thinking included.
    pub max_tokens: Option<u64>,
    /// 0 to 2.
    pub temperature: Option<f64>,
    /// 0 to 1.
    pub top_p: Option<f64>,
    /// How many of the likeliest tokens to choose from.
    pub top_k: Option<u64>,
    /// -2 to 2.
    pub frequency_penalty: Option<f64>,
    /// -2 to 2.
    pub presence_penalty: Option<f64>,
    /// Makes the answer repeatable, as far as the provider can.
    pub seed: Option<i64>,
    /// How many answers, 1 unless said.
    pub n: Option<u32>,
    /// The probability of each token of the answer, and of as many others in its place.
    pub logprobs: Option<u32>,
    /// What ends the answer.
    pub stop: Vec<JsonStr<'a>>,
    /// Whether the answer is to be an event stream.
    pub stream: bool,
    /// How much to think.
    pub thinking: Thinking,
    /// What the answer must look like; any text unless said.
    pub format: Option<Format<'a>>,
    /// How long-winded: `low`, `medium` or `high`.
    pub verbosity: Option<JsonStr<'a>>,
    /// Who asks, for the provider's abuse detection.
    pub user: Option<JsonStr<'a>>,
    /// What likens requests, for the provider's prompt cache.
    pub cache_key: Option<JsonStr<'a>>,
    /// Whether the provider is to keep the answer.
    pub store: Option<bool>,
    /// The client's notes on the request, an object of strings.
    pub metadata: Option<&'a RawValue>,
    /// Names of Anthropic's features that go into the body, see [`betas`](super::provider::betas).
    pub betas: Vec<&'a str>,
    /// Members that both of OpenAI's protocols have and no other, as written.
    pub openai: Vec<(&'static str, &'a RawValue)>,
    /// Members of the request that the answer is to repeat (Responses), as they stand in an object.
    pub echo: String,
    /// Fields of the client's, under its names, that have no place here.
    pub dropped: Vec<String>,
    /// Fields that the provider has nothing for.
    pub unsupported: Vec<Field>,
}

impl<'a> Request<'a> {
    /// Adds to the conversation. Neighbours of one role become one turn; other protocols want the roles to
    /// alternate, and all results of one round of calls in one turn.
    pub fn push(&mut self, role: Role, parts: Vec<Part<'a>>) {
        match self.turns.last_mut() {
            _ if parts.is_empty() => {}
            None if role == Role::System => self.system.extend(parts),
            Some(last) if last.role == role => last.parts.extend(parts),
            _ => self.turns.push(Turn { role, parts }),
        }
    }
}

/// A field that not every provider has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// [`Request::temperature`], wholly or beyond the provider's range.
    Temperature,
    /// [`Request::top_p`].
    TopP,
    /// [`Request::top_k`].
    TopK,
    /// [`Request::frequency_penalty`].
    FrequencyPenalty,
    /// [`Request::presence_penalty`].
    PresencePenalty,
    /// [`Request::seed`].
    Seed,
    /// [`Request::logprobs`].
    Logprobs,
    /// [`Request::stop`], or some of them.
    Stop,
    /// [`Request::thinking`].
    Thinking,
    /// [`Request::format`].
    Format,
    /// [`Request::verbosity`].
    Verbosity,
    /// [`Request::tool_choice`].
    ToolChoice,
    /// [`Request::parallel_tool_calls`].
    ParallelToolCalls,
    /// [`Request::user`].
    User,
    /// [`Part::cache_control`], or that of a tool.
    CacheControl,
    /// [`Part::breakpoint`].
    Breakpoint,
    /// [`Part::detail`].
    Detail,
    /// [`Thinking::show`].
    ShowThinking,
    /// The description of [`Format::Schema`].
    FormatDescription,
    /// [`Tool::strict`].
    Strict,
    /// That the function of a [`Body::ToolResult`] failed.
    ToolFailure,
    /// The title of a [`Body::Document`].
    Title,
    /// [`Body::Thinking`] and [`Body::RedactedThinking`] that another provider has signed.
    Thoughts,
    /// [`Request::cache_key`].
    CacheKey,
    /// [`Request::store`].
    Store,
    /// [`Request::metadata`], or some of it.
    Metadata,
}

/// What cannot be left out and that the provider has nothing for: `audio`, `more than one answer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsupported(pub &'static str);

/// How much to think; what is not said is the provider's business.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thinking {
    /// In words.
    pub effort: Option<Effort>,
    /// Most tokens of it; 0 is not at all.
    pub budget: Option<u64>,
    /// Whether the client wants to read it.
    pub show: Option<bool>,
}

impl Thinking {
    /// Nothing was said.
    pub fn is_default(self) -> bool {
        self == Thinking::default()
    }

    /// In words; a budget stands for the effort that would be given about as much.
    pub fn effort(self) -> Option<Effort> {
        self.effort.or_else(|| match self.budget? {
            0 => Some(Effort::None),
            1..=1024 => Some(Effort::Minimal),
            1025..=4096 => Some(Effort::Low),
            4097..=16_383 => Some(Effort::Medium),
            _ => Some(Effort::High),
        })
    }

    /// In tokens; an effort stands for what is usual.
    pub fn budget(self) -> Option<u64> {
        self.budget.or_else(|| match self.effort? {
            Effort::None => Some(0),
            Effort::Minimal => Some(1024),
            Effort::Low => Some(2048),
            Effort::Medium => Some(8192),
            Effort::High => Some(16_384),
            Effort::ExtraHigh => Some(32_768),
        })
    }
}

/// What an answer must look like.
#[derive(Debug)]
pub enum Format<'a> {
    /// A JSON object.
    Json,
    /// JSON that a schema allows.
    Schema {
        /// What it is called.
        name: Option<JsonStr<'a>>,
        /// What it is for.
        description: Option<JsonStr<'a>>,
        /// The JSON Schema.
        schema: Cow<'a, RawValue>,
        /// Whether the model is bound to it.
        strict: Option<bool>,
    },
}

/// What one side says before the other does.
#[derive(Debug)]
pub struct Turn<'a> {
    /// Which side.
    pub role: Role,
    /// What it says.
    pub parts: Vec<Part<'a>>,
}

/// A side of the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The client, tool results included.
    User,
    /// The model.
    Assistant,
    /// Instructions in the midst; text parts only.
    System,
}

/// One thing said, and where the provider's prompt cache is to be cut.
#[derive(Debug)]
pub struct Part<'a> {
    /// What.
    pub body: Body<'a>,
    /// Anthropic's `cache_control`, as written.
    pub cache_control: Option<&'a RawValue>,
    /// OpenAI's `prompt_cache_breakpoint`, as written; `cache_control` then says the same.
    pub breakpoint: Option<&'a RawValue>,
    /// How closely to look at a picture: `auto`, `low`, `high`.
    pub detail: Option<JsonStr<'a>>,
}

impl<'a> Part<'a> {
    /// Marks it in OpenAI's way.
    pub fn mark(&mut self, breakpoint: Option<&'a RawValue>) {
        self.breakpoint = breakpoint;
        if breakpoint.is_some() && self.cache_control.is_none() {
            self.cache_control = serde_json::from_str(r#"{"type":"ephemeral"}"#).ok();
        }
    }
}

impl<'a> From<Body<'a>> for Part<'a> {
    fn from(body: Body<'a>) -> Part<'a> {
        Part { body, cache_control: None, breakpoint: None, detail: None }
    }
}

/// One thing said.
#[derive(Debug)]
pub enum Body<'a> {
    /// Text.
    Text(JsonStr<'a>),
    /// What an assistant says that will not answer.
    Refusal(JsonStr<'a>),
    /// A picture.
    Image(Source<'a>),
    /// Speech or other sound.
    Audio(Source<'a>),
    /// A film.
    Video(Source<'a>),
    /// A document.
    Document {
        /// Where it is.
        source: Source<'a>,
        /// Its name.
        title: Option<JsonStr<'a>>,
    },
    /// The model calls a function.
    ToolCall {
        /// Names the call.
        id: JsonStr<'a>,
        /// The function.
        name: JsonStr<'a>,
        /// The arguments, a JSON object.
        arguments: Arguments<'a>,
    },
    /// What a function returned.
    ToolResult {
        /// Names the call.
        id: JsonStr<'a>,
        /// What it returned: texts and pictures.
        parts: Vec<Part<'a>>,
        /// It failed.
        is_error: bool,
    },
    /// What the model thought. It stands before what came of it, and that order matters to providers
    /// whose signatures belong to the call that follows.
    Thinking {
        /// The thought; empty where the provider shows its signature only.
        text: JsonStr<'a>,
        /// The provider's proof that it was not changed, see [`signature`](super::signature).
        signature: Option<JsonStr<'a>>,
    },
    /// An encrypted thought.
    RedactedThinking(JsonStr<'a>),
}

/// Where a picture, sound or document is.
#[derive(Clone, Debug)]
pub enum Source<'a> {
    /// In the request itself; both as they stand between the quotes of a JSON string.
    Base64 {
        /// `image/png` ...
        media_type: &'a str,
        /// The bytes, in the standard alphabet.
        data: Cow<'a, str>,
    },
    /// On the web.
    Url(JsonStr<'a>),
}

/// A call's arguments, in whichever form they came.
#[derive(Debug)]
pub enum Arguments<'a> {
    /// A JSON document in a string, valid or not.
    Text(JsonStr<'a>),
    /// A JSON value.
    Json(&'a RawValue),
}

/// A function that the model may call.
#[derive(Debug)]
pub struct Tool<'a> {
    /// Its name.
    pub name: JsonStr<'a>,
    /// What it is for.
    pub description: Option<JsonStr<'a>>,
    /// JSON Schema of its arguments.
    pub parameters: Option<Cow<'a, RawValue>>,
    /// It takes any text instead (Responses' custom tools). Elsewhere it is a function whose one
    /// argument, `input`, is that text.
    pub custom: bool,
    /// Whether the arguments are bound to the schema.
    pub strict: Option<bool>,
    /// Anthropic's `cache_control`, as written.
    pub cache_control: Option<&'a RawValue>,
}

/// JSON Schema of no arguments.
const NO_ARGUMENTS: &str = r#"{"type":"object","properties":{}}"#;

impl Tool<'_> {
    /// The same as an object that names its properties, none though they be. OpenAI refuses what is not, and
    /// Anthropic what does not say that it is an object, as what refers to its definition.
    pub fn object_schema(&self) -> Cow<'_, str> {
        let schema = self.schema();
        let (Some(rest), Ok(Members { rest: members })) = (schema.strip_prefix('{'), parse(schema))
        else {
            return Cow::Borrowed(schema);
        };
        let is =
            |key: &str| members.iter().find(|member| member.0 == key).map(|member| member.1.get());
        if members.is_empty() {
            return Cow::Borrowed(NO_ARGUMENTS);
        }
        match (is("type"), is("properties")) {
            (None, Some(_)) => Cow::Owned([r#"{"type":"object","#, rest].concat()),
            (None, None) => Cow::Owned([r#"{"type":"object","properties":{},"#, rest].concat()),
            (Some("\"object\""), None) => Cow::Owned([r#"{"properties":{},"#, rest].concat()),
            _ => Cow::Borrowed(schema),
        }
    }

    /// JSON Schema of the arguments; where the client gave none, that of no arguments.
    pub fn schema(&self) -> &str {
        match (&self.parameters, self.custom) {
            (Some(parameters), _) => parameters.get(),
            (None, true) => {
                r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#
            }
            (None, false) => NO_ARGUMENTS,
        }
    }
}

/// Whether a function must be called.
#[derive(Debug)]
pub enum ToolChoice<'a> {
    /// As the model likes.
    Auto,
    /// None.
    None,
    /// One at least.
    Required,
    /// This one.
    Named(JsonStr<'a>),
}

/// How much to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Not at all.
    None,
    /// As little as possible.
    Minimal,
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// As much as possible.
    ExtraHigh,
}

impl Effort {
    /// OpenAI's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Effort::None => "none",
            Effort::Minimal => "minimal",
            Effort::Low => "low",
            Effort::Medium => "medium",
            Effort::High => "high",
            Effort::ExtraHigh => "xhigh",
        }
    }

    /// What OpenAI's word means.
    pub fn of_word(word: &str) -> Option<Effort> {
        Some(match word {
            "none" => Effort::None,
            "minimal" => Effort::Minimal,
            "low" => Effort::Low,
            "medium" => Effort::Medium,
            "high" => Effort::High,
            "xhigh" | "max" => Effort::ExtraHigh,
            _ => return None,
        })
    }
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// It was complete.
    End,
    /// A stop sequence came.
    StopSequence,
    /// The limit of tokens.
    Length,
    /// The client is to run functions.
    ToolCalls,
    /// The provider's safety filter, or the model refused.
    Filter,
}

/// A whole answer.
#[derive(Debug, Default)]
pub struct Response<'a> {
    /// The provider's name for it.
    pub id: Option<JsonStr<'a>>,
    /// The model that answered.
    pub model: Option<JsonStr<'a>>,
    /// The answers; one unless more were asked for, none if the request was blocked.
    pub choices: Vec<Choice<'a>>,
    /// The token counts.
    pub usage: Option<Usage>,
    /// What it says that has no place here, see [`lost`](super::lost).
    pub dropped: Lost,
}

/// One of the answers.
#[derive(Debug, Default)]
pub struct Choice<'a> {
    /// What it says.
    pub parts: Vec<Part<'a>>,
    /// Why it ended.
    pub stop: Option<StopReason>,
    /// The probabilities of its tokens.
    pub logprobs: Vec<Logprob<'a>>,
}

/// A token and how likely it was.
#[derive(Clone, Debug)]
pub struct Logprob<'a> {
    /// The token's text.
    pub token: JsonStr<'a>,
    /// Natural logarithm of its probability.
    pub logprob: f64,
    /// The likeliest tokens in its place.
    pub top: Vec<(JsonStr<'a>, f64)>,
}

/// One step of a streamed answer.
#[derive(Debug)]
pub enum Delta<'a> {
    /// It begins.
    Start {
        /// The provider's name for it.
        id: Option<JsonStr<'a>>,
        /// The model that answers.
        model: Option<JsonStr<'a>>,
    },
    /// Text.
    Text(JsonStr<'a>),
    /// The probabilities of the text's tokens.
    Logprobs(Vec<Logprob<'a>>),
    /// What a model says that will not answer.
    Refusal(JsonStr<'a>),
    /// A picture.
    Image(Source<'a>),
    /// A thought goes on.
    Thinking(JsonStr<'a>),
    /// A thought is over: the whole of it, and its signature. Where no thought was shown the text is
    /// empty and no [`Delta::Thinking`] came before.
    ThoughtEnd {
        /// The thought.
        text: JsonStr<'a>,
        /// The provider's proof that it was not changed.
        signature: JsonStr<'a>,
    },
    /// An encrypted thought.
    RedactedThinking(JsonStr<'a>),
    /// A call of a function begins.
    ToolStart {
        /// Names the call.
        id: JsonStr<'a>,
        /// The function.
        name: JsonStr<'a>,
    },
    /// Its arguments go on: a piece of a JSON document.
    ToolArguments(JsonStr<'a>),
    /// Something that has no place here, see [`lost`](super::lost).
    Lost(Lost),
    /// The answer is over.
    Stop(StopReason),
    /// The provider gives up; nothing follows.
    Error {
        /// What went wrong.
        kind: ErrorKind,
        /// The provider's own name of it.
        code: String,
        /// In words.
        message: String,
    },
    /// The last event, with the token counts if there were any.
    End(Option<Usage>),
}
