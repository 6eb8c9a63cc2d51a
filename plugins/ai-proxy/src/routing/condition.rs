//! Whether a route is for a request.

use shared::config::ConfigError;
use shared::facts::Fact;

use super::ask::Ask;
use super::config::{self, Need, Range};
use super::pattern::Pattern;

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
        let named = |map: &std::collections::BTreeMap<String, String>, field: &str| {
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

    /// Whether it is for every request.
    pub fn is_for_all(&self) -> bool {
        self.models.is_empty()
            && self.consumers.is_empty()
            && self.groups.is_empty()
            && self.paths.is_empty()
            && self.headers.is_empty()
            && self.query.is_empty()
            && self.facts.is_empty()
            && self.needs.is_empty()
            && self.stream.is_none()
            && self.prompt_tokens.is_none()
            && self.time.is_none()
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

/// Hours of the day, on some days of the week.
#[derive(Debug)]
struct Hours {
    /// Minutes of the day.
    from: i64,
    to: i64,
    /// Bit 0 is Monday.
    days: u8,
    /// In minutes.
    offset: i64,
}

const DAY: i64 = 24 * 60;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Hours {
    fn new(time: &config::Time, path: &str) -> Result<Hours, ConfigError> {
        let bad = |field: &str, message: &str| ConfigError::new(format!("{path}.{field}"), message);
        let clock = |text: &str, field| {
            minutes(text)
                .filter(|minutes| *minutes <= DAY)
                .ok_or_else(|| bad(field, "write `HH:MM`"))
        };
        let mut days = 0;
        for (index, day) in time.days.iter().enumerate() {
            let number = DAYS.iter().position(|name| name == day).ok_or_else(|| {
                bad(
                    &format!("days[{index}]"),
                    "write `mon`, `tue`, `wed`, `thu`, `fri`, `sat` or `sun`",
                )
            })?;
            days |= 1 << number;
        }
        let offset = match time.utc_offset.as_bytes().first() {
            None => 0,
            Some(sign @ (b'+' | b'-')) => {
                let minutes = time.utc_offset.get(1..).and_then(minutes).filter(|m| *m <= 14 * 60);
                let minutes =
                    minutes.ok_or_else(|| bad("utc_offset", "write `+HH:MM` or `-HH:MM`"))?;
                if *sign == b'-' { -minutes } else { minutes }
            }
            Some(_) => return Err(bad("utc_offset", "write `+HH:MM` or `-HH:MM`")),
        };
        let (from, to) = (clock(&time.from, "from")?, clock(&time.to, "to")?);
        if from == to {
            return Err(bad("to", "is the same as `from`; leave `from` and `to` out for all day"));
        }
        Ok(Hours { from, to, days: if days == 0 { 0x7f } else { days }, offset })
    }

    /// `now` in nanoseconds since the Unix epoch.
    fn hold(&self, now: u64) -> bool {
        let minutes = i64::try_from(now / 60_000_000_000).unwrap_or(i64::MAX / 2) + self.offset;
        let (mut day, minute) = (minutes.div_euclid(DAY), minutes.rem_euclid(DAY));
        let inside = if self.from < self.to {
            (self.from..self.to).contains(&minute)
        } else {
            // Past midnight it is still the day before's.
            if minute < self.to {
                day -= 1;
            }
            minute >= self.from || minute < self.to
        };
        // The epoch was a Thursday.
        let weekday = (day + 3).rem_euclid(7);
        inside && self.days >> weekday & 1 == 1
    }
}

fn minutes(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<i64>().ok()).flatten()
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    (minutes < 60).then_some(hours * 60 + minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(json: &str) -> Hours {
        Hours::new(&serde_json::from_str(json).unwrap(), "time").unwrap()
    }

    /// 2026-11-23 is a Monday.
    fn at(day: u64, hour: u64, minute: u64) -> u64 {
        ((20_780 + day) * 86_400 + hour * 3600 + minute * 60) * 1_000_000_000
    }

    #[test]
    fn hours_hold_on_their_days_in_their_time_zone() {
        let office = hours(r#"{"from":"08:00","to":"18:00","days":["mon","fri"]}"#);
        assert!(office.hold(at(0, 8, 0)) && office.hold(at(0, 17, 59)) && office.hold(at(4, 9, 0)));
        assert!(!office.hold(at(0, 18, 0)) && !office.hold(at(1, 9, 0)));
        let beijing = hours(r#"{"from":"08:00","to":"18:00","utc_offset":"+08:00"}"#);
        assert!(beijing.hold(at(0, 0, 0)) && !beijing.hold(at(0, 10, 0)));
    }

    #[test]
    fn a_night_belongs_to_the_day_it_began_on() {
        let night = hours(r#"{"from":"22:00","to":"06:00","days":["mon"],"utc_offset":"-05:00"}"#);
        assert!(night.hold(at(1, 3, 0)), "Monday 22:00 there");
        assert!(night.hold(at(1, 10, 59)), "Tuesday 05:59 there");
        assert!(!night.hold(at(0, 10, 0)), "Monday 05:00 there is Sunday's night");
    }

    #[test]
    fn mistakes_are_named() {
        for (json, place) in [
            (r#"{"time":{"from":"8","to":"18:00"}}"#, "when.time.from: "),
            (r#"{"time":{"from":"08:00","to":"08:00"}}"#, "when.time.to: "),
            (r#"{"time":{"from":"08:00","to":"09:00","days":["mo"]}}"#, "when.time.days[0]: "),
            (
                r#"{"time":{"from":"08:00","to":"09:00","utc_offset":"8"}}"#,
                "when.time.utc_offset: ",
            ),
            (r#"{"facts":{"mood":"good"}}"#, "when.facts.mood: there is no such fact"),
            (r#"{"prompt_tokens":{"min":2,"max":1}}"#, "when.prompt_tokens: "),
            (r#"{"headers":{"x":"~("}}"#, "when.headers.x: "),
        ] {
            let when = serde_json::from_str(json).unwrap();
            let error = Condition::new(&when, "when").unwrap_err().to_string();
            assert!(error.starts_with(place), "{error}");
        }
    }
}
