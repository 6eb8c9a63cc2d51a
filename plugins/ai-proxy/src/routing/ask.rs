//! A request as routes look at it. What costs something to find out is found out when it is asked for.

use std::rc::Rc;

use shared::facts::Fact;
use shared::filter::Cx;
use shared::host::Map;
use shared::percent;
use shared::texts::{self, Role};

use super::config::{AutoTiers, Need, Tier};

/// The header by which a client names the target that it wants.
pub const PIN_HEADER: &str = "x-ai-pin";

/// A request.
pub struct Ask<'a, 'c> {
    /// The model that is asked for.
    pub model: &'a str,
    /// Whether the answer is to be a stream.
    pub stream: bool,
    /// Nanoseconds since the Unix epoch.
    pub now: u64,
    /// Its body.
    pub body: &'a str,
    /// Most tokens of the answer, if the client says.
    pub max_tokens: Option<u64>,
    /// The client wants to know why.
    pub debug: bool,
    asked_path: &'a str,
    cx: &'a mut Cx<'c>,
    tokens: Option<u64>,
    needs: Option<Needs>,
    /// Facts and headers that were asked for: many rules look at the same.
    facts: Vec<(Fact, Rc<str>)>,
    headers: Vec<(String, Option<Rc<str>>)>,
}

/// Things that not every model can do, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs(u8);

impl Needs {
    const ALL: [Need; 6] = [
        Need::Tools,
        Need::Vision,
        Need::Audio,
        Need::Documents,
        Need::JsonSchema,
        Need::Reasoning,
    ];

    /// These.
    pub fn of(needs: &[Need]) -> Needs {
        Needs(needs.iter().fold(0, |bits, need| bits | Needs::bit(*need)))
    }

    /// Whether this is one of them.
    pub fn has(self, need: Need) -> bool {
        self.0 & Needs::bit(need) != 0
    }

    /// One that is not among these others.
    pub fn beyond(self, others: Needs) -> Option<Need> {
        let beyond = Needs(self.0 & !others.0);
        if beyond == Needs::default() {
            return None;
        }
        Needs::ALL.into_iter().find(|need| beyond.has(*need))
    }

    fn bit(need: Need) -> u8 {
        1 << (need as u8)
    }
}

