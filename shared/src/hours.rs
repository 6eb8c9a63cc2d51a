//! Hours of the day, in a time zone.

use crate::config::{ConfigError, Setting};

/// Hours of the day.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Time {
    /// `HH:MM`.
    pub from: String,
    /// `HH:MM`, not included; before `from` it is that of the next day.
    pub to: String,
    /// `mon` to `sun`; every day unless said. After midnight it is still the day that `from` was on.
    #[serde(default)]
    pub days: Vec<String>,
    /// The clock's distance from UTC, `+08:00`.
    #[serde(default)]
    pub utc_offset: String,
}

/// Hours of the day, on some days of the week.
#[derive(Debug)]
pub struct Hours {
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
    /// Checks them; `path` is where they stand in the configuration.
    pub fn new(time: &Time, path: &str) -> Result<Hours, ConfigError> {
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

    /// Whether it is such an hour; `now` in nanoseconds since the Unix epoch.
    pub fn hold(&self, now: u64) -> bool {
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
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn hours(json: &str) -> Hours {
        Hours::new(&crate::config::document(json).unwrap(), "time").unwrap()
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
            (r#"{"from":"8","to":"18:00"}"#, "time.from: "),
            (r#"{"from":"08:00","to":"08:00"}"#, "time.to: "),
            (r#"{"from":"08:00","to":"09:00","days":["mo"]}"#, "time.days[0]: "),
            (r#"{"from":"08:00","to":"09:00","utc_offset":"8"}"#, "time.utc_offset: "),
        ] {
            let error = Hours::new(&crate::config::document(json).unwrap(), "time").unwrap_err();
            assert!(error.to_string().starts_with(place), "{error}");
        }
    }
}
