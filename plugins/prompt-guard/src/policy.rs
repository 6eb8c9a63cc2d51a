//! The configured plugin's state: what is looked for, and what happens to it.

use shared::small_map::SmallMap;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use shared::config::{ConfigError, Mode, Secret, Secrets};
use shared::exchange::{Limits, Settings};
use shared::host::Capability;
use shared::json::JsonStr;
use shared::plugin::Need;
use shared::remembered::Remembered;
use shared::services::Services;
use shared::text::hex;
use shared::texts::{Role, Text};

use crate::answers::{Answers, HOLD_PII};
use crate::config::{self, Action, Config, Preset, RuleSet, Treatment, Uninspected};
use crate::detect::Detector;
use crate::expression::Expression;
use crate::findings::Findings;
use crate::mask::nested::{self, Place, behind};
use crate::mask::{LITERAL, Masks, names};
use crate::moderation::Moderation;
use crate::normalise;
use crate::pii::{Entities, Entity, Scanner};
use crate::rules::Rules;
use crate::scripts;

/// The configured plugin's state.
#[derive(Debug)]
pub struct Policy {
    /// What the plugin does.
    pub mode: Mode,
    /// What happens to attempts.
    pub action: Action,
    /// The score from which on it happens.
    pub threshold: f32,
    /// The score from which on an attempt is noted.
    pub noted: f32,
    /// What happens to what cannot be looked into.
    pub uninspected: Uninspected,
    /// Whether values come back in answers.
    pub restore: bool,
    /// Bounds of a request.
    pub limits: config::Limits,
    /// Finds attempts.
    pub detector: Detector,
    /// Sets of words and expressions; what the lists deny is the first of them.
    pub rules: Vec<Rules>,
    /// What answers are looked at for; `None` if for nothing.
    pub answers: Option<Answers>,
    /// A service outside.
    pub moderation: Option<Moderation>,
    /// Texts in which nothing was found, and how sure an attempt is: a conversation is sent anew with each of its
    /// turns, and what is found depends on this policy and on the text alone.
    pub clean: Remembered<f32>,
    /// Keys of the endpoint for tests.
    pub test_key: Secrets,
    roles: Vec<config::Role>,
    last_messages: Option<u32>,
    scanner: Scanner,
    treatments: SmallMap<Entity, Treatment>,
    /// What asks for values to be changed, if anything does.
    masked_by: Option<String>,
    custom: Vec<(String, Expression, Treatment)>,
    hash_key: Option<Secret>,
    allow_patterns: Vec<Expression>,
    audit_salt: Option<Secret>,
    settings: Settings,
}

/// Most texts that are remembered; each takes 32 bytes.
const MOST_CLEAN: usize = 8192;

