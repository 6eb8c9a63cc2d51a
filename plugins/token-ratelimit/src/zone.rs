//! Where a calendar's days begin: a fixed offset, or a time zone with its daylight saving time.
//!
//! A zone is a rule for all years, as POSIX writes it in `TZ`
//! (<https://pubs.opengroup.org/onlinepubs/9799919799/basedefs/V1_chap08.html>) and the time zone database at
//! the end of its files (RFC 9636, 3.3). zones.txt has those of the zones of all countries, made from release
//! 2026f by tests/zones.py; left out are Cuba and Palestine, whose next ten years follow no rule.

use shared::time;

const DAY: i64 = 86_400;

/// Rules and the zones that follow them: `RULE REGION:CITY,CITY REGION:CITY`.
const ZONES: &str = include_str!("zones.txt");

/// A zone. Offsets are in seconds east of Greenwich.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    standard: i64,
    summer: Option<Summer>,
}

/// Daylight saving time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Summer {
    offset: i64,
    begins: Change,
    ends: Change,
}

/// When in a year the clock is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Change {
    month: i64,
    /// The first to the fourth of its month; 5: the last.
    week: i64,
    /// From Sunday, 0.
    weekday: i64,
    /// Seconds from midnight by the clock before the change; may be beyond the day.
    time: i64,
}

impl Zone {
    /// One that is always so many seconds east of Greenwich.
    pub fn fixed(offset: i64) -> Zone {
        Zone { standard: offset, summer: None }
    }

    /// Reads `Europe/Berlin`, `UTC`, or a rule as `CET-1CEST,M3.5.0,M10.5.0/3`.
    pub fn parse(text: &str) -> Option<Zone> {
        let named = ZONES.lines().find_map(|line| {
            let (rule, zones) = line.split_once(' ')?;
            let has = |part: &str| {
                let (region, cities) = part.split_once(':')?;
                let city = match region {
                    "" => text,
                    _ => text.strip_prefix(region)?.strip_prefix('/')?,
                };
                cities.split(',').any(|other| other == city).then_some(())
            };
            zones.split(' ').find_map(has).map(|()| rule)
        });
        rule(named.unwrap_or(text))
    }

    /// Seconds east of Greenwich at a second since the Unix epoch.
    pub fn offset_at(&self, second: i64) -> i64 {
        let Some(summer) = self.summer else { return self.standard };
        let (year, ..) = time::date(second.saturating_add(self.standard).div_euclid(DAY));
        let (begin, end) = self.summer_of(year, &summer);
        let within = if begin < end {
            (begin..end).contains(&second)
        } else {
            !(end..begin).contains(&second)
        };
        if within { summer.offset } else { self.standard }
    }

    /// When the clocks of a place show this many seconds since 1970 for the first time. Where they never do,
    /// because they are put forward, it is when they would have.
    pub fn utc(&self, local: i64) -> i64 {
        let offsets = [self.standard, self.summer.map_or(self.standard, |summer| summer.offset)];
        let shown = offsets.iter().map(|offset| (local - offset, *offset));
        let first = shown.filter(|(second, offset)| self.offset_at(*second) == *offset).min();
        first.map_or(local - self.lowest(), |(second, _)| second)
    }

    /// Of the years around a second: the first offset, then each second at which another begins.
    pub fn changes(&self, second: i64) -> (i64, Vec<(i64, i64)>) {
        let Some(summer) = self.summer else { return (self.standard, Vec::new()) };
        let (year, ..) = time::date(second.div_euclid(DAY));
        let mut changes = Vec::new();
        for year in year - 1..=year + 1 {
            let (begin, end) = self.summer_of(year, &summer);
            changes.push((begin, summer.offset));
            changes.push((end, self.standard));
        }
        shared::sort::by(&mut changes, |a, b| a < b);
        let first = changes.first().map_or(self.standard, |(second, _)| self.offset_at(second - 1));
        (first, changes)
    }

    /// The offset, if it is always the same.
    pub fn always(&self) -> Option<i64> {
        self.summer.is_none().then_some(self.standard)
    }

    /// The lower of its offsets, which it has in every year.
    pub fn lowest(&self) -> i64 {
        self.summer.map_or(self.standard, |summer| summer.offset.min(self.standard))
    }

    fn summer_of(&self, year: i64, summer: &Summer) -> (i64, i64) {
        (summer.begins.local(year) - self.standard, summer.ends.local(year) - summer.offset)
    }
}

impl Change {
    /// In seconds since 1970 by the clock before it.
    fn local(&self, year: i64) -> i64 {
        let first = time::days_since_epoch(year, self.month, 1);
        // The epoch was a Thursday.
        let mut day = (self.weekday - (first + 4)).rem_euclid(7) + 7 * (self.week - 1);
        if day >= time::days_in(year, self.month) {
            day -= 7;
        }
        (first + day) * DAY + self.time
    }

    /// Reads `M3.5.0/2`.
    fn parse(text: &str) -> Option<Change> {
        let (day, time) = text.split_once('/').unwrap_or((text, "2"));
        let mut parts = day.strip_prefix('M')?.splitn(3, '.').map(|part| part.parse().ok());
        let mut part = |range: std::ops::RangeInclusive<i64>| {
            parts.next().flatten().filter(|number| range.contains(number))
        };
        let (month, week, weekday) = (part(1..=12)?, part(1..=5)?, part(0..=6)?);
        Some(Change { month, week, weekday, time: clock(time)? })
    }
}

