//! Points in time as people write them, RFC 3339, without a calendar library.

/// Seconds since the Unix epoch of `2026-12-31T23:59:59Z`, with a fraction and an offset if need be;
/// a day by itself is its first second in UTC. `None` if it is no such thing.
pub fn parse(text: &str) -> Option<i64> {
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut parts = date.splitn(3, '-');
    let (year, month, day) =
        (digits(parts.next()?, 4)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return None;
    }
    let days = days_since_epoch(year, month, day);
    let seconds = match time {
        None => 0,
        Some(time) => time_of_day(time)?,
    };
    Some(days * 86_400 + seconds)
}

/// Seconds since the Unix epoch of a date of HTTP, `Sun, 06 Nov 1994 08:49:37 GMT`
/// (<https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7>); its two older forms, which nobody sends any
/// more, are none.
pub fn of_http(text: &str) -> Option<i64> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let (_, date) = text.split_once(", ")?;
    let mut parts = date.splitn(4, ' ');
    let day = digits(parts.next()?, 2)?;
    let name = parts.next().filter(|name| name.len() == 3)?;
    let month = i64::try_from(MONTHS.find(name)?).ok()? / 3 + 1;
    let year = digits(parts.next()?, 4)?;
    let clock = parts.next()?.strip_suffix(" GMT")?;
    if day < 1 || day > days_in(year, month) {
        return None;
    }
    Some(days_since_epoch(year, month, day) * 86_400 + time_of_day(&format!("{clock}Z"))?)
}

/// Seconds since the Unix epoch as `2026-12-31T23:59:59Z`.
pub fn written(seconds: u64) -> String {
    let mut out = stamp(seconds, "-", ":");
    out.push('Z');
    out
}

/// Nanoseconds since the Unix epoch as `2026-12-31T23:59:59.999Z`.
pub fn written_millis(nanos: u64) -> String {
    let millis = nanos / 1_000_000;
    let mut out = stamp(millis / 1_000, "-", ":");
    out.push('.');
    out.push(digit(millis / 100));
    two(&mut out, millis);
    out.push('Z');
    out
}

/// A date and a time of day, with these separators and without a zone.
pub(crate) fn stamp(seconds: u64, date_mark: &str, clock_mark: &str) -> String {
    let (year, month, day) = date(i64::try_from(seconds / 86_400).unwrap_or_default());
    let part = |number: i64| number.unsigned_abs();
    let mut out = String::with_capacity("2026-12-31T23:59:59.999Z".len());
    two(&mut out, part(year) / 100);
    two(&mut out, part(year));
    out.push_str(date_mark);
    two(&mut out, part(month));
    out.push_str(date_mark);
    two(&mut out, part(day));
    out.push('T');
    two(&mut out, seconds / 3_600 % 24);
    out.push_str(clock_mark);
    two(&mut out, seconds / 60 % 60);
    out.push_str(clock_mark);
    two(&mut out, seconds % 60);
    out
}

/// The last two digits of a number.
fn two(out: &mut String, number: u64) {
    out.push(digit(number / 10));
    out.push(digit(number));
}

/// The last digit of a number.
fn digit(number: u64) -> char {
    char::from(b'0' + (number % 10) as u8)
}

/// Seconds from midnight in UTC, the offset taken off.
fn time_of_day(text: &str) -> Option<i64> {
    let split = text.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = text.split_at_checked(split)?;
    let clock = clock.split_once('.').map_or(Some(clock), |(whole, fraction)| {
        let ok = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
        ok.then_some(whole)
    })?;
    let mut parts = clock.splitn(3, ':');
    let (hour, minute, second) =
        (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    // A leap second counts as the one after it.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(hour * 3600 + minute * 60 + second - offset(zone)?)
}

/// Seconds east of Greenwich of `Z`, `+08:00` or `-03:30`.
pub fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, rest) = match zone.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
}

/// Days from the Unix epoch to a day of the Gregorian calendar
/// (<https://howardhinnant.github.io/date_algorithms.html#days_from_civil>).
pub fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a number of days from the Unix epoch
/// (<https://howardhinnant.github.io/date_algorithms.html#civil_from_days>).
pub fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// How many days a month has.
pub fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn digits(text: &str, count: usize) -> Option<i64> {
    let ok = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    ok.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn dates_of_http_are_read() {
        assert_eq!(of_http("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(of_http("Thu, 29 Feb 2024 00:00:00 GMT"), Some(1_709_164_800));
        for bad in [
            "",
            "06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
        ] {
            assert_eq!(of_http(bad), None, "{bad}");
        }
    }

    #[test]
    fn points_in_time_are_read() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-23", 1_795_392_000),
            ("2026-11-23T08:00:00+08:00", 1_795_392_000),
            ("2026-11-22T20:30:00.123-03:30", 1_795_392_000),
            ("2024-02-29T23:59:60Z", 1_709_251_200),
            ("1969-12-31T23:59:59z", -1),
        ] {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
        for bad in [
            "",
            "2026",
            "2026-13-01",
            "2025-02-29",
            "2026-11-23T",
            "2026-11-23T10:00:00",
            "2026-11-23T24:00:00Z",
            "2026-11-23T10:00:00+8",
            "26-11-23",
            "2026-11-23T1:00:00Z",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn points_in_time_are_written() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
        ] {
            assert_eq!(written(seconds), text);
            assert_eq!(parse(text), i64::try_from(seconds).ok());
        }
        assert_eq!(written_millis(1_767_225_599_078_999_999), "2025-12-31T23:59:59.078Z");
    }

    #[test]
    fn days_and_dates_are_the_same_thing() {
        for day in (-200_000..200_000).step_by(37) {
            let (year, month, of_month) = date(day);
            assert_eq!(days_since_epoch(year, month, of_month), day);
            assert!((1..=12).contains(&month) && of_month <= days_in(year, month));
        }
    }
}
