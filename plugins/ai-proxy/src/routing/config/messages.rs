//! Messages that the gateway adds, as they are written.

use shared::small_map::SmallMap;

use shared::config::Setting;

/// What a rule does to the messages of its requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Messages {
    /// These come first.
    #[serde(default)]
    pub prepend: Vec<Message>,
    /// These come last.
    #[serde(default)]
    pub append: Vec<Message>,
    /// These come first, and what the client has sent of their roles is taken away.
    #[serde(default)]
    pub replace: Vec<Message>,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said; in a template, `{{name}}` stands for a variable.
    pub content: String,
}

/// Who says a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The operator of the application.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
}

/// Messages with variables, which a client fills: `"template": {"name": "...", "variables": {...}}` in
/// the body of its request. They come before the client's own messages.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// The messages.
    pub messages: Vec<Message>,
    /// Values of variables that the client may leave out.
    #[serde(default)]
    pub defaults: SmallMap<String, String>,
}