impl Policy {
    /// Checks a configuration.
    pub fn new(config: Config) -> Result<Policy, ConfigError> {
        let mut treatments = SmallMap::new();
        for entity in config.pii.preset.map(covers).unwrap_or_default() {
            treatments.insert(entity, Treatment::Mask);
        }
        treatments.extend(entities_of(&config.pii.entities, "pii.entities", &config)?);
        let mut all = config.pii.entities.values().chain(config.answers.entities.values());
        if all.any(|treatment| *treatment == Treatment::Hash) && config.pii.hash_key.is_none() {
            return Err(ConfigError::new("pii.hash_key", "is needed for `hash`"));
        }
        treatments.retain(|_, treatment| *treatment != Treatment::Allow);
        let masked_by = masked_by(&config, &treatments);
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
            custom.push((name.clone(), Expression::new(pattern, &path)?, treatment));
        }
        let rules = all_rules(&config)?;
        let answers = answers(&config, &rules, &custom)?;
        let threshold = config.injection.threshold.unwrap_or(config.injection.profile.block());
        if !(threshold > 0.0 && threshold <= 1.0) {
            return Err(ConfigError::new("injection.threshold", "must be above 0 and at most 1"));
        }
        let limits = Limits { request: config.max_request_bytes, ..Limits::default() };
        Ok(Policy {
            mode: config.mode,
            action: config.injection.action,
            threshold,
            noted: threshold.min(config.injection.profile.block()) * 0.6,
            uninspected: config.uninspected,
            restore: config.pii.restore,
            limits: config.limits,
            detector: Detector::new(),
            rules,
            answers,
            moderation: config.moderation.map(Moderation::new).transpose()?,
            clean: Remembered::new(MOST_CLEAN),
            test_key: config.test_key,
            roles: config.injection.roles,
            last_messages: config.injection.last_messages,
            scanner: Scanner::new(entities),
            treatments,
            masked_by,
            custom,
            hash_key: config.pii.hash_key,
            allow_patterns: Expression::list(&config.lists.allow_patterns, "lists.allow_patterns")?,
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
        if let Some(path) = &self.masked_by {
            let message = "this proxy cannot change bodies, so nothing can be masked here; write `block` \
                           or `flag` in `pii.entities`, or use ai-gateway, which has this plugin as its \
                           section `prompt-guard`";
            needs.push(Need::new(Capability::RewriteRequestBody, path.as_str(), message));
        }
        if self.answers.is_some() {
            let message = "this proxy cannot change answers, so none can be ended here; leave it out, or \
                           use ai-gateway, which has this plugin as its section `prompt-guard`";
            needs.push(Need::new(Capability::RewriteResponseBody, "answers", message));
        }
        if self.judges_answers() {
            let message = "this proxy cannot make an answer wait, so none can be judged; leave it out, and \
                           look at answers here, with the section `answers`";
            needs.push(Need::new(Capability::HoldResponse, "moderation.answers", message));
        }
        needs
    }

    /// Whether answers are judged by the service outside.
    pub fn judges_answers(&self) -> bool {
        self.moderation.as_ref().is_some_and(|service| service.config.answers)
    }

    /// Whether a text is looked at for attempts; `last`: the number of the last message.
    pub fn inspects(&self, text: &Text<'_>, last: u32) -> bool {
        self.action != Action::Allow && concerns(text, last, &self.roles, self.last_messages)
    }

    /// Whether a text is judged by the service outside.
    pub fn moderates(&self, text: &Text<'_>, last: u32) -> bool {
        self.moderation.as_ref().is_some_and(|service| {
            let config = &service.config;
            concerns(text, last, &config.roles, config.last_messages)
        })
    }

    /// Looks for an attempt in a text.
    pub fn detect(&self, text: &str, findings: &mut Findings) {
        let verdict = self.detector.detect(text);
        if verdict.score > findings.score {
            findings.score = verdict.score;
            findings.rules = if verdict.score < self.noted { Vec::new() } else { verdict.rules };
        }
    }

    /// Whether nothing was found in a text.
    pub fn is_clean(&self, findings: &Findings) -> bool {
        let Findings { score, rules: _, kinds, blocked, denied, foreign, count } = findings;
        let found = *score >= self.noted || *denied || *foreign || !count.is_empty();
        !found && kinds.is_empty() && blocked.is_none()
    }

    /// Holds a text against the lists and rule sets, as it stands and as it reads.
    pub fn lists(&self, text: &str, user: bool, findings: &mut Findings) {
        if user {
            let fits = |pattern: &Expression| pattern.is_match(text);
            findings.denied |=
                !self.allow_patterns.is_empty() && !self.allow_patterns.iter().any(fits);
            findings.foreign |=
                !self.limits.scripts.is_empty() && scripts::others(text, &self.limits.scripts);
        }
        if self.rules.iter().all(|rules| !rules.requests) {
            return;
        }
        let plain = normalise::plain(text);
        for text in std::iter::once(text).chain((plain != text).then_some(&*plain)) {
            for (number, rules) in self.rules.iter().enumerate().filter(|(_, set)| set.requests) {
                rules.hits(text, |hit| {
                    findings.count.add(number, rules, hit.number);
                    !findings.count.enough(number, rules)
                });
            }
        }
    }

    /// The rule sets that have as many hits as they need, the strictest action first.
    pub fn fitting(&self, findings: &Findings) -> Vec<&Rules> {
        let sets = self.rules.iter().enumerate();
        let fits = sets.filter(|(number, rules)| findings.count.enough(*number, rules));
        let mut fits: Vec<&Rules> = fits.map(|(_, rules)| rules).collect();
        shared::sort::by_key(&mut fits, |rules| rules.action as u8);
        fits
    }

    /// Whether any kind of data is looked for.
    pub fn masks(&self) -> bool {
        !self.treatments.is_empty() || !self.custom.is_empty()
    }

    /// Whether values get numbers, which are those of the whole conversation.
    pub fn numbers(&self) -> bool {
        let custom = self.custom.iter().map(|(.., treatment)| treatment);
        self.treatments.values().chain(custom).any(|treatment| *treatment == Treatment::Mask)
    }

    /// The text with its data treated; `None` if it stays as it is. Of what is `signed` only that is
    /// replaced which was when the model wrote it: the rest is what the model itself has said, and a provider
    /// refuses thoughts that are not as they were.
    pub fn treat(
        &self,
        text: &str,
        signed: bool,
        masks: &mut Masks,
        findings: &mut Findings,
    ) -> Option<String> {
        let mut spans: Vec<(usize, usize, &str, Treatment)> = Vec::new();
        let is_document = nested::is_document(text);
        let shown = if is_document { nested::plain(text) } else { text.into() };
        for found in self.scanner.scan(&shown) {
            let treatment = self.treatments.get(&found.entity).copied().unwrap_or(Treatment::Allow);
            spans.push((found.start, found.end, found.entity.name(), treatment));
        }
        for (name, pattern, treatment) in &self.custom {
            let matches = pattern.find_iter(&shown).filter(|found| !found.is_empty());
            spans.extend(
                matches.map(|found| (found.start(), found.end(), name.as_str(), *treatment)),
            );
        }
        // What the client wrote that looks like one of ours.
        let literal =
            names::find_all(text).map(|(start, end)| (start, end, LITERAL, Treatment::Mask));
        spans.extend(literal);
        shared::sort::by_key(&mut spans, |(start, end, ..)| (*start, std::cmp::Reverse(*end)));
        let mut out = String::new();
        let (mut done, mut place) = (0, Place::Outside);
        for (start, end, name, treatment) in spans {
            let start = if is_document { nested::start(text, start) } else { start };
            let Some(value) = text.get(start..end).filter(|_| start >= done) else { continue };
            if name != LITERAL {
                let count = findings.kinds.entry(name.to_owned()).or_insert(0);
                *count = count.saturating_add(1);
            }
            let with = match treatment {
                Treatment::Mask if signed && !masks.knew(name, value) => continue,
                Treatment::Replace | Treatment::Hash if signed => continue,
                Treatment::Mask if is_document && value.contains('\\') => {
                    let value = JsonStr::from_escaped(value);
                    masks
                        .placeholder(name, &value.as_ref().map(JsonStr::decode).unwrap_or_default())
                }
                Treatment::Mask => masks.placeholder(name, value),
                Treatment::Replace => format!("[{name}]"),
                Treatment::Hash => format!("[{name}:{}]", self.hash(self.hash_key.as_ref(), value)),
                Treatment::Block => {
                    findings.blocked.get_or_insert_with(|| name.to_owned());
                    continue;
                }
                Treatment::Flag | Treatment::Allow => continue,
            };
            let before = text.get(done..start).unwrap_or_default();
            place = behind(place, before);
            out.push_str(before);
            // A number of a JSON document becomes a string.
            let quote = if is_document && place == Place::Outside { "\"" } else { "" };
            out.extend([quote, &with, quote]);
            done = end;
        }
        if done == 0 {
            return None;
        }
        out.push_str(text.get(done..).unwrap_or_default());
        Some(out)
    }

    /// What is said in place of a value in an answer; `None`: the value.
    pub fn instead(&self, name: &str, value: &str, treatment: Treatment) -> Option<String> {
        match treatment {
            Treatment::Mask | Treatment::Replace => Some(format!("[{name}]")),
            Treatment::Hash => {
                Some(format!("[{name}:{}]", self.hash(self.hash_key.as_ref(), value)))
            }
            Treatment::Block | Treatment::Flag | Treatment::Allow => None,
        }
    }

    fn hash(&self, key: Option<&Secret>, text: &str) -> String {
        let key = key.map(|key| key.expose().as_bytes()).unwrap_or_default();
        let Ok(mut hmac) = <Hmac<Sha256> as KeyInit>::new_from_slice(key) else {
            return String::new();
        };
        hmac.update(text.as_bytes());
        hex(hmac.finalize().into_bytes().get(..8).unwrap_or_default())
    }

    /// What a text is called in the audit line.
    pub fn audit_name(&self, text: &str) -> Option<String> {
        self.audit_salt.as_ref().map(|salt| self.hash(Some(salt), text))
    }
}

/// Whether a text is one of these roles' and of the last so many messages.
fn concerns(text: &Text<'_>, last: u32, roles: &[config::Role], messages: Option<u32>) -> bool {
    let role = match text.role {
        Role::System | Role::Declaration => config::Role::System,
        Role::User => config::Role::User,
        Role::Assistant => config::Role::Assistant,
        Role::Tool => config::Role::Tool,
    };
    messages.is_none_or(|count| last.saturating_sub(text.message) < count) && roles.contains(&role)
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

/// The first place that asks for values to be changed.
fn masked_by(config: &Config, treatments: &SmallMap<Entity, Treatment>) -> Option<String> {
    let changes = |treatment: &Treatment| {
        matches!(treatment, Treatment::Mask | Treatment::Replace | Treatment::Hash)
    };
    let config::Pii { entities, custom, .. } = &config.pii;
    let named = entities.iter().find(|(_, treatment)| changes(treatment));
    let named = named.map(|(name, _)| format!("pii.entities.{name}"));
    // What is not named follows the preset, or is masked if it is a kind of one's own.
    let own = || custom.keys().find(|name| !entities.contains_key(*name));
    let own = || own().map(|name| format!("pii.custom.{name}"));
    let preset = || treatments.values().any(changes).then(|| "pii.preset".to_owned());
    named.or_else(own).or_else(preset)
}

/// The kinds that a map names.
fn entities_of(
    named: &SmallMap<String, Treatment>,
    path: &str,
    config: &Config,
) -> Result<SmallMap<Entity, Treatment>, ConfigError> {
    let mut treatments = SmallMap::new();
    for (name, treatment) in named {
        match Entity::of(name) {
            Some(entity) => treatments.insert(entity, *treatment),
            None if config.pii.custom.contains_key(name) => None,
            None => {
                let all: Vec<_> = Entity::ALL.iter().map(|entity| entity.name()).collect();
                let message =
                    format!("expected one of {}, or a name of `pii.custom`", all.join(", "));
                return Err(ConfigError::new(format!("{path}.{name}"), message));
            }
        };
    }
    Ok(treatments)
}

/// The rule sets, what is denied of requests and answers among them.
fn all_rules(config: &Config) -> Result<Vec<Rules>, ConfigError> {
    let lists = RuleSet {
        name: "lists".to_owned(),
        words: config.lists.deny.clone(),
        patterns: config.lists.deny_patterns.clone(),
        ..RuleSet::default()
    };
    let ends = RuleSet {
        name: "answers".to_owned(),
        words: [&config.answers.deny[..], &config.answers.canaries].concat(),
        patterns: config.answers.deny_patterns.clone(),
        requests: false,
        answers: true,
        ..RuleSet::default()
    };
    let mut all = Vec::new();
    for (set, words, patterns) in [
        (lists, "lists.deny", "lists.deny_patterns"),
        (ends, "answers.deny", "answers.deny_patterns"),
    ] {
        if !(set.words.is_empty() && set.patterns.is_empty()) {
            all.push(Rules::new(set, words, patterns)?);
        }
    }
    for (index, set) in config.rules.iter().enumerate() {
        let path = format!("rules[{index}]");
        if set.name.is_empty() || set.name.len() > 64 {
            return Err(ConfigError::new(format!("{path}.name"), "must have 1 to 64 letters"));
        }
        if set.words.is_empty() && set.patterns.is_empty() {
            return Err(ConfigError::new(path, "needs `words` or `patterns`"));
        }
        let (words, patterns) = (format!("{path}.words"), format!("{path}.patterns"));
        all.push(Rules::new(set.clone(), &words, &patterns)?);
    }
    all.retain(|rules| rules.action != Action::Allow);
    Ok(all)
}

/// What answers are looked at for.
fn answers(
    config: &Config,
    rules: &[Rules],
    custom: &[(String, Expression, Treatment)],
) -> Result<Option<Answers>, ConfigError> {
    let mut treatments = entities_of(&config.answers.entities, "answers.entities", config)?;
    treatments.retain(|_, treatment| *treatment != Treatment::Allow);
    let own = custom.iter().filter_map(|(name, pattern, _)| {
        let treatment = config.answers.entities.get(name)?;
        (*treatment != Treatment::Allow).then(|| (name.clone(), pattern.clone(), *treatment))
    });
    let custom: Vec<_> = own.collect();
    if !(16..=64 << 10).contains(&config.answers.hold_back) {
        return Err(ConfigError::new("answers.hold_back", "must be 16 to 65536"));
    }
    let injection = config.answers.injection;
    let held = rules.iter().filter(|rules| rules.answers);
    let held = held.map(|rules| match rules.has_patterns() {
        // A letter more, to see where a word ends.
        false => rules.longest.saturating_add(8),
        true => rules.longest.saturating_add(8).max(config.answers.hold_back),
    });
    let hold = held.max();
    if hold.is_none() && treatments.is_empty() && custom.is_empty() && injection == Action::Allow {
        return Ok(None);
    }
    let mut hold = hold.unwrap_or(0);
    if !custom.is_empty() {
        hold = hold.max(config.answers.hold_back);
    }
    let scanner = match treatments.is_empty() {
        true => None,
        false => {
            hold = hold.max(HOLD_PII);
            Some(Scanner::new(treatments.keys().copied().collect()))
        }
    };
    Ok(Some(Answers { scanner, treatments, custom, injection, hold }))
}