/// Reads a rule.
fn rule(text: &str) -> Option<Zone> {
    let (standard, rest) = offset(name(text)?)?;
    if rest.is_empty() {
        return Some(Zone::fixed(standard));
    }
    let (names, changes) = rest.split_once(',')?;
    let (begins, ends) = changes.split_once(',')?;
    let rest = name(names)?;
    // An hour before standard time unless said.
    let (offset, rest) = if rest.is_empty() { (standard + 3_600, rest) } else { offset(rest)? };
    let (begins, ends) = (Change::parse(begins)?, Change::parse(ends)?);
    rest.is_empty().then_some(Zone { standard, summer: Some(Summer { offset, begins, ends }) })
}

/// What follows a zone's short name: three letters or more, or anything between `<` and `>`.
fn name(text: &str) -> Option<&str> {
    match text.strip_prefix('<') {
        Some(rest) => rest.split_once('>').map(|(_, rest)| rest),
        None => {
            let rest = text.trim_start_matches(|c: char| c.is_ascii_alphabetic());
            (text.len() >= rest.len().saturating_add(3)).then_some(rest)
        }
    }
}

/// Seconds east of Greenwich, of which POSIX writes how far west it is; and what follows.
fn offset(text: &str) -> Option<(i64, &str)> {
    let other = |c: char| !(c.is_ascii_digit() || "+-:".contains(c));
    let (west, rest) = text.split_at_checked(text.find(other).unwrap_or(text.len()))?;
    let west = clock(west).filter(|west| west.abs() <= DAY)?;
    Some((-west, rest))
}

/// Seconds of `2`, `-1`, `2:45` or `26:00:30`, up to a week.
fn clock(text: &str) -> Option<i64> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut seconds = 0;
    for (part, (unit, most)) in text.split(':').zip([(3_600, 167), (60, 59), (1, 59)]) {
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let number: i64 = digits.then(|| part.parse().ok()).flatten()?;
        seconds += (number <= most).then_some(number * unit)?;
    }
    (text.split(':').count() <= 3).then_some(sign * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Window;

    /// What Python's zoneinfo says: zone, day, its first second, the next one's, and its month's.
    const SEEN: &str = include_str!("../tests/zones.tsv");

    #[test]
    fn days_and_months_begin_where_the_time_zone_database_says() {
        let mut rows = 0;
        for row in SEEN.lines() {
            let mut parts = row.split('\t');
            let (name, day) = (parts.next().unwrap(), parts.next().unwrap());
            let [begin, end, month] = [0; 3].map(|_| parts.next().unwrap().parse::<u64>().unwrap());
            let zone = Zone::parse(name).unwrap();
            for second in [begin, begin + 3_599, begin + 40_000, end - 1] {
                let found = Window::Seconds(86_400).at(second, zone);
                assert_eq!(found, (begin, end), "{name} {day} {second}");
                assert_eq!(Window::Month.at(second, zone).0, month, "{name} {day} {second}");
                // As a store elsewhere is told.
                let (first, changes) = zone.changes(second.cast_signed());
                let past = changes.iter().rev().find(|(at, _)| *at <= second.cast_signed());
                let there = past.map_or(first, |(_, offset)| *offset);
                assert_eq!(there, zone.offset_at(second.cast_signed()), "{name} {day} {second}");
            }
            rows += 1;
        }
        assert!(rows > 200);
    }

    #[test]
    fn every_zone_of_the_table_is_read_and_rules_are_too() {
        let mut zones = 0;
        for line in ZONES.lines() {
            let (rule, names) = line.split_once(' ').unwrap();
            for (region, cities) in names.split(' ').map(|part| part.split_once(':').unwrap()) {
                for city in cities.split(',') {
                    let name =
                        if region.is_empty() { city.into() } else { format!("{region}/{city}") };
                    assert_eq!(Zone::parse(&name), Zone::parse(rule), "{name}");
                    assert!(Zone::parse(&name).is_some(), "{name}");
                    zones += 1;
                }
            }
        }
        assert!(zones > 400);
        assert_eq!(Zone::parse("Europe/Berlin"), Zone::parse("CET-1CEST,M3.5.0,M10.5.0/3"));
        assert_eq!(Zone::parse("<+0545>-5:45"), Some(Zone::fixed(20_700)));
        for bad in [
            "",
            "Berlin",
            "Europe/Atlantis",
            "europe/berlin",
            "CET",
            "CE-1",
            "CET-1CEST",
            "CET-25",
            "CET-1CEST,M3.5.0",
            "CET-1CEST,M3.6.0,M10.5.0",
            "CET-1CEST,J60,J300",
            "CET-1x",
            "CET-1CEST,M13.5.0,M10.5.0",
            "CET-1CEST,M3.5.0/168,M10.5.0",
            "<CET-1",
            "CET-1:60",
            "CET-1:0:0:0",
            "CET--1",
            "Europe/",
            "/Berlin",
            "CET-é",
        ] {
            assert_eq!(Zone::parse(bad), None, "{bad}");
        }
    }
}
