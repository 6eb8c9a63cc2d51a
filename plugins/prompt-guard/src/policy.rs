//! The configured plugin's state: what is looked for, and what happens to it.

use shared::small_map::SmallMap;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use hmac::{Hmac, KeyInit, Mac};
use regex_lite::Regex;
use sha2::Sha256;
use shared::config::{ConfigError, Mode, Secret};
use shared::exchange::{Limits, Settings};
use shared::host::Capability;
use shared::plugin::Need;
use shared::services::Services;
use shared::texts::{Role, Text};

use crate::config::{self, Action, Config, Preset, Treatment, Uninspected};
use crate::detect::{Detector, Profile};
use crate::mask::{LITERAL, Masks, names};
use crate::pii::{Entities, Entity, Scanner};

/// The configured plugin's state.
#[derive(Debug)]
pub struct Policy {
    /// What the plugin does.
    pub mode: Mode,
    /// What happens to attempts.
    pub action: Action,
    /// How careful it is.
    pub profile: Profile,
    /// What happens to what cannot be looked into.
    pub uninspected: Uninspected,
    /// Whether values come back in answers.
    pub restore: bool,
    /// Bounds of a request.
    pub limits: config::Limits,
    detector: Detector,
    roles: Vec<config::Role>,
    last_messages: Option<u32>,
    scanner: Scanner,
    treatments: SmallMap<Entity, Treatment>,
    custom: Vec<(String, Regex, Treatment)>,
    hash_key: Option<Secret>,
    deny: Option<AhoCorasick>,
    deny_patterns: Vec<Regex>,
    allow_patterns: Vec<Regex>,
    answer_deny: Option<AhoCorasick>,
    /// Longest text that ends an answer.
    answer_longest: usize,
    audit_salt: Option<Secret>,
    settings: Settings,
}

/// What was found in a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// How sure an attempt is, 0 to 1.
    pub score: f32,
    /// The rules that it went by.
    pub rules: Vec<String>,
    /// Kinds of personal data.
    pub kinds: SmallMap<String, u32>,
    /// Kinds for which the request is refused.
    pub blocked: Option<String>,
    /// What of the lists is against it.
    pub denied: bool,
}

impl Policy {
    /// Checks a configuration.
    pub fn new(config: Config) -> Result<Policy, ConfigError> {
        let mut treatments = SmallMap::new();
        for entity in config.pii.preset.map(covers).unwrap_or_default() {
            treatments.insert(entity, Treatment::Mask);
        }
        for (name, treatment) in &config.pii.entities {
            let path = format!("pii.entities.{name}");
            match Entity::of(name) {
                Some(entity) => treatments.insert(entity, *treatment),
                None if config.pii.custom.contains_key(name) => None,
                None => {
                    let all: Vec<_> = Entity::ALL.iter().map(|entity| entity.name()).collect();
                    let message =
                        format!("expected one of {}, or a name of `pii.custom`", all.join(", "));
                    return Err(ConfigError::new(path, message));
                }
            };
        }
        if config.pii.entities.values().any(|treatment| *treatment == Treatment::Hash)
            && config.pii.hash_key.is_none()
        {
            return Err(ConfigError::new("pii.hash_key", "is needed for `hash`"));
        }
        treatments.retain(|_, treatment| *treatment != Treatment::Allow);
        let entities: Entities = treatments.keys().copied().collect();
        let mut custom = Vec::new();
        for (name, pattern) in &config.pii.custom {
            let path = format!("pii.custom.{name}");
            let ok = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
            let named = name.bytes().all(ok) && name.starts_with(|c: char| c.is_ascii_uppercase());
            if !named || name.len() > 32 || Entity::of(name).is_some() || name == LITERAL {
                let message =
                    "must have 1 to 32 capital letters, digits and `_`, and be no other kind's";
                return Err(ConfigError::new(path, message));
            }
            let treatment = config.pii.entities.get(name).copied().unwrap_or(Treatment::Mask);
            custom.push((name.clone(), regex(pattern, &path)?, treatment));
        }
        let built = |error: aho_corasick::BuildError, path: &str| {
            ConfigError::new(path, format!("is too much: {error}"))
        };
        let all = |texts: &[String], path: &str| {
            let texts = texts.iter().enumerate();
            let all = texts.map(|(index, text)| regex(text, &format!("{path}[{index}]")));
            all.collect::<Result<Vec<_>, _>>()
        };
        let mut ends = config.answers.deny.clone();
        ends.extend(config.answers.canaries.iter().cloned());
        let limits = Limits { request: config.max_request_bytes, ..Limits::default() };
        Ok(Policy {
            mode: config.mode,
            action: config.injection.action,
            profile: config.injection.profile,
            uninspected: config.uninspected,
            restore: config.pii.restore,
            limits: config.limits,
            detector: Detector::new(),
            roles: config.injection.roles,
            last_messages: config.injection.last_messages,
            scanner: Scanner::new(entities).map_err(|error| built(error, "pii"))?,
            treatments,
            custom,
            hash_key: config.pii.hash_key,
            deny: words(&config.lists.deny, "lists.deny")?,
            deny_patterns: all(&config.lists.deny_patterns, "lists.deny_patterns")?,
            allow_patterns: all(&config.lists.allow_patterns, "lists.allow_patterns")?,
            answer_longest: ends.iter().map(String::len).max().unwrap_or(0),
            answer_deny: words(&ends, "answers.deny")?,
            audit_salt: config.audit_salt,
            settings: Settings {
                limits,
                services: Services::new(&config.services, "services")?,
                ..Settings::default()
            },
        })
    }

