//! What can be configured.

use shared::small_map::SmallMap;

use shared::config::{Mode, Secret, Secrets, Setting};

use crate::detect::Profile;

/// Configuration of prompt-guard. All of it has defaults: `{}` blocks what is surely an attack.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `off` looks at nothing; `dry_run` looks and logs, but changes and refuses nothing.
    pub mode: Mode,
    /// Paths of further AI services (`/v2/models/*`, `~^/ocr`) whose requests are treated as well; see
    /// `services` of ai-proxy. In the bundle ai-proxy's are enough.
    pub services: Vec<String>,
    /// Attempts to make a model do what it should not.
    pub injection: Injection,
    /// Personal data and secrets.
    pub pii: Pii,
    /// Words and expressions that are allowed or denied.
    pub lists: Lists,
    /// Sets of words and expressions with a score, a threshold and an action of their own.
    pub rules: Vec<RuleSet>,
    /// Bounds of a request.
    pub limits: Limits,
    /// What the model answers.
    pub answers: Answers,
    /// A service outside that judges texts: categories such as hate, violence, self-harm.
    pub moderation: Option<Moderation>,
    /// What happens to requests that cannot be looked into: compressed, binary, of an unknown type.
    pub uninspected: Uninspected,
    /// Names the text of a decision in the audit line, as the first half of its HMAC-SHA-256 under this
    /// secret; without it the line has no such name.
    pub audit_salt: Option<Secret>,
    /// Who may ask at `/_ai/guard/test` what would become of a request: `authorization: Bearer KEY`. Without
    /// a key there is no such endpoint.
    pub test_key: Secrets,
    /// Largest request body that is read, in bytes; a larger one is answered with 413.
    pub max_request_bytes: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            mode: Mode::default(),
            services: Vec::new(),
            injection: Injection::default(),
            pii: Pii::default(),
            lists: Lists::default(),
            rules: Vec::new(),
            limits: Limits::default(),
            answers: Answers::default(),
            moderation: None,
            uninspected: Uninspected::default(),
            audit_salt: None,
            test_key: Secrets::default(),
            max_request_bytes: 50 << 20,
        }
    }
}

/// Attempts to make a model do what it should not.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Injection {
    /// What happens to one.
    pub action: Action,
    /// How careful it is.
    pub profile: Profile,
    /// The score, above 0 and up to 1, from which on `action` is taken, in place of the profile's.
    pub threshold: Option<f32>,
    /// Whose texts are looked at: `system`, `user`, `assistant`, `tool`.
    pub roles: Vec<Role>,
    /// Looks at the last so many messages only; all unless said.
    pub last_messages: Option<u32>,
}

impl Default for Injection {
    fn default() -> Injection {
        Injection {
            action: Action::Block,
            profile: Profile::default(),
            threshold: None,
            roles: vec![Role::User, Role::Tool],
            last_messages: None,
        }
    }
}

/// Who says a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The application's operator.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// A function's result or a document.
    Tool,
}

/// What happens to what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The request is refused.
    Block,
    /// It goes on; the facts `guard` and `guard_rules` tell the other plugins, and ai-proxy's rules can
    /// route by them (`when.facts`).
    Flag,
    /// It goes on and is logged.
    Log,
    /// Nothing.
    Allow,
}

/// Personal data and secrets.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Pii {
    /// What happens to each kind: `{"EMAIL": "mask", "SECRET": "block"}`. See `docs/prompt-guard.md` for
    /// the kinds. What is not named follows `preset`, or is allowed.
    pub entities: SmallMap<String, Treatment>,
    /// Kinds that a regulation is about, masked.
    pub preset: Option<Preset>,
    /// Whether values come back in the answer where the model repeats their placeholders.
    pub restore: bool,
    /// The key of `hash`.
    pub hash_key: Option<Secret>,
    /// Kinds of your own: a name in capitals, and a regular expression (without look-around, linear).
    pub custom: SmallMap<String, String>,
}

impl Default for Pii {
    fn default() -> Pii {
        Pii {
            entities: SmallMap::new(),
            preset: None,
            restore: true,
            hash_key: None,
            custom: SmallMap::new(),
        }
    }
}