impl<'a, 'c> Ask<'a, 'c> {
    /// What is asked for with this path and body.
    pub fn new(
        cx: &'a mut Cx<'c>,
        path: &'a str,
        body: &'a str,
        model: &'a str,
        stream: bool,
    ) -> Ask<'a, 'c> {
        let now = cx.host.now_nanos();
        Ask {
            model,
            stream,
            now,
            body,
            max_tokens: None,
            debug: false,
            asked_path: path,
            cx,
            tokens: None,
            needs: None,
            facts: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// The target that the client names in the header `x-ai-pin`.
    pub fn pin(&self) -> Option<String> {
        self.header_once(PIN_HEADER).filter(|pin| !pin.is_empty())
    }

    /// The path without its query.
    pub fn path(&self) -> &'a str {
        self.asked_path.split('?').next().unwrap_or_default()
    }

    /// A header's value, of one that nothing else looks at.
    pub fn header_once(&self, name: &str) -> Option<String> {
        self.cx.host.header_text(Map::Request, name)
    }

    /// A header's value.
    pub fn header(&mut self, name: &str) -> Option<Rc<str>> {
        if let Some((_, value)) = self.headers.iter().find(|(known, _)| known == name) {
            return value.clone();
        }
        let value = self.header_once(name).map(Rc::from);
        self.headers.push((name.to_owned(), value.clone()));
        value
    }

    /// A parameter of the query, decoded.
    pub fn query(&self, name: &str) -> Option<String> {
        let (_, query) = self.asked_path.split_once('?')?;
        query.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent::decode(key) == name).then(|| percent::decode(value))
        })
    }

    /// What another plugin has stated; empty if none has.
    pub fn fact(&mut self, fact: Fact) -> Rc<str> {
        if let Some((_, value)) = self.facts.iter().find(|(known, _)| *known == fact) {
            return Rc::clone(value);
        }
        let value: Rc<str> = self.cx.facts.get(self.cx.host, fact).unwrap_or_default().into();
        self.facts.push((fact, Rc::clone(&value)));
        value
    }

    /// The regions that who asks is bound to.
    pub fn regions(&mut self) -> Option<Vec<String>> {
        let stated = self.cx.facts.get(self.cx.host, Fact::AllowedRegions)?;
        Some(stated.split(',').map(|region| region.trim().to_owned()).collect())
    }

    /// Whether no other plugin has set limits to where it may go.
    pub fn unlimited(&mut self) -> bool {
        let limits = [Fact::AllowedRegions, Fact::Exhausted];
        limits.into_iter().all(|fact| self.cx.facts.get(self.cx.host, fact).is_none())
    }

    /// A random number.
    pub fn random(&self) -> u64 {
        self.cx.host.random()
    }

    /// Size of the prompt in tokens: as token-ratelimit has estimated it, else by its length.
    pub fn prompt_tokens(&mut self) -> u64 {
        if let Some(tokens) = self.tokens {
            return tokens;
        }
        let stated = self.fact(Fact::Estimate).parse().ok();
        let tokens = stated.unwrap_or_else(|| {
            let texts = texts::request(self.body.into()).unwrap_or_default().texts;
            let sizes = texts.iter().map(|text| shared::tokens::estimate_string(text.raw.get()));
            sizes.fold(0, u64::saturating_add)
        });
        *self.tokens.insert(tokens)
    }

    /// Size of the prompt in tokens, or of what is clearly no more than `least` its bytes: a token has
    /// one at least, and counting them takes longer than the rest of a decision.
    pub fn prompt_tokens_above(&mut self, least: u64) -> u64 {
        let bytes = u64::try_from(self.body.len()).unwrap_or(u64::MAX);
        if self.tokens.is_none() && bytes <= least && self.fact(Fact::Estimate).is_empty() {
            return bytes;
        }
        self.prompt_tokens()
    }

    /// Whether the request needs this of a model.
    pub fn needs(&mut self, need: Need) -> bool {
        self.all_needs().has(need)
    }

    /// All that the request needs of a model.
    pub fn all_needs(&mut self) -> Needs {
        *self.needs.get_or_insert_with(|| shown(self.body))
    }

    /// How demanding the request is, and by which signs.
    pub fn tier(&mut self, tiers: &AutoTiers) -> (Tier, Vec<&'static str>) {
        let (tokens, needs) = (self.prompt_tokens(), self.all_needs());
        let mut tier = Tier::Small;
        let mut signs = Vec::new();
        let mut sign = |holds: bool, at_least: Tier, name| {
            if holds && at_least > Tier::Small {
                tier = tier.max(at_least);
                signs.push(name);
            }
        };
        sign(tokens >= tiers.large_tokens, Tier::Large, "long");
        sign(
            (tiers.medium_tokens..tiers.large_tokens).contains(&tokens),
            Tier::Medium,
            "medium_length",
        );
        sign(needs.has(Need::Tools), tiers.tools, "tools");
        sign(needs.has(Need::Reasoning), tiers.reasoning, "reasoning");
        let attached = [Need::Vision, Need::Audio, Need::Documents];
        let attached = attached.into_iter().any(|need| needs.has(need));
        sign(attached, tiers.attachments, "attachments");
        let texts = texts::request(self.body.into()).unwrap_or_default().texts;
        let question = texts.iter().rev().find(|text| text.role == Role::User);
        let question = question.map(|text| text.raw.get()).unwrap_or_default();
        sign(is_code(question), tiers.code, "code");
        sign(is_mathematics(question), tiers.mathematics, "mathematics");
        sign(
            tiers.other_scripts > Tier::Small && is_of_other_script(question),
            tiers.other_scripts,
            "other_script",
        );
        let turns = texts.last().map_or(0, |text| text.message);
        sign(u64::from(turns) >= tiers.many_turns, Tier::Medium, "many_turns");
        (tier, signs)
    }
}