    /// Settings of its exchanges.
    pub fn settings(&self) -> Settings {
        self.settings.clone()
    }

    /// What the proxy has to be able to do for this.
    pub fn needs(&self) -> Vec<Need> {
        let mut needs = Vec::new();
        if self.mode != Mode::Enforce {
            return needs;
        }
        let changes = |treatment: &Treatment| {
            matches!(treatment, Treatment::Mask | Treatment::Replace | Treatment::Hash)
        };
        if self.treatments.values().any(changes) || !self.custom.is_empty() {
            let message = "this proxy cannot change bodies, so nothing can be masked here; write `block` \
                           or `flag`, or use ai-gateway, which has this plugin as its section `prompt-guard`";
            let otherwise = ConfigError::new("pii", message);
            needs.push(Need { capability: Capability::RewriteRequestBody, otherwise });
        }
        if self.ends_answers() {
            let message = "this proxy cannot change answers, so none can be ended here; leave it out, or \
                           use ai-gateway, which has this plugin as its section `prompt-guard`";
            let otherwise = ConfigError::new("answers", message);
            needs.push(Need { capability: Capability::RewriteResponseBody, otherwise });
        }
        needs
    }

    /// Whether a text is looked at for attempts; `last`: the number of the last message.
    pub fn inspects(&self, text: &Text<'_>, last: u32) -> bool {
        let role = match text.role {
            Role::System | Role::Declaration => config::Role::System,
            Role::User => config::Role::User,
            Role::Assistant => config::Role::Assistant,
            Role::Tool => config::Role::Tool,
        };
        let recent =
            self.last_messages.is_none_or(|count| last.saturating_sub(text.message) < count);
        self.action != Action::Allow && recent && self.roles.contains(&role)
    }

    /// Looks for an attempt in a text.
    pub fn detect(&self, text: &str, findings: &mut Findings) {
        let verdict = self.detector.detect(text);
        if verdict.score > findings.score {
            findings.score = verdict.score;
            findings.rules = verdict.rules;
        }
    }

    /// Holds a text against the lists.
    pub fn lists(&self, text: &str, user: bool, findings: &mut Findings) {
        let denied = self.deny.as_ref().is_some_and(|deny| finds(deny, text, false))
            || self.deny_patterns.iter().any(|pattern| pattern.is_match(text))
            || (user
                && !self.allow_patterns.is_empty()
                && !self.allow_patterns.iter().any(|pattern| pattern.is_match(text)));
        findings.denied |= denied;
    }

    /// Whether any kind of data is looked for.
    pub fn masks(&self) -> bool {
        !self.treatments.is_empty() || !self.custom.is_empty()
    }

    /// The text with its data treated; `None` if it stays as it is.
    pub fn treat(&self, text: &str, masks: &mut Masks, findings: &mut Findings) -> Option<String> {
        let mut spans: Vec<(usize, usize, &str, Treatment)> = Vec::new();
        for found in self.scanner.scan(text) {
            let treatment = self.treatments.get(&found.entity).copied().unwrap_or(Treatment::Allow);
            spans.push((found.start, found.end, found.entity.name(), treatment));
        }
        for (name, pattern, treatment) in &self.custom {
            let matches = pattern.find_iter(text).filter(|found| !found.is_empty());
            spans.extend(
                matches.map(|found| (found.start(), found.end(), name.as_str(), *treatment)),
            );
        }
        // What the client wrote that looks like one of ours.
        let literal =
            names::find_all(text).map(|(start, end)| (start, end, LITERAL, Treatment::Mask));
        spans.extend(literal);
        spans.sort_by_key(|(start, end, ..)| (*start, std::cmp::Reverse(*end)));
        let mut out = String::new();
        let mut done = 0;
        for (start, end, name, treatment) in spans {
            let Some(value) = text.get(start..end).filter(|_| start >= done) else { continue };
            if name != LITERAL {
                let count = findings.kinds.entry(name.to_owned()).or_insert(0);
                *count = count.saturating_add(1);
            }
            let with = match treatment {
                Treatment::Mask => masks.placeholder(name, value),
                Treatment::Replace => format!("[{name}]"),
                Treatment::Hash => format!("[{name}:{}]", self.hash(self.hash_key.as_ref(), value)),
                Treatment::Block => {
                    findings.blocked.get_or_insert_with(|| name.to_owned());
                    continue;
                }
                Treatment::Flag | Treatment::Allow => continue,
            };
            out.push_str(text.get(done..start).unwrap_or_default());
            out.push_str(&with);
            done = end;
        }
        if done == 0 {
            return None;
        }
        out.push_str(text.get(done..).unwrap_or_default());
        Some(out)
    }