/// What happens to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Treatment {
    /// The request is refused.
    Block,
    /// It becomes `[EMAIL_1]`, the same for the same value, and comes back in the answer.
    Mask,
    /// It becomes `[EMAIL:9f86d081884c7d65]`, an HMAC-SHA-256 under `hash_key`: the same in every
    /// request, and nobody can turn it round.
    Hash,
    /// It becomes `[EMAIL]`, and is lost.
    Replace,
    /// It goes on; the fact `pii` names its kind.
    Flag,
    /// It goes on.
    Allow,
}

/// Kinds of data that a regulation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// The EU's: whatever leads to a person.
    Gdpr,
    /// The US health sector's: its identifiers as far as they have a form.
    Hipaa,
    /// The card industry's.
    PciDss,
    /// China's.
    Pipl,
}

/// Words and expressions.
#[derive(Clone, Debug, Default, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Lists {
    /// Words that are refused, in any case; a word of letters only as a whole word.
    pub deny: Vec<String>,
    /// Regular expressions that are refused.
    pub deny_patterns: Vec<String>,
    /// If there are any, a user's message must fit one of these regular expressions.
    pub allow_patterns: Vec<String>,
}

/// Bounds of a request.
#[derive(Clone, Debug, Default, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Most messages of the user's.
    pub max_turns: Option<u32>,
    /// Scripts that users may write in; one message with ten letters or more, a fifth of them of others, is
    /// refused. Languages that share a script are not told apart. All unless said.
    pub scripts: Vec<Script>,
    /// Most characters of all texts together.
    pub max_characters: Option<usize>,
}

/// A script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Script {
    /// Of English, Spanish, Vietnamese ...
    Latin,
    /// Chinese characters.
    Han,
    /// Of Japanese; it needs `han` too.
    Kana,
    /// Of Korean.
    Hangul,
    /// Of Russian, Ukrainian ...
    Cyrillic,
    /// Greek.
    Greek,
    /// Arabic, of Persian and Urdu as well.
    Arabic,
    /// Hebrew.
    Hebrew,
    /// Of Hindi, Marathi ...
    Devanagari,
    /// Thai.
    Thai,
    /// All others.
    Other,
}

/// Words and expressions that count together.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RuleSet {
    /// Its name, as in the audit line and the fact `guard_rules`.
    pub name: String,
    /// Words, in any case; one of letters only as a whole word.
    pub words: Vec<String>,
    /// Regular expressions.
    pub patterns: Vec<String>,
    /// What each word or expression that is found adds, once.
    pub score: f32,
    /// The sum from which on `action` is taken.
    pub threshold: f32,
    /// What happens then.
    pub action: Action,
    /// Held against requests.
    pub requests: bool,
    /// Held against answers.
    pub answers: bool,
}

impl Default for RuleSet {
    fn default() -> RuleSet {
        RuleSet {
            name: String::new(),
            words: Vec::new(),
            patterns: Vec::new(),
            score: 1.0,
            threshold: 1.0,
            action: Action::Block,
            requests: true,
            answers: false,
        }
    }
}

/// What the model answers.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Answers {
    /// Words that end an answer before they get out.
    pub deny: Vec<String>,
    /// Regular expressions that end an answer before a match gets out.
    pub deny_patterns: Vec<String>,
    /// Texts that only a leaked system prompt has; they end an answer.
    pub canaries: Vec<String>,
    /// What happens to personal data and secrets that the model says: `{"EMAIL": "mask", "SECRET":
    /// "block"}`, with the kinds of `pii`. There is nothing to restore, so `mask` is as `replace`.
    pub entities: SmallMap<String, Treatment>,
    /// What happens to an answer that reads as an attempt, as it may where another model reads it. `block`
    /// holds a kilobyte of it back.
    pub injection: Action,
    /// Bytes of a stream's text that are held back where there are regular expressions, 16 to 65536; the
    /// beginning of a longer match may get out.
    pub hold_back: usize,
}

impl Default for Answers {
    fn default() -> Answers {
        Answers {
            deny: Vec::new(),
            deny_patterns: Vec::new(),
            canaries: Vec::new(),
            entities: SmallMap::new(),
            injection: Action::Allow,
            hold_back: 128,
        }
    }
}

/// Which service judges texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// OpenAI's moderations, or one that has their form.
    Openai,
    /// A guardrail of Amazon Bedrock.
    Bedrock,
    /// Alibaba Cloud's content moderation, `TextModerationPlus`.
    Aliyun,
    /// Tencent Cloud's text moderation.
    Tencent,
    /// Any that takes and answers JSON: `body` and `flagged` say how.
    Http,
}

