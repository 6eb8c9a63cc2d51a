//! Whether a route is for a request.

use shared::config::ConfigError;
use shared::facts::Fact;
use shared::hours::Hours;
use shared::pattern::Pattern;

use super::ask::Ask;
use super::config::{self, Need, Range};

/// Most header and query conditions of one rule.
const MAX_NAMED: usize = 32;

/// A compiled condition.
#[derive(Debug, Default)]
pub struct Condition {
    models: Vec<Pattern>,
    consumers: Vec<Pattern>,
    groups: Vec<Pattern>,
    paths: Vec<Pattern>,
    headers: Vec<(String, Pattern)>,
    query: Vec<(String, Pattern)>,
    facts: Vec<(Fact, Pattern)>,
    needs: Vec<Need>,
    stream: Option<bool>,
    prompt_tokens: Option<Range>,
    time: Option<Hours>,
}

impl Condition {
    /// Compiles a condition; `path` is where it stands in the configuration.
    pub fn new(when: &config::When, path: &str) -> Result<Condition, ConfigError> {
        let at = |field: &str| format!("{path}.{field}");
        let named = |map: &shared::small_map::SmallMap<String, String>, field: &str| {
            if map.len() > MAX_NAMED {
                return Err(ConfigError::new(at(field), format!("has more than {MAX_NAMED}")));
            }
            map.iter()
                .map(|(name, text)| {
                    let pattern = Pattern::new(text, &format!("{}.{name}", at(field)))?;
                    Ok((name.clone(), pattern))
                })
                .collect::<Result<Vec<_>, ConfigError>>()
        };
        let facts = named(&when.facts, "facts")?.into_iter().map(|(name, pattern)| {
            let fact = Fact::ALL.into_iter().find(|fact| fact.name() == name);
            fact.map(|fact| (fact, pattern)).ok_or_else(|| {
                let names: Vec<_> = Fact::ALL.iter().map(|fact| fact.name()).collect();
                let message = format!("there is no such fact; there are {}", names.join(", "));
                ConfigError::new(format!("{}.{name}", at("facts")), message)
            })
        });
        let range = when.prompt_tokens;
        if range.is_some_and(|range| range.min.unwrap_or(0) > range.max.unwrap_or(u64::MAX)) {
            return Err(ConfigError::new(at("prompt_tokens"), "`min` is above `max`"));
        }
        Ok(Condition {
            models: Pattern::all(&when.models, &at("models"))?,
            consumers: Pattern::all(&when.consumers, &at("consumers"))?,
            groups: Pattern::all(&when.groups, &at("groups"))?,
            paths: Pattern::all(&when.paths, &at("paths"))?,
            headers: named(&when.headers, "headers")?
                .into_iter()
                .map(|(name, pattern)| (name.to_ascii_lowercase(), pattern))
                .collect(),
            query: named(&when.query, "query")?,
            facts: facts.collect::<Result<_, _>>()?,
            needs: when.needs.clone(),
            stream: when.stream,
            prompt_tokens: range,
            time: when.time.as_ref().map(|time| Hours::new(time, &at("time"))).transpose()?,
        })
    }

    /// Whether every request that another condition is for fits this one too, as far as that can be told
    /// without a request: the rule of the other, if it comes later, is never reached.
    pub fn covers(&self, other: &Condition) -> bool {
        let lists = [
            (&self.models, &other.models),
            (&self.paths, &other.paths),
            (&self.consumers, &other.consumers),
            (&self.groups, &other.groups),
        ];
        let range = |range: Option<Range>| {
            range.map_or((0, u64::MAX), |r| (r.min.unwrap_or(0), r.max.unwrap_or(u64::MAX)))
        };
        let ((from, to), (least, most)) = (range(self.prompt_tokens), range(other.prompt_tokens));
        lists.into_iter().all(|(all, some)| covers_list(all, some))
            && self.stream.is_none_or(|stream| other.stream == Some(stream))
            && self.time.is_none()
            && (from <= least && most <= to)
            && self.needs.iter().all(|need| other.needs.contains(need))
            && covers_named(&self.headers, &other.headers)
            && covers_named(&self.query, &other.query)
            && covers_named(&self.facts, &other.facts)
    }

    /// The models that it names, patterns left out.
    pub fn exact_models(&self) -> impl Iterator<Item = &str> {
        self.models.iter().filter_map(|pattern| match pattern {
            Pattern::Exact(model) => Some(model.as_str()),
            _ => None,
        })
    }