/// What the body shows that the request needs.
///
/// Told by names that only stand in JSON with both quotes where they are meant: within a text their
/// quotes are escaped. Functions' parameters and the schemas of answers may be called the same, so that a
/// kind of content is one where it is a `type`, and a setting where it is the request's own. One pass over the
/// quotes, and another over the members if there may be a setting.
fn shown(body: &str) -> Needs {
    const TYPES: [(&str, Need); 8] = [
        ("image_url\"", Need::Vision),
        ("input_image\"", Need::Vision),
        ("image\"", Need::Vision),
        ("input_audio\"", Need::Audio),
        ("input_file\"", Need::Documents),
        ("file\"", Need::Documents),
        ("document\"", Need::Documents),
        ("json_schema\"", Need::JsonSchema),
    ];
    const MEDIA: [(&str, Need); 3] =
        [("image/", Need::Vision), ("audio/", Need::Audio), ("application/pdf\"", Need::Documents)];
    let mut needs = Needs::default();
    let mut set = false;
    for quote in memchr::memchr_iter(b'"', body.as_bytes()) {
        let rest = body.get(quote + 1..).unwrap_or_default();
        // Most strings begin otherwise.
        let Some(b't' | b'f' | b'i' | b'a' | b'd' | b'j' | b'r') = rest.as_bytes().first() else {
            continue;
        };
        let begins = |(name, _): &&(&str, Need)| rest.starts_with(name);
        let kind = TYPES.iter().find(begins).filter(|_| is_type(body, quote));
        if let Some((_, need)) = kind.or_else(|| MEDIA.iter().find(begins)) {
            needs = Needs(needs.0 | Needs::bit(*need));
        }
        set |= SETTINGS
            .iter()
            .any(|(name, _)| rest.strip_prefix(name).is_some_and(|rest| rest.starts_with('"')));
    }
    if set { Needs(needs.0 | settings(body, true).0) } else { needs }
}

/// Members of a request, or of its `generationConfig`, that need something if they are given.
const SETTINGS: [(&str, Need); 9] = [
    ("tools", Need::Tools),
    ("functions", Need::Tools),
    ("responseSchema", Need::JsonSchema),
    ("response_schema", Need::JsonSchema),
    ("responseJsonSchema", Need::JsonSchema),
    ("reasoning_effort", Need::Reasoning),
    ("reasoning", Need::Reasoning),
    ("thinking", Need::Reasoning),
    ("thinkingConfig", Need::Reasoning),
];

/// Whether the string whose quote stands there is the value of a `type`.
fn is_type(body: &str, quote: usize) -> bool {
    let before = body.get(..quote).unwrap_or_default().trim_end();
    before.strip_suffix(':').is_some_and(|before| before.trim_end().ends_with("\"type\""))
}

/// What the settings of a request, or of its `generationConfig`, need; what is switched off needs nothing.
fn settings(object: &str, request: bool) -> Needs {
    let mut needs = Needs::default();
    for (name, value) in shared::json::fields(object).unwrap_or_default() {
        let value = value.get();
        if request && matches!(&*name, "generationConfig" | "generation_config") {
            needs.0 |= settings(value, false).0;
        }
        let off = ["\"none\"", "\"disabled\""].into_iter().any(|off| value.contains(off));
        for (_, need) in SETTINGS.iter().filter(|(setting, _)| *setting == name) {
            if value != "null" && !(off && *need == Need::Reasoning) {
                needs.0 |= Needs::bit(*need);
            }
        }
    }
    needs
}

/// Signs of code in a text, escaped as in JSON.
fn is_code(text: &str) -> bool {
    const SIGNS: [&str; 14] = [
        "```",
        "def ",
        "class ",
        "import ",
        "fn ",
        "func ",
        "function ",
        "#include",
        "SELECT ",
        "select * from",
        "public static",
        "Traceback",
        "stack trace",
        "regex",
    ];
    text.contains("```") || SIGNS.iter().filter(|sign| text.contains(**sign)).count() >= 2
}