/// What happens to a text that could not be judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Fail {
    /// It goes on.
    Open,
    /// The request is answered with 503.
    #[default]
    Closed,
}

/// A service outside that judges texts. Data that is masked is masked for it too.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Moderation {
    /// Which it is.
    pub service: Service,
    /// The cluster on Envoy, `host:port` on APISIX.
    pub upstream: String,
    /// `http` or `https`; on Envoy the cluster decides.
    #[serde(default = "https")]
    pub scheme: String,
    /// The host name sent; the service's own unless said.
    #[serde(default)]
    pub authority: Option<String>,
    /// The path; the service's own unless said.
    #[serde(default)]
    pub path: Option<String>,
    /// Sent as `authorization: Bearer ...`.
    #[serde(default)]
    pub api_key: Option<Secret>,
    /// Sent along, as `api-key`.
    #[serde(default)]
    pub headers: SmallMap<String, Secret>,
    /// When to give up, in milliseconds.
    #[serde(default = "moderation_timeout")]
    pub timeout_ms: u32,
    /// What happens to a text that could not be judged.
    #[serde(default)]
    pub fail: Fail,
    /// What happens to a text that it is against.
    #[serde(default = "block")]
    pub action: Action,
    /// Whose texts are judged.
    #[serde(default = "asking")]
    pub roles: Vec<Role>,
    /// Judges the last so many messages only; all unless said.
    #[serde(default)]
    pub last_messages: Option<u32>,
    /// Has answers judged as well: what a model writes goes out once the service has let it pass. An answer
    /// that it is against is withheld, a stream ended.
    #[serde(default)]
    pub answers: bool,
    /// A streamed answer is judged, and goes out, in pieces of so many bytes.
    #[serde(default = "piece")]
    pub answer_piece: usize,
    /// Most calls for one answer; what would take more counts as not judged.
    #[serde(default = "answer_calls")]
    pub max_answer_calls: usize,
    /// Most characters of one call; more take several.
    #[serde(default = "characters")]
    pub max_characters: usize,
    /// Most calls for one request; what would take more counts as not judged.
    #[serde(default = "calls")]
    pub max_calls: usize,
    /// Of `openai`: categories and the score from which on each is against a text, in place of the
    /// service's own word. Of `http`: `flagged` and the least number.
    #[serde(default)]
    pub thresholds: SmallMap<String, f64>,
    /// Takes what the service is not sure of (Alibaba's `medium`, Tencent's `Review`) for bad, too.
    #[serde(default)]
    pub strict: bool,
    /// OpenAI's model, Alibaba's `Service`, Tencent's `BizType`.
    #[serde(default)]
    pub model: Option<String>,
    /// Of `bedrock`: the guardrail's id.
    #[serde(default)]
    pub guardrail: String,
    /// Of `bedrock`: the guardrail's version, or `DRAFT`.
    #[serde(default)]
    pub guardrail_version: String,
    /// The cloud's region; of others, where the service is. Texts of requests that are bound to other
    /// regions are not sent there and count as not judged.
    #[serde(default)]
    pub region: String,
    /// The cloud's key.
    #[serde(default)]
    pub access_key_id: Option<Secret>,
    /// Its secret.
    #[serde(default)]
    pub secret_access_key: Option<Secret>,
    /// Of `bedrock`: the token of a session.
    #[serde(default)]
    pub session_token: Option<Secret>,
    /// Of `http`: the body, with `{{text}}` and `{{source}}` (`INPUT`) where the text and what it is
    /// stand as JSON strings: `{"text": {{text}}}`.
    #[serde(default)]
    pub body: String,
    /// Of `http`: a JSON pointer to a boolean, a number or a list of categories.
    #[serde(default)]
    pub flagged: String,
}

fn https() -> String {
    "https".into()
}
/// With what is judged once more it fits one call.
fn piece() -> usize {
    1_500
}

fn answer_calls() -> usize {
    100
}

fn moderation_timeout() -> u32 {
    2_000
}
fn block() -> Action {
    Action::Block
}
fn asking() -> Vec<Role> {
    vec![Role::User, Role::Tool]
}
fn characters() -> usize {
    2_000
}
fn calls() -> usize {
    8
}

/// What happens to what cannot be looked into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Uninspected {
    /// Refused.
    #[default]
    Refuse,
    /// It goes on.
    Allow,
}
