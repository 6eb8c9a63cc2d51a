//! What all chat protocols have in common: the hub that each is read into and written from.
//!
//! Texts stay as they stand in their document ([`JsonStr`]), so that a prompt is copied once and
//! never decoded. What only one protocol knows is named in [`Request::dropped`], so that a client can
//! be told.

use serde_json::value::RawValue;
use shared::json::JsonStr;
use shared::usage::Usage;

/// A request for a chat completion.
#[derive(Debug, Default)]
pub struct Request<'a> {
    /// Instructions, in order; text parts only.
    pub system: Vec<Part<'a>>,
    /// The conversation; neighbours differ in role and none is empty.
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
    /// What ends the answer.
    pub stop: Vec<JsonStr<'a>>,
    /// Whether the answer is to be an event stream.
    pub stream: bool,
    /// How much to think.
    pub effort: Option<Effort>,
    /// A JSON Schema of the answer.
    pub schema: Option<&'a RawValue>,
    /// Who asks, for the provider's abuse detection.
    pub user: Option<JsonStr<'a>>,
    /// Fields that have no place here.
    pub dropped: Vec<String>,
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
}

/// One thing said, and where the provider's prompt cache is to be cut.
#[derive(Debug)]
pub struct Part<'a> {
    /// What.
    pub body: Body<'a>,
    /// Anthropic's `cache_control`, as written.
    pub cache_control: Option<&'a RawValue>,
}

impl<'a> From<Body<'a>> for Part<'a> {
    fn from(body: Body<'a>) -> Part<'a> {
        Part { body, cache_control: None }
    }
}

/// One thing said.
#[derive(Debug)]
pub enum Body<'a> {
    /// Text.
    Text(JsonStr<'a>),
    /// A picture.
    Image(Source<'a>),
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
    /// What the model thought.
    Thinking {
        /// The thought.
        text: JsonStr<'a>,
        /// The provider's proof that it was not changed.
        signature: Option<JsonStr<'a>>,
    },
    /// An encrypted thought.
    RedactedThinking(JsonStr<'a>),
}

/// Where a picture or document is.
#[derive(Debug)]
pub enum Source<'a> {
    /// In the request itself; both as they stand between the quotes of a JSON string.
    Base64 {
        /// `image/png` ...
        media_type: &'a str,
        /// The bytes.
        data: &'a str,
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
    pub parameters: Option<&'a RawValue>,
    /// Whether the arguments are bound to the schema.
    pub strict: Option<bool>,
    /// Anthropic's `cache_control`, as written.
    pub cache_control: Option<&'a RawValue>,
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

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// It was complete, or a stop sequence came.
    End,
    /// The limit of tokens.
    Length,
    /// The client is to run functions.
    ToolCalls,
    /// The provider's safety filter, or the model refused.
    Filter,
}

/// A whole answer.
#[derive(Debug)]
pub struct Response<'a> {
    /// The provider's name for it.
    pub id: Option<JsonStr<'a>>,
    /// The model that answered.
    pub model: Option<JsonStr<'a>>,
    /// What it says.
    pub parts: Vec<Part<'a>>,
    /// Why it ended.
    pub stop: Option<StopReason>,
    /// The token counts.
    pub usage: Option<Usage>,
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
    /// A thought goes on.
    Thinking(JsonStr<'a>),
    /// A thought is over: the whole of it, and its signature.
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
    /// The answer is over.
    Stop(StopReason),
    /// The provider gives up.
    Error {
        /// Its name of the error.
        kind: String,
        /// In words.
        message: String,
    },
    /// The last event, with the token counts if there were any.
    End(Option<Usage>),
}