/// Whether most letters of a text, escaped as in JSON, are none of the Latin script.
fn is_of_other_script(text: &str) -> bool {
    let (mut latin, mut others) = (0u64, 0u64);
    for letter in text.chars().filter(|letter| letter.is_alphabetic()) {
        // Latin letters with their accents end at U+024F, others of them are in U+1E00 to U+1EFF.
        let is_latin = letter <= '\u{24f}' || ('\u{1e00}'..='\u{1eff}').contains(&letter);
        let count = if is_latin { &mut latin } else { &mut others };
        *count = count.saturating_add(1);
    }
    // Those that are escaped have a Latin `u` and at most four Latin digits each.
    let escaped = u64::try_from(text.matches("\\u").count()).unwrap_or(0);
    others.saturating_add(escaped) > latin.saturating_sub(escaped.saturating_mul(3))
}

/// Signs of mathematics in a text, escaped as in JSON.
fn is_mathematics(text: &str) -> bool {
    const SIGNS: [&str; 16] = [
        "\\\\frac",
        "\\\\int",
        "\\\\sum",
        "\\\\sqrt",
        "∫",
        "∑",
        "√",
        "prove ",
        "Prove ",
        "theorem",
        "equation",
        "integral",
        "derivative",
        "证明",
        "方程",
        "积分",
    ];
    SIGNS.iter().any(|sign| text.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_told_by_its_letters() {
        for text in [
            "法国的首都是哪里?",
            "Какая столица Франции?",
            r"\u6cd5\u56fd\u7684?",
            "请解释 HTTP 是什么",
        ] {
            assert!(is_of_other_script(text), "{text}");
        }
        for text in
            ["Où est l'hôtel?", "Việt Nam ở đâu?", "", "123", "What is 法国?", r"a\nb \u00e9"]
        {
            assert!(!is_of_other_script(text), "{text}");
        }
    }

    /// They have names of their own, and calls of functions have values of their own.
    #[test]
    fn what_schemas_and_calls_speak_of_is_not_needed() {
        let names = r#""reasoning":{"type":"string"},"thinking":{},"image":{"enum":["file","document"]},
            "file":{},"tools":{},"functions":{},"responseSchema":{}"#;
        let parameters = [r#"{"properties":{"#, names, "}}"].concat();
        for (body, needs) in [
            (
                [r#"{"response_format":{"type":"json_schema","schema":"#, &parameters, "}}"]
                    .concat(),
                &[Need::JsonSchema][..],
            ),
            ([r#"{"tools":[{"parameters":"#, &parameters, "}]}"].concat(), &[Need::Tools]),
            (
                [r#"{"generationConfig":{"responseSchema":"#, &parameters, "}}"].concat(),
                &[Need::JsonSchema],
            ),
            ([r#"{"messages":[{"input":"#, &parameters, "}]}"].concat(), &[]),
        ] {
            assert_eq!(shown(&body), Needs::of(needs), "{body}");
        }
    }

    #[test]
    fn what_a_request_needs_is_told_by_names_and_not_by_words() {
        for (body, needs) in [
            (r#"{"messages":[{"content":"tools, \"image\" and \"file\""}]}"#, &[][..]),
            (r#"{"tools":[],"thinking":{}}"#, &[Need::Tools, Need::Reasoning]),
            (r#"{"type":"image_url"}"#, &[Need::Vision]),
            (r#"{"mimeType":"image/png"}"#, &[Need::Vision]),
            (r#"{"mimeType":"audio/wav"}"#, &[Need::Audio]),
            (r#"{"type":"file"},{"type":"json_schema"}"#, &[Need::Documents, Need::JsonSchema]),
            (r#"{"reasoning_effort":"low"}"#, &[Need::Reasoning]),
            (r#"{"generationConfig":{"responseJsonSchema":{}}}"#, &[Need::JsonSchema]),
            (r#"{"generationConfig":{"thinkingConfig":{}}}"#, &[Need::Reasoning]),
            (r#"{"reasoning_effort":"none","reasoning":null,"tools":null}"#, &[]),
            (r#"{"thinking":{"type":"disabled"},"reasoning":{"effort":"none"}}"#, &[]),
            (r#"{"content":[{"type" : "image","source":{}}]}"#, &[Need::Vision]),
            ("", &[]),
        ] {
            assert_eq!(shown(body), Needs::of(needs), "{body}");
        }
    }
}