    fn hash(&self, key: Option<&Secret>, text: &str) -> String {
        let key = key.map(|key| key.expose().as_bytes()).unwrap_or_default();
        let Ok(mut hmac) = <Hmac<Sha256> as KeyInit>::new_from_slice(key) else {
            return String::new();
        };
        hmac.update(text.as_bytes());
        hmac.finalize().into_bytes().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// What a text is called in the audit line.
    pub fn audit_name(&self, text: &str) -> Option<String> {
        self.audit_salt.as_ref().map(|salt| self.hash(Some(salt), text))
    }

    /// Whether answers are looked at for what ends them.
    pub fn ends_answers(&self) -> bool {
        self.answer_deny.is_some()
    }

    /// Whether a text has something that ends an answer; `open` if it may go on, so that a word at its
    /// end may turn out to be the beginning of another.
    pub fn ends(&self, text: &str, open: bool) -> bool {
        self.answer_deny.as_ref().is_some_and(|deny| finds(deny, text, open))
    }

    /// How much of a stream's text is held back, in bytes, so that nothing that ends an answer leaves in
    /// pieces: the longest of it, and a letter more to see where a word ends.
    pub fn held_back(&self) -> usize {
        if self.answer_longest == 0 { 0 } else { self.answer_longest.saturating_add(8) }
    }
}

/// Kinds that a preset masks.
fn covers(preset: Preset) -> Vec<Entity> {
    use Entity as E;
    match preset {
        Preset::Gdpr => Entity::ALL.into_iter().filter(|entity| *entity != E::Secret).collect(),
        Preset::Hipaa => vec![
            E::Email,
            E::Phone,
            E::UsSsn,
            E::UsItin,
            E::Ip,
            E::Mac,
            E::DateOfBirth,
            E::MedicalRecord,
            E::HealthInsurance,
            E::Passport,
            E::NationalId,
            E::CreditCard,
            E::Iban,
        ],
        Preset::PciDss => vec![E::CreditCard, E::CnBankCard, E::Iban],
        Preset::Pipl => vec![
            E::CnId,
            E::CnPhone,
            E::CnBankCard,
            E::CnPassport,
            E::CnPlate,
            E::Email,
            E::Phone,
            E::Ip,
            E::Mac,
            E::DateOfBirth,
            E::MedicalRecord,
            E::HealthInsurance,
            E::CreditCard,
            E::Passport,
        ],
    }
}

fn regex(text: &str, path: &str) -> Result<Regex, ConfigError> {
    let regex = Regex::new(text);
    regex.map_err(|error| ConfigError::new(path, format!("is not a regular expression: {error}")))
}

fn words(words: &[String], path: &str) -> Result<Option<AhoCorasick>, ConfigError> {
    if let Some(index) = words.iter().position(String::is_empty) {
        return Err(ConfigError::new(format!("{path}[{index}]"), "must not be empty"));
    }
    if words.is_empty() {
        return Ok(None);
    }
    let lower = words.iter().map(|word| word.to_lowercase());
    let built = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .build(lower);
    built.map(Some).map_err(|error| ConfigError::new(path, format!("is too much: {error}")))
}

/// Whether one of the words is there; one of ASCII letters only as a whole word, others anywhere, since
/// not every script parts its words. `open`: the text may go on.
fn finds(words: &AhoCorasick, text: &str, open: bool) -> bool {
    let lower = if text.is_ascii() { None } else { Some(text.to_lowercase()) };
    let text = lower.as_deref().unwrap_or(text);
    let bytes = text.as_bytes();
    let letter =
        |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_alphanumeric);
    words.find_overlapping_iter(text).any(|found| {
        let (start, end) = (found.start(), found.end());
        let opens = letter(Some(start)) && letter(start.checked_sub(1));
        let closes = letter(end.checked_sub(1)) && letter(Some(end));
        let undecided = open && end == bytes.len() && letter(end.checked_sub(1));
        !opens && !closes && !undecided
    })
}