    /// Whether a request fits. What costs least is looked at first.
    pub fn fits(&self, ask: &mut Ask<'_, '_>) -> bool {
        let any = |patterns: &[Pattern], text: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| pattern.fits(text))
        };
        any(&self.models, ask.model)
            && self.stream.is_none_or(|stream| stream == ask.stream)
            && self.time.as_ref().is_none_or(|hours| hours.hold(ask.now))
            && (self.paths.is_empty() || any(&self.paths, ask.path()))
            && (self.consumers.is_empty() || any(&self.consumers, &ask.fact(Fact::Consumer)))
            && (self.groups.is_empty()
                || ask.fact(Fact::Groups).split(',').any(|group| any(&self.groups, group)))
            && self
                .query
                .iter()
                .all(|(name, pattern)| ask.query(name).is_some_and(|value| pattern.fits(&value)))
            && self
                .headers
                .iter()
                .all(|(name, pattern)| ask.header(name).is_some_and(|value| pattern.fits(&value)))
            && self.facts.iter().all(|(fact, pattern)| {
                let value = ask.fact(*fact);
                !value.is_empty() && value.split(',').any(|value| pattern.fits(value))
            })
            && self.prompt_tokens.is_none_or(|range| {
                let tokens = ask.prompt_tokens();
                range.min.is_none_or(|min| tokens >= min)
                    && range.max.is_none_or(|max| tokens <= max)
            })
            && self.needs.iter().all(|need| ask.needs(*need))
    }
}

/// No patterns fit everything.
fn covers_list(all: &[Pattern], some: &[Pattern]) -> bool {
    let covered = |pattern: &Pattern| all.iter().any(|other| other.covers(pattern));
    all.is_empty() || (!some.is_empty() && some.iter().all(covered))
}

/// What is asked of each name is asked by the other too, and as much.
fn covers_named<N: PartialEq>(all: &[(N, Pattern)], some: &[(N, Pattern)]) -> bool {
    let asked = |(name, pattern): &(N, Pattern)| {
        some.iter().any(|(other, narrower)| other == name && pattern.covers(narrower))
    };
    all.iter().all(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_covers_what_asks_for_as_much_and_more() {
        let when =
            |json: &str| Condition::new(&shared::config::document(json).unwrap(), "").unwrap();
        for (first, second, covers) in [
            ("{}", r#"{"models":["a"]}"#, true),
            (r#"{"models":["a"]}"#, "{}", false),
            (
                r#"{"models":["gpt-*","o1"]}"#,
                r#"{"models":["gpt-5","gpt-4*"],"stream":true}"#,
                true,
            ),
            (r#"{"models":["gpt-*"]}"#, r#"{"models":["gpt-5","o1"]}"#, false),
            (r#"{"models":["~^g"]}"#, r#"{"models":["gpt-5"]}"#, true),
            (r#"{"models":["~^g"]}"#, r#"{"models":["gpt-*"]}"#, false),
            (r#"{"headers":{"X-A":"*"}}"#, r#"{"headers":{"x-a":"1","x-b":"2"}}"#, true),
            (r#"{"headers":{"x-a":"1"}}"#, r#"{"headers":{"x-b":"1"}}"#, false),
            (r#"{"facts":{"pii":"*"}}"#, r#"{"facts":{"pii":"email"}}"#, true),
            (r#"{"needs":["tools"]}"#, r#"{"needs":["vision","tools"]}"#, true),
            (r#"{"needs":["tools"]}"#, r#"{"needs":["vision"]}"#, false),
            (r#"{"prompt_tokens":{"max":9}}"#, r#"{"prompt_tokens":{"min":2,"max":9}}"#, true),
            (r#"{"prompt_tokens":{"max":9}}"#, r#"{"prompt_tokens":{"min":2}}"#, false),
            (r#"{"stream":true}"#, r#"{"stream":false}"#, false),
            (
                r#"{"time":{"from":"08:00","to":"09:00"}}"#,
                r#"{"time":{"from":"08:00","to":"09:00"}}"#,
                false,
            ),
        ] {
            assert_eq!(when(first).covers(&when(second)), covers, "{first} {second}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (json, place) in [
            (r#"{"time":{"from":"8","to":"18:00"}}"#, "when.time.from: "),
            (r#"{"facts":{"mood":"good"}}"#, "when.facts.mood: there is no such fact"),
            (r#"{"prompt_tokens":{"min":2,"max":1}}"#, "when.prompt_tokens: "),
            (r#"{"headers":{"x":"~("}}"#, "when.headers.x: "),
        ] {
            let when = shared::config::document(json).unwrap();
            let error = Condition::new(&when, "when").unwrap_err().to_string();
            assert!(error.starts_with(place), "{error}");
        }
    }
}
